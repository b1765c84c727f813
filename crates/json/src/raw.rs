//! One value as its bytes, read as what is asked for.

use std::borrow::Cow;

use lakehead_model::Timestamp;

/// The bytes of one value inside a valid document. Each `as_…` answers `None` when the value is of another type: a
/// number in a string is text, not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'d> {
    bytes: &'d [u8],
    escaped: bool,
}

impl<'d> Raw<'d> {
    /// Takes `value`, the bytes of exactly one valid JSON value without white space around it.
    #[must_use]
    pub fn new(value: &'d [u8]) -> Self {
        Self { bytes: value, escaped: value.first() == Some(&b'"') && memchr::memchr(b'\\', value).is_some() }
    }

    /// The same for a value that was just stepped over, so that it is known whether it is a string with escapes.
    #[inline]
    pub(crate) fn known(value: &'d [u8], escaped: bool) -> Self {
        Self { bytes: value, escaped }
    }

    /// The value as it is written.
    #[must_use]
    pub fn bytes(self) -> &'d [u8] {
        self.bytes
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(self) -> bool {
        self.bytes == b"null"
    }

    /// `true` or `false`.
    #[must_use]
    pub fn as_bool(self) -> Option<bool> {
        match self.bytes {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        }
    }

    /// A number that is written as an integer and fits 64 bits: `7` and `-0`, but not `7.0`, `7e0` or `"7"`.
    #[must_use]
    #[inline]
    pub fn as_i64(self) -> Option<i64> {
        let (negative, digits) = match self.bytes {
            [b'-', digits @ ..] => (true, digits),
            digits => (false, digits),
        };
        // Nineteen digits fit 64 bits without a sign; an integer of more does not fit with one.
        if digits.is_empty() || digits.len() > 19 {
            return None;
        }
        let mut magnitude = 0_u64;
        for digit in digits {
            let digit = digit.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            magnitude = magnitude * 10 + u64::from(digit);
        }
        if negative { 0_i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
    }

    /// Any number, as the nearest 64-bit float; one beyond its range is `None`.
    #[must_use]
    pub fn as_f64(self) -> Option<f64> {
        if !matches!(self.bytes.first(), Some(b'-' | b'0'..=b'9')) {
            return None;
        }
        std::str::from_utf8(self.bytes).ok()?.parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// The text of a string, escapes resolved; borrowed where there are none. A lone surrogate, which no text can
    /// hold, becomes U+FFFD.
    #[must_use]
    pub fn as_str(self) -> Option<Cow<'d, str>> {
        let text = self.quoted()?;
        match self.escaped {
            false => std::str::from_utf8(text).ok().map(Cow::Borrowed),
            true => unescape(text).map(Cow::Owned),
        }
    }

    /// The text of a string that has no escapes, borrowed; `None` for any other value.
    #[must_use]
    pub fn unescaped(self) -> Option<&'d str> {
        std::str::from_utf8(self.unescaped_bytes()?).ok()
    }

