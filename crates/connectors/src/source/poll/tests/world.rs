//! An imitation of a weather API, and the engine and the store as far as a source knows them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::poll_immediate;
use lakehead_connector_api::{Chunk, Error, Reader};
use lakehead_model::{Cursor, Reject, Timestamp};
use lakehead_testkit::{Act, ManualClock, Upstream, VecTail};
use serde_json::json;

use super::super::{Poller, config::Config, cursor::PollCursor};

/// When the tests take place.
pub(super) fn now() -> Timestamp {
    "2026-11-30T12:00:00Z".parse().expect("a time")
}

/// An answer as OpenWeatherMap gives it, recorded, with another city, time and temperature.
pub(super) fn weather(city: &str, dt: i64, temp: &str) -> String {
    format!(
        r#"{{"coord":{{"lon":-73.9352,"lat":40.7306}},"weather":[{{"id":800,"main":"Clear","description":"clear sky","icon":"01n"}}],"base":"stations","main":{{"temp":{temp},"feels_like":16.78,"temp_min":22.05,"temp_max":24.86,"pressure":1020,"humidity":31}},"visibility":10000,"wind":{{"speed":2.68,"deg":218,"gust":2.83}},"clouds":{{"all":0}},"dt":{dt},"sys":{{"type":2,"id":2038214,"country":"US","sunrise":1640693773,"sunset":1640730054}},"timezone":-18000,"id":5128581,"name":{},"cod":200}}"#,
        json!(city)
    )
}

/// The parameters of a request, from its head.
pub(super) fn query(head: &str) -> BTreeMap<String, String> {
    let target = head.split(' ').nth(1).unwrap_or_default();
    let url = url::Url::parse(&format!("http://h{target}")).expect("an address");
    url.query_pairs().into_owned().collect()
}

/// A whole answer, after which the connection ends.
pub(super) fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<Act> {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    vec![Act::send([head.as_bytes(), body].concat())]
}

pub(super) fn ok(body: impl AsRef<[u8]>) -> Vec<Act> {
    answer("200 OK", "Content-Type: application/json\r\n", body)
}

/// A server that answers each request by its query.
pub(super) async fn api(
    script: impl Fn(usize, &BTreeMap<String, String>) -> Vec<Act> + Send + Sync + 'static,
) -> Upstream {
    Upstream::start(move |n, head| script(n, &query(head))).await
}

/// Settings that ask `upstream` for cities with a key, as fast as can be.
pub(super) fn settings(upstream: &Upstream, cities: &[&str]) -> serde_json::Value {
    json!({
        "url": upstream.url("/data/2.5/weather?q={city}&appid={key}"), "every": "10m", "requests_per_minute": 60_000,
        "each": { "city": cities }, "secrets": { "key": "0123-secret" },
    })
}

/// What survives when a source is stopped.
pub(super) struct Shore {
    pub(super) log: VecTail,
    pub(super) cursor: Option<Cursor>,
    pub(super) rejects: Vec<Reject>,
    pub(super) refused_more: u64,
    pub(super) duplicates: u64,
    pub(super) clock: Arc<ManualClock>,
    settings: Mutex<serde_json::Value>,
}

impl Shore {
    pub(super) fn new(settings: serde_json::Value) -> Self {
        Self {
            log: VecTail::default(),
            cursor: None,
            rejects: Vec::new(),
            refused_more: 0,
            duplicates: 0,
            clock: Arc::new(ManualClock::new(now())),
            settings: Mutex::new(settings),
        }
    }

    pub(super) fn set(&self, key: &str, value: serde_json::Value) {
        self.settings.lock().expect("no panic under the lock")[key] = value;
    }

    pub(super) fn open(&self) -> Poller {
        // The binary does this first thing; a client wants it even for plain HTTP.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let settings = self.settings.lock().expect("no panic under the lock").clone();
        let config: Config = serde_json::from_value(settings).expect("valid settings");
        config.check().expect("settings that can work");
        let cursor =
            self.cursor.as_ref().map(|cursor| PollCursor::read(&cursor.position).expect("a cursor of its own"));
        Poller::new(&config, cursor.unwrap_or_default(), self.clock.clone()).expect("it opens")
    }

    pub(super) fn commit(&mut self, chunk: Chunk) {
        assert!(chunk.events.is_empty() || chunk.cursor.is_some());
        self.log.commit(chunk.events.events());
        self.rejects.extend(chunk.rejects);
        self.refused_more += chunk.refused_more;
        self.duplicates += chunk.duplicates;
        self.cursor = chunk.cursor.or(self.cursor.take());
        let position = self.cursor.as_ref().map(|cursor| cursor.position.to_string()).unwrap_or_default();
        assert!(!position.contains("secret"), "no key is in a cursor: {position}");
    }

    /// Commits what comes until nothing is due, or an error comes.
    pub(super) async fn until_idle(&mut self, poller: &mut Poller) -> Result<(), Error> {
        while is_at_work(poller).await {
            let chunk = next(poller).await?;
            self.commit(chunk);
        }
        Ok(())
    }

    pub(super) fn events(&self) -> Vec<String> {
        self.log.events().iter().map(|event| String::from_utf8_lossy(event).into_owned()).collect()
    }
}

/// The next chunk; that there is one is what the test waits for.
pub(super) async fn next(poller: &mut Poller) -> Result<Chunk, Error> {
    let next = tokio::time::timeout(Duration::from_secs(20), poller.next()).await;
    next.expect("something comes").map(|chunk| chunk.expect("it never ends"))
}

/// Whether there is a request under way, or due, or something to hand over.
pub(super) async fn is_at_work(poller: &mut Poller) -> bool {
    match poll_immediate(poller.next()).await {
        None => poller.asking.is_some() || poller.gathering.deadline().is_some() || poller.is_waiting_for_its_turn(),
        Some(Ok(Some(chunk))) => {
            poller.ready.push_front(chunk);
            true
        }
        Some(Ok(None)) => panic!("it never ends"),
        Some(Err(error)) => {
            poller.failed = Some(error);
            true
        }
    }
}
