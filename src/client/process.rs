//! A running process, and what it is asked over HTTP.

use std::{path::Path, sync::Arc};

use anyhow::Context;
use arrow::ipc::reader::StreamReader;
use lakehead_engine::{
    Reloaded,
    audit::{Report, Scope},
    import::{ImportBatch, Imported},
};
use lakehead_model::Name;
use lakehead_query::{Answer, Explanation, Question, ViewDifference};
use reqwest::{StatusCode, Url};
use serde_json::Value;

use super::connection::Connection;
use crate::{outcome::Failure, output::note};

/// The header by which the server says that an answer was cut.
const TRUNCATED: &str = "lakehead-truncated";

/// The header by which the server says what whoever reads an answer must know.
const WARNING: &str = "lakehead-warning";

/// The header with the place from which a view's changes go on.
const POSITION: &str = "lakehead-position";

/// A running process.
pub(crate) struct Process {
    connection: Connection,
}

impl Process {
    /// The one on the data directory `data`, which listens on `address`.
    pub(super) fn here(pid: u32, data: &Path, address: &str, token: Option<String>) -> anyhow::Result<Self> {
        Ok(Self { connection: Connection::here(pid, data, address, token)? })
    }

    /// The one at the address `base`, which has no slash at its end.
    pub(super) fn elsewhere(base: &str, token: Option<String>) -> anyhow::Result<Self> {
        Ok(Self { connection: Connection::elsewhere(base, token)? })
    }

    /// As it is called in messages.
    pub(crate) fn name(&self) -> String {
        self.connection.name()
    }

    /// The data directory of one that was found by it.
    pub(crate) fn data(&self) -> Option<&Path> {
        self.connection.data()
    }

    /// `/v1/status`.
    pub(crate) async fn status(&self) -> anyhow::Result<Value> {
        let response = self.connection.send(self.connection.get("/v1/status")).await?;
        self.connection.json(response, "reading the status").await
    }

    /// Makes it read its pipeline file again. What is refused is wrong usage, with everything that is in the way.
    pub(crate) async fn reload(&self) -> Result<Reloaded, Failure> {
        let asked = self.connection.request(self.connection.post("/v1/reload")).await?;
        if matches!(asked.status(), StatusCode::UNPROCESSABLE_ENTITY | StatusCode::CONFLICT) {
            let body: Value = asked.json().await.context("reading why it is refused")?;
            return Err(Failure::Usage(body["error"].as_str().unwrap_or("it is refused").to_owned()));
        }
        let answered = self.connection.answered(asked).await?;
        Ok(self.connection.json(answered, "reading what changed").await?)
    }

    /// `/v1/retention`.
    pub(crate) async fn retention(&self) -> anyhow::Result<Value> {
        let response = self.connection.send(self.connection.get("/v1/retention")).await?;
        self.connection.json(response, "reading what retention would do").await
    }

    /// Has it audit `scope`.
    pub(super) async fn verify(&self, scope: &Scope) -> anyhow::Result<Report> {
        let request = self.connection.post("/v1/verify").body(serde_json::to_vec(scope)?);
        let response = self.connection.send(request).await?;
        self.connection.json(response, "reading the report").await
    }

    /// Has it explain rows of a view.
    pub(super) async fn explain(&self, view: &Name, question: &Question) -> anyhow::Result<Explanation> {
        let request = self.connection.post(&format!("/v1/views/{view}/explain")).body(serde_json::to_vec(question)?);
        let response = self.connection.send(request).await?;
        let bytes = self.connection.alive(response.bytes()).await?.context("reading the explanation")?;
        serde_json::from_slice(&bytes).context("reading the explanation")
    }

    /// What the view that is built beside `view` changes.
    pub(crate) async fn difference(&self, view: &Name) -> anyhow::Result<ViewDifference> {
        let request = self.connection.get(&format!("/v1/views/{view}/diff"));
        let response = self.connection.send(request).await?;
        self.connection.json(response, "reading the difference").await
    }

