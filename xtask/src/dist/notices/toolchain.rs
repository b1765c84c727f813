//! Rust's standard library, which is linked into every program and is in nobody's list of crates.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result};

use super::{licensed::Licensed, standard};
use crate::command::output;

/// Where a toolchain of rustup has the library's notices, and those of the crates within it.
const PAGE: &str = "share/doc/rust/COPYRIGHT-library.html";

/// The library's licence, as it states it.
const LICENCE: &str = "MIT OR Apache-2.0";

/// It, with the notices that the toolchain brings; one that brings none leaves the licence's text.
pub(super) fn library() -> Result<Licensed> {
    let version = output(Command::new("rustc").arg("--version"))?;
    let folder = PathBuf::from(output(Command::new("rustc").args(["--print", "sysroot"]))?.trim());
    let texts = match fs::read_to_string(folder.join(PAGE)) {
        Ok(page) => vec![("COPYRIGHT-library.html, as text".to_owned(), plain(&page))],
        Err(_) => standard::texts(LICENCE).context("the texts of MIT and Apache-2.0 are here")?,
    };
    Ok(Licensed {
        name: format!("Rust's standard library, {}", version.trim()),
        licence: LICENCE.to_owned(),
        about: "https://github.com/rust-lang/rust".to_owned(),
        texts,
    })
}

/// The text of a page of HTML: without tags, with at most one blank line in a row.
fn plain(page: &str) -> String {
    let body = page.find("<body").map_or(page, |at| &page[at..]);
    let mut text = String::with_capacity(body.len());
    let mut rest = body;
    while let Some(tag) = rest.find('<') {
        text.push_str(&rest[..tag]);
        rest = rest[tag..].find('>').map_or("", |end| &rest[tag + end + 1..]);
    }
    text.push_str(rest);
    for (written, character) in [
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#38;", "&"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ] {
        text = text.replace(written, character);
    }
    let mut lines = Vec::new();
    for line in text.lines().map(str::trim_end) {
        if !(line.is_empty() && lines.last().is_none_or(|last: &&str| last.is_empty())) {
            lines.push(line);
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_becomes_text() {
        let page = "<head><style>p { }</style></head><body class=\"a\">\n<h1>Notices</h1>\n\n\n<p>Ada &#60;ada&#62; &amp; <b>Bo</b></p>\n</body>";
        assert_eq!(plain(page), "Notices\n\nAda <ada> & Bo");
    }
}
