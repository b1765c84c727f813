//! Plotly's script, from the crate that carries it.
//!
//! The crate hands out a piece of HTML with several scripts in it; only the first, Plotly itself, is taken. It is
//! compressed when it is first asked for (4.6 MB to 1.4 MB, a third of a second) and kept compressed only.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    io::{Read, Write},
};

use axum::{
    body::Bytes,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use tokio::sync::OnceCell;

/// The chart library's script.
pub(crate) struct ChartLibrary {
    hash: String,
    compressed: OnceCell<Bytes>,
}

impl ChartLibrary {
    pub(crate) fn new() -> Self {
        let mut hasher = DefaultHasher::new();
        script().hash(&mut hasher);
        Self { hash: format!("{:016x}", hasher.finish()), compressed: OnceCell::new() }
    }

    /// What its address holds, so that it may be kept for ever.
    pub(crate) fn hash(&self) -> &str {
        &self.hash
    }

    /// The script, compressed if the client takes that.
    pub(crate) async fn answer(&self, gzip: bool) -> Response {
        let compressed = self.compressed.get_or_init(|| async { blocking(|| compress(&script())).await }).await.clone();
        let vary = (header::VARY, HeaderValue::from_static("accept-encoding"));
        if gzip {
            ([vary, (header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))], compressed).into_response()
        } else {
            ([vary], blocking(move || decompress(&compressed)).await).into_response()
        }
    }
}

/// The text of the first script in the crate's HTML.
fn script() -> String {
    let html = plotly::Plot::offline_js_sources();
    let start = html.find('>').map_or(0, |at| at + 1);
    let end = html.find("</script>").unwrap_or(html.len());
    html.get(start..end).unwrap_or_default().to_owned()
}

async fn blocking(work: impl FnOnce() -> Vec<u8> + Send + 'static) -> Bytes {
    Bytes::from(tokio::task::spawn_blocking(work).await.unwrap_or_default())
}

fn compress(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).expect("writing into memory does not fail")
}

fn decompress(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut text).expect("we compressed it ourselves");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_plotly_and_nothing_else() {
        let script = script();
        assert!(script.starts_with("/**\n* plotly.js v"), "{:?}", script.get(..60));
        assert!(script.trim_end().ends_with("return Plotly;\n}));"));
        assert!(script.len() < 5_000_000 && !script.contains("MathJax.loader"));
        assert_eq!(decompress(&compress(&script)), script.as_bytes());
    }
}
