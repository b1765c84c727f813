//! `GET /v1/live`: what the dashboard shows, pushed as server-sent events.
//!
//! Two loops make the frames, once for everyone and only while somebody listens: the status each second, and the rows of
//! panels. A panel is asked only while somebody sees it, when it is due, and when its view or stream has moved; its rows are
//! sent to those who see it, when they have changed. A client takes the newest of each when it can write: a slow one
//! skips what it missed and slows nobody. A panel that costs much is asked less often, and all together rest most of the
//! time, so that the dashboard never takes more than a small share of the machine.
//!
//! ```text
//! event: hello      data: {"client":7}                      with this number it says what it sees: POST /v1/live/7
//! event: panels     data: {"panels":[…],"left_out":0}       at first, and when a reload has changed them
//! event: status     data: {…the document of /v1/status…}
//! event: panel      data: {"panel":"edits_per_second","rows":[…]}
//! ```
//! `GET /v1/live?see=NAME,NAME` sees these panels from the start, for who is no page; a name that is not known is refused. One
//! that a page says later is not: a reload may have taken the panel away meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    convert::Infallible,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    body::{Body, Bytes},
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::Stream;
use lakehead_engine::{Engine, status::Status};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
    time::{MissedTickBehavior, interval},
};

use crate::{
    app::{App, Stopping},
    body::{self, BODY_TIME_MAX},
    panels::{PANELS_MAX, Panel, Panels, frame as rows_frame, query::Ask},
    refusal::Refusal,
};

/// How often the status is pushed.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked whether a panel is due.
const PANELS_EVERY: Duration = Duration::from_millis(500);
/// How often a panel is asked at most: one that moves each second, and any other.
const QUICK: Duration = Duration::from_secs(1);
const CALM: Duration = Duration::from_secs(5);
/// A chart whose windows are at most so long moves each second.
const QUICK_WINDOW_MS: f64 = 5_000.0;
/// A panel rests at least this many times as long as its last query took, so that one takes at most a twentieth of the
/// time of one core, however large the data.
const REST_FACTOR: u32 = 20;
/// All of them rest this many times as long as the last query took: together they take at most a quarter of it.
const REST_OF_ALL: u32 = 3;
/// Longest time of one panel's query. What takes longer is asked for fewer windows the next time.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);
/// The smallest part of a panel's windows that is asked for where all are too many.
const PART_MAX: u32 = 64;
/// How many may listen at once. A page closes its stream while it is hidden, so these are dashboards really looked at.
const CLIENTS_MAX: usize = 64;
/// Most bytes of what a client says that it sees: the names of all panels there can be.
const SEEN_BYTES_MAX: usize = 64 << 10;
/// Frames older than this are not shown to a client that just came; new ones are on their way.
const FRESH: Duration = Duration::from_secs(2);

/// The names of panels that somebody sees.
type Seen = BTreeSet<String>;

/// The newest rows of one panel.
#[derive(Clone)]
struct Rows {
    /// Rises with each change of any panel.
    version: u64,
    /// The frame, as it goes to every client.
    frame: Bytes,
}

/// What there is to see.
#[derive(Clone, Default)]
struct Shown {
    /// Rises with each change of anything.
    version: u64,
    /// When the list last changed.
    listed: u64,
    /// The list of panels as a frame; empty before the first look.
    list: Bytes,
    rows: BTreeMap<String, Rows>,
}

/// How a panel was asked last.
struct Asked {
    due: Instant,
    /// What of the status it was as of; the same again needs no asking.
    of: Option<Moment>,
    /// Which part of its windows was asked for.
    part: u32,
}

/// What of the status decides whether a panel's answer can have changed.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Moment {
    offset: u64,
    rows: u64,
    watermark: Option<i64>,
}

/// What is pushed, and to whom.
pub(crate) struct Live {
    status: watch::Sender<(Option<Instant>, Bytes)>,
    shown: watch::Sender<Shown>,
    places: Arc<Semaphore>,
    came: Notify,
    costs: Mutex<BTreeMap<String, Duration>>,
    clients: Mutex<BTreeMap<u64, watch::Sender<Seen>>>,
    next_client: AtomicU64,
}

impl Live {
    pub(crate) fn new() -> Self {
        Self {
            status: watch::Sender::new((None, Bytes::new())),
            shown: watch::Sender::default(),
            places: Arc::new(Semaphore::new(CLIENTS_MAX)),
            came: Notify::new(),
            costs: Mutex::default(),
            clients: Mutex::default(),
            next_client: AtomicU64::new(1),
        }
    }

