//! The gateway: what was answered 201 is there after a kill, whatever form it came in.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::lakehead::{Lakehead, query};

/// A pipeline with one stream that only takes pushes, and a view on it.
pub(crate) fn pipeline(folder: &Path) -> PathBuf {
    let path = folder.join("pipeline.toml");
    let text = "\
[stream.people]
schema = \"json\"
columns = { name = \"name\", age = { path = \"age\", type = \"int64\" } }

[view.people_per_minute]
sql = \"SELECT tumble(event_time, INTERVAL '1 minute') AS minute, count(*) AS people FROM people GROUP BY 1\"
";
    std::fs::write(&path, text).expect("the pipeline can be written");
    path
}

#[test]
fn one_event_an_array_and_lines_are_there_after_a_kill() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (pipeline, data) = (pipeline(folder.path()), folder.path().join("data"));
    let lakehead = Lakehead::run_pipeline(&pipeline, &data);
    let bodies = [
        r#"{"name": "Ada", "age": 36, "dt": "2026-09-01T12:00:10Z"}"#,
        r#"[{"name": "Grace", "age": 45, "dt": "2026-09-01T12:00:20Z"}, {"name": "Edith"}]"#,
        "{\"name\": \"Mary\"}\n{\"name\": \"Emmy\", \"age\": 53}\n",
    ];
    let mut accepted = 0;
    for body in bodies {
        let answer = lakehead.push("people", body.as_bytes());
        assert_eq!(answer.status, 201, "{}", answer.body);
        assert_eq!(answer.json()["first_offset"], accepted, "{}", answer.body);
        accepted += answer.json()["accepted"].as_u64().expect("a count");
    }
    assert_eq!(accepted, 5);
    lakehead.kill();

    let names = query(&data, "SELECT name FROM people ORDER BY event_offset");
    let expected = ["Ada", "Grace", "Edith", "Mary", "Emmy"].map(|name| json!({ "name": name }));
    assert_eq!(names, expected);
}

#[test]
fn the_same_text_gives_the_same_answer_with_and_without_a_process() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (pipeline, data) = (pipeline(folder.path()), folder.path().join("data"));
    let lakehead = Lakehead::run_pipeline(&pipeline, &data);
    let lines: String = (0..500)
        .map(|n| {
            format!(
                "{}\n",
                json!({ "name": format!("n{n}"), "age": n, "dt": format!("2026-09-01T12:{:02}:00Z", n % 60) })
            )
        })
        .collect();
    assert_eq!(lakehead.push("people", lines.as_bytes()).status, 201);
    lakehead.until_counted("people", 500);
    let questions = [
        "SELECT count(*) AS n, sum(age) AS ages, min(name) AS first FROM people",
        "SELECT name, age, data FROM people WHERE age % 100 = 7 ORDER BY event_offset",
        "SELECT minute, people FROM people_per_minute ORDER BY minute",
        "SELECT sum(people) AS people FROM people_per_minute",
    ];
    let running = questions.map(|sql| query(&data, sql));
    assert_eq!(running[3][0]["people"], 500);
    assert!(lakehead.finish().success());
    assert_eq!(questions.map(|sql| query(&data, sql)), running);
}
