//! `cargo xtask services`: real servers for tests, on loopback and free ports, each in a folder under `target/services/`.
//!
//! ```text
//! service.rs   the contract           kafka.rs, cassandra.rs, …   one file for each service
//! start.rs     download, prepare, launch, wait until ready        stop.rs    end, remove all but logs
//! instance.rs     folder and ports of one service that runs          state.rs   the same, written down, with its processes
//! ```
//! Jars come from Maven, versitygw from Go, moto from PyPI, PostgreSQL from Debian, each by its ordinary client. What cannot be
//! had is skipped with a reason. A process is ended only when its id and its start are those that were written down.

mod bound;
mod cassandra;
mod cql;
mod documents;
mod elasticsearch;
mod flink;
mod hdfs;
mod identity;
mod instance;
mod java;
mod kafka;
mod maven;
mod opensearch;
mod postgresql;
mod s3;
mod service;
mod smoke;
mod start;
mod state;
mod stop;
mod tool;

use std::{
    fs::{self, File, TryLockError},
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};

use self::{
    service::Service,
    smoke::Smoke,
    start::{Lifetime, folder},
    state::State,
};
use crate::count::Count;

/// Every service, the quick ones first.
const SERVICES: &[&dyn Service] = &[
    &postgresql::PostgreSql,
    &s3::S3,
    &kafka::Kafka,
    &cassandra::Cassandra,
    &opensearch::OpenSearch,
    &elasticsearch::Elasticsearch,
    &hdfs::Hdfs,
    &flink::Flink,
];

/// Longest wait for another `cargo xtask services` in this checkout.
const LOCKED_WITHIN: Duration = Duration::from_secs(1800);

/// Between two looks at the lock.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Does what the words say.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let (verb, names) = words.split_first().context("services wants one of up, down, status, smoke")?;
    let services = named(names)?;
    match verb.as_str() {
        "up" if names.is_empty() => bail!("services up wants names: {}", all_names()),
        "up" => with_lock(|| up(&services)),
        "down" => with_lock(|| down(&services)),
        "status" => status(&services),
        "smoke" => with_lock(|| smoke_each(&services, &mut Count::default())),
        other => bail!("services knows up, down, status and smoke, not {other:?}"),
    }
}

/// Downloads what the smoke tests will want. What cannot be had is no failure here: its smoke test says so.
pub(crate) fn download_all() {
    let downloaded = with_lock(|| {
        for service in SERVICES.iter().filter(|service| service.lacks().is_none()) {
            if let Err(error) = service.download() {
                println!("services: {} cannot be had: {error:#}", service.name());
            }
        }
        Ok(())
    });
    if let Err(error) = downloaded {
        println!("services: nothing was downloaded: {error:#}");
    }
}

/// The step of the gate: the smoke test of every service, one after the other.
pub(crate) fn smoke_all(count: &mut Count) -> Result<()> {
    with_lock(|| smoke_each(SERVICES, count))
}

/// Does `work` while the services of these names run, and gives it their addresses. One that cannot run here is left out with its
/// reason: the tests that want it skip themselves, and are counted.
pub(crate) fn with_running<T>(names: &[&str], work: impl FnOnce(&[(String, String)]) -> Result<T>) -> Result<T> {
    let (mut folders, mut addresses) = (Vec::new(), Vec::new());
    let started = with_lock(|| {
        for service in SERVICES.iter().filter(|service| names.contains(&service.name())) {
            let reason = service.lacks().or_else(|| service.download().err().map(|error| format!("{error:#}")));
            if let Some(reason) = reason {
                println!("services: {} is not there for the tests: {reason}", service.name());
                continue;
            }
            let folder = folder(*service, Lifetime::WithStarter);
            stop::stop(&folder).context("ending what an earlier run left")?;
            let instance = start::start(*service, &folder, Lifetime::WithStarter)?;
            addresses.extend(service.addresses(&instance).into_iter().map(|(name, value)| (name.to_owned(), value)));
            folders.push(folder);
        }
        Ok(())
    });
    let outcome = started.and_then(|()| work(&addresses));
    let ended = with_lock(|| {
        folders.iter().try_for_each(|folder| stop::stop(folder).map(drop)).context("ending the servers of the tests")
    });
    outcome.and_then(|done| ended.map(|()| done))
}

/// Starts each and prints the addresses; those that run already only print theirs.
fn up(services: &[&dyn Service]) -> Result<()> {
    let outcome = services.iter().try_for_each(|service| up_one(*service));
    // What runs is told even where a later one failed.
    write_addresses().and(outcome)
}

fn up_one(service: &dyn Service) -> Result<()> {
    let name = service.name();
    let folder = folder(service, Lifetime::UntilDown);
    let running = State::read(&folder)?.filter(State::is_running);
    if running.is_none() {
        if let Some(reason) = service.lacks() {
            bail!("{name} cannot run here: {reason}");
        }
        stop::stop(&folder).with_context(|| format!("ending what is left of {name}"))?;
        let begun = Instant::now();
        start::start(service, &folder, Lifetime::UntilDown)?;
        eprintln!("{name} answers after {:.1} s; logs: {}", begun.elapsed().as_secs_f64(), folder.display());
    }
    let state = State::read(&folder)?.with_context(|| format!("{name} has written no state"))?;
    state.addresses.iter().for_each(|(variable, value)| println!("{variable}={value}"));
    Ok(())
}

