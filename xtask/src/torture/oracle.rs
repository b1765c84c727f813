//! The oracle: what was issued and what was acknowledged on one side, what lies on disk on the other.
//!
//! Every acknowledged event is there once, nothing is there twice, nothing that was never issued is there, every event is
//! byte for byte what its id says, and the views' rows and their Parquet files are what a recount of the log gives. It
//! reads the log with `zstdcat` and the Parquet files with DuckDB; only the views' live rows come from `lakehead query`.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    path::Path,
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{
    changed::{Definition, NAMES},
    files,
    pipeline::{CHANGES, PUSHED, VIEWS, View},
    pushes::{self, Pushes},
    recount::{self, Rows},
};

/// How many findings of a kind are told in full.
const TOLD: usize = 5;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    /// An acknowledged event, or one before an event that is there, is missing.
    Lost,
    /// An event is there twice.
    Doubled,
    /// An event is there that was never issued, or not with these bytes.
    Strange,
    /// A view's row differs from the recount.
    Row,
    /// Something could not be read at all, or answered wrongly.
    Broken,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "lost",
            Self::Doubled => "doubled",
            Self::Strange => "never issued or changed",
            Self::Row => "wrong row of a view",
            Self::Broken => "broken",
        })
    }
}

/// Everything that is wrong, counted.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) counts: BTreeMap<What, u64>,
    told: Vec<String>,
}

impl Findings {
    pub(crate) fn add(&mut self, what: What, count: u64, detail: impl FnOnce() -> String) {
        let before = self.counts.entry(what).or_default();
        if (*before as usize) < TOLD {
            self.told.push(format!("{what}: {}", detail()));
        }
        *before += count;
    }

    pub(crate) fn count(&self, what: What) -> u64 {
        self.counts.get(&what).copied().unwrap_or(0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    pub(crate) fn merge(&mut self, other: Self) {
        for (what, count) in other.counts {
            *self.counts.entry(what).or_default() += count;
        }
        self.told.extend(other.told);
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, count) in &self.counts {
            writeln!(f, "  {what}: {count}")?;
        }
        self.told.iter().try_for_each(|told| writeln!(f, "    {told}"))
    }
}

/// What is held against the data directory.
pub(crate) struct Oracle<'a> {
    pub(crate) binary: &'a Path,
    /// What the upstream issued, in its order; at least as far as the log goes.
    pub(crate) issued: &'a [Vec<u8>],
    /// The first offset that is kept of the changes: retention may have taken what lies before.
    pub(crate) start: u64,
    /// The offset up to which changes were reported as committed.
    pub(crate) committed: u64,
    pub(crate) pushes: &'a Pushes,
    /// What the views that are changed were last.
    pub(crate) definition: &'a Definition,
}

/// What was looked at.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    pub(crate) findings: Findings,
    pub(crate) events: u64,
    pub(crate) rows: u64,
    /// Rows in Parquet files; `None` where DuckDB is missing.
    pub(crate) parquet_rows: Option<u64>,
}

