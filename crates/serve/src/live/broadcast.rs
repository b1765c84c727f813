//! What is pushed: two loops that make the frames, and the channels by which clients take the newest of each.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::body::Bytes;
use lakehead_engine::{Engine, status::Status};
use serde_json::Value;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval, timeout},
};

use super::{
    audience::{Audience, Seen},
    client::Client,
    frames::{Shown, frame},
    schedule::{Moment, PANELS_EVERY, Schedule},
};
use crate::{
    panels::{Ask, LEDGERS, Panel, Panels, TABLE_ROWS_MAX, document},
    stopping::Stopping,
};

/// How often the status is pushed.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// All panels rest this many times as long as the last query took: together they take at most a quarter of the time of one
/// core.
const REST_OF_ALL: u32 = 3;
/// Longest time of one panel's query. What takes longer is asked for fewer windows the next time.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);
/// Frames older than this are not shown to a client that just came; new ones are on their way.
const FRESH: Duration = Duration::from_secs(2);

/// What is pushed, and to whom.
pub(crate) struct Live {
    status: watch::Sender<(Option<Instant>, Bytes)>,
    shown: watch::Sender<Shown>,
    /// What the last query of each panel took.
    costs: Mutex<BTreeMap<String, Duration>>,
    audience: Arc<Audience>,
}

/// What came of asking a panel.
enum Outcome {
    /// The document of its rows.
    Rows(Value),
    /// There are more rows than a limit lets through; why, for the page.
    TooMany(String),
    /// Why there is no answer, for the page.
    Failed(String),
}

impl Live {
    pub(crate) fn new() -> Self {
        Self {
            status: watch::Sender::new((None, Bytes::new())),
            shown: watch::Sender::default(),
            costs: Mutex::default(),
            audience: Arc::new(Audience::new()),
        }
    }

    /// How many listen.
    pub(crate) fn clients(&self) -> usize {
        self.audience.count()
    }

    /// What the last query of each panel that was ever seen took.
    pub(crate) fn costs(&self) -> Vec<(String, Duration)> {
        self.cost_table().iter().map(|(name, cost)| (name.clone(), *cost)).collect()
    }

    /// One more who listens and sees these panels at first; `None` when too many listen already.
    pub(crate) fn listen(&self, stopping: Stopping, sees: Seen) -> Option<Client> {
        let (mut status, mut shown) = (self.status.subscribe(), self.shown.subscribe());
        if status.borrow().0.is_some_and(|made| made.elapsed() < FRESH) {
            status.mark_changed();
            shown.mark_changed();
        }
        // After it has subscribed: what is pushed as soon as somebody listens must reach it.
        let member = self.audience.join(sees)?;
        Some(Client::new(member, status, shown, stopping))
    }

    /// Notes what a client sees from now on; whether there is such a client.
    pub(crate) fn notes(&self, client: u64, seen: Seen) -> bool {
        self.audience.notes(client, seen)
    }

