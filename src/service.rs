//! A running pipeline as a service: bind, start, serve, reload on SIGHUP, wait for Ctrl-C, finish in order.
//!
//! Shared by `run` and `demo`. The address is bound before anything else, so a port in use costs nothing; the HTTP
//! server stops before the engine, so whoever is being answered gets the answer.

use std::{
    io::{self, IsTerminal},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, anyhow};
use lakehead_engine::{
    Engine, Parts, Pipeline,
    status::{SourceState, ViewState},
};
use tokio::{
    net::{TcpListener, TcpSocket},
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::JoinHandle,
};

use crate::{
    VERSION,
    cli::sql_worker,
    clock::SystemClock,
    output::note,
    reload::{Origin, Reloader},
};

/// How often a person at a terminal is told how it goes.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// When first: soon enough to see that something happens.
const TELL_FIRST: Duration = Duration::from_secs(3);

/// Connections that the system holds until they are taken. Beyond it, it drops them, and who comes tries again after a
/// second; some hundred come at once where somebody means ill. The system may hold fewer (`net.core.somaxconn`).
const BACKLOG: u32 = 4_096;

/// Binds `address`.
pub(crate) fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let bound = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // So that a restart finds it free; two processes still cannot have it.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    bound().map_err(|error: io::Error| match error.kind() {
        io::ErrorKind::AddrInUse => anyhow!(
            "{address} is in use by another program; choose another port with --listen {}:PORT (0 takes a free one)",
            address.ip()
        ),
        io::ErrorKind::PermissionDenied => {
            anyhow!(
                "{address} may not be used by this user; choose a port above 1023 with --listen {}:PORT",
                address.ip()
            )
        }
        io::ErrorKind::AddrNotAvailable => {
            anyhow!("{} is no address of this machine; choose another with --listen IP:PORT", address.ip())
        }
        _ => anyhow::Error::from(error).context(format!("listening on {address}")),
    })
}

/// The signals that ask for something.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    /// How many of the three standard channels were a terminal at the start.
    terminals: usize,
}

/// What a signal asks for.
enum Asked {
    /// Ctrl-C, SIGTERM, or a terminal that was closed.
    Finish,
    /// SIGHUP.
    Reload,
}

impl Signals {
    /// From now on these signals no longer end the process by themselves.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("listening for signals");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
            terminals: terminals(),
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.interrupt.recv() => Asked::Finish,
            _ = self.terminate.recv() => Asked::Finish,
            // The same signal says that the terminal was closed: who closes it means the program in it.
            _ = self.hang_up.recv() => if terminals() < self.terminals { Asked::Finish } else { Asked::Reload },
        }
    }

    /// Waits until it is asked to finish.
    pub(crate) async fn finish(&mut self) {
        while !matches!(self.next().await, Asked::Finish) {}
    }
}

/// How many of the standard channels are a terminal that is open.
fn terminals() -> usize {
    [io::stdin().is_terminal(), io::stdout().is_terminal(), io::stderr().is_terminal()]
        .into_iter()
        .filter(|is| *is)
        .count()
}

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
        let parts = Parts { clock: Arc::new(SystemClock), sources: lakehead_connectors::SOURCES, version: VERSION };
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
        reachable(self.address, own_address(self.address))
    }

    /// Connects the sources and runs until a signal comes or the server fails; then finishes in order and says so.
    pub(crate) async fn until(mut self, mut signals: Signals) -> anyhow::Result<()> {
        self.engine.connect();
        let mut telling = tokio::time::interval_at(tokio::time::Instant::now() + TELL_FIRST, TELL_EVERY);
        let terminal = io::stderr().is_terminal();
        let failed = loop {
            tokio::select! {
                asked = signals.next() => match asked {
                    Asked::Finish => break None,
                    // What comes of it is told by the engine.
                    Asked::Reload => drop(tokio::spawn(Arc::clone(&self.reloader).on_signal())),
                },
                served = &mut self.serving => break Some(match served {
                    Ok(Ok(())) => anyhow!("the server ended by itself"),
                    Ok(Err(error)) => error.into(),
                    Err(error) => anyhow!("the server was stopped by a defect: {error}"),
                }),
                _ = telling.tick(), if terminal => note(self.line()),
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
                Some(format!("{name} {}", build(fraction, seconds_left)))
            }
            ViewState::Live | ViewState::Failed => None,
        });
        streams.into_iter().chain(sources).chain(views).collect::<Vec<_>>().join(" · ")
    }
}