    /// Tells the process to do `what` with a view.
    pub(crate) async fn act(&self, view: &Name, what: &str) -> anyhow::Result<()> {
        self.connection.send(self.connection.post(&format!("/v1/views/{view}/{what}"))).await?;
        Ok(())
    }

    /// What has changed in a view since a position: JSON lines, and where to go on.
    pub(crate) async fn changes(&self, view: &Name, after: Option<&str>) -> anyhow::Result<(Vec<u8>, String)> {
        let after: Vec<_> = after.map(|after| ("after", after)).into_iter().collect();
        let url = self.connection.url(&format!("/v1/views/{view}/changes"), &after)?;
        let response = self.connection.send(self.connection.get_at(url)).await?;
        let position = response.headers().get(POSITION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let position = position.to_owned();
        Ok((self.connection.alive(response.bytes()).await?.context("reading the changes")?.to_vec(), position))
    }

    /// Where the import `source` stands.
    pub(crate) async fn import_cursor(&self, stream: &Name, source: &Name) -> anyhow::Result<Option<Arc<str>>> {
        let url = self.import_url(stream, &[("source", source.as_str())])?;
        let response = self.connection.send(self.connection.get_at(url)).await?;
        let answer: Value = self.connection.json(response, "reading the cursor").await?;
        Ok(answer["cursor"].as_str().map(Into::into))
    }

    /// Hands over lines that follow on the cursor `expected`.
    pub(crate) async fn import(
        &self,
        stream: &Name,
        source: &Name,
        event_time: Option<&str>,
        expected: Option<&str>,
        run: ImportBatch,
    ) -> anyhow::Result<Imported> {
        let (line, cut) = (run.first_line.to_string(), run.cut.map(|bytes| bytes.to_string()));
        let mut asked = vec![("source", source.as_str()), ("from", &run.from), ("first_line", &line)];
        asked.extend(cut.as_deref().map(|cut| ("cut", cut)));
        asked.extend(event_time.map(|path| ("event_time", path)));
        let url = self.import_url(stream, &asked)?;
        let mut request = self.connection.post_at(url).header("lakehead-cursor", &*run.cursor).body(run.text);
        if let Some(expected) = expected {
            request = request.header("lakehead-cursor-expected", expected);
        }
        let response = self.connection.send(request).await?;
        self.connection.json(response, "reading what became of the lines").await
    }

    fn import_url(&self, stream: &Name, asked: &[(&str, &str)]) -> anyhow::Result<Url> {
        self.connection.url(&format!("/v1/streams/{stream}/import"), asked)
    }

    /// The directory of the process once it has let go of it, as its files can be read then; else `error` itself, which came of
    /// asking the process.
    pub(super) async fn released(&self, error: anyhow::Error) -> anyhow::Result<&Path> {
        self.connection.released(error).await
    }

    /// Has it answer `sql`.
    pub(super) async fn query(&self, sql: &str) -> anyhow::Result<Answer> {
        let request = self
            .connection
            .post("/v1/sql")
            .header("accept", "application/vnd.apache.arrow.stream")
            .body(sql.to_owned());
        let response = self.connection.send(request).await?;
        let truncated = response.headers().get(TRUNCATED).is_some_and(|value| value == "true");
        let warnings = response.headers().get_all(WARNING).iter().filter_map(|value| value.to_str().ok());
        let warnings: Vec<String> = warnings.map(str::to_owned).collect();
        warn(&warnings);
        let bytes = self.connection.alive(response.bytes()).await?.context("reading the answer")?;
        let reader = StreamReader::try_new(bytes.as_ref(), None).context("reading the answer")?;
        let schema = reader.schema();
        let batches = reader.collect::<Result<_, _>>().context("reading the answer")?;
        Ok(Answer { schema, batches, truncated, warnings })
    }
}

/// Says beside the answer what whoever reads it must know.
pub(super) fn warn(warnings: &[String]) {
    for warning in warnings {
        note(format_args!("warning: {warning}"));
    }
}
