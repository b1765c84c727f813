//! `GET /v1/live`: what the dashboard shows, pushed as server-sent events.
//!
//! Two loops make the frames, once for everyone and only while somebody listens: the status each second, and the
//! panels' rows when they are due and have changed. A client takes the newest of each when it can write: a slow one
//! skips what it missed and slows nobody. A panel that costs much is asked less often, so that the dashboard never
//! takes more than a small share of the machine.
//!
//! ```text
//! event: status                              event: panel
//! data: {…the document of /v1/status…}       data: {"panel":"edits_per_second","rows":[…]}
//! ```

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures::Stream;
use lakehead_engine::Engine;
use lakehead_query::format::{self, Format};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
    time::{MissedTickBehavior, interval},
};

use crate::{
    app::{App, Stopping},
    panels::{PANELS, Panel},
    refusal::Refusal,
};

/// How often the status is pushed.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked whether a panel is due.
const PANELS_EVERY: Duration = Duration::from_millis(500);
/// A panel rests at least this many times as long as its last query took, so that one takes at most a twentieth of the
/// time of one core, however large the data.
const REST_FACTOR: u32 = 20;
/// How many may listen at once. A page closes its stream while it is hidden, so these are dashboards really looked at.
const CLIENTS_MAX: usize = 64;
/// Frames older than this are not shown to a client that just came; new ones are on their way.
const FRESH: Duration = Duration::from_secs(2);

/// The newest rows of one panel.
#[derive(Clone, Default)]
struct Rows {
    /// Rises with each change; 0 while there is nothing to show.
    version: u64,
    /// The frame, as it goes to every client.
    frame: Bytes,
}

/// What is pushed, and to how many.
pub(crate) struct Live {
    status: watch::Sender<(Option<Instant>, Bytes)>,
    panels: watch::Sender<Vec<Rows>>,
    places: Arc<Semaphore>,
    came: Notify,
    costs: Mutex<Vec<Duration>>,
}

impl Live {
    pub(crate) fn new() -> Self {
        Self {
            status: watch::Sender::new((None, Bytes::new())),
            panels: watch::Sender::new(vec![Rows::default(); PANELS.len()]),
            places: Arc::new(Semaphore::new(CLIENTS_MAX)),
            came: Notify::new(),
            costs: Mutex::new(vec![Duration::ZERO; PANELS.len()]),
        }
    }

    /// How many listen.
    pub(crate) fn clients(&self) -> usize {
        CLIENTS_MAX - self.places.available_permits()
    }

    /// What each panel's last query took.
    pub(crate) fn costs(&self) -> Vec<(&'static str, Duration)> {
        let costs = self.costs.lock().unwrap_or_else(PoisonError::into_inner);
        PANELS.iter().map(|panel| panel.name).zip(costs.iter().copied()).collect()
    }

    /// Pushes the status for as long as it is polled.
    pub(crate) async fn push_status(&self, engine: &Engine) {
        let mut tick = interval(STATUS_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if self.waited_for_somebody().await {
                tick.reset_immediately();
            }
            tick.tick().await;
            let status = serde_json::to_vec(&engine.status()).unwrap_or_default();
            self.status.send_replace((Some(Instant::now()), frame("status", &[&status])));
        }
    }