impl Oracle<'_> {
    /// Looks at everything in `data`, where no process is at work.
    pub(crate) fn look(&self, data: &Path) -> Looked {
        let mut looked = Looked::default();
        if let Err(error) = self.look_at_all(data, &mut looked) {
            looked.findings.add(What::Broken, 1, || format!("{error:#}"));
        }
        looked
    }

    fn look_at_all(&self, data: &Path, looked: &mut Looked) -> Result<()> {
        let findings = &mut looked.findings;
        let log = files::events(&files::segments(data, CHANGES)?)?;
        let pushed = files::events(&files::segments(data, PUSHED)?)?;
        looked.events = (log.len() + pushed.len()) as u64;
        let removed = self.changes(&log, findings);
        self.pushed(&pushed, findings);
        let history = removed.into_iter().chain(log.iter().map(Vec::as_slice));
        let of =
            |stream: &str| VIEWS.iter().filter(|view| view.stream == stream).map(|view| view.name).collect::<Vec<_>>();
        let changes = recount::rows(history, &of(CHANGES))?;
        let pushes = recount::rows(pushed.iter().map(Vec::as_slice), &of(PUSHED))?;
        let pushes: Vec<Rows> = pushes.into_iter().map(|rows| self.definition.by_event_time(rows)).collect();
        for (view, expected) in NAMES.iter().zip(self.definition.rows(pushed.iter().map(Vec::as_slice))?) {
            match self.query(data, view) {
                Ok(live) => {
                    looked.rows += live.len() as u64;
                    compare(view, &format!("rows, {:?}", self.definition), &expected, &live, findings);
                }
                Err(error) => findings.add(What::Broken, 1, || format!("{error:#}")),
            }
        }
        // In the order of VIEWS, which has those of the changes first.
        for (View { name: view, closes_in_order, .. }, expected) in VIEWS.iter().zip(changes.iter().chain(&pushes)) {
            match self.query(data, view) {
                Ok(live) => {
                    looked.rows += live.len() as u64;
                    compare(view, "rows", expected, &live, findings);
                }
                Err(error) => findings.add(What::Broken, 1, || format!("{error:#}")),
            }
            if *closes_in_order && files::duckdb_is_here() {
                let closed = recount::read(&files::parquet_rows(data, view)?)?;
                *looked.parquet_rows.get_or_insert(0) += closed.len() as u64;
                // Only closed windows are in the files: all up to the newest that is.
                let newest = closed.keys().next_back().map_or(i64::MIN, |(opened, _)| *opened);
                let expected = expected.iter().filter(|((opened, _), _)| *opened <= newest);
                let expected = expected.map(|(key, row)| (key.clone(), *row)).collect();
                compare(view, "Parquet", &expected, &closed, findings);
            }
        }
        Ok(())
    }

    /// Holds the log against what was issued, topic by topic; returns the events that retention took.
    fn changes(&self, log: &[Vec<u8>], findings: &mut Findings) -> Vec<&[u8]> {
        let mut topics: BTreeMap<&str, Topic<'_>> = BTreeMap::new();
        for event in self.issued {
            topics.entry(topic(event).unwrap_or_default()).or_default().events.push(event);
        }
        for (n, event) in log.iter().enumerate() {
            let offset = self.start + n as u64;
            let Some(topic) = topic(event).and_then(|topic| topics.get_mut(topic)) else {
                findings.add(What::Strange, 1, || format!("{CHANGES} offset {offset}: {}", lossy(event)));
                continue;
            };
            topic.meet(event, offset, self.start > 0, findings);
        }
        let end = self.start + log.len() as u64;
        if end < self.committed {
            let lost = self.committed - end;
            findings.add(What::Lost, lost, || format!("{CHANGES} ends at {end}, {} were committed", self.committed));
        }
        if self.start == 0 {
            return Vec::new();
        }
        // A topic of which nothing is left may have been taken whole, as far as it was issued.
        let known: usize = topics.values().filter_map(|topic| topic.removed).sum();
        let rest: usize = topics.values().filter(|topic| topic.removed.is_none()).map(|topic| topic.events.len()).sum();
        if !(known..=known + rest).contains(&(self.start as usize)) {
            findings.add(What::Lost, 1, || {
                format!("{CHANGES} starts at {}, but {known} to {} events are gone before it", self.start, known + rest)
            });
        }
        let mut left = (self.start as usize).saturating_sub(known);
        let mut removed = Vec::new();
        for topic in topics.values() {
            let count = topic.removed.unwrap_or_else(|| left.min(topic.events.len()));
            left -= if topic.removed.is_none() { count } else { 0 };
            removed.extend_from_slice(&topic.events[..count]);
        }
        removed
    }

    fn pushed(&self, log: &[Vec<u8>], findings: &mut Findings) {
        let mut at: BTreeMap<u64, u64> = BTreeMap::new();
        for (offset, event) in (0_u64..).zip(log) {
            let id = std::str::from_utf8(event).ok().and_then(|text| text.strip_prefix("{\"id\":"));
            let id = id.and_then(|text| text.split(',').next()).and_then(|digits| digits.parse().ok());
            match id.filter(|id| *id < self.pushes.next_id && pushes::event(self.pushes.seed, *id) == *event) {
                None => findings.add(What::Strange, 1, || format!("{PUSHED} offset {offset}: {}", lossy(event))),
                Some(id) => match at.get(&id) {
                    None => drop(at.insert(id, offset)),
                    Some(before) => {
                        findings.add(What::Doubled, 1, || format!("{PUSHED} id {id}: offsets {before} and {offset}"));
                    }
                },
            }
        }
        for (batch, offset) in &self.pushes.acknowledged {
            for (n, id) in (batch.first_id..batch.first_id + batch.count).enumerate() {
                match at.get(&id) {
                    None => findings.add(What::Lost, 1, || format!("{PUSHED} id {id}, answered at offset {offset}")),
                    Some(found) if *found != offset + n as u64 => {
                        findings.add(What::Broken, 1, || {
                            format!("{PUSHED} id {id}: answered at {offset} + {n}, but is at {found}")
                        });
                    }
                    Some(_) => {}
                }
            }
        }
        for batch in &self.pushes.open {
            let there = (batch.first_id..batch.first_id + batch.count).filter(|id| at.contains_key(id)).count() as u64;
            if there != 0 && there != batch.count {
                findings.add(What::Broken, 1, || format!("{PUSHED}: {there} events of {batch:?}, not all or none"));
            }
        }
        for wrong in &self.pushes.wrong {
            findings.add(What::Broken, 1, || wrong.clone());
        }
    }

    fn query(&self, data: &Path, view: &str) -> Result<Rows> {
        let sql = format!("SELECT to_unixtime(opened) AS opened, name, events, total FROM {view}");
        let said =
            Command::new(self.binary).args(["query", &sql, "--format", "ndjson", "--data"]).arg(data).output()?;
        if !said.status.success() {
            bail!("{sql}: {}", String::from_utf8_lossy(&said.stderr).trim());
        }
        let text = String::from_utf8(said.stdout).context("the answer is not UTF-8")?;
        let objects: Result<Vec<_>, _> = text.lines().map(serde_json::from_str).collect();
        recount::read(&objects.context("a row is not JSON")?)
    }
}

