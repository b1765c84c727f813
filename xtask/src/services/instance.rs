//! The folder and the ports of one service that runs.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::command::target;

/// Ports below this belong to the system (RFC 6335, section 6).
const PORT_MIN: u16 = 1024;

/// A folder under `target/services/` and the ports that were chosen for it.
#[derive(Debug)]
pub(crate) struct Instance {
    folder: PathBuf,
    ports: Vec<(String, u16)>,
}

impl Instance {
    /// An instance that nothing was made for.
    #[cfg(test)]
    pub(crate) fn of(folder: PathBuf, ports: Vec<(String, u16)>) -> Self {
        Self { folder, ports }
    }

    /// Makes the folder empty and chooses a free port for each name.
    pub(crate) fn make(folder: PathBuf, names: &[&str], port_max: u16) -> Result<Self> {
        clear(&folder)?;
        fs::create_dir_all(folder.join("tmp")).with_context(|| format!("making {}", folder.display()))?;
        Ok(Self { folder, ports: free_ports(names, port_max)? })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn ports(&self) -> &[(String, u16)] {
        &self.ports
    }

    /// A path in the folder, as text for a configuration file.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// The port of a name that the service has in its list.
    pub(crate) fn port(&self, name: &str) -> u16 {
        let port = self.ports.iter().find(|(known, _)| known == name);
        port.expect("a service asks for the ports it has in its list").1
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self, name: &str) -> String {
        format!("127.0.0.1:{}", self.port(name))
    }

    /// Writes a file of the configuration.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.folder.join(name);
        fs::create_dir_all(path.parent().context("a file lies in a folder")?)
            .and_then(|()| fs::write(&path, text))
            .with_context(|| format!("writing {}", path.display()))
    }

    /// Where the output of a process goes.
    pub(crate) fn log(&self, process: &str) -> PathBuf {
        log(&self.folder, process)
    }
}

/// Where the output of a process goes.
pub(crate) fn log(folder: &Path, process: &str) -> PathBuf {
    folder.join(format!("{process}.log"))
}

/// Everything of the services: `target/services`.
pub(crate) fn root() -> PathBuf {
    target().join("services")
}

/// What was downloaded or built for services; kept when they end.
pub(crate) fn cache() -> PathBuf {
    root().join("cache")
}

/// Removes what a service left in its folder.
pub(crate) fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("clearing {}", folder.display()))?;
    }
    Ok(())
}

/// Removes what a service left in its folder, except its logs.
pub(crate) fn clear_but_logs(folder: &Path) -> Result<()> {
    let clearing = || format!("clearing {}", folder.display());
    for entry in fs::read_dir(folder).with_context(clearing)? {
        let path = entry.with_context(clearing)?.path();
        if path.is_dir() {
            fs::remove_dir_all(&path).with_context(clearing)?;
        } else if path.extension().is_none_or(|extension| extension != "log") {
            fs::remove_file(&path).with_context(clearing)?;
        }
    }
    Ok(())
}

/// A free port of loopback for each name. All are held until the last one is found, so that they differ.
fn free_ports(names: &[&str], port_max: u16) -> Result<Vec<(String, u16)>> {
    let mut held = Vec::new();
    for name in names {
        let listener = match port_max {
            u16::MAX => TcpListener::bind(("127.0.0.1", 0)).context("asking for a free port")?,
            _ => free_below(port_max)?,
        };
        held.push(((*name).to_owned(), listener));
    }
    held.into_iter().map(|(name, listener)| Ok((name, listener.local_addr()?.port()))).collect()
}

/// The highest free port that is not above `port_max`.
fn free_below(port_max: u16) -> Result<TcpListener> {
    match (PORT_MIN..=port_max).rev().find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok()) {
        Some(listener) => Ok(listener),
        None => bail!("no port from {PORT_MIN} to {port_max} is free"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ_and_stay_below_the_highest() {
        let port_max = 9_299;
        let ports = free_ports(&["a", "b", "c"], port_max).expect("ports");
        assert!(ports.iter().all(|(_, port)| *port <= port_max));
        assert!(ports[0].1 != ports[1].1 && ports[1].1 != ports[2].1 && ports[0].1 != ports[2].1);
        assert_eq!(free_ports(&["a"], u16::MAX).expect("a port").len(), 1);
    }

    #[test]
    fn logs_outlive_the_data() {
        let folder = std::env::temp_dir().join(format!("lakehead-instance-{}", std::process::id()));
        let instance = Instance::make(folder.clone(), &["http"], u16::MAX).expect("an instance");
        instance.write("data/file", "x").and_then(|()| instance.write("server.log", "said")).expect("files");
        instance.write("server.conf", "x").expect("a file");
        clear_but_logs(&folder).expect("cleared");
        let left: Vec<_> = fs::read_dir(&folder).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(left, ["server.log"]);
        clear(&folder).expect("cleared");
        assert!(!folder.exists());
    }
}
