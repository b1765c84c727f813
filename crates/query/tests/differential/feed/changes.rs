//! Recent changes as Wikimedia sends them, its oddities more often than there: fields that are absent or of another
//! type, type "142", `log_params` as `[]` or `{}`, ids past 32 bits and at the ends of 64, canaries, huge comments.

use lakehead_model::{StreamSchema, Timestamp};

use super::{
    arrival::Arrival,
    json_text::{mistyped, object, string},
};
use crate::{
    random::Random,
    table::{Column, EVERYWHERE, Kind, Table},
};

/// The stream's name in SQL.
pub(super) const NAME: &str = "recentchange";

const WIKIS: &[&str] = &["enwiki", "dewiki", "commonswiki", "wikidatawiki", "frwiktionary", "zhwiki", "ruwikisource"];
const TYPES: &[&str] = &["edit", "edit", "edit", "new", "categorize", "log", "142", "external"];
const USERS: &[&str] =
    &["Ada", "Bot of Ada", "ÉTIENNE", "Кирилл", "山田", "😀 user", "127.0.0.1", "2001:db8::1", "", "o'Brien", "a%b_c"];
const TITLES: &[&str] = &[
    "Main Page",
    "Talk:A",
    "User:Ada/x",
    "😀😀",
    "Category:Ünïcode",
    "File:a\\b.png",
    "שלום",
    "e\u{301}tude",
    "a\tb",
    "\u{202e}abc",
    "A very long title that does not fit into the twelve bytes of a view",
    "Ada",
    "twelve bytes",
    "thirteen byte",
];

/// What may be asked of the columns of recent changes.
pub(super) fn columns() -> Vec<Column> {
    let kinds = [
        ("meta_id", Kind::Text),
        ("meta_dt", Kind::Time),
        ("meta_domain", Kind::Plain),
        ("meta_stream", Kind::Plain),
        ("meta_topic", Kind::Plain),
        ("meta_partition", Kind::Small),
        ("meta_offset", Kind::Big),
        ("canary", Kind::Bool),
        ("id", Kind::Big),
        ("type", Kind::Plain),
        ("namespace", Kind::Small),
        ("title", Kind::Text),
        ("comment", Kind::Text),
        ("user", Kind::Text),
        ("bot", Kind::Bool),
        ("minor", Kind::Bool),
        ("patrolled", Kind::Bool),
        ("length_old", Kind::Small),
        ("length_new", Kind::Small),
        ("revision_old", Kind::Big),
        ("revision_new", Kind::Big),
        ("log_id", Kind::Big),
        ("log_type", Kind::Plain),
        ("log_action", Kind::Plain),
        ("log_params", Kind::Json),
        ("server_name", Kind::Plain),
        ("wiki", Kind::Plain),
    ];
    EVERYWHERE.iter().copied().chain(kinds.map(|(name, kind)| Column { name, kind })).collect()
}

pub(super) const SIZES: &[(&str, i64)] = &[
    ("1 second", 1_000_000),
    ("10 seconds", 10_000_000),
    ("1 minute", 60_000_000),
    ("1 minute", 60_000_000),
    ("90 seconds", 90_000_000),
    ("7 minutes", 420_000_000),
    ("10 minutes", 600_000_000),
    ("25 minutes", 1_500_000_000),
    ("1 hour", 3_600_000_000),
    ("1 day", 86_400_000_000),
    ("7 days", 604_800_000_000),
];

/// A synthetic stream of `count` events.
pub(crate) fn changes(seed: u64, count: usize) -> Table {
    let mut random = Random::new(seed, "changes");
    let start: Timestamp = "2026-11-23T21:40:00Z".parse().expect("a time");
    let mut arrival = Arrival::new(start, 5_000_000);
    for number in 0..count {
        let time = arrival.event_time(&mut random);
        let event = change(&mut random, number, time);
        arrival.push(&mut random, event);
    }
    Table {
        label: "changes",
        name: NAME,
        origin: format!("{count} synthetic recent changes"),
        schema: StreamSchema::builtin("mediawiki/recentchange").expect("built in"),
        columns: columns(),
        sizes: SIZES,
        bursts: arrival.finish(),
    }
}