    /// How many listen.
    pub(crate) fn clients(&self) -> usize {
        CLIENTS_MAX - self.places.available_permits()
    }

    /// What the last query of each panel that was ever seen took.
    pub(crate) fn costs(&self) -> Vec<(String, Duration)> {
        lock(&self.costs).iter().map(|(name, cost)| (name.clone(), *cost)).collect()
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
            self.status.send_replace((Some(Instant::now()), frame("status", &engine.status())));
        }
    }

    /// Asks the panels that are seen and due and pushes what changed, for as long as it is polled.
    pub(crate) async fn push_panels(&self, engine: &Engine) {
        let mut tick = interval(PANELS_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut listed = Panels::default();
        let mut asked: BTreeMap<String, Asked> = BTreeMap::new();
        loop {
            if self.waited_for_somebody().await {
                self.shown.send_modify(|shown| shown.rows.clear());
                asked.clear();
                tick.reset_immediately();
            }
            tick.tick().await;
            let status = engine.status();
            let refused = status.streams.get("rejects").is_some_and(|rejects| rejects.events > 0);
            let panels = Panels::of(engine, refused);
            if panels != listed || self.shown.borrow().list.is_empty() {
                self.list(&panels, &listed, &mut asked);
                listed = panels;
            }
            let seen = self.seen();
            for panel in listed.panels.iter().filter(|panel| seen.contains(&panel.name)) {
                let now = Instant::now();
                let last = asked.entry(panel.name.clone()).or_insert_with(|| Asked { due: now, of: None, part: 1 });
                // Half a look early is in time; otherwise each second would be each one and a half.
                if last.due > now + PANELS_EVERY / 2 {
                    continue;
                }
                let moment = moment(panel, &status);
                if moment.is_some() && moment == last.of {
                    continue;
                }
                let good = self.ask(engine, panel, &status, &mut last.part).await;
                last.of = moment.filter(|_| good);
                let cost = now.elapsed();
                last.due = now + panel.every().max(cost * REST_FACTOR);
                tokio::time::sleep(cost * REST_OF_ALL).await;
            }
        }
    }

    /// Takes up another list. The rows of panels that are what they were stay.
    fn list(&self, panels: &Panels, before: &Panels, asked: &mut BTreeMap<String, Asked>) {
        let stays: BTreeSet<&str> = panels
            .panels
            .iter()
            .filter(|panel| before.panels.contains(panel))
            .map(|panel| panel.name.as_str())
            .collect();
        asked.retain(|name, _| stays.contains(name.as_str()));
        lock(&self.costs).retain(|name, _| panels.panels.iter().any(|panel| panel.name == *name));
        let list = frame("panels", panels);
        self.shown.send_modify(|shown| {
            shown.version += 1;
            shown.listed = shown.version;
            shown.list = list;
            shown.rows.retain(|name, _| stays.contains(name.as_str()));
        });
    }

    /// What all together see.
    fn seen(&self) -> Seen {
        lock(&self.clients).values().flat_map(|seen| seen.borrow().clone()).collect()
    }

    /// Asks one panel and shows its rows, or what is wrong. Whether there was an answer.
    async fn ask(&self, engine: &Engine, panel: &Panel, status: &Status, part: &mut u32) -> bool {
        let Some(ask) = panel.ask(status, *part) else { return false };
        let started = Instant::now();
        let answer = async {
            match &ask {
                Ask::Sql(sql) => Some(engine.lake().query(sql).await),
                Ask::Latest(view) => {
                    let handle = engine.lake().views().into_iter().find(|handle| handle.name() == view)?;
                    Some(handle.latest(crate::panels::query::TABLE_ROWS_MAX).await)
                }
                Ask::Rates(_) => None,
            }
        };
        let answer = tokio::time::timeout(ANSWER_TIME_MAX, answer).await;
        let fewer = *part < PART_MAX && !matches!(ask, Ask::Rates(_) | Ask::Latest(_));
        let (document, good) = match (answer, &ask) {
            (Ok(Some(Ok(answer))), _) => (rows_frame::answered(panel, &answer, *part), true),
            (Ok(None), Ask::Rates(stream)) => {
                let second_ms = status.now.0.div_euclid(1_000_000) * 1_000;
                (rows_frame::rates(panel, &engine.rates(stream.as_str()), second_ms), true)
            }
            (Ok(None), _) => (rows_frame::failed(panel, "it is being replaced"), false),
            (Ok(Some(Err(error))), _) => {
                tracing::debug!(panel = panel.name, %error, "a panel of the dashboard has no answer");
                if fewer && matches!(error, lakehead_query::Error::Limit(_)) {
                    *part *= 4;
                }
                (rows_frame::failed(panel, &error.to_string()), false)
            }
            (Err(_), _) => {
                if fewer {
                    *part *= 4;
                }
                let seconds = ANSWER_TIME_MAX.as_secs();
                (rows_frame::failed(panel, &format!("it has more rows than can be read in {seconds} s")), false)
            }
        };
        lock(&self.costs).insert(panel.name.clone(), started.elapsed());
        self.show(&panel.name, &document);
        good
    }

    fn show(&self, name: &str, document: &serde_json::Value) {
        let frame = frame("panel", document);
        self.shown.send_if_modified(|shown| {
            if shown.rows.get(name).is_some_and(|rows| rows.frame == frame) {
                return false;
            }
            shown.version += 1;
            shown.rows.insert(name.to_owned(), Rows { version: shown.version, frame });
            true
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

    fn listen(self: &Arc<Self>, stopping: Stopping, sees: Seen) -> Option<Client> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let (mut status, mut shown) = (self.status.subscribe(), self.shown.subscribe());
        if status.borrow().0.is_some_and(|made| made.elapsed() < FRESH) {
            status.mark_changed();
            shown.mark_changed();
        }
        let id = self.next_client.fetch_add(1, Ordering::Relaxed);
        let (say, sees) = watch::channel(sees);
        lock(&self.clients).insert(id, say);
        self.came.notify_waiters();
        let hello = frame("hello", &json!({ "client": id }));
        Some(Client {
            live: Arc::clone(self),
            id,
            status,
            shown,
            sees,
            sent: BTreeMap::new(),
            listed: 0,
            pending: [hello].into(),
            stopping,
            _place: place,
        })
    }

    /// Notes what a client sees from now on; whether there is such a client.
    fn notes(&self, client: u64, seen: Seen) -> bool {
        match lock(&self.clients).get(&client) {
            Some(say) => {
                say.send_replace(seen);
                true
            }
            None => false,
        }
    }
}

impl Panel {
    /// How often it is asked at most.
    fn every(&self) -> Duration {
        use crate::panels::Shows;
        match &self.shows {
            Shows::Chart(chart) if chart.about_ms <= QUICK_WINDOW_MS => QUICK,
            Shows::Events(_) | Shows::Rate => QUICK,
            Shows::Chart(_) | Shows::Ranks(_) | Shows::Table(_) => CALM,
        }
    }
}

/// `None` for what moves by itself.
fn moment(panel: &Panel, status: &Status) -> Option<Moment> {
    if matches!(panel.shows, crate::panels::Shows::Rate) {
        return None;
    }
    match &panel.view {
        Some(view) => {
            let view = status.views.get(view)?;
            let watermark = view.watermark.map(|watermark| watermark.0);
            Some(Moment { offset: view.offset.0, rows: view.rows, watermark })
        }
        None => {
            let stream = status.streams.get(&panel.stream)?;
            Some(Moment { offset: stream.end.0, rows: stream.start.0, watermark: None })
        }
    }
}

/// One listener: what it has been sent, what it sees, and what it is to be sent next.
struct Client {
    live: Arc<Live>,
    id: u64,
    status: watch::Receiver<(Option<Instant>, Bytes)>,
    shown: watch::Receiver<Shown>,
    sees: watch::Receiver<Seen>,
    /// The version of the rows that it has of each panel.
    sent: BTreeMap<String, u64>,
    listed: u64,
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
                changed = self.shown.changed() => {
                    changed.ok()?;
                    self.take_up();
                }
                changed = self.sees.changed() => {
                    changed.ok()?;
                    self.sees.mark_unchanged();
                    self.take_up();
                }
            }
        }
    }

    /// Takes up what it has not been sent: the list, and the rows of what it sees.
    fn take_up(&mut self) {
        let shown = self.shown.borrow_and_update();
        if shown.listed > self.listed {
            self.listed = shown.listed;
            self.pending.push_back(shown.list.clone());
            self.sent.retain(|name, _| shown.rows.contains_key(name));
        }
        let sees = self.sees.borrow();
        for (name, rows) in shown.rows.iter().filter(|(name, _)| sees.contains(*name)) {
            let sent = self.sent.entry(name.clone()).or_default();
            if rows.version > *sent {
                *sent = rows.version;
                self.pending.push_back(rows.frame.clone());
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

impl Drop for Client {
    fn drop(&mut self) {
        lock(&self.live.clients).remove(&self.id);
    }
}

/// What stands behind the question mark.
#[derive(Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    see: String,
}

/// `GET /v1/live`
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(wanted) = wanted?;
    let sees: Seen =
        wanted.see.split(',').filter(|name| !name.is_empty()).take(PANELS_MAX).map(str::to_owned).collect();
    // That of what is refused comes with the first such event; it may be waited for.
    let panels = Panels::of(&app.engine, true).panels;
    if let Some(unknown) = sees.iter().find(|name| panels.iter().all(|panel| panel.name != **name)) {
        return Err(Refusal::unknown("panel", unknown, panels.iter().map(|panel| panel.name.as_str())));
    }
    let Some(client) = app.live.listen(app.stopping.clone(), sees) else {
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

/// `POST /v1/live/{client}`: the names of the panels that this page sees now, as a JSON array.
pub(crate) async fn sees(
    State(app): State<Arc<App>>,
    Path(client): Path<String>,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let body = body::read(body, SEEN_BYTES_MAX, BODY_TIME_MAX).await?;
    let seen: Seen = serde_json::from_slice(&body).map_err(|error| {
        Refusal::new(StatusCode::BAD_REQUEST, format!("write a JSON array of names of panels: {error}"))
    })?;
    let seen = seen.into_iter().take(PANELS_MAX).collect();
    if client.parse().is_ok_and(|client| app.live.notes(client, seen)) {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Refusal::new(StatusCode::NOT_FOUND, format!("nobody listens as {client}; GET /v1/live says as whom")))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A frame of server-sent events around one JSON document, which serde writes on one line.
fn frame(event: &str, document: &impl Serialize) -> Bytes {
    let mut frame = format!("event: {event}\ndata: ").into_bytes();
    // It can only fail for keys that are no text, which none of ours has.
    let _ = serde_json::to_writer(&mut frame, document);
    frame.extend_from_slice(b"\n\n");
    Bytes::from(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn next(client: &mut Client) -> String {
        String::from_utf8(client.next().await.expect("a frame").to_vec()).expect("UTF-8")
    }

    fn sees(names: &[&str]) -> Seen {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[tokio::test]
    async fn a_slow_client_skips_to_the_newest_of_each_panel_that_it_sees() {
        let live = Arc::new(Live::new());
        let mut client = live.listen(Stopping::never(), sees(&["a", "b"])).expect("a place");
        assert_eq!(next(&mut client).await, "event: hello\ndata: {\"client\":1}\n\n");
        for second in 0..5 {
            live.show("a", &json!({"a": second}));
            live.show("b", &json!({"b": 7}));
            live.show("c", &json!({"c": second}));
        }
        assert_eq!(next(&mut client).await, "event: panel\ndata: {\"a\":4}\n\n");
        assert_eq!(next(&mut client).await, "event: panel\ndata: {\"b\":7}\n\n");
        live.show("b", &json!({"b": 7}));
        live.show("a", &json!({"a": 5}));
        assert!(next(&mut client).await.contains("{\"a\":5}"), "what did not change is not sent again");
        assert!(client.pending.is_empty());
        assert!(live.notes(1, sees(&["c"])), "it is known");
        assert!(next(&mut client).await.contains("{\"c\":4}"), "what comes into sight is there at once");
        drop(client);
        assert!(!live.notes(1, sees(&["c"])) && live.seen().is_empty(), "who is gone sees nothing");
    }

    #[tokio::test]
    async fn a_late_client_is_shown_everything_at_once_and_the_places_are_counted() {
        let live = Arc::new(Live::new());
        live.show("a", &json!([1]));
        live.status.send_replace((Some(Instant::now()), frame("status", &json!({}))));
        let mut client = live.listen(Stopping::never(), sees(&["a"])).expect("a place");
        assert!(next(&mut client).await.starts_with("event: hello"));
        assert_eq!(next(&mut client).await, "event: status\ndata: {}\n\n");
        assert!(next(&mut client).await.contains("[1]"));
        let others: Vec<_> =
            (1..CLIENTS_MAX).map(|_| live.listen(Stopping::never(), Seen::new()).expect("a place")).collect();
        assert!(live.listen(Stopping::never(), Seen::new()).is_none());
        drop(others);
        assert_eq!(live.clients(), 1);
    }
}
