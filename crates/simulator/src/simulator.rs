//! The simulator: what is served, and the connections.
//!
//! ```text
//! accept ─▶ request ─▶ route ─┬─▶ answer ─▶ next request
//!                             └─▶ stream: fill a chunk ─▶ send ─▶ (wait for the next event) ─▶ … ─▶ cut after 15 minutes
//! ```

use std::{
    future::Future,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use lakehead_eventstreams_wire::{MEDIA_TYPE, write};
use lakehead_model::{Clock, Timestamp};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};

use crate::{
    active_faults::ActiveFaults,
    admission::{Admission, Admitted, too_many},
    delivery::{Delivery, Step},
    error::Error,
    faults::{Faults, SecondWhen},
    feed::Feed,
    generator::Generator,
    http::{Answer, Chunk, Received, Request, receive, stream_head},
    mixed::Mixed,
    options::Options,
    recording::Recording,
    routes::{Route, Subscription, route},
    start::{Available, StartRequest},
    timeline::Timeline,
    topic::NONE,
};

/// 2026-09-01T00:00:00Z.
const START_AT_RATE_0: Timestamp = Timestamp(1_788_220_800_000_000);

/// How many events there are when there is no end, at rate 0: a year at a hundred thousand events a second has three.
const EVENTS_MAX: u64 = 1 << 42;

/// Least and longest wait for the next event: many events are sent at once at high rates, and a clock that is set by hand
/// is looked at often enough.
const WAIT_MIN: Duration = Duration::from_millis(5);
const WAIT_MAX: Duration = Duration::from_millis(100);

/// What was served so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Streams asked for, those refused by a fault or a limit included.
    pub connections: u64,
    /// Streams open now.
    pub open: u64,
    /// Events sent, over all connections.
    pub events: u64,
}

/// One stream that is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamDescription {
    /// Its name: `mediawiki.recentchange`.
    pub name: String,
    /// Its other name: `recentchange`.
    pub alias: Option<String>,
    /// Its topics, in the order of the ids.
    pub topics: Vec<String>,
}

/// An EventStreams upstream.
#[derive(Debug)]
pub struct Simulator {
    feed: Feed,
    faults: ActiveFaults,
    options: Options,
    clock: Arc<dyn Clock>,
    timeline: Timeline,
    admission: Admission,
    events: AtomicU64,
    reached: AtomicU64,
}

/// How a stream ends.
enum Ending {
    /// In order, with the last chunk.
    Whole,
    /// In the middle of things.
    Abrupt,
}

impl Simulator {
    /// Makes a simulator; reads the recordings, if there are any.
    ///
    /// # Errors
    /// `Invalid` when a setting is out of range or a recording cannot be used.
    pub fn new(options: Options, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        if !options.rate.is_finite() || options.rate < 0.0 {
            let found = options.rate.to_string();
            return Err(Error::Setting {
                name: "rate",
                found,
                expected: "events a second, or 0 for as fast as possible",
            });
        }
        let start = options.start.unwrap_or_else(|| if options.rate > 0.0 { clock.now() } else { START_AT_RATE_0 });
        if options.page_creates && !options.from.is_empty() {
            let found = "both".to_owned();
            return Err(Error::Setting { name: "page-creates", found, expected: "it, or recordings" });
        }
        let feed = if !options.from.is_empty() {
            Feed::recorded(Recording::read(&options.from)?)
        } else if options.page_creates {
            Feed::mixed(Mixed::new(options.seed, start, options.rate))
        } else {
            Feed::generated(Generator::new(options.seed, start, options.rate))
        };
        Ok(Self {
            timeline: Timeline::new(options.seed, start, options.rate),
            feed,
            faults: ActiveFaults::new(options.faults.clone()),
            admission: Admission::new(options.connections_per_client),
            options,
            clock,
            events: AtomicU64::new(0),
            reached: AtomicU64::new(0),
        })
    }