fn down(services: &[&dyn Service]) -> Result<()> {
    let end = |service: &dyn Service| -> Result<()> {
        let ending = || format!("ending {}", service.name());
        if stop::stop(&folder(service, Lifetime::UntilDown)).with_context(ending)? {
            eprintln!("{} has ended", service.name());
        }
        Ok(())
    };
    // One that does not end must not keep the others from it.
    let failures: Vec<_> = services.iter().filter_map(|service| end(*service).err()).collect();
    write_addresses()?;
    failures.into_iter().next().map_or(Ok(()), Err)
}

fn status(services: &[&dyn Service]) -> Result<()> {
    for service in services {
        let folder = folder(*service, Lifetime::UntilDown);
        println!("{:<13} {}", service.name(), described(*service, &folder)?);
    }
    Ok(())
}

fn described(service: &dyn Service, folder: &Path) -> Result<String> {
    let Some(state) = State::read(folder)? else {
        return Ok(service.lacks().map_or("down".to_owned(), |reason| format!("cannot run here: {reason}")));
    };
    let members = state.members.iter().map(|member| match member.identity.is_running() {
        true => format!("{} (pid {})", member.name, member.identity.pid()),
        false => format!("{} has ended, see {}", member.name, instance::log(folder, &member.name).display()),
    });
    let members = members.collect::<Vec<_>>().join(", ");
    let addresses: Vec<_> = state.addresses.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let word = match state.is_running() {
        true => "runs",
        false if state.has_answered => "is broken",
        false => "has not answered yet",
    };
    Ok(format!("{word}: {members}; {}", addresses.join(" ")))
}

/// One line for each service; fails at the end when any has failed.
fn smoke_each(services: &[&dyn Service], count: &mut Count) -> Result<()> {
    let begun = Instant::now();
    let (mut passed, mut skipped, mut failed) = (0, 0, Vec::new());
    for service in services {
        let name = service.name();
        match smoke::smoke(*service) {
            Ok(Smoke::Passed { start, whole }) => {
                let (whole, start) = (whole.as_secs_f64(), start.as_secs_f64());
                println!("{name}: ok ({whole:.1} s, of which {start:.1} s until it answered)");
                count.add_passed();
                passed += 1;
            }
            Ok(Smoke::Skipped(reason)) => {
                println!("{name}: skipped: {reason}");
                count.add_skipped(format!("services {name}: {reason}"));
                skipped += 1;
            }
            Err(error) => {
                println!("{name}: FAILED: {error:#}");
                failed.push(name);
            }
        }
    }
    println!(
        "services: {passed} ok, {} failed, {skipped} skipped in {:.0} s",
        failed.len(),
        begun.elapsed().as_secs_f64()
    );
    if !failed.is_empty() {
        bail!("the smoke test of {} failed", failed.join(", "));
    }
    Ok(())
}

/// The addresses of everything that runs, for programs: `target/services/addresses.json`.
fn write_addresses() -> Result<()> {
    let mut addresses = Vec::new();
    for service in SERVICES {
        let state = State::read(&folder(*service, Lifetime::UntilDown))?;
        addresses.extend(state.filter(State::is_running).map(|state| state.addresses).unwrap_or_default());
    }
    state::write_addresses(&instance::root().join("addresses.json"), &addresses)
}

/// The services of these names; all where there is none.
fn named(names: &[String]) -> Result<Vec<&'static dyn Service>> {
    if names.is_empty() {
        return Ok(SERVICES.to_vec());
    }
    let find = |name: &String| SERVICES.iter().find(|service| service.name() == name).copied();
    names.iter().map(|name| find(name).ok_or_else(|| anyhow!("services knows {}, not {name:?}", all_names()))).collect()
}

fn all_names() -> String {
    SERVICES.iter().map(|service| service.name()).collect::<Vec<_>>().join(", ")
}

/// Does the work while no other process of this checkout starts or ends services.
fn with_lock(work: impl FnOnce() -> Result<()>) -> Result<()> {
    let path = instance::root().join("lock");
    let locking = || format!("locking {}", path.display());
    fs::create_dir_all(instance::root()).with_context(locking)?;
    let file = File::create(&path).with_context(locking)?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return work(),
            Err(TryLockError::WouldBlock) if begun.elapsed() < LOCKED_WITHIN => sleep(LOOK_EVERY),
            Err(error) => return Err(error).with_context(locking),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_name_that_is_none_is_refused_with_those_that_are() {
        let words = |words: &[&str]| run(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert!(words(&["up", "kafak"]).is_err_and(|error| error.to_string().contains("kafka")));
        assert!(words(&["up"]).is_err_and(|error| error.to_string().contains("wants names")));
        assert!(words(&["start", "kafka"]).is_err_and(|error| error.to_string().contains("\"start\"")));
    }

    #[test]
    fn names_and_variables_are_unique() {
        let instance = |service: &dyn Service| {
            let ports = (1..).zip(service.ports()).map(|(port, name)| ((*name).to_owned(), port)).collect();
            instance::Instance::of("nowhere".into(), ports)
        };
        let names: BTreeSet<_> = SERVICES.iter().map(|service| service.name()).collect();
        assert_eq!(names.len(), SERVICES.len());
        assert!(names.iter().all(|name| crate::USAGE.contains(name)));
        let addresses: Vec<_> = SERVICES.iter().flat_map(|service| service.addresses(&instance(*service))).collect();
        let variables: BTreeSet<_> = addresses.iter().map(|(variable, _)| *variable).collect();
        assert_eq!(variables.len(), addresses.len());
        for service in SERVICES {
            assert!(variables.contains(format!("{}_URL", service.name().to_uppercase()).as_str()));
        }
    }
}
