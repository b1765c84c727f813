//! What is written down about a service that runs, in `state.json` in its folder: ports, addresses, processes.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::identity::Identity;

const FILE: &str = "state.json";

/// A service that runs, or that has ended without having been taken down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) ports: Vec<(String, u16)>,
    pub(crate) addresses: Vec<(String, String)>,
    pub(crate) members: Vec<Member>,
    /// Each process has answered. A start that was cut short leaves this false.
    pub(crate) has_answered: bool,
}

/// One process of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) identity: Identity,
    pub(crate) stop_signal: String,
}

impl State {
    /// Reads the state in a folder; `None` when nothing has been started there.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let value = serde_json::from_slice(&text).ok().and_then(|value| from_json(&value));
        value.with_context(|| format!("{} is not what `services up` writes: remove it", path.display())).map(Some)
    }

    /// Writes it by a rename, so that a reader never sees half of it.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        replace(&folder.join(FILE), &self.to_json())
    }

    /// Whether the service was started to the end and every process still runs.
    pub(crate) fn is_running(&self) -> bool {
        self.has_answered && self.members.iter().all(|member| member.identity.is_running())
    }

    fn to_json(&self) -> Value {
        let members = self.members.iter().map(|member| {
            let mut value = member.identity.to_json();
            value["name"] = json!(member.name);
            value["stop_signal"] = json!(member.stop_signal);
            value
        });
        json!({
            "ports": self.ports.iter().map(|(name, port)| (name.clone(), json!(port))).collect::<Map<_, _>>(),
            "addresses": object(&self.addresses),
            "processes": members.collect::<Vec<_>>(),
            "has_answered": self.has_answered,
        })
    }
}

fn from_json(value: &Value) -> Option<State> {
    let ports = value["ports"].as_object()?.iter();
    let ports = ports.map(|(name, port)| Some((name.clone(), port.as_u64()?.try_into().ok()?)));
    let addresses = value["addresses"].as_object()?.iter();
    let addresses = addresses.map(|(name, address)| Some((name.clone(), address.as_str()?.to_owned())));
    let members = value["processes"].as_array()?.iter().map(|member| {
        Some(Member {
            name: member["name"].as_str()?.to_owned(),
            identity: Identity::from_json(member)?,
            stop_signal: member["stop_signal"].as_str()?.to_owned(),
        })
    });
    Some(State {
        ports: ports.collect::<Option<_>>()?,
        addresses: addresses.collect::<Option<_>>()?,
        members: members.collect::<Option<_>>()?,
        has_answered: value["has_answered"].as_bool()?,
    })
}

/// Writes the addresses of all services that run to a file that a program reads.
pub(crate) fn write_addresses(file: &Path, addresses: &[(String, String)]) -> Result<()> {
    replace(file, &object(addresses))
}

fn object(pairs: &[(String, String)]) -> Value {
    pairs.iter().map(|(name, value)| (name.clone(), json!(value))).collect::<Map<_, _>>().into()
}

fn replace(path: &Path, value: &Value) -> Result<()> {
    let beside = path.with_extension("new");
    let text = format!("{value:#}\n");
    fs::write(&beside, text)
        .and_then(|()| fs::rename(&beside, path))
        .with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let identity = Identity::of(std::process::id()).expect("I run");
        let state = State {
            ports: vec![("broker".to_owned(), 4_000)],
            addresses: vec![("KAFKA_URL".to_owned(), "127.0.0.1:4000".to_owned())],
            members: vec![Member { name: "broker".to_owned(), identity, stop_signal: "TERM".to_owned() }],
            has_answered: true,
        };
        assert_eq!(from_json(&state.to_json()), Some(state.clone()));
        assert!(state.is_running());
        assert!(!State { has_answered: false, ..state }.is_running());
    }
}
