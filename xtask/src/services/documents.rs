//! The few requests that Elasticsearch and OpenSearch answer alike: health, index a document, get it.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::http::{self, Answer};

/// Succeeds once the cluster has a leader and every shard that it can have.
pub(crate) fn ready(address: &str) -> Result<()> {
    let health = http::get(address, "/_cluster/health")?;
    match health.status {
        200 if health.body.contains("\"status\":\"green\"") => Ok(()),
        _ => bail!("the health of its cluster is {}", told(&health)),
    }
}

/// Indexes a document and gets it back.
pub(crate) fn round_trip(address: &str) -> Result<()> {
    const DOCUMENT: &str = "/smoke/_doc/1";
    let headers = [("Content-Type", "application/json")];
    let indexed = http::request(address, "PUT", DOCUMENT, &headers, br#"{"word":"hello"}"#)?;
    if indexed.status != 201 {
        bail!("indexing was answered by {}", told(&indexed));
    }
    let got = http::get(address, DOCUMENT)?;
    let document: Value = serde_json::from_str(&got.body).with_context(|| told(&got))?;
    match document["_source"]["word"].as_str() {
        Some("hello") => Ok(()),
        _ => bail!("a document was indexed, and getting it was answered by {}", told(&got)),
    }
}

/// The settings of one node on loopback; `http.port` is left to who starts it.
pub(crate) fn settings(transport_port: u16) -> String {
    format!(
        "network.host: 127.0.0.1\ntransport.port: {transport_port}\ndiscovery.type: single-node\n\
         # A disk that others have filled is no reason to refuse a test's writes.\n\
         cluster.routing.allocation.disk.threshold_enabled: false\n"
    )
}

fn told(answer: &Answer) -> String {
    format!("{} {}", answer.status, answer.body)
}
