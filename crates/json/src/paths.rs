//! The values at a few paths of a document, in one forward walk.
//!
//! The wanted paths form a small tree. The walk goes through an object's members in order, compares each key with the
//! few that are wanted there by length and bytes, steps over every value that is not wanted, and stops once every
//! wanted key was met. It allocates nothing.
//!
//! Where a key stands twice in one object the first one counts, at every level: otherwise every walk would have to go
//! to the end. (RFC 8259, section 4, leaves it open.) An escaped key (`"\u0062ot"` for `bot`) matches too.

use crate::{Raw, raw::unescape, scan};

/// Paths looked for in one walk, since those still unseen are the bits of one integer. More are found in more walks.
const PATHS_A_WALK: usize = 64;

/// A set of paths to look for. A path is the keys that lead to a value through objects, outermost first; the empty
/// path is the whole document. Arrays are never entered.
#[derive(Clone, Debug)]
pub struct Paths {
    walks: Vec<Node>,
    count: usize,
}

/// What is wanted at one place: the value itself, keys inside of it, or both.
#[derive(Clone, Debug, Default)]
struct Node {
    /// Where the value goes, for each path that ends here.
    slots: Vec<usize>,
    /// The wanted keys, if the value is an object; at most 64.
    members: Vec<(Key, Node)>,
    /// For each length of a key, the last standing for all greater ones: which members have it, as bits. Most keys that
    /// are not wanted are told apart by their length alone.
    by_length: [u64; LENGTHS],
}

/// How many lengths of keys are told apart.
const LENGTHS: usize = 24;

/// A wanted key: its first eight bytes as a number, zeros after its end, and those after the eighth.
#[derive(Clone, Debug)]
struct Key {
    head: u64,
    tail: Box<[u8]>,
}

impl Paths {
    /// Prepares `paths`. The same path may be there more than once, and one may lead through another's value.
    #[must_use]
    pub fn new(paths: &[Vec<String>]) -> Self {
        let mut walks = Vec::new();
        for (n, part) in paths.chunks(PATHS_A_WALK).enumerate() {
            let mut root = Node::default();
            for (slot, path) in part.iter().enumerate() {
                root.add(path, n * PATHS_A_WALK + slot);
            }
            walks.push(root);
        }
        Self { walks, count: paths.len() }
    }

    /// Puts the value at the n-th path of `document`, which must be valid, into `out[n]`, and `None` where there is
    /// none.
    ///
    /// # Panics
    /// When `out` has fewer places than there are paths.
    pub fn extract<'d>(&self, document: &'d [u8], out: &mut [Option<Raw<'d>>]) {
        assert!(out.len() >= self.count, "a place for each of {} paths", self.count);
        out.fill(None);
        for root in &self.walks {
            root.walk(document, scan::space(document, 0), true, out);
        }
    }
}

impl Node {
    fn add(&mut self, path: &[String], slot: usize) {
        let Some((key, rest)) = path.split_first() else {
            self.slots.push(slot);
            return;
        };
        let key = key.as_bytes();
        let place = self.find(key, u64::MAX).unwrap_or_else(|| {
            self.by_length[key.len().min(LENGTHS - 1)] |= 1 << self.members.len();
            let tail = key.get(8..).unwrap_or_default().into();
            self.members.push((Key { head: head(key, 0, key.len()), tail }, Self::default()));
            self.members.len() - 1
        });
        self.members[place].1.add(rest, slot);
    }

    /// Which member has this key, among `those`.
    #[inline(always)]
    fn find(&self, key: &[u8], those: u64) -> Option<usize> {
        self.find_at(key, 0, key.len(), those)
    }

    /// Which member has the key `document[from..to]`, among `those`.
    #[inline(always)]
    fn find_at(&self, document: &[u8], from: usize, to: usize, those: u64) -> Option<usize> {
        let length = to - from;
        let mut places = self.by_length[length.min(LENGTHS - 1)] & those;
        if places == 0 {
            return None;
        }
        let head = head(document, from, length);
        while places != 0 {
            let place = places.trailing_zeros() as usize;
            let (key, _) = &self.members[place];
            if key.head == head && (length <= 8 || document.get(from + 8..to) == Some(&key.tail)) {
                return Some(place);
            }
            places &= places - 1;
        }
        None
    }

    /// Walks the value that begins at `at`; answers where it ends, or any place inside of it when it is the `last` that
    /// is wanted.
    fn walk<'d>(&self, document: &'d [u8], at: usize, last: bool, out: &mut [Option<Raw<'d>>]) -> usize {
        let (end, escaped) = if self.members.is_empty() || document.get(at) != Some(&b'{') {
            scan::value_end(document, at)
        } else {
            (self.walk_members(document, at + 1, last && self.slots.is_empty(), out), false)
        };
        if !self.slots.is_empty() {
            let raw = document.get(at..end).map(|bytes| Raw::known(bytes, escaped));
            for slot in &self.slots {
                out[*slot] = raw;
            }
        }
        end
    }

    fn walk_members<'d>(&self, document: &'d [u8], mut at: usize, last: bool, out: &mut [Option<Raw<'d>>]) -> usize {
        let mut unseen = u64::MAX >> (64 - self.members.len());
        loop {
            at = scan::space(document, at);
            if document.get(at) != Some(&b'"') {
                // The closing brace, or the end of what was no valid document.
                return at + 1;
            }
            let (key_end, escaped) = scan::string_end(document, at + 1);
            let (from, to) = (at + 1, (key_end - 1).max(at + 1));
            // Past the colon, which white space may surround.
            at = scan::space(document, scan::space(document, key_end) + 1);
            let found = if escaped {
                document.get(from..to).and_then(unescape).and_then(|key| self.find(key.as_bytes(), unseen))
            } else {
                self.find_at(document, from, to, unseen)
            };
            at = match found {
                Some(place) => {
                    unseen &= !(1 << place);
                    let end = self.members[place].1.walk(document, at, last && unseen == 0, out);
                    if unseen == 0 {
                        return if last { end } else { scan::container_end(document, end, 1) };
                    }
                    end
                }
                None => scan::value_end(document, at).0,
            };
            at = scan::space(document, at);
            if document.get(at) == Some(&b',') {
                at += 1;
            }
        }
    }
}

/// The first eight bytes of the key of this length at `from`, as a number, with zeros for those that it does not have.
#[inline(always)]
fn head(document: &[u8], from: usize, length: usize) -> u64 {
    let rest = document.get(from..).unwrap_or_default();
    let bytes = match rest.first_chunk::<8>() {
        Some(bytes) => *bytes,
        None => {
            let mut bytes = [0; 8];
            bytes[..rest.len()].copy_from_slice(rest);
            bytes
        }
    };
    match length {
        0 => 0,
        1..8 => u64::from_le_bytes(bytes) << (64 - 8 * length) >> (64 - 8 * length),
        _ => u64::from_le_bytes(bytes),
    }
}
