//! Questions that explode: in planning, in recursion, in memory, in time. Each is a few bytes to many.

/// All of them, each with what it is after.
pub(crate) fn all() -> Vec<(&'static str, String)> {
    let nested = |name: &str, depth: usize| format!("{}'a'{}", format!("{name}(").repeat(depth), ")".repeat(depth));
    let columns = |count: usize| (0..count).map(|n| format!("id + {n}")).collect::<Vec<_>>().join(", ");
    let doubling = |count: usize| {
        let first = "WITH t0 AS (SELECT 1 AS a)".to_owned();
        let more = (1..count).map(|n| format!(", t{n} AS (SELECT x.a FROM t{} x, t{} y)", n - 1, n - 1));
        more.fold(first, |all, one| all + &one) + &format!(" SELECT count(*) FROM t{}", count - 1)
    };
    vec![
        ("a long sum", format!("SELECT 1{}", "+1".repeat(1_300))),
        ("a longer sum", format!("SELECT 1{}", "+1".repeat(30_000))),
        ("brackets", format!("SELECT {}1{}", "(".repeat(30_000), ")".repeat(30_000))),
        ("a chain of OR", format!("SELECT count(*) FROM pushed WHERE id = 0{}", " OR id = 1".repeat(5_000))),
        ("nested upper", format!("SELECT {}", nested("upper", 24))),
        ("nested reverse", format!("SELECT {}", nested("reverse", 400))),
        ("nested CASE", {
            let depth = 200;
            format!("SELECT {}0{}", "CASE WHEN 1 = 1 THEN ".repeat(depth), " END".repeat(depth))
        }),
        ("CUBE", format!("SELECT count(*) FROM pushed GROUP BY CUBE({})", columns(20))),
        ("ROLLUP of many", format!("SELECT count(*) FROM pushed GROUP BY ROLLUP({})", columns(60))),
        ("CTEs that double", doubling(24)),
        ("repeat", "SELECT repeat('x', 2147483647)".to_owned()),
        ("repeat of repeat", "SELECT repeat(repeat('x', 100000), 100000)".to_owned()),
        ("lpad", "SELECT lpad('x', 2147483647, 'y')".to_owned()),
        ("range", "SELECT range(1, 1000000000)".to_owned()),
        ("generate_series", "SELECT count(*) FROM generate_series(1, 100000000000)".to_owned()),
        ("rows of repeat", "SELECT repeat('x', 100000) FROM recentchange".to_owned()),
        ("a cross join", "SELECT count(*) FROM recentchange a, recentchange b, recentchange c".to_owned()),
        (
            "a cross join with work",
            "SELECT sum(length(a.title || b.title)) FROM recentchange a CROSS JOIN recentchange b".to_owned(),
        ),
        ("a join on nothing", "SELECT * FROM recentchange a JOIN recentchange b ON a.type <> b.wiki".to_owned()),
        ("a large answer", "SELECT * FROM recentchange".to_owned()),
        ("a large sort", "SELECT * FROM recentchange a, pushed b ORDER BY a.title, b.id DESC".to_owned()),
        ("all in one array", "SELECT array_agg(data) FROM recentchange".to_owned()),
        ("all in one text", "SELECT string_agg(data, data) FROM recentchange".to_owned()),
        (
            "a recursion without an end",
            "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r".to_owned(),
        ),
        (
            "a hard pattern",
            "SELECT count(*) FROM recentchange WHERE regexp_like(data, '(a|a?)*(.*)*(.+)+x{1000}{1000}')".to_owned(),
        ),
        ("many windows", {
            let windows = (0..60).map(|n| format!("sum(id) OVER (ORDER BY id + {n})"));
            format!("SELECT {} FROM pushed", windows.collect::<Vec<_>>().join(", "))
        }),
        ("unions", {
            let one = "SELECT id FROM pushed";
            (0..500).map(|_| one).collect::<Vec<_>>().join(" UNION ALL ")
        }),
        ("words that are none", "SELEC ".repeat(5_000)),
        ("nothing but quotes", "'".repeat(60_000)),
    ]
}
