//! Asking a data directory: through the process that runs on it, or, without one, by reading its files.
//!
//! The answer is the same either way. A running process is found through the directory's lock, asked over HTTP, and
//! answers as an Arrow stream; the token, where one is set, comes from the environment.

use std::{
    fmt, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use arrow::ipc::reader::StreamReader;
use indicatif::ProgressBar;
use lakehead_engine::{
    Reloaded,
    audit::{Report, Scope},
    import::{Imported, Run},
    offline,
    sql::Form,
};
use lakehead_model::Name;
use lakehead_query::{Answer, Explanation, Lake, Limits, Question, ViewDifference, worker};
use reqwest::StatusCode;
use serde_json::Value;

use crate::{
    cli::sql_worker,
    outcome::{Failure, Refused},
    output::note,
    whom::TOKEN,
};

/// The header by which the server says that an answer was cut.
const TRUNCATED: &str = "lakehead-truncated";

/// The header by which the server says what whoever reads an answer must know.
const WARNING: &str = "lakehead-warning";

/// The header with the place from which a view's changes go on.
const POSITION: &str = "lakehead-position";

/// How long to wait for a connection: the other process is on this machine.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How long a process may keep silent before it is asked whether it is there at all; again each time it has passed. A long
/// query is silent too, so this alone says nothing.
const SILENCE: Duration = Duration::from_secs(5);

/// How long it may take to say that it is: its health is answered within a second, whatever else goes on.
const HEALTH_WITHIN: Duration = Duration::from_secs(10);

/// How often, and how many times, to look whether a process that has stopped answering has let go of its directory.
const LETS_GO_EVERY: Duration = Duration::from_millis(100);
const LETS_GO_LOOKS: u32 = 20;

/// Who answers.
pub(crate) enum Source {
    /// A running process.
    Process(Process),
    /// Nobody: the files are read.
    Files(PathBuf),
}

/// A running process.
pub(crate) struct Process {
    client: reqwest::Client,
    base: String,
    token: Option<String>,
    /// What is known of one that was found by its data directory: its id, and the directory.
    here: Option<(u32, PathBuf)>,
}

impl Source {
    /// Finds who answers for `data`.
    pub(crate) fn find(data: &Path, token: Option<String>) -> anyhow::Result<Self> {
        let Some(holder) = lakehead_store::holder(data)? else { return Ok(Self::Files(data.to_owned())) };
        let Some(address) = holder.address else {
            bail!("process {} has {} open and is still starting; try again in a moment", holder.pid, data.display());
        };
        Ok(Self::Process(Process {
            client: client()?,
            base: format!("http://{}", reachable(&address)),
            token,
            here: Some((holder.pid, data.to_owned())),
        }))
    }

    /// Answers `sql`.
    pub(crate) async fn query(&self, sql: &str, progress: &ProgressBar) -> anyhow::Result<Answer> {
        let data = match self {
            Self::Files(data) => data,
            Self::Process(process) => match process.query(sql).await {
                Err(error) => process.gone(error).await?,
                answer => return answer,
            },
        };
        // Here, too, by a worker: what is too much for it ends it, and not the one who says why.
        let workers = sql_worker::workers(lake(data, sql, progress).await?)?;
        progress.finish_and_clear();
        let mut answering = workers.answer(sql, Form::Arrow).await?;
        let bytes = answering.whole(usize::MAX).await?;
        warn(&answering.head.warnings);
        Ok(worker::answer(bytes, &answering.head)?)
    }
}

impl Source {
    /// Audits `scope`.
    pub(crate) async fn verify(&self, scope: &Scope, progress: &ProgressBar) -> anyhow::Result<Report> {
        let data = match self {
            Self::Files(data) => data,
            Self::Process(process) => match process.verify(scope).await {
                Err(error) => process.gone(error).await?,
                report => return report,
            },
        };
        let progress = progress.clone();
        let show = move |read, total| {
            progress.set_length(total);
            progress.set_position(read);
        };
        Ok(offline::audit(data, scope, show).await?)
    }
}

impl Source {
    /// Explains rows of a view.
    pub(crate) async fn explain(
        &self,
        view: &Name,
        question: &Question,
        progress: &ProgressBar,
    ) -> anyhow::Result<Explanation> {
        let data = match self {
            Self::Files(data) => data,
            Self::Process(process) => match process.explain(view, question).await {
                Err(error) => process.gone(error).await?,
                explanation => return explanation,
            },
        };
        let workers = sql_worker::workers(lake(data, view.as_str(), progress).await?)?;
        Ok(workers.explain(view, question).await?)
    }
}

async fn lake(data: &Path, sql: &str, progress: &ProgressBar) -> anyhow::Result<Lake> {
    let mut show = |reached: offline::Progress<'_>| {
        progress.set_length(reached.end.0);
        progress.set_position(reached.at.0);
    };
    Ok(offline::open(data, Some(sql), Limits::default(), &mut show).await?)
}

