//! The suite is seen to fail: a sink into memory that keeps every promise passes, and one for each promise that it breaks does
//! not.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use lakehead_connector_api::{
    Answer, Batch, ConnectorKind, Delivery, Error, Operation, Row, Sink, SinkContext, SinkKind, Takes,
};
use lakehead_model::Position;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Behaviour, POISON, Target, sink};

/// Memories by number: settings are text, so a sink finds its memory by one.
static MEMORIES: Mutex<BTreeMap<u64, Arc<Mutex<Held>>>> = Mutex::new(BTreeMap::new());
static NEXT: AtomicU64 = AtomicU64::new(0);

/// What a target in memory holds.
#[derive(Default)]
struct Held {
    /// Rows in order, each with the id or the key that it is known by.
    rows: Vec<(String, Vec<u8>)>,
    position: Option<Position>,
    behaviour: Option<Behaviour>,
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().expect("no test panics while it holds the lock")
}

struct Memory {
    number: u64,
    fault: Fault,
    held: Arc<Mutex<Held>>,
}

impl Memory {
    fn new(fault: Fault) -> Self {
        let (number, held) = (NEXT.fetch_add(1, Ordering::Relaxed), Arc::default());
        lock(&MEMORIES).insert(number, Arc::clone(&held));
        Self { number, fault, held }
    }
}

#[async_trait]
impl Target for Memory {
    fn settings(&self) -> serde_json::Value {
        serde_json::json!({ "number": self.number, "fault": format!("{:?}", self.fault) })
    }

    async fn rows(&mut self) -> Vec<Vec<u8>> {
        lock(&self.held).rows.iter().map(|(_, row)| row.clone()).collect()
    }

    async fn behave(&mut self, how: Behaviour) -> bool {
        lock(&self.held).behaviour = Some(how);
        true
    }
}

/// What is wrong with a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
enum Fault {
    None,
    AnswersBeforeItHas,
    ForgetsAtCommit,
    WritesTwice,
    DropsTheRowsAfterARefusal,
    RefusesAllForOne,
    OneAnswerTooFew,
    ChangesTheText,
    LosesTheLastRow,
    OutOfOrder,
    IsWellWhileAway,
    HangsAtTheEnd,
    LeavesOutDeletes,
    ForgetsThePosition,
    LeavesDeleted,
}

/// Settings of the sinks of this file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Which memory.
    number: u64,
    /// What is wrong with it.
    fault: Fault,
}

const MANUAL: &str = "`memory`: keeps rows in memory, for the tests of the suite itself. It is the reference that the other sinks \
    are compared with: what it promises it keeps, unless its setting `fault` names what it breaks, in which case the suite has \
    to find that. It is no kind that a pipeline may name, and no file of the product knows of it.";

macro_rules! memory_kind {
    ($kind:ident, $delivery:expr, $takes:expr) => {
        struct $kind;

        impl ConnectorKind for $kind {
            const NAME: &'static str = "memory";
            const MANUAL: &'static str = MANUAL;
            const EXAMPLE: &'static str =
                "[sink.a]\nkind = \"memory\"\nfrom = \"b\"\nlanes = 1\nnumber = 0\nfault = \"None\"\n";
            type Config = Config;
        }

        impl SinkKind for $kind {
            const DELIVERY: Delivery = $delivery;
            const TAKES: Takes = $takes;

            async fn open(config: Config, _: SinkContext) -> Result<Box<dyn Sink>, Error> {
                let held = lock(&MEMORIES).get(&config.number).cloned();
                let held = held.ok_or_else(|| Error::Invalid("memory: no such memory".to_owned()))?;
                let (fault, delivery, takes) = (config.fault, $delivery, $takes);
                Ok(Box::new(Writer { held, fault, delivery, takes, pending: Vec::new() }))
            }
        }
    };
}

memory_kind!(AtLeastOnce, Delivery::AtLeastOnce, Takes::Appends);
memory_kind!(Idempotent, Delivery::Idempotent, Takes::Appends);
memory_kind!(Transactional, Delivery::Transactional, Takes::Appends);
memory_kind!(Keyed, Delivery::Idempotent, Takes::Keyed);

struct Writer {
    held: Arc<Mutex<Held>>,
    fault: Fault,
    delivery: Delivery,
    takes: Takes,
    /// Rows that are held until the commit: what each does, its id or key, and its text.
    pending: Vec<(Operation, String, Vec<u8>)>,
}

impl Writer {
    fn text(&self, row: Row<'_>) -> Vec<u8> {
        let mut text = row.json.to_vec();
        if self.fault == Fault::ChangesTheText {
            text = String::from_utf8(text).expect("text").replace("\\n", "\n").into_bytes();
        }
        text
    }

    fn id(&self, batch: &Batch, row: Row<'_>) -> String {
        match (&row.head.key, self.takes) {
            (Some(key), Takes::Keyed) => String::from_utf8_lossy(key).into_owned(),
            _ => format!("{}-{:?}", batch.id(row), batch.kind()),
        }
    }
}

#[async_trait]
impl Sink for Writer {
    async fn resume(&mut self) -> Result<Option<Position>, Error> {
        let position = lock(&self.held).position;
        Ok(position.filter(|_| self.delivery == Delivery::Transactional && self.fault != Fault::ForgetsThePosition))
    }