/// Where a browser finds what listens on `address`: on all addresses, this machine's loopback, and for others its `own`.
fn reachable(address: SocketAddr, own: Option<IpAddr>) -> String {
    if !address.ip().is_unspecified() {
        return format!("http://{address}/");
    }
    let loopback: IpAddr = if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    let here = format!("http://{}/", SocketAddr::new(loopback, address.port()));
    match own.filter(|own| !own.is_loopback() && !own.is_unspecified()) {
        Some(own) => format!("{here} or, from another machine, http://{}/", SocketAddr::new(own, address.port())),
        None => format!("{here} or, from another machine, this one's name with port {}", address.port()),
    }
}

/// The address that this machine has towards others, of the same family as `listening`. Nothing is sent: a datagram socket
/// that is given a peer (of a block kept for documentation, RFC 5737 and RFC 3849) only looks for the way.
fn own_address(listening: SocketAddr) -> Option<IpAddr> {
    if !listening.ip().is_unspecified() {
        return None;
    }
    let (from, to): (SocketAddr, SocketAddr) = if listening.is_ipv4() {
        ((Ipv4Addr::UNSPECIFIED, 0).into(), (Ipv4Addr::new(192, 0, 2, 1), 9).into())
    } else {
        ((Ipv6Addr::UNSPECIFIED, 0).into(), (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 9).into())
    };
    let socket = UdpSocket::bind(from).ok()?;
    socket.connect(to).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// How far a view's build is: `building 42 %, about 3 min left`.
pub(crate) fn build(fraction: f64, seconds_left: Option<f64>) -> String {
    // It is at its end when it is live, not before.
    let percent = (fraction * 100.0).floor().clamp(0.0, 99.0);
    let left = match seconds_left.map(f64::ceil) {
        None => String::new(),
        Some(seconds) if seconds < 100.0 => format!(", about {seconds} s left"),
        Some(seconds) if seconds < 5_400.0 => format!(", about {:.0} min left", seconds / 60.0),
        Some(seconds) => format!(", about {:.0} h left", seconds / 3_600.0),
    };
    format!("building {percent} %{left}")
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 event`, `1,234 events`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
        for (number, text) in [(0, "0 rows"), (1, "1 row"), (1_000, "1,000 rows")] {
            assert_eq!(counted(number, "row"), text);
        }
    }

    #[test]
    fn the_address_that_is_told_is_one_that_a_browser_reaches() {
        let own = Some(IpAddr::from([10, 0, 0, 7]));
        for (listening, own, text) in [
            ("127.0.0.1:8080", own, "http://127.0.0.1:8080/"),
            ("10.1.2.3:80", own, "http://10.1.2.3:80/"),
            ("0.0.0.0:8080", own, "http://127.0.0.1:8080/ or, from another machine, http://10.0.0.7:8080/"),
            ("0.0.0.0:80", None, "http://127.0.0.1:80/ or, from another machine, this one's name with port 80"),
            (
                "[::]:80",
                Some("fd00::7".parse().expect("an address")),
                "http://[::1]:80/ or, from another machine, http://[fd00::7]:80/",
            ),
        ] {
            assert_eq!(reachable(listening.parse().expect("an address"), own), text, "{listening}");
        }
    }

    #[test]
    fn what_is_left_of_a_build_is_told_in_the_unit_that_fits() {
        for (fraction, left, text) in [
            (0.0, None, "building 0 %"),
            (0.999, Some(0.2), "building 99 %, about 1 s left"),
            (1.0, Some(180.0), "building 99 %, about 3 min left"),
            (0.5, Some(7_300.0), "building 50 %, about 2 h left"),
        ] {
            assert_eq!(build(fraction, left), text);
        }
    }

    #[tokio::test]
    async fn a_port_in_use_is_named_with_the_way_out() {
        let taken = bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let address = taken.local_addr().expect("its address");
        let error = bind(address).expect_err("it is taken").to_string();
        assert!(error.contains(&address.to_string()) && error.contains("--listen"), "{error}");
    }

    #[tokio::test]
    async fn hundreds_who_come_at_once_wait_here_and_not_a_second_elsewhere() {
        let held = std::fs::read_to_string("/proc/sys/net/core/somaxconn").ok();
        if held.and_then(|text| text.trim().parse::<u32>().ok()).is_none_or(|held| held < 1_024) {
            println!("SKIPPED hundreds_who_come_at_once: the system holds fewer than 1,024 connections");
            return;
        }
        let listener = bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let address = listener.local_addr().expect("its address");
        let come = || std::net::TcpStream::connect_timeout(&address, Duration::from_millis(900));
        // Nobody takes them.
        let held: Vec<_> = (0..400).map_while(|_| come().ok()).collect();
        assert_eq!(held.len(), 400);
    }
}
