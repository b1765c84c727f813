//! Reads a small body whole, within a size and a time, so that neither a large nor a slow one costs more than its share.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    http::StatusCode,
};
use bytes::BytesMut;
use futures::StreamExt;
use lakehead_model::hint::instead;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::answers::Refusal;

/// The longest a body may take to arrive: 16 MiB in it is 4.5 Mbit/s, slower than any network one would push over.
pub(crate) const BODY_TIME_MAX: Duration = Duration::from_secs(30);

/// How much of a value that does not fit is repeated.
const VALUE_CHARS_MAX: usize = 80;

/// A key of a small JSON object.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    /// What it holds, in words.
    pub(crate) holds: &'static str,
    /// Whether a value is such.
    pub(crate) is_such: fn(&Value) -> bool,
}

/// The whole body, of at most `bytes_max` bytes, within `time_max`.
///
/// # Errors
/// 413 when it is larger, 408 when it is slower, 400 when the connection breaks in it.
pub(crate) async fn read_small(body: Body, bytes_max: usize, time_max: Duration) -> Result<Bytes, Refusal> {
    tokio::time::timeout(time_max, collect(body, bytes_max)).await.unwrap_or_else(|_| {
        let error = format!("the body did not arrive within {} s; send it in parts", time_max.as_secs());
        Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, error))
    })
}

/// The JSON object that a body is; an empty body is one without keys, and so is a key that is null.
///
/// # Errors
/// 400 when it is no such object: says which key is wrong, and what could stand there.
pub(crate) fn read_object<T: DeserializeOwned>(body: &[u8], keys: &[Key]) -> Result<T, Refusal> {
    let wrong = |what: String| {
        let keys: Vec<String> = keys.iter().map(|key| format!("`{}` ({})", key.name, key.holds)).collect();
        let error = format!("{what}; send a JSON object with any of {}, or {{}}", keys.join(", "));
        Refusal::new(StatusCode::BAD_REQUEST, error)
    };
    let body: &[u8] = if body.trim_ascii().is_empty() { b"{}" } else { body };
    let mut object = match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => object,
        Ok(_) => return Err(wrong("the body is JSON, but no object".to_owned())),
        Err(error) => return Err(wrong(format!("the body is not JSON: {error}"))),
    };
    object.retain(|_, value| !value.is_null());
    for (name, value) in &object {
        match keys.iter().find(|key| key.name == name) {
            Some(key) if (key.is_such)(value) => {}
            Some(key) => {
                let value: String = value.to_string().chars().take(VALUE_CHARS_MAX).collect();
                return Err(wrong(format!("`{name}` is {}, not {value}", key.holds)));
            }
            None => {
                let name: String = name.chars().take(VALUE_CHARS_MAX).collect();
                let known = instead(&name, keys.iter().map(|key| key.name));
                return Err(wrong(format!("{name:?} is unknown; {known}")));
            }
        }
    }
    serde_json::from_value(Value::Object(object)).map_err(|error| wrong(error.to_string()))
}

async fn collect(body: Body, bytes_max: usize) -> Result<Bytes, Refusal> {
    let mut chunks = body.into_data_stream();
    let mut whole = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk
            .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, format!("the body could not be read: {error}")))?;
        if whole.len() + chunk.len() > bytes_max {
            let error = format!("the body has more than {bytes_max} bytes; send it in parts");
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, error));
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_over_the_limit_is_too_large_and_one_at_the_limit_is_not() {
        let body = |bytes: usize| Body::from(vec![b'x'; bytes]);
        assert_eq!(read_small(body(8), 8, BODY_TIME_MAX).await.map(|b| b.len()).ok(), Some(8));
        let refusal = read_small(body(9), 8, BODY_TIME_MAX).await.expect_err("nine bytes");
        assert_eq!(refusal.status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[test]
    fn an_object_that_does_not_fit_is_told_by_its_key() {
        #[derive(Debug, PartialEq, serde::Deserialize)]
        struct Asked {
            rows: Option<usize>,
        }
        let keys = [Key { name: "rows", holds: "a whole number", is_such: Value::is_u64 }];
        let read = |body: &str| read_object::<Asked>(body.as_bytes(), &keys).map_err(|refusal| refusal.error);
        for (body, rows) in
            [("", None), (" \n", None), ("{}", None), (r#"{"rows": null}"#, None), (r#"{"rows":3}"#, Some(3))]
        {
            assert_eq!(read(body), Ok(Asked { rows }), "{body}");
        }
        let hint = "; send a JSON object with any of `rows` (a whole number), or {}";
        for (body, what) in [
            (r#"{"rows":"x"}"#, "`rows` is a whole number, not \"x\""),
            (r#"{"rows":-1}"#, "`rows` is a whole number, not -1"),
            (r#"{"row":1}"#, "\"row\" is unknown; did you mean `rows`? valid: rows"),
            ("[]", "the body is JSON, but no object"),
        ] {
            assert_eq!(read(body), Err(format!("{what}{hint}")), "{body}");
        }
        assert!(read("rows").is_err_and(|error| error.starts_with("the body is not JSON: ")));
    }

    #[tokio::test]
    async fn a_body_that_never_comes_is_given_up() {
        let never = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        let refusal = read_small(never, 8, Duration::from_millis(1)).await.expect_err("no body");
        assert_eq!(refusal.status, StatusCode::REQUEST_TIMEOUT);
    }
}
