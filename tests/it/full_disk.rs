//! A full disk: what was acknowledged stays, what cannot be kept is refused with a reason, and it goes on by itself when
//! there is room again.
//!
//! The disk is a small one in memory, which only root may mount; elsewhere the test is skipped.

use std::fs;

use serde_json::json;

use crate::{
    disk::Disk,
    http,
    lakehead::{Lakehead, eventually, query, skip},
    push::pipeline,
};

/// What is to be left of the 16 MiB.
const RESERVE: &str = "1 MiB";

/// A line that does not compress: a few kilobytes of digits in base 36 from a multiplicative generator.
fn line(n: u64) -> String {
    let mut state = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let noise: String = (0..16_384)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from_digit((state >> 33) as u32 % 36, 36).expect("a digit")
        })
        .collect();
    json!({ "name": format!("n{n}"), "age": n, "noise": noise }).to_string()
}

#[test]
fn a_full_disk_loses_nothing_that_was_acknowledged_and_is_got_over() {
    let name = "full_disk::a_full_disk_loses_nothing_that_was_acknowledged_and_is_got_over";
    let folder = tempfile::tempdir().expect("a folder for the test");
    let Some(disk) = Disk::mount(&folder.path().join("disk"), "rw") else {
        return skip(name, "mounting a small disk needs root");
    };
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![0; 10 << 20]).expect("10 of 16 MiB");
    let data = disk.path().join("data");
    let pipeline = pipeline(folder.path());
    let settings =
        format!("{}[store]\nreserve_bytes = \"{RESERVE}\"\n", fs::read_to_string(&pipeline).expect("its text"));
    fs::write(&pipeline, settings).expect("the pipeline can be written");
    let lakehead = Lakehead::run_pipeline(&pipeline, &data);

    let mut acknowledged = 0;
    let refused = loop {
        let answer = lakehead.push("people", line(acknowledged).as_bytes());
        if answer.status != 201 {
            break answer;
        }
        acknowledged += 1;
        assert!(acknowledged < 4_000, "the disk never filled");
    };
    assert!(acknowledged > 0, "{}", refused.body);
    assert_eq!(refused.status, 507, "{}", refused.body);
    assert!(refused.body.contains("goes on by itself"), "{}", refused.body);
    assert!(refused.body.contains("space") || refused.body.contains("full"), "{}", refused.body);
    lakehead.until("the status to say so", |status| status["streams"]["people"]["cannot_write"].is_string());
    let count = "SELECT count(*) AS n, count(DISTINCT name) AS names FROM people";
    assert_eq!(query(&data, count)[0]["n"], acknowledged, "it still answers questions");
    assert!(refused.body.contains("reserve_bytes"), "the reserve is met first: {}", refused.body);
    // What others write may take the reserve, too; then the disk itself says no.
    fs::write(disk.path().join("more"), vec![0; 3 << 20]).ok();
    assert_eq!(lakehead.push("people", line(acknowledged).as_bytes()).status, 507);
    let routed = json!({ "meta": { "stream": "people" }, "x": line(acknowledged) }).to_string();
    let routed = http::request(&lakehead.address, "POST", "/v1/events", &[], routed.as_bytes()).expect("an answer");
    assert!(routed.status == 507 && routed.json()["error_count"] == 1, "{} {}", routed.status, routed.body);
    fs::remove_file(disk.path().join("more")).ok();

    fs::remove_file(&ballast).expect("room is made");
    // The same event again, as a client would, until there is room.
    let again = line(acknowledged);
    assert!(
        eventually(|| lakehead.push("people", again.as_bytes()).status == 201),
        "it goes on by itself when there is room"
    );
    lakehead.until("the status to say so", |status| status["streams"]["people"]["cannot_write"].is_null());
    lakehead.kill();
    let rows = query(&data, count);
    assert_eq!((rows[0]["n"].as_u64(), rows[0]["names"].as_u64()), (Some(acknowledged + 1), Some(acknowledged + 1)));
}
