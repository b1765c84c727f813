//! Who an event is upstream, in 128 bits: what says of an event that comes again that it was taken before.
//!
//! A key stays the same from release to release, since cursors hold keys.

use std::{fmt, str::FromStr};

/// Who an event is, as 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key(pub(crate) u128);

impl Key {
    /// FNV-1a with 128 bits over the parts: a hash that stays the same from release to release, since cursors hold it.
    /// Offset basis and prime: the Internet draft draft-eastlake-fnv, section 5.
    pub(crate) fn hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
        for byte in parts.into_iter().flatten() {
            hash = (hash ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
        Self(hash)
    }

    /// Of a text that names the event: a UUID as it is, other text hashed.
    pub(crate) fn of_id(id: &[u8]) -> Self {
        uuid(id).map_or_else(|| Self::hash([id]), Self)
    }
}

/// The 128 bits of a UUID in its usual form, 8-4-4-4-12 hexadecimal digits.
fn uuid(text: &[u8]) -> Option<u128> {
    if text.len() != 36 || text[8] != b'-' || text[13] != b'-' || text[18] != b'-' || text[23] != b'-' {
        return None;
    }
    let mut bits: u128 = 0;
    for part in [&text[..8], &text[9..13], &text[14..18], &text[19..23], &text[24..]] {
        let mut short: u64 = 0;
        for digit in part {
            let value = NIBBLES[usize::from(*digit)];
            if value > 15 {
                return None;
            }
            short = short << 4 | u64::from(value);
        }
        bits = bits << (part.len() * 4) | u128::from(short);
    }
    Some(bits)
}

/// The value of each lower- or upper-case hexadecimal digit; 255 for every other byte.
const NIBBLES: [u8; 256] = {
    let mut table = [255; 256];
    let mut value = 0;
    while value < 16 {
        table[b"0123456789abcdef"[value] as usize] = value as u8;
        table[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    table
};

/// In the form of a UUID, which it mostly is.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = format!("{:032x}", self.0);
        write!(f, "{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

impl FromStr for Key {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        uuid(text.as_bytes()).map(Self).ok_or_else(|| format!("{text:?} is not an event's key"))
    }
}
