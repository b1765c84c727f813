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
    members: Vec<(Box<[u8]>, Node)>,
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
        let place = match self.members.iter().position(|(own, _)| **own == *key.as_bytes()) {
            Some(place) => place,
            None => {
                self.members.push((key.as_bytes().into(), Self::default()));
                self.members.len() - 1
            }
        };
        self.members[place].1.add(rest, slot);
    }

    /// Walks the value that begins at `at`; answers where it ends, or any place inside of it when it is the `last` that
    /// is wanted.
    fn walk<'d>(&self, document: &'d [u8], at: usize, last: bool, out: &mut [Option<Raw<'d>>]) -> usize {
        let end = if self.members.is_empty() || document.get(at) != Some(&b'{') {
            scan::value_end(document, at)
        } else {
            self.walk_members(document, at + 1, last && self.slots.is_empty(), out)
        };
        if !self.slots.is_empty() {
            let raw = document.get(at..end).map(Raw::new);
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
            let key_end = scan::string_end(document, at + 1);
            let key = document.get(at + 1..key_end.saturating_sub(1)).unwrap_or_default();
            // Past the colon, which white space may surround.
            at = scan::space(document, scan::space(document, key_end) + 1);
            match self.member(key, unseen) {
                Some((place, node)) => {
                    unseen &= !(1 << place);
                    at = node.walk(document, at, last && unseen == 0, out);
                    if unseen == 0 {
                        return if last { at } else { scan::container_end(document, at, 1) };
                    }
                }
                None => at = scan::value_end(document, at),
            }
            at = scan::space(document, at);
            if document.get(at) == Some(&b',') {
                at += 1;
            }
        }
    }

    /// The wanted member of this key, if it has not been seen yet.
    fn member(&self, key: &[u8], unseen: u64) -> Option<(usize, &Self)> {
        let place = match self.members.iter().position(|(own, _)| **own == *key) {
            Some(place) => place,
            None if key.contains(&b'\\') => {
                let plain = unescape(key)?;
                self.members.iter().position(|(own, _)| **own == *plain.as_bytes())?
            }
            None => return None,
        };
        (unseen >> place & 1 == 1).then(|| (place, &self.members[place].1))
    }
}