    /// Serves until `shutdown` is done; then every connection is dropped.
    ///
    /// # Errors
    /// When the listener fails for good.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send,
    ) -> io::Result<()> {
        let mut connections = JoinSet::new();
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, _)) => {
                    let simulator = Arc::clone(&self);
                    connections.spawn(async move {
                        if let Err(error) = simulator.attend(socket).await {
                            tracing::debug!(%error, "a client went away");
                        }
                    });
                }
                // Out of descriptors: there will be some again.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(WAIT_MAX).await;
                }
            }
        }
        connections.shutdown().await;
        Ok(())
    }

    /// What was served so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            connections: self.admission.connections(),
            open: self.admission.open(),
            events: self.events.load(Ordering::Relaxed),
        }
    }

    /// The streams that are served.
    #[must_use]
    pub fn describe(&self) -> Vec<StreamDescription> {
        let topics_of = |stream: &str| {
            let topics = self.feed.topics.iter().filter(|topic| topic.stream == stream);
            topics.map(|topic| topic.name.clone()).collect()
        };
        let describe = |stream: &str| StreamDescription {
            name: stream.to_owned(),
            alias: Feed::alias(stream).map(str::to_owned),
            topics: topics_of(stream),
        };
        self.feed.streams().into_iter().map(describe).collect()
    }

    /// How many events there will ever be; `None` when there is no end.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        [self.options.events, self.feed.len()].into_iter().flatten().min()
    }

    /// The first event that does not exist yet.
    fn end(&self) -> u64 {
        let total = self.total().unwrap_or(EVENTS_MAX);
        if self.options.rate > 0.0 { self.timeline.count_at(self.clock.now()).min(total) } else { total }
    }

    /// What exists for a new connection. At rate 0 there is no "now": a connection that asks for nothing begins with event
    /// 0, and "latest" is the end or, where there is none, what was sent furthest.
    fn available(&self, shift: i64) -> Available<'_> {
        let end = self.end();
        let timed = self.options.rate > 0.0;
        let latest = if timed || self.total().is_some() { end } else { self.reached.load(Ordering::Relaxed) };
        Available { feed: &self.feed, end, latest, fresh: if timed { end } else { 0 }, shift }
    }

    async fn attend(&self, mut socket: TcpStream) -> io::Result<()> {
        socket.set_nodelay(true)?;
        let mut left = Vec::new();
        loop {
            let request = match receive(&mut socket, &mut left).await? {
                Received::Request(request) => request,
                Received::Closed => return Ok(()),
                Received::Malformed => {
                    let answer = Answer::new(
                        400,
                        "text/plain; charset=utf-8",
                        "this is no HTTP/1.1 request, or one with too long a head\n",
                    );
                    return answer.send(&mut socket, false, false).await;
                }
            };
            let head_only = request.method == "HEAD";
            let answer = match route(&request, &self.feed) {
                Route::Answer(answer) => answer,
                Route::Stream(_) if request.method != "GET" => Answer::new(200, MEDIA_TYPE, ""),
                Route::Stream(subscription) => match self.admit(&request) {
                    Ok((number, _admitted)) => {
                        return match self.stream(&mut socket, subscription, number).await? {
                            Ending::Whole => socket.write_all(b"0\r\n\r\n").await,
                            Ending::Abrupt => Ok(()),
                        };
                    }
                    Err(answer) => *answer,
                },
            };
            let keep_alive = request.keep_alive();
            answer.send(&mut socket, head_only, keep_alive).await?;
            if !keep_alive {
                return Ok(());
            }
        }
    }

    /// Lets the connection in, unless a fault or the limit says no; with its number.
    fn admit(&self, request: &Request) -> Result<(u64, Admitted<'_>), Box<Answer>> {
        let number = self.admission.count();
        let faults: &Faults = &self.faults.set;
        if faults.too_many_requests.strikes(number) {
            let mut answer = too_many(request);
            answer.headers.push(("retry-after", faults.retry_after.as_secs().to_string()));
            return Err(Box::new(answer));
        }
        if faults.unavailable.strikes(number) {
            let page =
                "<!DOCTYPE html>\n<title>Wikimedia Error</title>\n<p>Our servers are currently under maintenance.\n";
            return Err(Box::new(Answer::new(503, "text/html; charset=utf-8", page)));
        }
        Ok((number, self.admission.admit(request)?))
    }

    /// What the cluster that answers this connection adds to offsets.
    fn shift(&self, number: u64) -> i64 {
        let second = self.faults.set.second_cluster.filter(|second| match second.when {
            SecondWhen::Alternate => number.is_multiple_of(2),
            SecondWhen::After(event) => self.reached.load(Ordering::Relaxed) > event,
        });
        second.map_or(0, |second| second.shift)
    }

    async fn stream(&self, socket: &mut TcpStream, subscription: Subscription, number: u64) -> io::Result<Ending> {
        let deadline = Instant::now() + self.options.cut_after;
        let shift = self.shift(number);
        let asked = StartRequest {
            topics: &subscription.topics,
            entries: subscription.entries.as_deref(),
            since: subscription.since,
        };
        let starts = self.available(shift).resolve(&asked);
        let mut delivery = Delivery::new(&self.feed, &self.faults, starts, subscription.lines, shift);
        socket.write_all(stream_head(subscription.content_type).as_bytes()).await?;
        let mut chunk = Chunk::default();
        chunk.clear();
        if !subscription.lines {
            write::comment("ok", &mut chunk.bytes);
        }
        write::end(&mut chunk.bytes);
        socket.write_all(chunk.finish()).await?;
        loop {
            chunk.clear();
            let step = delivery.fill(&mut chunk, self.end());
            self.events.fetch_add(delivery.take_events(), Ordering::Relaxed);
            self.reached.fetch_max(delivery.reached(), Ordering::Relaxed);
            if step == Step::Cut {
                // The chunk promises more than comes.
                let sent = chunk.bytes.len();
                chunk.bytes.extend_from_slice(&[b' '; 64]);
                chunk.finish();
                socket.write_all(&chunk.bytes[..sent]).await?;
                return Ok(Ending::Abrupt);
            }
            if chunk.len() > 0 {
                match timeout_at(deadline, socket.write_all(chunk.finish())).await {
                    Ok(written) => written?,
                    Err(_) => return Ok(Ending::Abrupt),
                }
            }
            let wait = match step {
                Step::Full if Instant::now() < deadline => continue,
                Step::Full | Step::Cut => return Ok(Ending::Abrupt),
                Step::End => return Ok(Ending::Whole),
                Step::Silent(silence) => silence,
                Step::Drained(next) => self.until(next),
            };
            if self.wait(socket, wait, deadline).await? {
                return Ok(Ending::Abrupt);
            }
        }
    }

    /// How long until the event may be there.
    fn until(&self, next: u64) -> Duration {
        let total = self.total().unwrap_or(EVENTS_MAX);
        if next == NONE || next >= total {
            return Duration::MAX;
        }
        Timestamp(self.timeline.produced(next)).since(self.clock.now()).clamp(WAIT_MIN, WAIT_MAX)
    }

    /// Waits, and says whether the connection is over: its time is up or the client has left.
    async fn wait(&self, socket: &mut TcpStream, wait: Duration, deadline: Instant) -> io::Result<bool> {
        let until = Instant::now().checked_add(wait).unwrap_or(deadline).min(deadline);
        let mut unread = [0; 256];
        loop {
            match timeout_at(until, socket.read(&mut unread)).await {
                Ok(Ok(0)) => return Ok(true),
                // Whatever a client says after its request is not heard.
                Ok(read) => drop(read?),
                Err(_) => return Ok(until >= deadline),
            }
        }
    }
}