    /// Pushes the status for as long as it is polled.
    pub(crate) async fn push_status(&self, engine: &Engine) {
        let mut tick = interval(STATUS_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if self.audience.waited_for_somebody().await {
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
        let mut schedules: BTreeMap<String, Schedule> = BTreeMap::new();
        loop {
            if self.audience.waited_for_somebody().await {
                self.shown.send_modify(|shown| shown.rows.clear());
                schedules.clear();
                tick.reset_immediately();
            }
            tick.tick().await;
            let status = engine.status();
            let has_some = |name: &&str| status.streams.get(*name).is_some_and(|ledger| ledger.events > 0);
            let noted: Vec<&str> = LEDGERS.into_iter().filter(has_some).collect();
            let panels = Panels::of(engine, &noted);
            if panels != listed || self.shown.borrow().list.is_empty() {
                self.list(&panels, &listed, &mut schedules);
                listed = panels;
            }
            let seen = self.audience.seen();
            for panel in listed.panels.iter().filter(|panel| seen.contains(&panel.name)) {
                let now = Instant::now();
                let schedule = schedules.entry(panel.name.clone()).or_insert_with(|| Schedule::new(now));
                let moment = Moment::of(panel, &status);
                if !schedule.is_due(now, moment) {
                    continue;
                }
                let has_answer = self.ask(engine, panel, &status, schedule).await;
                let cost = now.elapsed();
                schedule.asked(panel, now, cost, moment.filter(|_| has_answer));
                tokio::time::sleep(cost * REST_OF_ALL).await;
            }
        }
    }

    /// Takes up another list. The rows and schedules of panels that are what they were stay.
    fn list(&self, panels: &Panels, before: &Panels, schedules: &mut BTreeMap<String, Schedule>) {
        let stays: BTreeSet<&str> = panels
            .panels
            .iter()
            .filter(|panel| before.panels.contains(panel))
            .map(|panel| panel.name.as_str())
            .collect();
        schedules.retain(|name, _| stays.contains(name.as_str()));
        self.cost_table().retain(|name, _| panels.panels.iter().any(|panel| panel.name == *name));
        let list = frame("panels", panels);
        self.shown.send_modify(|shown| shown.show_list(list, &stays));
    }

    /// Asks one panel and shows its rows, or what is wrong. Whether there was an answer.
    async fn ask(&self, engine: &Engine, panel: &Panel, status: &Status, schedule: &mut Schedule) -> bool {
        let part = schedule.part();
        let Some(ask) = panel.ask(status, part) else { return false };
        let started = Instant::now();
        let outcome = match &ask {
            Ask::Sql(_) | Ask::Latest(_) => query(engine, panel, &ask, part).await,
            Ask::Rates(stream) => {
                let second_ms = status.now.0.div_euclid(1_000_000) * 1_000;
                Outcome::Rows(document::rates(panel, &engine.rates(stream.as_str()), second_ms))
            }
        };
        self.cost_table().insert(panel.name.clone(), started.elapsed());
        let (shown, has_answer) = match outcome {
            Outcome::Rows(rows) => (rows, true),
            Outcome::TooMany(why) => {
                schedule.ask_for_fewer();
                (document::failed(panel, &why), false)
            }
            Outcome::Failed(why) => (document::failed(panel, &why), false),
        };
        self.show(&panel.name, &shown);
        has_answer
    }

    fn show(&self, name: &str, document: &Value) {
        let frame = frame("panel", document);
        self.shown.send_if_modified(|shown| shown.show_rows(name, frame));
    }

    fn cost_table(&self) -> MutexGuard<'_, BTreeMap<String, Duration>> {
        self.costs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer of the lake to what a panel asks, within [`ANSWER_TIME_MAX`].
async fn query(engine: &Engine, panel: &Panel, ask: &Ask, part: u32) -> Outcome {
    let lake = engine.lake();
    let answer = async {
        match ask {
            Ask::Sql(sql) => Some(lake.query(sql).await),
            Ask::Latest(view) => {
                let handle = lake.views().into_iter().find(|handle| handle.name() == view)?;
                Some(handle.latest(TABLE_ROWS_MAX).await)
            }
            Ask::Rates(_) => None,
        }
    };
    // The newest rows of a view are not cut by windows, so there are no fewer to ask for.
    let too_many: fn(String) -> Outcome = if matches!(ask, Ask::Sql(_)) { Outcome::TooMany } else { Outcome::Failed };
    match timeout(ANSWER_TIME_MAX, answer).await {
        Ok(Some(Ok(answer))) => Outcome::Rows(document::answered(panel, &answer, part)),
        Ok(Some(Err(error))) => {
            tracing::debug!(panel = panel.name, %error, "a panel of the dashboard has no answer");
            let is_limit = matches!(error, lakehead_query::Error::Limit(_));
            if is_limit { too_many(error.to_string()) } else { Outcome::Failed(error.to_string()) }
        }
        Ok(None) => Outcome::Failed("it is being replaced".to_owned()),
        Err(_) => too_many(format!("it has more rows than can be read in {} s", ANSWER_TIME_MAX.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::audience::CLIENTS_MAX, *};

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
        assert!(!live.notes(1, sees(&["c"])) && live.audience.seen().is_empty(), "who is gone sees nothing");
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
