//! The key of views of many shapes.

use std::collections::BTreeMap;

use lakehead_model::{Name, StreamSchema};

use super::check_views;

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

#[tokio::test]
async fn a_key_is_all_groups_as_they_stand_or_none() {
    let streams = [(name("s"), StreamSchema::builtin("mediawiki/recentchange").expect("built in"))].into();
    let minute = "tumble(event_time, INTERVAL '1 minute')";
    let views: [(&str, String, Option<&[&str]>); 27] = [
        ("tumble", format!("SELECT {minute} AS w, wiki, count(*) AS n FROM s GROUP BY 1, 2"), Some(&["w", "wiki"])),
        (
            "hop",
            "SELECT hop(event_time, INTERVAL '1 minute', INTERVAL '5 minutes') AS w, wiki, count(*) AS n FROM s GROUP BY 1, 2"
                .into(),
            Some(&["w", "wiki"]),
        ),
        (
            "session",
            "SELECT session(event_time, INTERVAL '1 minute') AS w, \"user\", count(*) AS n FROM s GROUP BY 1, 2".into(),
            Some(&["w", "user"]),
        ),
        (
            "calendar",
            "SELECT tumble(received_time, INTERVAL '1 month') AS w, count(*) AS n FROM s GROUP BY 1".into(),
            Some(&["w"]),
        ),
        (
            "renamed",
            format!("SELECT count(*) AS n, wiki AS site, {minute} AS w FROM s GROUP BY wiki, {minute}"),
            Some(&["site", "w"]),
        ),
        ("no_window", format!("SELECT wiki, count(*) AS n FROM s GROUP BY wiki, {minute}"), None),
        ("no_group", format!("SELECT {minute} AS w, count(*) AS n FROM s GROUP BY 1, wiki"), None),
        ("inside", format!("SELECT {minute} AS w, upper(wiki) AS wiki, count(*) AS n FROM s GROUP BY {minute}, wiki"), None),
        (
            "inside_too",
            format!("SELECT {minute} AS w, wiki, upper(wiki) AS upper, count(*) AS n FROM s GROUP BY {minute}, wiki"),
            Some(&["w", "wiki"]),
        ),
        (
            "expression",
            format!("SELECT {minute} AS w, upper(wiki) AS site, count(*) AS n FROM s GROUP BY 1, 2"),
            Some(&["w", "site"]),
        ),
        (
            "half",
            format!("SELECT {minute} AS w, wiki, count(*) AS n FROM s GROUP BY {minute}, wiki, upper(type)"),
            None,
        ),
        (
            "twice",
            format!("SELECT {minute} AS w, wiki, wiki AS again, count(*) AS n FROM s GROUP BY {minute}, wiki"),
            Some(&["w", "wiki"]),
        ),
        (
            "constant",
            format!("SELECT {minute} AS w, wiki, 'x' AS x, count(*) AS n FROM s GROUP BY {minute}, wiki"),
            Some(&["w", "wiki"]),
        ),
        (
            "having",
            format!("SELECT {minute} AS w, wiki, count(*) AS n FROM s GROUP BY 1, 2 HAVING count(*) > 3"),
            Some(&["w", "wiki"]),
        ),
        (
            "around",
            format!(
                "SELECT a AS b, n FROM (SELECT {minute} AS a, count(*) AS n FROM s GROUP BY 1) AS inner_rows WHERE n > 1"
            ),
            Some(&["b"]),
        ),
        (
            "around_inside",
            format!(
                "SELECT a + INTERVAL '1 minute' AS a, n FROM (SELECT {minute} AS a, count(*) AS n FROM s GROUP BY 1) AS inner_rows"
            ),
            None,
        ),
        (
            "unnest",
            "SELECT tumble(event_time, INTERVAL '1 hour') AS w, word, count(*) AS n FROM \
             (SELECT event_time, unnest(string_to_array(title, ' ')) AS word FROM s) AS titles GROUP BY 1, 2"
                .into(),
            Some(&["w", "word"]),
        ),
        ("list", format!("SELECT {minute} AS w, wiki, top_k(title, 3) AS titles FROM s GROUP BY 1, 2"), Some(&["w", "wiki"])),
        ("projection", "SELECT event_time, wiki, title FROM s".into(), None),
        (
            "of_projection",
            format!("SELECT {minute} AS w, wiki, count(*) AS n FROM projection GROUP BY 1, 2"),
            Some(&["w", "wiki"]),
        ),
        (
            "over",
            "SELECT tumble(w, INTERVAL '1 hour') AS hour, wiki, sum(n) AS n FROM tumble GROUP BY 1, 2".into(),
            Some(&["hour", "wiki"]),
        ),
        (
            "over_less",
            "SELECT tumble(w, INTERVAL '1 hour') AS hour, sum(n) AS n FROM tumble GROUP BY 1".into(),
            Some(&["hour"]),
        ),
        ("over_half", "SELECT tumble(w, INTERVAL '1 hour') AS hour, sum(n) AS n FROM tumble GROUP BY 1, wiki".into(), None),
        ("some", "SELECT n, wiki AS site, w FROM tumble WHERE n > 3".into(), Some(&["site", "w"])),
        ("some_less", "SELECT w, n FROM tumble WHERE n > 3".into(), None),
        // One of the two columns of a group is enough.
        ("other_copy", "SELECT w, again, n FROM twice".into(), Some(&["w", "again"])),
        // One row becomes several.
        ("several", "SELECT w, wiki, unnest(titles) AS title FROM list".into(), None),
    ];
    let texts: BTreeMap<Name, String> = views.iter().map(|(view, sql, _)| (name(view), sql.clone())).collect();
    let plans = check_views(&texts, &streams).await.expect("an engine");
    for (view, sql, expected) in views {
        let (_, plan) = plans.iter().find(|(known, _)| *known == name(view)).expect("it is there");
        let plan = plan.as_ref().unwrap_or_else(|error| panic!("{view}: {error}"));
        let key = plan.key().map(|key| key.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(key, expected.map(<[&str]>::to_vec), "{view}: {sql}");
        let fields = plan.schema();
        assert!(plan.key().is_none_or(|key| key.iter().all(|column| fields.field_with_name(column).is_ok())), "{view}");
    }
}
