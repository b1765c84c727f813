//! What is shown nowhere: keys are taken out of whatever a server says before a person, a log or a reject gets it.
//!
//! A server that is asked with a key may well answer with it, as in "invalid API key: …".

use std::borrow::Cow;

use bytes::Bytes;

use super::template::percent_encoded;

/// Shorter than this, a secret would be found in any text.
const SECRET_BYTES_MIN: usize = 4;

/// Texts that are shown nowhere.
pub(super) struct Hidden(Vec<Vec<u8>>);

impl Hidden {
    /// These, as they are and as an address has them; of `Bearer abc` also the last word.
    pub(super) fn new<'s>(secrets: impl Iterator<Item = &'s str>) -> Self {
        let mut all: Vec<Vec<u8>> = Vec::new();
        for secret in secrets {
            let word = secret.rsplit(' ').next().unwrap_or_default();
            for text in [secret, word] {
                all.extend([text.as_bytes().to_vec(), percent_encoded(text).into_bytes()]);
            }
        }
        all.retain(|secret| secret.len() >= SECRET_BYTES_MIN);
        // The longest first, so that nothing of one is left over that has another in it.
        all.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        all.dedup();
        Self(all)
    }

    /// `text` with `***` in their places.
    pub(super) fn text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.replaced(text.as_bytes())).into_owned()
    }

    /// `bytes` with `***` in their places.
    pub(super) fn bytes(&self, bytes: Bytes) -> Bytes {
        match self.replaced(&bytes) {
            Cow::Borrowed(_) => bytes,
            Cow::Owned(replaced) => replaced.into(),
        }
    }

    /// The first `bytes_max` of `bytes` at most, without the beginning of one that the cut goes through.
    pub(super) fn head(&self, bytes: Bytes, bytes_max: usize) -> Bytes {
        let is_cut = bytes.len() >= bytes_max;
        let mut head = self.bytes(bytes);
        head.truncate(bytes_max);
        let begun = |secret: &Vec<u8>| (1..secret.len()).rev().find(|length| head.ends_with(&secret[..*length]));
        let begun = self.0.iter().filter_map(begun).max().filter(|_| is_cut).unwrap_or(0);
        head.truncate(head.len() - begun);
        head
    }

    fn replaced<'b>(&self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        let mut replaced = Cow::Borrowed(bytes);
        for secret in &self.0 {
            let found: Vec<usize> = memchr::memmem::find_iter(&replaced, secret).collect();
            if found.is_empty() {
                continue;
            }
            let mut without = Vec::with_capacity(replaced.len());
            let mut from = 0;
            for at in found {
                without.extend_from_slice(&replaced[from..at]);
                without.extend_from_slice(b"***");
                from = at + secret.len();
            }
            without.extend_from_slice(&replaced[from..]);
            replaced = Cow::Owned(without);
        }
        replaced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_taken_out_however_they_are_written() {
        let hidden = Hidden::new(["top secret", "Bearer abcd", "abc", "abcdef"].into_iter());
        let said = "top secret, top%20secret, secret; Bearer abcd, abcd, abcdefgh; abc";
        assert_eq!(hidden.text(said), "***, ***, ***; ***, ***, ***gh; abc", "three letters are no secret");
        let head = |text: &'static str, max| hidden.head(Bytes::from_static(text.as_bytes()), max);
        assert_eq!(head("12345 top secret", 9), "12345 ***");
        assert_eq!(head("12345 top sec", 13), "12345 ", "nothing of one that was cut before");
        assert_eq!((&head("to", 9)[..], &head("12345 abcd", 9)[..]), (&b"to"[..], &b"12345 ***"[..]));
        let plain = Bytes::from_static(b"nothing");
        assert_eq!(hidden.bytes(plain.clone()).as_ptr(), plain.as_ptr(), "not copied");
    }
}
