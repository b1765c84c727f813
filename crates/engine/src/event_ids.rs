//! Ids for events that come without one: random UUIDs, version 4 (RFC 9562, section 5.4), as EventGate gives them.

use std::fmt::Write;

use crate::Error;

/// Ids that are drawn at once: one call to the system for each would take longer than the rest of an event's way.
const DRAWN: usize = 256;

/// Draws ids.
pub(crate) struct EventIds {
    bytes: Vec<u8>,
    used: usize,
}

impl EventIds {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; 16 * DRAWN], used: 16 * DRAWN }
    }

    /// The next id.
    ///
    /// # Errors
    /// When the system gives no random numbers, which is a defect of its set-up.
    pub(crate) fn next(&mut self) -> Result<String, Error> {
        if self.used == self.bytes.len() {
            getrandom::fill(&mut self.bytes)
                .map_err(|error| Error::Internal(format!("drawing random numbers: {error}")))?;
            self.used = 0;
        }
        let mut id = [0; 16];
        id.copy_from_slice(&self.bytes[self.used..self.used + 16]);
        self.used += 16;
        Ok(uuid(id))
    }
}

/// The UUID of version 4 that has these bits, where it leaves them free.
fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a text does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn an_id_says_its_version_and_its_variant() {
        assert_eq!(uuid([0; 16]), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }

    #[test]
    fn no_two_are_the_same_also_over_a_new_draw() {
        let mut ids = EventIds::new();
        let drawn: BTreeSet<String> = (0..3 * DRAWN).map(|_| ids.next().expect("random numbers")).collect();
        assert_eq!(drawn.len(), 3 * DRAWN);
    }
}
