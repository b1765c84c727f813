//! The values at a few paths of a document, in one forward walk.
//!
//! The wanted paths form a small tree. The walk goes from mark to mark: at a colon it compares the key before it with
//! the few that are wanted there, by length and bytes; at a bracket it leaves the whole container at once; values that
//! are not wanted are never looked at. It stops once every wanted key was met, and allocates nothing.
//!
//! Where a key stands twice in one object the first one counts, at every level: otherwise every walk would have to go
//! to the end. (RFC 8259, section 4, leaves it open.) An escaped key (`"\u0062ot"` for `bot`) matches too.

use fearless_simd::{Level, Simd, dispatch};

use crate::{Raw, marks::Marks, raw::unescape, scan};

/// Paths looked for in one walk, since those still unseen are the bits of one integer. More are found in more walks.
const PATHS_A_WALK: usize = 64;

/// A set of paths to look for. A path is the keys that lead to a value through objects, outermost first; the empty
/// path is the whole document. Arrays are never entered.
#[derive(Clone, Debug)]
pub struct Paths {
    walks: Vec<Node>,
    count: usize,
    level: Level,
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
        Self { walks, count: paths.len(), level: Level::new() }
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
            if !root.slots.is_empty() {
                let whole = Raw::new(document.trim_ascii());
                root.slots.iter().for_each(|slot| out[*slot] = Some(whole));
            }
            if !root.members.is_empty() && document.get(scan::space(document, 0)) == Some(&b'{') {
                dispatch!(self.level, simd => {
                    let mut walk = Walk { marks: Marks::new(simd, document), document, out: &mut *out };
                    walk.marks.next();
                    walk.members(root, true);
                });
            }
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
}

/// One walk through one document.
struct Walk<'d, 'o, S> {
    marks: Marks<'d, S>,
    document: &'d [u8],
    out: &'o mut [Option<Raw<'d>>],
}

