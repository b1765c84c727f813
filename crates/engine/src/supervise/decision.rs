//! What follows from the failure of a source's run. Pure: a failure in, a decision out.

use std::time::Duration;

use lakehead_connector_api::Error as SourceError;
use lakehead_model::Kind;

use crate::ingest::Failure;

/// What follows from a failure.
#[derive(Debug, PartialEq)]
pub(super) enum Decision {
    /// Wait, open again.
    Away { error: String, asked: Option<Duration> },
    /// Wait until the store can write.
    StoreCannotWrite(String),
    /// It is over.
    Failed(String),
    /// Everything is being closed, or the store was stopped by a defect.
    Stopped,
}

/// Decides by who said no, and of what kind the error is.
pub(super) fn classify(failure: Failure) -> Decision {
    match failure {
        Failure::Source(SourceError::Unavailable { what, retry_after }) => {
            Decision::Away { error: what, asked: retry_after }
        }
        Failure::Source(error) => match error.kind() {
            Kind::Unavailable => Decision::Away { error: error.to_string(), asked: None },
            Kind::Internal => Decision::Failed(format!("defect: {error}")),
            _ => Decision::Failed(error.to_string()),
        },
        Failure::Store(error) => match error.kind() {
            Kind::Unavailable => Decision::StoreCannotWrite(error.to_string()),
            Kind::Closed => Decision::Stopped,
            _ => Decision::Failed(error.to_string()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn who_says_no_decides_what_follows() {
        let away = SourceError::Unavailable { what: "refused".into(), retry_after: Some(Duration::from_secs(7)) };
        let expected = Decision::Away { error: "refused".into(), asked: Some(Duration::from_secs(7)) };
        assert_eq!(classify(Failure::Source(away)), expected);
        let wrong = Failure::Source(SourceError::Invalid("no such stream".into()));
        assert_eq!(classify(wrong), Decision::Failed("no such stream".into()));
        assert_eq!(classify(Failure::Store(Error::Stopping)), Decision::Stopped);
    }
}