/// One topic's events, and how far the log has been found to hold them.
#[derive(Default)]
struct Topic<'a> {
    events: Vec<&'a [u8]>,
    next: usize,
    /// How many were gone before the first that was met; `None` before.
    removed: Option<usize>,
    /// Places by text, made when an event is met out of its turn.
    places: Option<HashMap<&'a [u8], usize>>,
}

impl Topic<'_> {
    fn meet(&mut self, event: &[u8], offset: u64, may_begin_later: bool, findings: &mut Findings) {
        if self.events.get(self.next) == Some(&event) {
            self.next += 1;
            self.removed.get_or_insert(0);
            return;
        }
        let places = self.places.get_or_insert_with(|| self.events.iter().enumerate().map(|(n, e)| (*e, n)).collect());
        match places.get(event) {
            None => findings.add(What::Strange, 1, || format!("{CHANGES} offset {offset}: {}", lossy(event))),
            Some(place) if *place < self.next => {
                findings.add(What::Doubled, 1, || format!("{CHANGES} offset {offset}: {}", lossy(event)));
            }
            Some(place) => {
                let missing = place - self.next;
                if may_begin_later && self.removed.is_none() {
                    self.removed = Some(missing);
                } else {
                    findings.add(What::Lost, missing as u64, || {
                        format!("{CHANGES}: {missing} events before offset {offset}: {}", lossy(self.events[self.next]))
                    });
                }
                self.next = place + 1;
            }
        }
    }
}

fn compare(view: &str, where_from: &str, expected: &Rows, found: &Rows, findings: &mut Findings) {
    for (key, row) in expected {
        if found.get(key) != Some(row) {
            findings.add(What::Row, 1, || {
                format!("{view}, {where_from} {key:?}: {:?}, the recount says {row:?}", found.get(key))
            });
        }
    }
    for (key, row) in found.iter().filter(|(key, _)| !expected.contains_key(*key)) {
        findings.add(What::Row, 1, || format!("{view}, {where_from} {key:?}: {row:?}, the recount has no such row"));
    }
}

/// The Kafka topic that an event says it comes from.
fn topic(event: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(event).ok()?;
    text.split_once("\"topic\":\"")?.1.split('"').next()
}

