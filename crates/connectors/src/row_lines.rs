//! A row as the line that people and programs outside read: an event as it is, a view's change with its operation.
//!
//! The sinks that write JSON share it, so that a change looks the same in a file, on standard output and in a request.

use lakehead_connector_api::{Feed, Row};

/// How rows of a feed are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowLines {
    /// Events: byte for byte.
    Events,
    /// Changes: the row with its operation before its columns, `{"_op":"update",…}`, as `lakehead view changes` shows it.
    Changes,
}

impl RowLines {
    /// For what a sink delivers.
    pub(crate) fn of(feed: &Feed) -> Self {
        match feed {
            Feed::Stream { .. } => Self::Events,
            Feed::View { .. } => Self::Changes,
        }
    }

    /// Adds `row` to `out`, without a newline.
    pub(crate) fn push(self, out: &mut Vec<u8>, row: Row<'_>) {
        match (self, row.json.strip_prefix(b"{")) {
            (Self::Changes, Some(columns)) => {
                out.extend_from_slice(b"{\"_op\":\"");
                out.extend_from_slice(row.head.operation.name().as_bytes());
                out.push(b'"');
                if columns.trim_ascii_start() != b"}" {
                    out.push(b',');
                }
                out.extend_from_slice(columns);
            }
            _ => out.extend_from_slice(row.json),
        }
    }

    /// Adds `row` to `out` as a line.
    pub(crate) fn push_line(self, out: &mut Vec<u8>, row: Row<'_>) {
        self.push(out, row);
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use lakehead_connector_api::{Operation, RowHead};

    use super::*;

    #[test]
    fn a_change_says_what_it_does_and_an_event_stays_as_it_is() {
        let line = |lines: RowLines, json: &str, operation| {
            let (head, mut out) = (RowHead { operation, ..RowHead::default() }, Vec::new());
            lines.push_line(&mut out, Row { head: &head, json: json.as_bytes() });
            String::from_utf8(out).expect("text")
        };
        assert_eq!(line(RowLines::Events, r#"{ "a":1}"#, Operation::Insert), "{ \"a\":1}\n");
        let row = r#"{"wiki":"a","edits":2}"#;
        assert_eq!(
            line(RowLines::Changes, row, Operation::Update),
            "{\"_op\":\"update\",\"wiki\":\"a\",\"edits\":2}\n"
        );
        assert_eq!(line(RowLines::Changes, "{}", Operation::Delete), "{\"_op\":\"delete\"}\n");
    }
}