    /// Asks the panels that are due and pushes what changed, for as long as it is polled.
    pub(crate) async fn push_panels(&self, engine: &Engine) {
        let mut tick = interval(PANELS_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut due = vec![Instant::now(); PANELS.len()];
        loop {
            if self.waited_for_somebody().await {
                self.panels.send_modify(|all| all.fill(Rows::default()));
                due.fill(Instant::now());
                tick.reset_immediately();
            }
            tick.tick().await;
            for (at, (panel, due)) in PANELS.iter().zip(&mut due).enumerate() {
                // Half a look early is in time; otherwise each second would be each one and a half.
                if *due <= Instant::now() + PANELS_EVERY / 2 {
                    let started = Instant::now();
                    self.ask(engine, at, panel).await;
                    *due = started + panel.every.max(started.elapsed() * REST_FACTOR);
                }
            }
        }
    }

    /// Asks one panel and shows its rows, if there are any.
    async fn ask(&self, engine: &Engine, at: usize, panel: &Panel) {
        let Some(sql) = panel.query(&engine.status()) else { return };
        let started = Instant::now();
        let rows = match engine.lake().query(&sql).await {
            Ok(answer) => {
                let mut rows = Vec::new();
                format::write(&answer, Format::Json, &mut rows).map(|()| rows)
            }
            Err(error) => Err(error),
        };
        if let Some(cost) = self.costs.lock().unwrap_or_else(PoisonError::into_inner).get_mut(at) {
            *cost = started.elapsed();
        }
        match rows {
            Ok(rows) => self.show(at, panel.name, &rows),
            // A view of this name with other columns is the user's own: its panel stays hidden, which is no error.
            Err(error) => tracing::debug!(panel = panel.name, %error, "a panel of the dashboard has no answer"),
        }
    }

    fn show(&self, at: usize, name: &str, rows: &[u8]) {
        let frame = frame("panel", &[br#"{"panel":""#, name.as_bytes(), br#"","rows":"#, rows, b"}"]);
        self.panels.send_if_modified(|all| match all.get_mut(at) {
            Some(shown) if shown.frame != frame => {
                *shown = Rows { version: shown.version + 1, frame };
                true
            }
            _ => false,
        });
    }

    /// Returns when somebody listens: at once with false, or after waiting with true.
    async fn waited_for_somebody(&self) -> bool {
        let mut waited = false;
        loop {
            let came = self.came.notified();
            if self.status.receiver_count() > 0 {
                return waited;
            }
            came.await;
            waited = true;
        }
    }

    fn listen(&self, stopping: Stopping) -> Option<Client> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let (mut status, mut panels) = (self.status.subscribe(), self.panels.subscribe());
        if status.borrow().0.is_some_and(|made| made.elapsed() < FRESH) {
            status.mark_changed();
            panels.mark_changed();
        }
        self.came.notify_waiters();
        let seen = vec![0; PANELS.len()];
        Some(Client { status, panels, seen, pending: VecDeque::new(), stopping, _place: place })
    }
}

/// One listener: what it has seen, and what it is to be sent next.
struct Client {
    status: watch::Receiver<(Option<Instant>, Bytes)>,
    panels: watch::Receiver<Vec<Rows>>,
    seen: Vec<u64>,
    pending: VecDeque<Bytes>,
    stopping: Stopping,
    _place: OwnedSemaphorePermit,
}

impl Client {
    /// The next frame, or `None` when the server stops. More is taken up only when all that was taken is sent, so at
    /// most one frame of each kind waits here.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = self.pending.pop_front() {
                return Some(frame);
            }
            tokio::select! {
                biased;
                () = self.stopping.wait() => return None,
                changed = self.status.changed() => {
                    changed.ok()?;
                    self.pending.push_back(self.status.borrow_and_update().1.clone());
                }
                changed = self.panels.changed() => {
                    changed.ok()?;
                    for (rows, seen) in self.panels.borrow_and_update().iter().zip(&mut self.seen) {
                        if rows.version > *seen {
                            self.pending.push_back(rows.frame.clone());
                        }
                        *seen = rows.version;
                    }
                }
            }
        }
    }

    fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        futures::stream::unfold(self, |mut client| async {
            let frame = client.next().await?;
            Some((Ok(frame), client))
        })
    }
}

/// `GET /v1/live`
pub(crate) async fn get(State(app): State<Arc<App>>) -> Result<Response, Refusal> {
    let Some(client) = app.live.listen(app.stopping.clone()) else {
        return Err(Refusal::busy(format!("{CLIENTS_MAX} listen already; close a dashboard"), 10));
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // nginx would otherwise hold frames back until its buffer is full.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((headers, Body::from_stream(client.into_stream())).into_response())
}

/// A frame of server-sent events around one JSON document. Raw newlines in JSON stand only between its tokens, where a
/// space is as good; in a frame they would end a line.
fn frame(event: &str, json: &[&[u8]]) -> Bytes {
    let mut frame = format!("event: {event}\ndata: ").into_bytes();
    let start = frame.len();
    json.iter().for_each(|part| frame.extend_from_slice(part));
    frame.iter_mut().skip(start).filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    frame.extend_from_slice(b"\n\n");
    Bytes::from(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn next(client: &mut Client) -> String {
        String::from_utf8(client.next().await.expect("a frame").to_vec()).expect("UTF-8")
    }

    #[tokio::test]
    async fn a_slow_client_skips_to_the_newest_of_each_panel() {
        let live = Live::new();
        let mut client = live.listen(Stopping::never()).expect("a place");
        for second in 0..5 {
            live.show(0, "a", format!("[{second}]").as_bytes());
            live.show(1, "b", b"[\n7\n]");
        }
        assert_eq!(next(&mut client).await, "event: panel\ndata: {\"panel\":\"a\",\"rows\":[4]}\n\n");
        assert_eq!(next(&mut client).await, "event: panel\ndata: {\"panel\":\"b\",\"rows\":[ 7 ]}\n\n");
        live.show(1, "b", b"[\n7\n]");
        live.show(0, "a", b"[5]");
        assert!(next(&mut client).await.contains("[5]"), "what did not change is not sent again");
        assert!(client.pending.is_empty());
    }

    #[tokio::test]
    async fn a_late_client_is_shown_everything_at_once_and_the_places_are_counted() {
        let live = Live::new();
        live.show(0, "a", b"[1]");
        live.status.send_replace((Some(Instant::now()), frame("status", &[b"{}"])));
        let mut client = live.listen(Stopping::never()).expect("a place");
        assert_eq!(next(&mut client).await, "event: status\ndata: {}\n\n");
        assert!(next(&mut client).await.contains("[1]"));
        let others: Vec<_> = (1..CLIENTS_MAX).map(|_| live.listen(Stopping::never()).expect("a place")).collect();
        assert!(live.listen(Stopping::never()).is_none());
        drop(others);
        assert_eq!(live.clients(), 1);
    }
}