fn lossy(event: &[u8]) -> String {
    let text = String::from_utf8_lossy(event);
    text.chars().take(400).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(numbers: &[(&str, u32)]) -> Vec<Vec<u8>> {
        numbers.iter().map(|(t, n)| format!(r#"{{"meta":{{"topic":"{t}","n":{n}}}}}"#).into_bytes()).collect()
    }

    const ISSUED: &[(&str, u32)] = &[("a", 0), ("a", 1), ("b", 0), ("a", 2), ("a", 3)];

    fn look(log: &[(&str, u32)], start: u64, committed: u64) -> (BTreeMap<What, u64>, usize) {
        let issued = events(ISSUED);
        let (pushes, definition) = (Pushes::new(1), Definition::first());
        let binary = Path::new("lakehead");
        let oracle = Oracle { binary, issued: &issued, start, committed, pushes: &pushes, definition: &definition };
        let mut findings = Findings::default();
        let removed = oracle.changes(&events(log), &mut findings).len();
        (findings.counts, removed)
    }

    #[test]
    fn each_topics_events_once_and_in_order_are_right() {
        assert_eq!(look(ISSUED, 0, 5).0, BTreeMap::new());
        assert_eq!(look(&[("b", 0), ("a", 0)], 0, 2).0, BTreeMap::new());
    }

    #[test]
    fn a_missing_a_doubled_a_strange_event_and_a_short_log_are_found() {
        assert_eq!(look(&[("a", 0), ("a", 2)], 0, 0).0, BTreeMap::from([(What::Lost, 1)]));
        assert_eq!(look(&[("a", 0), ("a", 1), ("a", 0)], 0, 0).0, BTreeMap::from([(What::Doubled, 1)]));
        assert_eq!(look(&[("a", 7)], 0, 0).0, BTreeMap::from([(What::Strange, 1)]));
        assert_eq!(look(&[("c", 0)], 0, 0).0, BTreeMap::from([(What::Strange, 1)]));
        assert_eq!(look(&[("a", 0)], 0, 3).0, BTreeMap::from([(What::Lost, 2)]));
    }

    #[test]
    fn what_retention_took_is_no_loss_but_must_add_up() {
        assert_eq!(look(&[("a", 2), ("a", 3)], 3, 5), (BTreeMap::new(), 3));
        assert_eq!(look(&[("a", 2), ("a", 3)], 2, 4), (BTreeMap::new(), 2));
        assert_eq!(look(&[("a", 2), ("a", 3)], 4, 6).0, BTreeMap::from([(What::Lost, 1)]));
    }

    #[test]
    fn pushed_events_are_held_against_their_ids() {
        let mut pushes = Pushes::new(1);
        pushes.next_id = 4;
        let batch = |first_id, count| pushes::Batch { first_id, count, key: None };
        pushes.acknowledged = vec![(batch(0, 2), 0)];
        pushes.open = vec![batch(2, 2)];
        let look = |log: &[Vec<u8>]| {
            let (binary, definition) = (Path::new("lakehead"), Definition::first());
            let oracle =
                Oracle { binary, issued: &[], start: 0, committed: 0, pushes: &pushes, definition: &definition };
            let mut findings = Findings::default();
            oracle.pushed(log, &mut findings);
            findings.counts
        };
        let event = |id| pushes::event(1, id);
        assert_eq!(look(&[event(0), event(1)]), BTreeMap::new());
        assert_eq!(look(&[event(0), event(1), event(2), event(3)]), BTreeMap::new());
        assert_eq!(look(&[event(0), event(1), event(2)]), BTreeMap::from([(What::Broken, 1)]));
        assert_eq!(look(&[event(0), event(1), event(1)]), BTreeMap::from([(What::Doubled, 1)]));
        assert_eq!(look(&[event(0)]), BTreeMap::from([(What::Lost, 1)]));
        assert_eq!(look(&[event(0), event(1), event(4)]), BTreeMap::from([(What::Strange, 1)]));
        assert_eq!(look(&[event(1), event(0)]), BTreeMap::from([(What::Broken, 2)]));
    }

    #[test]
    fn a_row_too_many_too_few_and_another_are_found() {
        let rows = |rows: &[(i64, i64)]| rows.iter().map(|(w, n)| ((*w, "x".to_owned()), (*n, None))).collect();
        let count = |expected: &[(i64, i64)], found: &[(i64, i64)]| {
            let mut findings = Findings::default();
            compare("v", "rows", &rows(expected), &rows(found), &mut findings);
            findings.count(What::Row)
        };
        assert_eq!(count(&[(1, 1)], &[(1, 1)]), 0);
        assert_eq!(count(&[(1, 1)], &[(1, 2)]), 1);
        assert_eq!(count(&[(1, 1)], &[]), 1);
        assert_eq!(count(&[], &[(1, 1)]), 1);
    }
}
