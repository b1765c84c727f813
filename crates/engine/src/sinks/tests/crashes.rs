//! What a crash leaves: nothing lost, and nothing twice but what came after the last commit.

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use super::target::{numbers, push, sink, start, target, until, with_sink};
use crate::pipeline::SinkConfig;

/// A data directory as a crash at this moment leaves it: the positions first, as what follows them may be newer.
fn crash_image(data: &Path) -> tempfile::TempDir {
    let image = tempfile::tempdir().expect("a folder");
    for part in ["sinks", ""] {
        copy(&data.join(part), &image.path().join(part));
    }
    image
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let target = to.join(&name);
        if path.is_dir() {
            copy(&path, &target);
        } else if !target.exists() && name != "lock" {
            // A file that was replaced meanwhile is copied with the next image.
            let _ = fs::copy(&path, &target);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_nothing_is_lost_and_only_what_was_not_committed_comes_twice() {
    for (kind, lanes) in [("appending", 1), ("appending", 3), ("holding", 2), ("exact", 1)] {
        let (dir, out) = (tempfile::tempdir().expect("a folder"), target("crashing"));
        let pipeline = |data: &Path, target: &str| with_sink(data, SinkConfig { lanes, ..sink(kind, "s", target) });
        let engine = start(pipeline(dir.path(), "crashing")).await;
        let flowing = {
            let engine = Arc::clone(&engine);
            tokio::spawn(async move {
                for n in 0..300 {
                    push(&engine, &numbers(n..n + 1)).await;
                }
            })
        };
        let mut images = Vec::new();
        for rows in [1, 40, 90, 200] {
            out.until(rows).await;
            images.push(crash_image(dir.path()));
        }
        flowing.await.expect("all pushed");
        out.until(300).await;
        engine.shutdown().await.expect("a clean end");
        for (number, image) in images.iter().enumerate() {
            let text = fs::read_to_string(image.path().join("sinks").join("out.json")).expect("a position");
            let position: u64 = text
                .split("log.0.")
                .nth(1)
                .and_then(|rest| rest.split('"').next())
                .expect("one")
                .parse()
                .expect("a number");
            let again = target(&format!("crashed-{number}"));
            let engine = start(pipeline(image.path(), &format!("crashed-{number}"))).await;
            let end = engine.stream("s").expect("a stream").head().end.0;
            assert!(position <= end, "the position never passes the log: {position} > {end}");
            until(&engine, |status| status.position.as_deref() == Some(&format!("log.0.{end}"))).await;
            let rows: BTreeSet<String> = again.rows().into_iter().collect();
            if kind == "exact" {
                // The new target knows of no position: it goes on where this side had noted.
                assert!(rows.len() as u64 >= end - position);
            } else {
                assert_eq!(rows, numbers(position..end).into_iter().collect(), "{kind}, image {number}");
            }
            assert_eq!(again.rows().len(), rows.len(), "none twice in one run");
            engine.shutdown().await.expect("a clean end");
        }
        // What stands before a position was at the target when it was noted: the rows are in the order of the log there.
        let before: BTreeSet<String> = out.rows().into_iter().collect();
        assert_eq!(before, numbers(0..300).into_iter().collect());
    }
}
