//! The names that the protocol has in HTTP: a media type, a header and a key of the query.

/// The media type of a stream of frames.
pub const MEDIA_TYPE: &str = "text/event-stream";

/// The same with its encoding, which is always UTF-8.
pub const MEDIA_TYPE_UTF8: &str = "text/event-stream; charset=utf-8";

/// The request header that says where to resume, in lower case.
pub const LAST_EVENT_ID: &str = "last-event-id";

/// The key of the query that says at which time to begin.
pub const SINCE: &str = "since";

/// Whether a `Content-Type` says a stream of frames. Media types are compared without case, and may have parameters: RFC
/// 9110, section 8.3.1.
#[must_use]
pub fn is_event_stream(content_type: &str) -> bool {
    content_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(MEDIA_TYPE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_compared_without_case_and_parameters() {
        for stream in [MEDIA_TYPE, MEDIA_TYPE_UTF8, "Text/Event-Stream;charset=UTF-8", "TEXT/EVENT-STREAM ; a=b"] {
            assert!(is_event_stream(stream), "{stream}");
        }
        for other in ["", "text/html", "text/event-stream-not", "application/json; a=text/event-stream"] {
            assert!(!is_event_stream(other), "{other}");
        }
    }
}
