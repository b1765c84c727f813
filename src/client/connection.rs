//! The HTTP connection to a process: its address and token, and whether the process is there at all.

use std::{
    fmt, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use reqwest::{RequestBuilder, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::outcome::Refused;

/// The environment variable with the token of the process that is asked.
pub(super) const TOKEN: &str = "LAKEHEAD_TOKEN";

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

/// The way to a process.
pub(super) struct Connection {
    client: reqwest::Client,
    /// `http://host:port`, without a slash at its end.
    base: String,
    token: Option<String>,
    /// What is known of one that was found by its data directory: its id, and the directory.
    here: Option<(u32, PathBuf)>,
}

impl Connection {
    /// To the process on the data directory `data`, which listens on `address`.
    pub(super) fn here(pid: u32, data: &Path, address: &str, token: Option<String>) -> anyhow::Result<Self> {
        let base = format!("http://{}", reachable(address));
        Ok(Self { client: client()?, base, token, here: Some((pid, data.to_owned())) })
    }

    /// To the process at the address `base`, which has no slash at its end.
    pub(super) fn elsewhere(base: &str, token: Option<String>) -> anyhow::Result<Self> {
        Ok(Self { client: client()?, base: base.to_owned(), token, here: None })
    }

    /// The process, as it is called in messages.
    pub(super) fn name(&self) -> String {
        match &self.here {
            Some((pid, _)) => format!("process {pid} at {}", self.base),
            None => format!("the process at {}", self.base),
        }
    }

    /// The data directory of a process that was found by it.
    pub(super) fn data(&self) -> Option<&Path> {
        self.here.as_ref().map(|(_, data)| data.as_path())
    }

    /// The address of `path` with `parameters` behind a question mark.
    pub(super) fn url(&self, path: &str, parameters: &[(&str, &str)]) -> anyhow::Result<Url> {
        Url::parse_with_params(&format!("{}{path}", self.base), parameters).context("making an address")
    }

    pub(super) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.base))
    }

    pub(super) fn get_at(&self, url: Url) -> RequestBuilder {
        self.client.get(url)
    }

    pub(super) fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.base))
    }

    pub(super) fn post_at(&self, url: Url) -> RequestBuilder {
        self.client.post(url)
    }

    /// The directory of a process that has let go of it, as its files can be read then; else `error` itself, which came
    /// of asking the process.
    pub(super) async fn released(&self, error: anyhow::Error) -> anyhow::Result<&Path> {
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

    /// The JSON document that `response` has; `reading` says what it is.
    pub(super) async fn json<T: DeserializeOwned>(
        &self,
        response: reqwest::Response,
        reading: &'static str,
    ) -> anyhow::Result<T> {
        self.alive(response.json()).await?.context(reading)
    }

    /// Sends `request`; an answer that is a refusal is an error.
    pub(super) async fn send(&self, request: RequestBuilder) -> anyhow::Result<reqwest::Response> {
        let response = self.request(request).await?;
        self.answered(response).await
    }

    /// Sends `request`; whatever is answered is handed on.
    pub(super) async fn request(&self, request: RequestBuilder) -> anyhow::Result<reqwest::Response> {
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
    pub(super) async fn alive<T>(&self, work: impl Future<Output = T>) -> anyhow::Result<T> {
        let mut work = std::pin::pin!(work);
        loop {
            if let Ok(done) = tokio::time::timeout(SILENCE, work.as_mut()).await {
                return Ok(done);
            }
            let health = self.get("/healthz").timeout(HEALTH_WITHIN).send();
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

    /// `response`, unless it is a refusal: then what the process says.
    pub(super) async fn answered(&self, response: reqwest::Response) -> anyhow::Result<reqwest::Response> {
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