impl Process {
    /// The one at the address `base`, which has no slash at its end.
    pub(crate) fn elsewhere(base: &str, token: Option<String>) -> anyhow::Result<Self> {
        Ok(Self { client: client()?, base: base.to_owned(), token, here: None })
    }

    /// As it is called in messages.
    pub(crate) fn name(&self) -> String {
        match &self.here {
            Some((pid, _)) => format!("process {pid} at {}", self.base),
            None => format!("the process at {}", self.base),
        }
    }

    /// The data directory of one that was found by it.
    pub(crate) fn data(&self) -> Option<&Path> {
        self.here.as_ref().map(|(_, data)| data.as_path())
    }

    /// `/v1/status`.
    pub(crate) async fn status(&self) -> anyhow::Result<Value> {
        let response = self.send(self.client.get(format!("{}/v1/status", self.base))).await?;
        self.json(response, "reading the status").await
    }

    /// Makes it read its pipeline file again. What is refused is wrong usage, with everything that is in the way.
    pub(crate) async fn reload(&self) -> Result<Reloaded, Failure> {
        let asked = self.request(self.client.post(format!("{}/v1/reload", self.base))).await?;
        if matches!(asked.status(), StatusCode::UNPROCESSABLE_ENTITY | StatusCode::CONFLICT) {
            let body: Value = asked.json().await.context("reading why it is refused")?;
            return Err(Failure::Usage(body["error"].as_str().unwrap_or("it is refused").to_owned()));
        }
        let answered = self.answered(asked).await?;
        Ok(self.json(answered, "reading what changed").await?)
    }

    /// `/v1/retention`.
    pub(crate) async fn retention(&self) -> anyhow::Result<Value> {
        let response = self.send(self.client.get(format!("{}/v1/retention", self.base))).await?;
        self.json(response, "reading what retention would do").await
    }

    async fn verify(&self, scope: &Scope) -> anyhow::Result<Report> {
        let request = self.client.post(format!("{}/v1/verify", self.base)).body(serde_json::to_vec(scope)?);
        let response = self.send(request).await?;
        self.json(response, "reading the report").await
    }

    async fn explain(&self, view: &Name, question: &Question) -> anyhow::Result<Explanation> {
        let url = format!("{}/v1/views/{view}/explain", self.base);
        let request = self.client.post(url).body(serde_json::to_vec(question)?);
        let response = self.send(request).await?;
        let bytes = self.alive(response.bytes()).await?.context("reading the explanation")?;
        serde_json::from_slice(&bytes).context("reading the explanation")
    }

    /// What the view that is built beside `view` changes.
    pub(crate) async fn difference(&self, view: &Name) -> anyhow::Result<ViewDifference> {
        let request = self.client.get(format!("{}/v1/views/{view}/diff", self.base));
        let response = self.send(request).await?;
        self.json(response, "reading the difference").await
    }

    /// Tells the process to do `what` with a view.
    pub(crate) async fn act(&self, view: &Name, what: &str) -> anyhow::Result<()> {
        self.send(self.client.post(format!("{}/v1/views/{view}/{what}", self.base))).await?;
        Ok(())
    }

