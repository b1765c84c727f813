//! Whether an event's window is still open, can be corrected, or is settled.

use std::time::Duration;

use lakehead_model::Timestamp;

/// What becomes of an event, judged by its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Timeliness {
    /// Its window is open: it is counted as usual.
    OnTime,
    /// Its window was emitted, not long ago: it corrects the result.
    Late,
    /// Its window was emitted and is settled: it is counted as lost to the view, and stays in the log.
    TooLate,
}

/// Judges an event by the end of its window, or of the first of its windows where it has several. Windows that end at
/// or before `closed_until` were emitted; `watermark` is how far the stream is complete, at or after `closed_until`.
///
/// ```text
/// OnTime   closed_until < window_end
/// Late     window_end <= closed_until  and  watermark < window_end + lateness
/// TooLate  window_end <= closed_until  and  window_end + lateness <= watermark
/// ```
///
/// With everything closed until 14:00 and a lateness of one hour an event in `[13:59, 14:00)` is late until the
/// watermark reaches 15:00, and then too late; one in `[14:00, 14:01)` is on time.
#[must_use]
pub fn classify(
    window_end: Timestamp,
    closed_until: Timestamp,
    lateness: Duration,
    watermark: Timestamp,
) -> Timeliness {
    if closed_until < window_end {
        Timeliness::OnTime
    } else if watermark < window_end.plus(lateness) {
        Timeliness::Late
    } else {
        Timeliness::TooLate
    }
}

#[cfg(test)]
mod tests {
    use super::{Timeliness::*, *};

    #[test]
    fn late_event_corrects_until_lateness_ends() {
        let seconds = Timestamp::from_seconds;
        let check = |end, closed_until, watermark, expected| {
            let hour = Duration::from_secs(3_600);
            assert_eq!(classify(seconds(end), seconds(closed_until), hour, seconds(watermark)), expected, "{end}");
        };
        check(60, 0, 0, OnTime);
        check(60, 59, 59, OnTime);
        check(60, 60, 60, Late);
        check(60, 60, 3_659, Late);
        check(60, 60, 3_660, TooLate);
        check(60, 60, 99_999, TooLate);
        check(120, 60, 99_999, OnTime);
    }

    #[test]
    fn without_lateness_nothing_is_corrected() {
        assert_eq!(classify(Timestamp(60), Timestamp(60), Duration::ZERO, Timestamp(60)), TooLate);
        assert_eq!(classify(Timestamp(60), Timestamp(59), Duration::ZERO, Timestamp(59)), OnTime);
    }
}
