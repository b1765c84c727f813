//! The thread that syncs: takes what is written, syncs it, publishes it and answers everyone who waits.

use std::{collections::VecDeque, io, time::Instant};

use crate::{
    crash,
    error::{advice, segment_gone},
    options::Sync,
    write::{
        commit::{SyncEnds, WrittenBlock},
        write_side::WriteSide,
    },
};

/// Runs until the writer has closed and everything is committed or refused.
pub(crate) fn run(side: &WriteSide) {
    let _ends = SyncEnds(&side.commits);
    let mut last_sync = None;
    while let Some(batch) = side.commits.take(&side.options, last_sync) {
        match sync(side.options.sync, batch.back()) {
            Ok(synced) => {
                crash::point("sync.after");
                last_sync = Some(Instant::now());
                publish(side, batch, synced);
                side.commits.done();
            }
            Err(error) => {
                let path = batch.back().map(|last| last.new_block.at.path.display().to_string()).unwrap_or_default();
                let what = format!("cannot sync {path}: {error}{}", advice(&error));
                side.commits.fail_sync(&side.health, &what, batch);
            }
        }
    }
}

/// Syncs the file of the `last` block that was written; answers whether it is known to be on the disk.
fn sync(how: Sync, last: Option<&WrittenBlock>) -> io::Result<bool> {
    let Some(last) = last else { return Ok(false) };
    let is_synced = how != Sync::Off;
    if is_synced {
        last.file.sync()?;
    }
    // A file without a name is gone with its last handle, however well it was synced.
    if last.file.is_at(&last.new_block.at.path)? { Ok(is_synced) } else { Err(segment_gone()) }
}

/// Shows the blocks, then tells everyone who waits: who is told finds them.
fn publish(side: &WriteSide, batch: VecDeque<WrittenBlock>, synced: bool) {
    let mut answers = Vec::with_capacity(batch.len());
    let end = {
        let mut published = side.published();
        for written in batch {
            published.publish(written.new_block);
            answers.extend(written.answers);
        }
        if synced {
            published.all_is_synced();
        }
        published.log_end.next_offset
    };
    side.read.committed.send_replace(end);
    side.health.committed();
    for (waiting, appended) in answers {
        waiting.answer(Ok(appended));
    }
}
