//! What is told of errors and of texts from outside.

use lakehead_connector_api::Error as ConnectorError;
use lakehead_model::Kind;
use lakehead_query::panic_words;
use tokio::task::JoinError;

/// What a connector's error means, when it comes before a start.
pub(super) fn said(error: &ConnectorError) -> String {
    match error.kind() {
        Kind::Unavailable => format!("{error} (`run` would try again)"),
        _ => error.to_string(),
    }
}

/// A connector that has panicked, which is a failure like another.
pub(super) fn panicked(error: JoinError) -> String {
    let said = error.try_into_panic().map(|panic| panic_words(panic.as_ref()));
    format!("stopped by a defect: {}", said.unwrap_or_else(|error| error.to_string()))
}

/// How `bytes` begin, as text of at most so many characters.
pub(super) fn beginning(bytes: &[u8], characters: usize) -> String {
    // A character has at most four bytes.
    let (head, is_cut) = (&bytes[..bytes.len().min(4 * characters)], bytes.len() > 4 * characters);
    let text = String::from_utf8_lossy(head);
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None if is_cut => format!("{text}…"),
        None => text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_text_is_cut_between_characters() {
        for (text, shown) in [("", ""), ("abc", "abc"), ("abcd", "abc…"), ("äöü", "äöü"), ("äöüß", "äöü…")]
        {
            assert_eq!(beginning(text.as_bytes(), 3), shown);
        }
        assert_eq!(beginning(b"\xff\xfe", 3), "\u{fffd}\u{fffd}");
        assert!(beginning("🦀🦀🦀🦀".as_bytes(), 3).ends_with('…'));
    }
}
