//! What one push, or one chunk of a file, has that is refused: the first so many with their reasons, and a count.
//!
//! A body of 16 MiB may hold eight million lines that are no events. Each would take some hundred bytes to tell of, so only the
//! first are kept in `rejects`; one entry more says how many there were.

use bytes::Bytes;

use crate::Reject;

/// How many are kept in `rejects`: enough to see what is wrong, and that of a usual mistake all are there.
const KEPT_MAX: usize = 1_000;

/// The bytes of what is kept of them, with their reasons and places: 1 MiB. Written as JSON, control characters take six times
/// that.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// What was refused.
#[derive(Debug, Default)]
pub struct Refusals {
    /// All that were refused.
    pub count: u64,
    /// Those that are to be kept, each with its number, in order. Whoever writes them takes them out.
    pub kept: Vec<(u64, Reject)>,
    /// How many were ever kept, and how many bytes of them.
    kept_count: usize,
    kept_bytes: usize,
    /// The number of the first that is only counted, and of the last.
    beyond: Option<(u64, u64)>,
}

impl Refusals {
    /// One more, of this number. What there is to say of it is asked for only if it is kept: its reason, its place, itself.
    pub fn add(&mut self, number: u64, what: impl FnOnce() -> Reject) {
        self.count += 1;
        if self.kept_count >= KEPT_MAX || self.kept_bytes >= KEPT_BYTES_MAX {
            let (first, _) = self.beyond.unwrap_or((number, number));
            self.beyond = Some((first, number));
            return;
        }
        let reject = what();
        self.kept_count += 1;
        let payload = reject.payload.len().min(Reject::PAYLOAD_BYTES_MAX);
        self.kept_bytes += payload + reject.reason.len() + reject.position.len();
        self.kept.push((number, reject));
    }

    /// The entry that stands for all that were only counted; said once. `place` says where what has this number stood.
    pub fn rest(&mut self, place: impl Fn(u64) -> String) -> Option<Reject> {
        let (first, last) = self.beyond.take()?;
        let more = self.count - self.kept_count as u64;
        let reason = format!("{more} more were refused and only counted; the first {} are kept", self.kept_count);
        let position = if first == last { place(first) } else { format!("{} to {}", place(first), place(last)) };
        Some(Reject { reason, position, payload: Bytes::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reject(payload: Bytes) -> Reject {
        Reject { reason: "not JSON".to_owned(), position: String::new(), payload }
    }

    #[test]
    fn the_first_are_kept_and_one_entry_stands_for_the_rest() {
        let mut refusals = Refusals::default();
        for at in 0..1_000_000 {
            refusals.add(at, || reject(Bytes::from_static(b"x")));
        }
        assert_eq!((refusals.count, refusals.kept.len()), (1_000_000, KEPT_MAX));
        let rest = refusals.rest(|at| format!("event {at}")).expect("there were more");
        assert_eq!(rest.position, "event 1000 to event 999999");
        assert!(rest.reason.starts_with("999000 more"), "{}", rest.reason);
        assert!(refusals.rest(|_| String::new()).is_none(), "it is said once");
    }

    #[test]
    fn large_ones_are_bounded_by_their_bytes() {
        let mut refusals = Refusals::default();
        let large = Bytes::from(vec![b'x'; 4 << 20]);
        for at in 0..100 {
            refusals.add(at, || reject(large.clone()));
        }
        assert_eq!(refusals.kept.len(), KEPT_BYTES_MAX / Reject::PAYLOAD_BYTES_MAX);
        assert!(refusals.rest(|_| String::new()).is_some());
    }
}
