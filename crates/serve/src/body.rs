//! Reads a request's body within a size and a time, so that neither a large nor a slow one costs more than its share.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    http::StatusCode,
};
use bytes::BytesMut;
use futures::StreamExt;

use crate::refusal::Refusal;

/// The longest a body may take to arrive: 16 MiB in it is 4.5 Mbit/s, slower than any network one would push over.
pub(crate) const BODY_TIME_MAX: Duration = Duration::from_secs(30);

/// The whole body, of at most `bytes_max` bytes, within `time_max`.
///
/// # Errors
/// 413 when it is larger, 408 when it is slower, 400 when the connection breaks in it.
pub(crate) async fn read(body: Body, bytes_max: usize, time_max: Duration) -> Result<Bytes, Refusal> {
    tokio::time::timeout(time_max, collect(body, bytes_max)).await.unwrap_or_else(|_| {
        let error = format!("the body did not arrive within {} s; send it in parts", time_max.as_secs());
        Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, error))
    })
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
        assert_eq!(read(body(8), 8, BODY_TIME_MAX).await.map(|b| b.len()).ok(), Some(8));
        let refusal = read(body(9), 8, BODY_TIME_MAX).await.expect_err("nine bytes");
        assert_eq!(refusal.status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn a_body_that_never_comes_is_given_up() {
        let never = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        let refusal = read(never, 8, Duration::from_millis(1)).await.expect_err("no body");
        assert_eq!(refusal.status, StatusCode::REQUEST_TIMEOUT);
    }
}
