//! The body of an answer that comes piece by piece: whole and with its length when it is small, else as the client takes it.

use axum::{
    BoxError,
    body::{Body, Bytes},
};
use bytes::BytesMut;
use futures::{Stream, StreamExt, stream};

/// What small answers have at most: they go out at once, with their length.
const AT_ONCE_BYTES_MAX: usize = 64 << 10;

/// The body that `pieces` make. An error must be the last of them: the connection ends there, in the middle of the answer.
///
/// # Errors
/// What comes in place of a piece before anything has been sent.
pub(crate) async fn streamed<E>(pieces: impl Stream<Item = Result<Bytes, E>> + Send + 'static) -> Result<Body, E>
where
    E: Into<BoxError> + Send + 'static,
{
    let mut pieces = Box::pin(pieces);
    let mut first = BytesMut::new();
    while first.len() <= AT_ONCE_BYTES_MAX {
        match pieces.next().await {
            Some(piece) => first.extend_from_slice(&piece?),
            None => return Ok(Body::from(first.freeze())),
        }
    }
    let first = stream::once(async { Ok(first.freeze()) });
    Ok(Body::from_stream(first.chain(pieces)))
}
