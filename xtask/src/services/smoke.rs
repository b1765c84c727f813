//! The smoke test of a service: started, asked to keep something and to give it back, ended.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{
    service::Service,
    start::{Lifetime, folder, start},
    stop::stop,
};

/// How a smoke test went that did not fail.
#[derive(Debug)]
pub(crate) enum Smoke {
    /// The service started in `start` and did what it should; all of it, with its end, took `whole`.
    Passed { start: Duration, whole: Duration },
    /// It cannot run here, for this reason.
    Skipped(String),
}

/// Runs the smoke test of one service. What cannot be had is skipped; whatever else goes wrong is an error, and the logs stay.
pub(crate) fn smoke(service: &dyn Service) -> Result<Smoke> {
    if let Some(reason) = service.lacks().or_else(|| service.smoke_lacks()) {
        return Ok(Smoke::Skipped(reason));
    }
    if let Err(error) = service.download() {
        let whole = format!("{error:#}");
        eprintln!("{} cannot be had: {whole}", service.name());
        return Ok(Smoke::Skipped(format!("it cannot be had: {}", whole.lines().next().unwrap_or_default())));
    }
    let begun = Instant::now();
    let folder = folder(service, Lifetime::WithStarter);
    // Left over where a run was killed and the kernel does not end the servers with it.
    stop(&folder).context("ending what an earlier run left")?;
    let instance = start(service, &folder, Lifetime::WithStarter)?;
    let started = begun.elapsed();
    let outcome = service.smoke(&instance);
    stop(&folder).context("ending it")?;
    outcome.with_context(|| format!("its logs are in {}", folder.display()))?;
    Ok(Smoke::Passed { start: started, whole: begun.elapsed() })
}
