//! A stream as another process reads it: what was committed at one moment, whatever comes after it.

use std::{path::Path, sync::Arc};

use lakehead_model::{ByteSize, Clock, Offset};

use super::rig::{ManualClock, append, name, options, read};
use crate::{BlockCache, Options, Pinned, Stream, disk::files::Access, disk::layout::Layout, disk::system::Disk};

fn open(dir: &Path, options: Options, clock: &Arc<ManualClock>) -> Stream {
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    Stream::open(Arc::new(Disk), Layout::new(dir), name("s"), options, clock, Access::Write).expect("opens")
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

/// Through the text by which another process is told.
fn told(pinned: &Pinned) -> Pinned {
    serde_json::from_str(&serde_json::to_string(pinned).expect("it is JSON")).expect("it reads back")
}

#[test]
fn another_process_reads_what_was_committed_when_it_was_told_and_no_more() {
    for segment_bytes in [700, 1 << 20] {
        let dir = tempfile::tempdir().expect("a folder");
        let clock = ManualClock::new();
        let options = Options { segment_bytes: ByteSize(segment_bytes), tail_bytes: ByteSize(300), ..options() };
        let stream = open(dir.path(), options, &clock);
        let (empty, _hold) = stream.pin("a test");
        let block_cache = BlockCache::default();
        for n in 0..60 {
            append(&stream, &[&n.to_string()]).expect("kept");
            if n % 9 == 0 {
                append(&stream, &[]).expect("kept");
            }
            if n % 7 == 0 || n == 59 {
                let (pinned, _hold) = stream.pin("a test");
                assert_eq!(pinned.end(), Offset(n + 1));
                append(&stream, &[]).expect("kept");
                let seen = told(&pinned).open(&block_cache);
                for from in [0, n / 2, n, n + 1] {
                    let expected =
                        numbers(usize::try_from(from).expect("small")..usize::try_from(n).expect("small") + 1);
                    assert_eq!(read(&seen, from), expected, "from {from} of {n}");
                }
            }
            if n == 30 {
                clock.advance(3_600_000_000);
            }
        }
        assert_eq!(read(&told(&empty).open(&block_cache), 0), numbers(0..0));
        stream.close().expect("closes");
    }
}

#[test]
fn what_was_found_for_a_later_moment_serves_an_earlier_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let stream = open(dir.path(), Options { tail_bytes: ByteSize(0), ..options() }, &ManualClock::new());
    let block_cache = BlockCache::default();
    let mut moments = Vec::new();
    for n in 0..10 {
        append(&stream, &[&n.to_string()]).expect("kept");
        moments.push(stream.pin("a test"));
    }
    for (n, (pinned, _)) in moments.iter().enumerate().rev() {
        assert_eq!(read(&told(pinned).open(&block_cache), 0), numbers(0..n + 1));
    }
    assert_eq!(read(&told(&moments[9].0).open(&block_cache), 0), numbers(0..10));
}