impl<'d, S: Simd> Walk<'d, '_, S> {
    /// Walks the members of an object whose opening brace was just passed; answers just past its closing one, or any
    /// place before when nothing is wanted after it: when it is the `last`.
    fn members(&mut self, node: &Node, last: bool) -> usize {
        let simd = self.marks.simd;
        simd.vectorize(
            #[inline(always)]
            || self.members_with_vectors(node, last),
        )
    }

    #[inline(always)]
    fn members_with_vectors(&mut self, node: &Node, last: bool) -> usize {
        let mut unseen = u64::MAX >> (64 - node.members.len());
        while let Some(mark) = self.marks.next() {
            match self.document.get(mark) {
                Some(b':') => {
                    if let Some(place) = self.wanted(node, mark, unseen) {
                        unseen &= !(1 << place);
                        let end = self.value(&node.members[place].1, mark + 1, last && unseen == 0);
                        if unseen == 0 {
                            return if last { end } else { self.marks.leave(1) };
                        }
                    }
                }
                // The value of a member that is not wanted.
                Some(b'{' | b'[') => drop(self.marks.leave(1)),
                _ => return mark + 1,
            }
        }
        self.document.len()
    }

    /// Which member of `node` has the key before this colon, among the `unseen`.
    #[inline(always)]
    fn wanted(&self, node: &Node, colon: usize, unseen: u64) -> Option<usize> {
        let (from, to, escapes) = self.marks.key_before(colon);
        if escapes {
            let key = self.document.get(from..to)?;
            if key.contains(&b'\\') {
                return node.find(unescape(key)?.as_bytes(), unseen);
            }
        }
        node.find_at(self.document, from, to, unseen)
    }

    /// Takes the value after a colon, or goes into it; answers where it ends, as far as that is needed.
    #[inline(always)]
    fn value(&mut self, node: &Node, at: usize, last: bool) -> usize {
        let at = scan::space(self.document, at);
        let (end, escaped) = match self.document.get(at) {
            Some(b'{') if !node.members.is_empty() => {
                self.marks.next();
                (self.members(node, last && node.slots.is_empty()), false)
            }
            // What is left of it is stepped over like any other value that is not wanted.
            _ if node.slots.is_empty() => return at,
            Some(b'{' | b'[') => {
                self.marks.next();
                (self.marks.leave(1), false)
            }
            Some(b'"') => self.marks.string_end(at),
            _ => (scan::scalar_end(self.document, at), false),
        };
        let raw = self.document.get(at..end).map(|bytes| Raw::known(bytes, escaped));
        for slot in &node.slots {
            self.out[*slot] = raw;
        }
        end
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Every way of looking at 64 bytes that this processor has.
    fn levels() -> Vec<Level> {
        let best = Level::new();
        let mut levels = vec![best, Level::baseline()];
        #[cfg(target_arch = "x86_64")]
        {
            levels.extend(best.as_sse4_2().map(Simd::level));
            levels.extend(best.as_avx2().map(Simd::level));
        }
        levels
    }

    /// Moved along byte by byte, so that each part of it lies across the border of two steps once.
    #[track_caller]
    fn check(document: &str, wanted: &[(&[&str], Option<&str>)]) {
        let paths: Vec<Vec<String>> =
            wanted.iter().map(|(path, _)| path.iter().map(|key| (*key).to_owned()).collect()).collect();
        for level in levels() {
            let paths = Paths { level, ..Paths::new(&paths) };
            for shift in 0..140 {
                let shifted = " ".repeat(shift) + document;
                let mut out = vec![None; wanted.len()];
                paths.extract(shifted.as_bytes(), &mut out);
                for ((path, expected), found) in wanted.iter().zip(out) {
                    let found = found.map(|raw| std::str::from_utf8(raw.bytes()).expect("UTF-8"));
                    assert_eq!(found, *expected, "{path:?} after {shift} blanks, {level:?}");
                }
            }
        }
    }

    #[test]
    fn every_processor_sees_the_same_across_the_borders_of_steps() {
        check(
            r#"{"a{":"}:[\"","b":[{"c":":"},"]"],"c":{"\\":"\\","d":{"e":{}}},"long":"0123456789012345678901234567890123456789012345678901234567890123456789\\","n" : -1.5 , "z":true}"#,
            &[
                (&["a{"], Some(r#""}:[\"""#)),
                (&["b"], Some(r#"[{"c":":"},"]"]"#)),
                (&["c", "\\"], Some(r#""\\""#)),
                (&["c", "d"], Some(r#"{"e":{}}"#)),
                (&["c", "d", "e"], Some("{}")),
                (&["c", "c"], None),
                (&["n"], Some("-1.5")),
                (&["z"], Some("true")),
                (&["e"], None),
            ],
        );
        check(r#"{"b":[{"c":":"},"]"],"d":{"e":{"f":[[]]}},"z":7}"#, &[(&["z"], Some("7"))]);
        check(r#"{"c":{"d":1,"x":{"y":2}},"z":7}"#, &[(&["c", "d"], Some("1")), (&["z"], Some("7"))]);
    }

    #[test]
    fn a_run_of_backslashes_escapes_in_pairs_across_the_borders_of_steps() {
        for run in 0..20 {
            let backslashes = "\\".repeat(2 * run);
            let document = format!("{{\"a\":\"{backslashes}\\\"{backslashes}\",\"b\":\"{backslashes}\"}}");
            let (a, b) = (format!("\"{backslashes}\\\"{backslashes}\""), format!("\"{backslashes}\""));
            check(&document, &[(&["a"], Some(&a)), (&["b"], Some(&b))]);
        }
    }

    #[test]
    fn a_key_of_any_length_is_found_back_from_its_colon() {
        for length in 0..150 {
            let key = "k".repeat(length);
            check(
                &format!("{{\"{key}\"\t: 1,\"\\u006b{key}\":2}}"),
                &[(&[&key], Some("1")), (&[&(key.clone() + "k")], Some("2"))],
            );
        }
    }
}
