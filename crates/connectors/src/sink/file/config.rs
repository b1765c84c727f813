//! What a user may set.

use std::{path::PathBuf, time::Duration};

use lakehead_model::{ByteSize, Span};
use schemars::JsonSchema;
use serde::Deserialize;

use super::template::Template;

/// Settings of a `file` sink.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The folder that files are written into; it is made if it is not there. A relative path is below the folder that Lakehead
    /// was started in.
    pub(super) path: PathBuf,
    /// `lines`: many rows in a file, one line of JSON each. `one_file_an_event`: a file for each row. Default: `lines`.
    #[serde(default)]
    pub(super) layout: Layout,
    /// How bytes are compressed: `none`, `gzip` or `zstd`; the file's name ends in `.gz` or `.zst` then. Default: `none`.
    #[serde(default)]
    pub(super) compression: FileCompression,
    /// Folders below `path` by the time of the event, in UTC, so that no folder gets too many files: `none`, `day` as in
    /// `2026/11/30`, or `hour` as in `2026/11/30/06`. A file of lines goes by its first row; what has no time goes into
    /// `no_time`. Default: `none`.
    #[serde(default)]
    pub(super) folders: Folders,
    /// With `one_file_an_event`: the name of a row's file. `{position}` is the row's own name, as in `recentchange-0-1200`,
    /// which no other row has; `{id}` or `{meta.id}` is what the event has there, or the row's position where it has nothing
    /// or no text, number or boolean. What is not a letter, a digit, `.`, `_` or `-` becomes `_`. Default:
    /// `"{position}.json"`.
    #[serde(default)]
    pub(super) name: Option<Template>,
    /// With `lines`: a file is finished once it has so many rows. From 1 to 100 million. Default: 100,000.
    #[serde(default)]
    pub(super) rows_max: Option<u64>,
    /// With `lines`: a file is finished before it has more bytes than this, compression not counted. From 1 KiB to 64 GiB.
    /// Default: 64 MiB, half a block of HDFS, which programs that read many files at once like best.
    #[serde(default)]
    pub(super) bytes_max: Option<ByteSize>,
    /// With `lines`: a file is finished so long after its first row, also if no more rows come. From 1s to 7d. Default: 10m.
    #[serde(default)]
    pub(super) age_max: Option<Span>,
}

/// How rows are laid out in files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Layout {
    #[default]
    Lines,
    OneFileAnEvent,
}

/// How a file's bytes are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum FileCompression {
    #[default]
    None,
    Gzip,
    Zstd,
}

/// Folders below the path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Folders {
    #[default]
    None,
    Day,
    Hour,
}

/// When a file of lines is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rotation {
    pub(super) rows_max: u64,
    pub(super) bytes_max: u64,
    pub(super) age_max: Duration,
}

impl Config {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.path.as_os_str().is_empty() {
            return Err("path: expected a folder, as in \"./out\", found nothing".to_owned());
        }
        let Rotation { rows_max, bytes_max, age_max } = self.rotation();
        if !(1..=100_000_000).contains(&rows_max) {
            return Err(format!("rows_max: expected 1 to 100000000, found {rows_max}"));
        }
        if !(1 << 10..=64 << 30).contains(&bytes_max) {
            return Err(format!("bytes_max: expected 1 KiB to 64 GiB, found {}", ByteSize(bytes_max)));
        }
        if !(Duration::from_secs(1)..=Duration::from_secs(7 * 86_400)).contains(&age_max) {
            return Err(format!("age_max: expected 1s to 7d, found {}", Span(age_max)));
        }
        let of_lines = [
            ("rows_max", self.rows_max.is_some()),
            ("bytes_max", self.bytes_max.is_some()),
            ("age_max", self.age_max.is_some()),
        ];
        match (self.layout, of_lines.into_iter().find(|(_, is_set)| *is_set)) {
            (Layout::Lines, _) if self.name.is_some() => {
                Err("name: only with layout = \"one_file_an_event\"; a file of lines is named by its rows".to_owned())
            }
            (Layout::OneFileAnEvent, Some((key, _))) => Err(format!("{key}: only with layout = \"lines\"")),
            _ => Ok(()),
        }
    }

    pub(super) fn rotation(&self) -> Rotation {
        Rotation {
            rows_max: self.rows_max.unwrap_or(100_000),
            bytes_max: self.bytes_max.unwrap_or(ByteSize::mib(64)).0,
            age_max: self.age_max.unwrap_or(Span::seconds(600)).0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_work_are_refused_by_their_key() {
        let check = |settings: serde_json::Value| {
            serde_json::from_value::<Config>(settings).map_err(|error| error.to_string())?.check()
        };
        let each = "one_file_an_event";
        for good in [
            serde_json::json!({ "path": "out" }),
            serde_json::json!({ "path": "/a", "rows_max": 1, "bytes_max": "1 KiB", "age_max": "7d", "folders": "hour" }),
            serde_json::json!({ "path": "out", "layout": each, "name": "change_{id}.json", "compression": "zstd" }),
        ] {
            assert_eq!(check(good.clone()), Ok(()), "{good}");
        }
        for (settings, wanted) in [
            (serde_json::json!({}), "missing field `path`"),
            (serde_json::json!({ "path": "" }), "path: expected a folder"),
            (serde_json::json!({ "path": "a", "row_max": 1 }), "unknown field `row_max`"),
            (serde_json::json!({ "path": "a", "rows_max": 0 }), "rows_max: expected 1"),
            (serde_json::json!({ "path": "a", "bytes_max": "1 B" }), "bytes_max: expected 1 KiB"),
            (serde_json::json!({ "path": "a", "age_max": "1ms" }), "age_max: expected 1s"),
            (serde_json::json!({ "path": "a", "layout": "one" }), "one_file_an_event"),
            (
                serde_json::json!({ "path": "a", "layout": each, "rows_max": 1 }),
                "rows_max: only with layout = \"lines\"",
            ),
            (serde_json::json!({ "path": "a", "name": "{id}" }), "name: only with"),
            (serde_json::json!({ "path": "a", "compression": "bzip2" }), "`gzip`"),
        ] {
            let error = check(settings.clone()).expect_err(wanted);
            assert!(error.contains(wanted), "{settings}: {error}");
        }
    }
}
