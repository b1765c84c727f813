//! What a process and its worker say to each other, but for the tables.

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The longest message of an error.
const MESSAGE_BYTES_MAX: usize = 4 << 10;

/// The format of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerFormat {
    /// One JSON array of objects.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// Comma-separated values with a header line.
    Csv,
    /// An Arrow IPC stream.
    Arrow,
}

/// What is asked of a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Query {
    /// One SELECT.
    pub sql: String,
    /// How the answer is written.
    pub form: AnswerFormat,
    /// Most rows; what is more is cut off, and the head says so.
    pub rows: usize,
    /// Threads of the query.
    pub threads: usize,
    /// Which part of `sql` somebody wrote, when Lakehead wrote the rest.
    #[serde(default)]
    pub part: Option<StatementPart>,
}

/// The part of a longer statement that somebody wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementPart {
    /// The text.
    pub text: String,
    /// The character in the longer one's first line at which it begins.
    pub start: usize,
}

/// What the worker requests of the process: the tables that a query names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRequest {
    /// Their names, as they stand in the query.
    pub names: Vec<String>,
}

/// The head of an answer: what is known of it before its first byte.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerHead {
    /// How many rows it has.
    pub rows: usize,
    /// Whether there are more, which were cut off.
    pub truncated: bool,
    /// What whoever reads it must know.
    pub warnings: Vec<String>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Who can mend it.
    pub mends: MendedBy,
    /// What is wrong.
    pub what: String,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let mends = match &error {
            Error::Limit(_) => MendedBy::Limit,
            error if error.is_of_statement() => MendedBy::Sql,
            _ => MendedBy::Nobody,
        };
        let mut what = error.to_string();
        if what.len() > MESSAGE_BYTES_MAX {
            // A message may quote a whole plan.
            what.truncate((0..=MESSAGE_BYTES_MAX).rev().find(|at| what.is_char_boundary(*at)).unwrap_or(0));
            what.push_str(" …");
        }
        Self { mends, what }
    }
}

/// Who can mend a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MendedBy {
    /// The SQL must change.
    Sql,
    /// It must ask for less.
    Limit,
    /// Nobody, or whoever runs this.
    Nobody,
}