    /// What has changed in a view since a position: JSON lines, and where to go on.
    pub(crate) async fn changes(&self, view: &Name, after: Option<&str>) -> anyhow::Result<(Vec<u8>, String)> {
        let base = format!("{}/v1/views/{view}/changes", self.base);
        let url = reqwest::Url::parse_with_params(&base, after.map(|after| ("after", after)))?;
        let response = self.send(self.client.get(url)).await?;
        let position = response.headers().get(POSITION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let position = position.to_owned();
        Ok((self.alive(response.bytes()).await?.context("reading the changes")?.to_vec(), position))
    }

    /// Where the import `source` stands.
    pub(crate) async fn import_cursor(&self, stream: &Name, source: &Name) -> anyhow::Result<Option<Arc<str>>> {
        let url = self.import_url(stream, &[("source", source.as_str())])?;
        let response = self.send(self.client.get(url)).await?;
        let answer: Value = self.json(response, "reading the cursor").await?;
        Ok(answer["cursor"].as_str().map(Into::into))
    }

    /// Hands over lines that follow on the cursor `expected`.
    pub(crate) async fn import(
        &self,
        stream: &Name,
        source: &Name,
        event_time: Option<&str>,
        expected: Option<&str>,
        run: Run,
    ) -> anyhow::Result<Imported> {
        let (line, cut) = (run.first_line.to_string(), run.cut.map(|bytes| bytes.to_string()));
        let mut asked = vec![("source", source.as_str()), ("from", &run.from), ("first_line", &line)];
        asked.extend(cut.as_deref().map(|cut| ("cut", cut)));
        asked.extend(event_time.map(|path| ("event_time", path)));
        let url = self.import_url(stream, &asked)?;
        let mut request = self.client.post(url).header("lakehead-cursor", &*run.cursor).body(run.text);
        if let Some(expected) = expected {
            request = request.header("lakehead-cursor-expected", expected);
        }
        let response = self.send(request).await?;
        self.json(response, "reading what became of the lines").await
    }

    fn import_url(&self, stream: &Name, asked: &[(&str, &str)]) -> anyhow::Result<reqwest::Url> {
        let base = format!("{}/v1/streams/{stream}/import", self.base);
        reqwest::Url::parse_with_params(&base, asked).context("making an address")
    }

    /// The directory of a process that has let go of it, as its files can be read then; else `error` itself, which came
    /// of asking the process.
    async fn gone(&self, error: anyhow::Error) -> anyhow::Result<&PathBuf> {
        let Some((_, data)) = &self.here else { return Err(error) };
        if !error.chain().any(|cause| cause.is::<reqwest::Error>() || cause.is::<Unreachable>()) {
            return Err(error);
        }
        // A process that was killed answers no more before it has let go of everything.
        for _ in 0..LETS_GO_LOOKS {
            if lakehead_store::holder(data).is_ok_and(|holder| holder.is_none()) {
                return Ok(data);
            }
            tokio::time::sleep(LETS_GO_EVERY).await;
        }
        Err(error)
    }

    async fn query(&self, sql: &str) -> anyhow::Result<Answer> {
        let request = self
            .client
            .post(format!("{}/v1/sql", self.base))
            .header("accept", "application/vnd.apache.arrow.stream")
            .body(sql.to_owned());
        let response = self.send(request).await?;
        let truncated = response.headers().get(TRUNCATED).is_some_and(|value| value == "true");
        let warnings = response.headers().get_all(WARNING).iter().filter_map(|value| value.to_str().ok());
        let warnings: Vec<String> = warnings.map(str::to_owned).collect();
        warn(&warnings);
        let bytes = self.alive(response.bytes()).await?.context("reading the answer")?;
        let reader = StreamReader::try_new(bytes.as_ref(), None).context("reading the answer")?;
        let schema = reader.schema();
        let batches = reader.collect::<Result<_, _>>().context("reading the answer")?;
        Ok(Answer { schema, batches, truncated, warnings })
    }

    async fn json<T: serde::de::DeserializeOwned>(
        &self,
        response: reqwest::Response,
        reading: &'static str,
    ) -> anyhow::Result<T> {
        self.alive(response.json()).await?.context(reading)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<reqwest::Response> {
        let response = self.request(request).await?;
        self.answered(response).await
    }

    async fn request(&self, request: reqwest::RequestBuilder) -> anyhow::Result<reqwest::Response> {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        self.alive(request.send()).await?.map_err(|error| self.not_asked(error))
    }

    /// Why a request got no answer, and, where nobody was reached, what to look after.
    fn not_asked(&self, error: reqwest::Error) -> anyhow::Error {
        let asking = format!("asking {}", self.name());
        if !error.is_connect() {
            return anyhow::Error::from(error).context(asking);
        }
        let is_late = error.is_timeout();
        let error = anyhow::Error::from(error);
        let is_refused = |cause: &io::Error| cause.kind() == io::ErrorKind::ConnectionRefused;
        let why = if error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(is_refused) {
            "nothing listens there".to_owned()
        } else if is_late {
            format!("nobody answers there within {} s", CONNECT_WITHIN.as_secs())
        } else {
            error.root_cause().to_string()
        };
        Unreachable(format!("{asking}: {why}; is the process running, and are host and port right?")).into()
    }

    /// Does `work` for as long as the process shows that it is there. One that is stopped takes connections, as the kernel
    /// does that for it, and never answers.
    async fn alive<T>(&self, work: impl Future<Output = T>) -> anyhow::Result<T> {
        let mut work = std::pin::pin!(work);
        loop {
            if let Ok(done) = tokio::time::timeout(SILENCE, work.as_mut()).await {
                return Ok(done);
            }
            let health = self.client.get(format!("{}/healthz", self.base)).timeout(HEALTH_WITHIN).send();
            tokio::select! {
                done = &mut work => return Ok(done),
                // Whatever it answers, it is there; and when the connection fails, the work fails too, and says how.
                health = health => if health.is_err_and(|error| error.is_timeout()) {
                    bail!("{}", self.silent());
                },
            }
        }
    }

    /// What to do about a process that does not answer.
    fn silent(&self) -> String {
        let base = &self.base;
        let Some((pid, data)) = &self.here else {
            let seconds = (SILENCE + HEALTH_WITHIN).as_secs();
            return format!("the process at {base} has not answered for {seconds} s; look after it on its own machine");
        };
        let data = data.display();
        let goes_on = format!(
            "end it with kill -KILL {pid} (nothing that was acknowledged is lost by that) and ask again: without a process \
             the files in {data} are read"
        );
        if is_stopped(*pid) {
            format!(
                "process {pid} at {base} is stopped and answers nobody; let it go on with kill -CONT {pid}, or {goes_on}"
            )
        } else {
            let seconds = (SILENCE + HEALTH_WITHIN).as_secs();
            format!(
                "process {pid} at {base} has not answered for {seconds} s; wait if this machine is busy, or {goes_on}"
            )
        }
    }

    async fn answered(&self, response: reqwest::Response) -> anyhow::Result<reqwest::Response> {
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body: Value = response.json().await.unwrap_or_default();
        match body["error"].as_str() {
            Some(error) if status == StatusCode::UNAUTHORIZED => {
                bail!("{error}; set {TOKEN} to the pipeline's token, or name a file that has it with --token-file FILE")
            }
            Some(error) if matches!(status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND) => {
                Err(Refused(error.to_owned()).into())
            }
            Some(error) => bail!("{error}"),
            None => bail!("{} answered {status}", self.name()),
        }
    }
}

/// Nobody was reached, in words for a person: those of the client name four layers.
#[derive(Debug)]
struct Unreachable(String);

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreachable {}

fn client() -> anyhow::Result<reqwest::Client> {
    Ok(reqwest::Client::builder().connect_timeout(CONNECT_WITHIN).no_proxy().build()?)
}

/// Whether a process of this machine is stopped, as by SIGSTOP: the state after its name in proc(5)'s stat is `T`.
fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['T', 't']))
}

/// Says beside the answer what whoever reads it must know.
fn warn(warnings: &[String]) {
    for warning in warnings {
        note(format_args!("warning: {warning}"));
    }
}

/// A process that listens on every address is asked over loopback.
fn reachable(address: &str) -> String {
    match address.parse::<SocketAddr>() {
        Ok(mut socket) if socket.ip().is_unspecified() => {
            socket.set_ip(if socket.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
            socket.to_string()
        }
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_listens_everywhere_is_asked_over_loopback() {
        assert_eq!(reachable("0.0.0.0:8080"), "127.0.0.1:8080");
        assert_eq!(reachable("[::]:8080"), "[::1]:8080");
        assert_eq!(reachable("10.0.0.7:8080"), "10.0.0.7:8080");
    }
}
