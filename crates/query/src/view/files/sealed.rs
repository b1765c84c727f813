//! A JSON object whose last entry is the checksum of all before it: one byte that is not as it was written, and it is not
//! believed.

use super::checksum::checksum;

const NAME: &[u8] = b"crc64nvme";
const KEY: &[u8] = b",\n  \"crc64nvme\": \"";
const END: &[u8] = b"\"\n}";
const DIGITS: usize = 16;

/// Adds the checksum to a JSON object as `serde_json::to_vec_pretty` writes it.
pub(super) fn seal(mut object: Vec<u8>) -> Vec<u8> {
    // What a pretty object ends with.
    object.truncate(object.len().saturating_sub(b"\n}".len()));
    let sum = checksum(&object);
    object.extend_from_slice(KEY);
    object.extend_from_slice(format!("{sum:016x}").as_bytes());
    object.extend_from_slice(END);
    object
}

/// Whether a checksum seems to be there, right or not.
pub(super) fn is_sealed(bytes: &[u8]) -> bool {
    bytes.windows(NAME.len()).any(|window| window == NAME)
}

/// Whether the checksum is there and right.
pub(super) fn holds(bytes: &[u8]) -> bool {
    let Some(at) = bytes.len().checked_sub(KEY.len() + DIGITS + END.len()) else { return false };
    let (object, seal) = bytes.split_at(at);
    let expected = format!("{:016x}", checksum(object));
    seal.starts_with(KEY) && seal.ends_with(END) && &seal[KEY.len()..KEY.len() + DIGITS] == expected.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::{holds, seal};

    #[test]
    fn a_byte_that_is_not_as_it_was_written_is_seen_wherever_it_is() {
        let sealed = seal(b"{\n  \"format\": 3,\n  \"bytes\": 12345\n}".to_vec());
        let object: serde_json::Value = serde_json::from_slice(&sealed).expect("it is JSON");
        assert_eq!(object["bytes"], 12345);
        assert!(holds(&sealed));
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(!holds(&damaged), "byte {at}");
            assert!(!holds(&sealed[..at]), "cut at {at}");
        }
    }
}
