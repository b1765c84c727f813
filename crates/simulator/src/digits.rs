//! Numbers, times and UUIDs as text, straight into a buffer: the generator's hot path has no formatter and no allocation.

const PAIRS: &[u8; 200] =
    b"0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849\
5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";
const HEX: &[u8; 16] = b"0123456789abcdef";

#[inline]
fn pair(value: u64) -> [u8; 2] {
    let at = (value as usize % 100) * 2;
    [PAIRS[at], PAIRS[at + 1]]
}

/// Writes an unsigned number.
#[inline]
pub(crate) fn push_u64(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    while value >= 100 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&pair(value % 100));
        value /= 100;
    }
    if value >= 10 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&pair(value));
    } else {
        at -= 1;
        digits[at] = b'0' + value as u8;
    }
    out.extend_from_slice(&digits[at..]);
}

/// Writes a signed number.
#[inline]
pub(crate) fn push_i64(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    push_u64(out, value.unsigned_abs());
}

/// A civil date and time of Unix milliseconds: year, month, day, hour, minute, second, millisecond. The date by Howard
/// Hinnant's `civil_from_days` ("chrono-compatible low-level date algorithms", 2013).
fn civil(millis: i64) -> [u64; 7] {
    let days = millis.div_euclid(86_400_000);
    let rest = millis.rem_euclid(86_400_000) as u64;
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    [year as u64, month as u64, day as u64, rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60, rest % 1000]
}

/// Writes Unix milliseconds of the years 0 to 9999 as `2026-02-26T15:49:36.569Z`.
#[inline]
pub(crate) fn push_rfc3339(out: &mut Vec<u8>, millis: i64) {
    let [year, month, day, hour, minute, second, milli] = civil(millis);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    text[0..2].copy_from_slice(&pair(year / 100));
    text[2..4].copy_from_slice(&pair(year));
    for (at, part) in [(5, month), (8, day), (11, hour), (14, minute), (17, second), (21, milli)] {
        text[at..at + 2].copy_from_slice(&pair(part));
    }
    text[20] = b'0' + (milli / 100) as u8;
    text[21..23].copy_from_slice(&pair(milli));
    out.extend_from_slice(&text);
}

/// Writes the date of Unix milliseconds as MediaWiki's database does: `20260226154936`.
pub(crate) fn push_compact_date(out: &mut Vec<u8>, millis: i64) {
    let [year, month, day, hour, minute, second, _] = civil(millis);
    for part in [year / 100, year, month, day, hour, minute, second] {
        out.extend_from_slice(&pair(part));
    }
}

/// Writes a version 4 UUID (RFC 9562) of 122 of these bits.
#[inline]
pub(crate) fn push_uuid(out: &mut Vec<u8>, high: u64, low: u64) {
    let high = (high & 0xffff_ffff_ffff_0fff) | 0x4000;
    let low = (low & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000;
    let mut text = [b'-'; 36];
    let mut at = 0;
    for byte in high.to_be_bytes().into_iter().chain(low.to_be_bytes()) {
        if matches!(at, 8 | 13 | 18 | 23) {
            at += 1;
        }
        text[at] = HEX[usize::from(byte >> 4)];
        text[at + 1] = HEX[usize::from(byte & 15)];
        at += 2;
    }
    out.extend_from_slice(&text);
}

/// Writes `count` hexadecimal digits of the bits, at most 16.
pub(crate) fn push_hex(out: &mut Vec<u8>, bits: u64, count: u32) {
    for place in (0..count).rev() {
        out.push(HEX[(bits >> (place * 4)) as usize & 15]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("ascii")
    }

    #[test]
    fn numbers_read_as_the_standard_library_writes_them() {
        for value in [0, 9, 10, 99, 100, 101, 6_500_000_123, u64::MAX] {
            assert_eq!(text(|out| push_u64(out, value)), value.to_string());
        }
        assert_eq!(text(|out| push_i64(out, -1)), "-1");
        assert_eq!(text(|out| push_i64(out, i64::MIN)), i64::MIN.to_string());
        assert_eq!(text(|out| push_hex(out, 0xabc, 5)), "00abc");
    }

    #[test]
    fn times_read_as_jiff_writes_them() {
        for millis in [0, 951_782_399_999, 951_868_800_000, 1_772_120_976_569, 4_102_444_799_001, -1] {
            let time = jiff::Timestamp::from_millisecond(millis).expect("a time");
            assert_eq!(text(|out| push_rfc3339(out, millis)), format!("{time:.3}"));
        }
        assert_eq!(text(|out| push_compact_date(out, 1_772_120_976_569)), "20260226154936");
    }

    #[test]
    fn uuids_are_of_version_4() {
        assert_eq!(text(|out| push_uuid(out, u64::MAX, u64::MAX)), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(text(|out| push_uuid(out, 0, 0)), "00000000-0000-4000-8000-000000000000");
    }
}