    async fn write(&mut self, batch: &Batch) -> Result<Vec<Answer>, Error> {
        let behaviour = lock(&self.held).behaviour;
        match behaviour {
            Some(Behaviour::Away) if self.fault != Fault::IsWellWhileAway => {
                return Err(Error::unavailable("the memory is away"));
            }
            Some(Behaviour::Silent) => std::future::pending().await,
            _ => {}
        }
        let refuses = |row: Row<'_>| {
            behaviour == Some(Behaviour::RefusingPoison) && String::from_utf8_lossy(row.json).contains(POISON)
        };
        if self.fault == Fault::RefusesAllForOne && batch.rows().any(refuses) {
            return Ok(vec![Answer::Refused("it has poison".to_owned()); batch.len()]);
        }
        let mut answers = Vec::new();
        let mut is_dropping = false;
        for row in batch.rows() {
            if refuses(row) {
                answers.push(Answer::Refused("it has poison".to_owned()));
                is_dropping = self.fault == Fault::DropsTheRowsAfterARefusal;
                continue;
            }
            let is_last = answers.len() + 1 == batch.len();
            let is_left_out = self.fault == Fault::LeavesOutDeletes && row.head.operation == Operation::Delete;
            if !(is_dropping || is_left_out || self.fault == Fault::LosesTheLastRow && is_last) {
                self.pending.push((row.head.operation, self.id(batch, row), self.text(row)));
            }
            answers.push(if self.fault == Fault::AnswersBeforeItHas { Answer::Done } else { Answer::Held });
        }
        if self.fault == Fault::OneAnswerTooFew {
            answers.pop();
        }
        if self.fault == Fault::OutOfOrder {
            self.pending.reverse();
        }
        Ok(answers)
    }

    async fn commit(&mut self, through: &Position) -> Result<(), Error> {
        let pending = std::mem::take(&mut self.pending);
        if self.fault == Fault::ForgetsAtCommit {
            return Ok(());
        }
        let mut held = lock(&self.held);
        for (operation, id, row) in pending {
            let place = held.rows.iter().position(|(known, _)| *known == id);
            match (self.takes, operation, place) {
                (Takes::Keyed, Operation::Delete, Some(place)) if self.fault != Fault::LeavesDeleted => {
                    held.rows.remove(place);
                }
                (Takes::Keyed, _, Some(place)) => held.rows[place].1 = row,
                (Takes::Appends, _, Some(_)) if self.delivery == Delivery::Idempotent => {
                    if self.fault == Fault::WritesTwice {
                        held.rows.push((id, row));
                    }
                }
                _ => held.rows.push((id, row)),
            }
        }
        held.position = Some(*through);
        Ok(())
    }

    async fn close(self: Box<Self>) -> Result<(), Error> {
        let behaviour = lock(&self.held).behaviour;
        if self.fault == Fault::HangsAtTheEnd && behaviour == Some(Behaviour::Silent) {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

async fn untold<K: SinkKind>(fault: Fault) -> Result<Vec<Behaviour>, String> {
    let run = tokio::spawn(sink::<K, _, _>(move || std::future::ready(Memory::new(fault))));
    run.await.map_err(|error| {
        let panic = error.into_panic();
        panic
            .downcast_ref::<String>()
            .cloned()
            .or(panic.downcast_ref::<&str>().map(ToString::to_string))
            .unwrap_or_default()
    })
}

#[tokio::test]
async fn sinks_that_keep_their_promises_pass() {
    assert_eq!(untold::<AtLeastOnce>(Fault::None).await, Ok(vec![]));
    assert_eq!(untold::<Idempotent>(Fault::None).await, Ok(vec![]));
    assert_eq!(untold::<Transactional>(Fault::None).await, Ok(vec![]));
    assert_eq!(untold::<Keyed>(Fault::None).await, Ok(vec![]));
}

#[tokio::test]
async fn each_broken_promise_is_found() {
    for (fault, wanted) in [
        (Fault::AnswersBeforeItHas, "are answered with Done, and the target holds 0"),
        (Fault::ForgetsAtCommit, "the target holds []"),
        (Fault::WritesTwice, "the same batch twice"),
        (Fault::DropsTheRowsAfterARefusal, "rows beside those that were refused"),
        (Fault::RefusesAllForOne, "has no poison and is refused"),
        (Fault::OneAnswerTooFew, "one answer for each row"),
        (Fault::ChangesTheText, "rows that are hard to carry"),
        (Fault::LosesTheLastRow, "rows that are hard to carry"),
        (Fault::OutOfOrder, "rows that are hard to carry"),
        (Fault::HangsAtTheEnd, "the end takes longer"),
        (Fault::LeavesOutDeletes, "a snapshot and then changes"),
        (Fault::IsWellWhileAway, "the target is away"),
    ] {
        let found = untold::<Idempotent>(fault).await.expect_err("a broken promise");
        assert!(found.contains(wanted), "{fault:?}: {found}");
    }
    let found = untold::<AtLeastOnce>(Fault::LosesTheLastRow).await.expect_err("a broken promise");
    assert!(found.contains("rows that are hard to carry"), "{found}");
    let found = untold::<Transactional>(Fault::ForgetsThePosition).await.expect_err("a broken promise");
    assert!(found.contains("stores the position"), "{found}");
    let found = untold::<Keyed>(Fault::LeavesDeleted).await.expect_err("a broken promise");
    assert!(found.contains("a snapshot and then changes"), "{found}");
}