    /// As [`unescaped`](Self::unescaped), without being checked for UTF-8 again: for whoever checks many at once.
    #[must_use]
    #[inline]
    pub fn unescaped_bytes(self) -> Option<&'d [u8]> {
        if self.escaped { None } else { self.quoted() }
    }

    /// An integer that fits 64 bits, however it is written: `7`, `7.0`, `7e0` and `70e-1`, but not `7.5` or `"7"`.
    #[must_use]
    #[inline]
    pub fn as_integer(self) -> Option<i64> {
        self.as_i64().or_else(|| self.as_whole())
    }

    /// A number of `1/micros_each` microseconds as microseconds, where these fit 64 bits.
    pub(crate) fn as_micros(self, micros_each: i64) -> Option<Timestamp> {
        if let Some(whole) = self.as_i64() {
            return whole.checked_mul(micros_each).map(Timestamp);
        }
        if let Some(micros) = self.decimal_micros(micros_each) {
            return Some(Timestamp(micros));
        }
        #[allow(clippy::cast_precision_loss)]
        let micros = (self.as_f64()? * micros_each as f64).floor();
        // From minus two to the 63rd up to below two to the 63rd the cast is exact.
        let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&micros);
        #[allow(clippy::cast_possible_truncation)]
        if fits { Some(Timestamp(micros as i64)) } else { None }
    }

    /// Whether it is a string whose text is `text`.
    #[must_use]
    pub fn is_text(self, text: &str) -> bool {
        match self.escaped {
            false => self.quoted() == Some(text.as_bytes()),
            true => self.as_str().is_some_and(|own| own == text),
        }
    }

    /// A number with a fraction or an exponent that is an integer all the same, exactly.
    fn as_whole(self) -> Option<i64> {
        let (negative, number) = match self.bytes {
            [b'-', number @ ..] => (true, number),
            number => (false, number),
        };
        if !number.first()?.is_ascii_digit() {
            return None;
        }
        let e = number.iter().position(|byte| matches!(byte, b'e' | b'E'));
        let (mantissa, mut exponent) = match e {
            None => (number, 0),
            Some(at) => (&number[..at], exponent(&number[at + 1..])?),
        };
        let point = mantissa.iter().position(|byte| *byte == b'.');
        let fraction = point.map_or(0, |at| mantissa.len() - at - 1);
        exponent = exponent.checked_sub(i64::try_from(fraction).ok()?)?;
        // Zeros at the end say nothing but how great the rest is.
        let last = mantissa.iter().rposition(|byte| matches!(byte, b'1'..=b'9'));
        let Some(last) = last else { return Some(0) };
        let zeros = mantissa[last + 1..].iter().filter(|byte| **byte == b'0').count();
        exponent = exponent.checked_add(i64::try_from(zeros).ok()?)?;
        let exponent = u32::try_from(exponent).ok().filter(|exponent| *exponent <= 18)?;
        let mut magnitude = 0_u64;
        for byte in mantissa[..=last].iter().filter(|byte| **byte != b'.') {
            magnitude = magnitude.checked_mul(10)?.checked_add(u64::from(byte.wrapping_sub(b'0')))?;
        }
        let magnitude = magnitude.checked_mul(10_u64.pow(exponent))?;
        if negative { 0_i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
    }

    /// A number with a fraction and without an exponent, exactly: a float would be a microsecond off now and then.
    fn decimal_micros(self, micros_each: i64) -> Option<i64> {
        let point = self.bytes.iter().position(|byte| *byte == b'.')?;
        let (whole, fraction) = (Raw::known(&self.bytes[..point], false), &self.bytes[point + 1..]);
        if !fraction.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let mut micros = whole.as_i64()?.checked_mul(micros_each)?;
        let away = if self.bytes[0] == b'-' { -1 } else { 1 };
        let mut digit_micros = micros_each / 10;
        let mut below = false;
        for digit in fraction {
            let digit = i64::from(digit - b'0');
            below |= digit_micros == 0 && digit > 0;
            micros = micros.checked_add(away * digit * digit_micros)?;
            digit_micros /= 10;
        }
        if below && away < 0 { micros.checked_sub(1) } else { Some(micros) }
    }

    /// What stands between the quotes of a string.
    #[inline]
    pub(crate) fn quoted(self) -> Option<&'d [u8]> {
        match self.bytes {
            [b'"', text @ .., b'"'] => Some(text),
            _ => None,
        }
    }
}

/// An exponent, sign and all. One of more than six digits is as far away as any: no number with it is an integer that fits.
fn exponent(digits: &[u8]) -> Option<i64> {
    let (negative, digits) = match digits {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    let mut exponent = 0_i64;
    for digit in digits {
        exponent = (exponent * 10 + i64::from(digit.wrapping_sub(b'0'))).min(1_000_000);
    }
    Some(if negative { -exponent } else { exponent })
}

/// Resolves the escapes of a valid string's text. `None` only for text that is not valid.
pub(crate) fn unescape(text: &[u8]) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(n) = memchr::memchr(b'\\', rest) {
        plain.push_str(std::str::from_utf8(&rest[..n]).ok()?);
        let escape = *rest.get(n + 1)?;
        rest = &rest[n + 2..];
        plain.push(match escape {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let (unit, after) = code_unit(rest)?;
                rest = after;
                if let 0xd800..=0xdbff = unit
                    && let Some((low @ 0xdc00..=0xdfff, after)) = rest.strip_prefix(b"\\u").and_then(code_unit)
                {
                    rest = after;
                    char::from_u32(0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00))?
                } else {
                    char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)
                }
            }
            other => char::from(other),
        });
    }
    plain.push_str(std::str::from_utf8(rest).ok()?);
    Some(plain)
}

/// The four hexadecimal digits at the head of `text`, and what follows them.
fn code_unit(text: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, after) = text.split_at_checked(4)?;
    let mut unit = 0;
    for digit in digits {
        unit = unit << 4 | char::from(*digit).to_digit(16)?;
    }
    Some((unit, after))
}
