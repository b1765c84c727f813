//! A running pipeline as a service: start, serve, reload on SIGHUP, wait for Ctrl-C, finish in order.
//!
//! Shared by `run` and `demo`. The address is bound before anything else, so a port in use costs nothing; the HTTP
//! server stops before the engine, so whoever is being answered gets the answer.

use std::{
    io::{self, IsTerminal},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, anyhow};
use lakehead_engine::{
    Engine, Parts, Pipeline,
    status::{SinkState, SourceState, ViewState},
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time::MissedTickBehavior};

use crate::{
    clock::SystemClock,
    kinds::Kinds,
    numbers::{building, counted},
    output::note,
    reload::{Origin, Reloader},
    signals::{SignalRequest, Signals},
    socket::dashboard_url,
    subprocess::sql_worker,
    version::VERSION,
};

/// How often a person at a terminal is told how it goes.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// When first: soon enough to see that something happens.
const TELL_FIRST: Duration = Duration::from_secs(3);

/// How often pages of code that are not used go back to the system. An audit compiles the views again, one after the other, and so
/// touches as much as the start: with 30 s it came to 101 MiB.
const RELEASE_CODE_EVERY: Duration = Duration::from_secs(2);

/// A pipeline that runs and is served.
pub(crate) struct Service {
    engine: Arc<Engine>,
    reloader: Arc<Reloader>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: JoinHandle<Result<(), lakehead_serve::Error>>,
}

impl Service {
    /// Opens `pipeline` and serves it on `listener`. Its sources are connected by [`until`](Self::until), so that whoever
    /// starts it speaks first. `origin` is where the pipeline comes from, for when it is to be read again.
    pub(crate) async fn start(pipeline: Pipeline, origin: Origin, listener: TcpListener) -> anyhow::Result<Self> {
        let address = listener.local_addr().context("asking for the address that was bound")?;
        let kinds = Kinds::BUILT;
        let parts =
            Parts { clock: Arc::new(SystemClock), sources: kinds.sources, sinks: kinds.sinks, version: VERSION };
        let engine = Arc::new(Engine::open(pipeline, parts).await?);
        if let Err(error) = engine.publish_address(&address.to_string()) {
            tracing::warn!("`lakehead query` will not find this process: {error}");
        }
        let (stop, mut stopping) = watch::channel(false);
        let shutdown = async move {
            // An error means that the service itself is gone: that is a reason to stop, too.
            let _ = stopping.wait_for(|stop| *stop).await;
        };
        let reloader = Arc::new(Reloader::new(Arc::clone(&engine), origin));
        let sql = sql_worker::workers(engine.lake())?;
        let reload = Arc::clone(&reloader) as _;
        let serving = tokio::spawn(lakehead_serve::serve(listener, Arc::clone(&engine), reload, sql, shutdown));
        Ok(Self { engine, reloader, address, stop, serving })
    }

    /// Where the dashboard is: an address that a browser reaches, also where Lakehead listens on all of them.
    pub(crate) fn url(&self) -> String {
        dashboard_url(self.address)
    }

    /// Connects the sources and runs until a signal comes or the server fails; then finishes in order and says so.
    pub(crate) async fn until(mut self, mut signals: Signals) -> anyhow::Result<()> {
        self.engine.connect();
        let mut telling = tokio::time::interval_at(tokio::time::Instant::now() + TELL_FIRST, TELL_EVERY);
        let terminal = io::stderr().is_terminal();
        let mut releasing =
            tokio::time::interval_at(tokio::time::Instant::now() + RELEASE_CODE_EVERY, RELEASE_CODE_EVERY);
        releasing.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut gives_back = true;
        let failed = loop {
            tokio::select! {
                request = signals.next() => match request {
                    SignalRequest::Finish => break None,
                    // What comes of it is told by the engine.
                    SignalRequest::Reload => drop(tokio::spawn(Arc::clone(&self.reloader).on_signal())),
                },
                served = &mut self.serving => break Some(match served {
                    Ok(Ok(())) => anyhow!("the server ended by itself"),
                    Ok(Err(error)) => error.into(),
                    Err(error) => anyhow!("the server was stopped by a defect: {error}"),
                }),
                _ = telling.tick(), if terminal => note(self.line()),
                _ = releasing.tick(), if gives_back => if let Err(error) = lakehead_resident::release_code() {
                    gives_back = false;
                    tracing::warn!("code that is not used stays resident, some 30 MiB of it: {error}");
                },
            }
        };
        if failed.is_none() {
            note("stopping; what has arrived is being kept (Ctrl-C again stops at once, and loses nothing either)");
        }
        tokio::select! {
            finished = self.finish(failed.is_some()) => {
                finished?;
                failed.map_or(Ok(()), Err)
            }
            () = signals.finish() => Err(anyhow!("stopped at once; the next start cuts what was not finished and goes on from there")),
        }
    }

    async fn finish(&mut self, server_ended: bool) -> anyhow::Result<()> {
        self.stop.send_replace(true);
        if !server_ended {
            match (&mut self.serving).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!("the server ended with an error: {error}"),
                Err(error) => tracing::error!("the server was stopped by a defect: {error}"),
            }
        }
        self.engine.shutdown().await?;
        let status = self.engine.status();
        let kept: u64 = status.streams.values().map(|stream| stream.events).sum();
        let pipeline = self.engine.pipeline();
        note(format_args!("stopped cleanly: {} in {}", counted(kept, "event"), pipeline.data.display()));
        Ok(())
    }

    /// How it goes, in one line.
    fn line(&self) -> String {
        let status = self.engine.status();
        let streams = status.streams.iter().filter(|(_, stream)| stream.events > 0);
        let streams: Vec<_> = streams
            .map(|(name, stream)| format!("{name} {}, {:.0}/s", counted(stream.events, "event"), stream.rate_10s))
            .collect();
        let sources = status.sources.iter().map(|(name, source)| {
            let state = match &source.state {
                SourceState::Opening => "connecting",
                SourceState::CatchingUp => "catching up",
                SourceState::Live => "live",
                SourceState::Away { .. } => "upstream away, trying again",
                SourceState::Waiting { .. } => "waiting to write",
                SourceState::Ended => "ended",
                SourceState::Failed { .. } => "failed",
            };
            format!("{name} {state}")
        });
        let views = status.views.iter().filter_map(|(name, view)| match view.state {
            ViewState::Building { fraction, seconds_left, .. } => {
                Some(format!("{name} {}", building(fraction, seconds_left)))
            }
            ViewState::Live | ViewState::Failed => None,
        });
        let sinks = status.sinks.iter().map(|(name, sink)| {
            let state = match &sink.state {
                SinkState::Opening => "connecting",
                SinkState::Delivering => "delivering",
                SinkState::CaughtUp => "caught up",
                SinkState::Away { .. } => "target away, trying again",
                SinkState::Waiting { .. } => "waiting to write",
                SinkState::Failed { .. } => "failed",
                SinkState::Stopped => "stopped",
            };
            format!("{name} {state}")
        });
        streams.into_iter().chain(sources).chain(views).chain(sinks).collect::<Vec<_>>().join(" · ")
    }
}