fn change(random: &mut Random, number: usize, time: Option<i64>) -> String {
    let canary = random.chance(3);
    let wiki = *random.pick(WIKIS);
    let mut meta = Vec::new();
    if !random.chance(2) {
        meta.push(("id", format!("\"{:016x}-{number}\"", random.next())));
    }
    let domain = if canary { "canary".to_owned() } else { format!("{wiki}.example.org") };
    meta.push(("domain", string(random, &domain)));
    if let Some(time) = time {
        meta.push(("dt", format!("\"{}\"", Timestamp(time))));
    }
    meta.push(("stream", "\"mediawiki.recentchange\"".to_owned()));
    meta.push(("topic", format!("\"{}.mediawiki.recentchange\"", random.pick(&["eqiad", "codfw"]))));
    meta.push(("partition", random.below(2).to_string()));
    meta.push(("offset", (6_520_000_000_u64 + number as u64).to_string()));
    let meta = if random.chance(1) { mistyped(random) } else { object(random, meta) };

    let mut members = vec![("$schema", "\"/mediawiki/recentchange/1.0.1\"".to_owned()), ("meta", meta)];
    if canary && random.chance(70) {
        return object(random, members);
    }
    if let Some(time) = time.filter(|_| !random.chance(10)) {
        // Whole seconds, or a fraction that a float holds exactly.
        let fraction = *random.pick(&["", "", "", ".5", ".25"]);
        let seconds = if time < 0 { time / 1_000_000 } else { time.div_euclid(1_000_000) };
        members.push(("timestamp", format!("{seconds}{fraction}")));
    } else if random.chance(30) {
        members.push((
            "timestamp",
            (*random.pick(&["null", "\"1630070417\"", "\"yesterday\"", "[]", "1e300"])).to_owned(),
        ));
    }
    let mut member = |random: &mut Random, absent: usize, key: &'static str, value: String| {
        if random.chance(absent) {
            return;
        }
        members.push((key, if random.chance(2) { mistyped(random) } else { value }));
    };
    let id = big(random, number);
    member(random, 10, "id", id);
    let kind = *random.pick(TYPES);
    let kind = if kind == "142" && random.chance(30) { "142".to_owned() } else { string(random, kind) };
    member(random, 2, "type", kind);
    let namespace = random.pick(&["0", "0", "0", "1", "2", "4", "6", "10", "14", "-1", "-0", "828"]);
    member(random, 3, "namespace", (*namespace).to_owned());
    let title = random.word(TITLES);
    let title = string(random, title);
    member(random, 3, "title", title);
    let comment = comment(random);
    member(random, 5, "comment", comment);
    let user = random.word(USERS);
    let user = string(random, user);
    member(random, 3, "user", user);
    for key in ["bot", "minor", "patrolled"] {
        let value = if random.chance(30) { "true" } else { "false" };
        member(random, 12, key, value.to_owned());
    }
    let old = random.below(200_000);
    let new = old + random.below(3_000);
    let length = match random.below(20) {
        0 => format!("{{\"new\":{new}}}"),
        1 => format!("{{\"old\":{old},\"new\":null}}"),
        2 => format!("{{\"old\":{new},\"new\":{old}}}"),
        _ => format!("{{\"old\":{old},\"new\":{new}}}"),
    };
    member(random, 8, "length", length);
    let revision = format!("{{\"old\":{},\"new\":{}}}", big(random, number), big(random, number + 1));
    member(random, 8, "revision", revision);
    if random.chance(25) {
        let log_id = big(random, number);
        member(random, 5, "log_id", log_id);
        let (log_type, log_action) =
            (*random.pick(&["move", "delete", "block", "newusers"]), *random.pick(&["move", "delete", "autocreate"]));
        member(random, 5, "log_type", format!("\"{log_type}\""));
        member(random, 5, "log_action", format!("\"{log_action}\""));
        let params = *random.pick(&[
            "[]",
            "{}",
            "{\"duration\":\"1 week\",\"flags\":[\"nocreate\"]}",
            "\"text\"",
            "[\"a\", \"b\"]",
            "7",
            "null",
        ]);
        member(random, 5, "log_params", params.to_owned());
    }
    member(random, 3, "server_name", format!("\"{wiki}.example.org\""));
    member(random, 2, "wiki", format!("\"{wiki}\""));
    object(random, members)
}

/// An id: mostly one after the other, now and then past 32 bits, at what a float still holds, and at the ends of 64.
fn big(random: &mut Random, number: usize) -> String {
    const ENDS: &[i64] = &[
        1 << 31,
        (1 << 32) + 1,
        3_470_000_000,
        (1 << 53) - 1,
        (1 << 53) + 1,
        i64::MAX,
        i64::MAX - 1,
        i64::MIN,
        i64::MIN + 1,
        -1,
        0,
    ];
    if random.chance(1) {
        "9223372036854775808".to_owned() // one more than there is
    } else if random.chance(8) {
        random.pick(ENDS).to_string()
    } else {
        (1_300_000_000 + number / 2).to_string()
    }
}

fn comment(random: &mut Random) -> String {
    match random.below(100) {
        0..20 => "\"\"".to_owned(),
        20..22 => {
            let huge = "a comment that goes on 😀 ".repeat(20 + random.below(60));
            string(random, &huge)
        }
        22..26 => string(random, "signs \" \\ / \n\r\t\u{8}\u{c} \u{1}"),
        _ => {
            let text = format!("{} {}", random.pick(&["Reverted", "/* Top */", "added", "вики"]), random.below(40));
            string(random, &text)
        }
    }
}
