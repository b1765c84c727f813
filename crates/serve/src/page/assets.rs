//! The page and its files, compiled into the binary.
//!
//! Every file but the page itself lies below a folder named after a hash of them all, so that a browser may keep it for
//! ever and still sees each new version at once. The page is asked for anew each time. What needs the chart library, which is
//! large, is made when it is first asked for: a process that nobody looks at never reads it.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::OnceLock,
};

use axum::{
    body::Bytes,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};

use super::chart_library::ChartLibrary;

#[derive(rust_embed::Embed)]
#[folder = "assets/"]
struct Files;

const PAGE: &str = "index.html";
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// The page and what it loads.
pub(crate) struct Assets {
    /// The page, but for the chart library's address.
    template: String,
    page: OnceLock<Bytes>,
    folder: String,
    files: BTreeMap<String, Bytes>,
    charts: OnceLock<ChartLibrary>,
}

impl Assets {
    /// Takes the files out of the binary and writes their addresses into the page.
    /// `simulated` says whether what the page shows is made up; then it says so.
    pub(crate) fn new(simulated: bool) -> Self {
        let mut files = BTreeMap::new();
        let mut hasher = DefaultHasher::new();
        for name in Files::iter() {
            let data = Files::get(&name).map(|file| Bytes::from(file.data.into_owned())).unwrap_or_default();
            data.hash(&mut hasher);
            files.insert(name.into_owned(), data);
        }
        let folder = format!("{:016x}", hasher.finish());
        let page = files.remove(PAGE).unwrap_or_default();
        let template = String::from_utf8_lossy(&page)
            .replace("{assets}", &format!("/assets/{folder}"))
            .replace("{simulated}", if simulated { "" } else { "hidden" });
        Self { template, page: OnceLock::new(), folder, files, charts: OnceLock::new() }
    }

    fn charts(&self) -> &ChartLibrary {
        self.charts.get_or_init(ChartLibrary::new)
    }

    /// The page itself.
    pub(crate) fn page(&self) -> &Bytes {
        self.page.get_or_init(|| {
            Bytes::from(self.template.replace("{plotly}", &format!("/assets/{}/plotly.js", self.charts().hash())))
        })
    }

    /// The file at `/assets/{folder}/{name}` as an answer, where there is one; compressed only if the client takes `gzip`.
    pub(crate) async fn file(&self, folder: &str, name: &str, gzip: bool) -> Option<Response> {
        if name == "plotly.js" && folder == self.charts().hash() {
            return Some(with_headers(content_type(name), self.charts().answer(gzip).await));
        }
        let file = self.files.get(name).filter(|_| folder == self.folder)?;
        Some(with_headers(content_type(name), file.clone()))
    }
}

fn with_headers(content_type: &'static str, answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, FOR_EVER);
    response
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_only_files_that_are_there_and_nothing_outside() {
        let assets = Assets::new(false);
        let page = std::str::from_utf8(assets.page()).expect("a page in UTF-8");
        assert!(!page.contains("{assets}") && !page.contains("{plotly}") && !page.contains("{simulated}"));
        let prefix = format!("/assets/{}/", assets.folder);
        let named: Vec<_> =
            page.split(&prefix).skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect();
        assert_eq!(named, ["icon.svg", "style.css", "app.js"]);
        assert!(named.iter().all(|name| assets.files.contains_key(name)));
        for (name, file) in &assets.files {
            let text = std::str::from_utf8(file).expect("text");
            assert!(!text.contains("innerHTML"), "{name} writes markup");
            for import in text.split("from \"./").skip(1).filter_map(|rest| rest.split('"').next()) {
                assert!(assets.files.contains_key(import), "{name} imports {import}");
            }
        }
    }
}
