//! Every route for people: the page docs/reference/http.md is made of this, and a test holds it against the router.

use std::fmt::Write;

use crate::{
    bodies::{BODY_TIME_MAX, BYTES_PER_SECOND_MIN, PATIENCE_MAX},
    connections::{CONNECTIONS_MAX, HEAD_BYTES_MAX, HEAD_TIME_MAX},
};

/// One route and method.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The method.
    pub method: &'static str,
    /// The path; what stands in braces is chosen by the caller.
    pub path: &'static str,
    /// What it does, in a sentence.
    pub what: &'static str,
    /// What may be given beside the body, and what it means: parts of the path, of the query, headers.
    pub parameters: &'static [(&'static str, &'static str)],
    /// What the body is; empty when there is none.
    pub body: &'static str,
    /// What the answer is when all is well, and the other statuses that are this route's own.
    pub answers: &'static [(u16, &'static str)],
    /// What is bounded.
    pub limits: &'static str,
}

/// Statuses that every route may answer.
pub(crate) const EVERYWHERE: &[(u16, &str)] = &[
    (
        401,
        "the pipeline has a token, and a request from another machine brings none, or one from anywhere brings another as `Authorization: Bearer TOKEN`",
    ),
    (403, "a page of another origin asks, or a token that may only push asks for something else"),
    (404, "nothing is served there, or there is no stream or view of this name; the answer names what there is"),
    (405, "the path does not take this method"),
    (408, "the body did not come in time"),
    (413, "the body is too large"),
    (
        421,
        "a request from this machine that does not bring the token has a `Host` that is neither an IP address nor `localhost`",
    ),
    (431, "the head is too long; without a body, since the HTTP library answers before Lakehead sees the request"),
    (503, "it stops, or has no room at this moment; `Retry-After` says when to ask again"),
];

/// The routes, in the order of the page.
pub const ROUTES: &[Route] = &[
    Route {
        method: "POST",
        path: "/v1/events",
        what: "Takes events for any streams, as EventGate does: each goes to the stream that it names in `meta.stream`. Answers when they are on disk in all of them.",
        parameters: &[
            (
                "`?hasty=`",
                "`true`: it answers when they are in the queues of their streams; what is lost after that is only counted",
            ),
            (
                "`Content-Type`",
                "`application/json` or another name of JSON, `application/x-ndjson` for one event on each line, `text/plain`, or none",
            ),
            ("`Content-Encoding`", "`gzip`, `deflate` or `zstd`; the limits are those of what the body becomes"),
            (
                "`Idempotency-Key`",
                "as for a push to one stream; each stream keeps it, so that the same body sent again is kept where it was not ([push](../push.md)). Not with `hasty`",
            ),
        ],
        body: "JSON: an event, an array of events, or an event on each line. An event without `meta.id` or `meta.dt` gets a UUID, or the time of its arrival; else its bytes stay as they are",
        answers: &[
            (
                201,
                "every event is on disk in its stream: `accepted` counts them, `success` has an entry for each stream with `count` and `first_offset`",
            ),
            (202, "with `hasty`: as 201 or 207, and nothing is promised"),
            (
                207,
                "some are on disk: `invalid` has the first 100 that are no events of their stream, `error` the first 100 others, each with its `index`, the `event` and `context.message`; `invalid_count` and `error_count` have all",
            ),
            (400, "none is kept, and only its sender can change that: as 207"),
            (403, "none is kept: the token may push to none of their streams; as 207"),
            (409, "a push with this key is being written"),
            (415, "the `Content-Type` or `Content-Encoding` is none of those"),
            (429, "none is kept: the queues of the streams are full; send it again after `Retry-After`"),
            (507, "none is kept: the disk is full"),
        ],
        limits: "a body of at most 16 MiB and 262,144 events, an event of at most 4 MiB; 5 s of waiting for room in a queue; bodies that come too slowly, and how many are read at once: [push](../push.md)",
    },
    Route {
        method: "POST",
        path: "/v1/streams/{name}/events",
        what: "Takes events into a stream; answers when they are on disk.",
        parameters: &[
            ("`{name}`", "the stream"),
            (
                "`Content-Type`",
                "`application/json` for one document or an array of them; `application/x-ndjson` for one on each line. Without it the body tells",
            ),
            ("`Content-Encoding`", "`gzip`, `deflate` or `zstd`; the limits are those of what the body becomes"),
            (
                "`Idempotency-Key`",
                "1 to 128 printable ASCII characters without spaces, in one header: a push that is repeated with the same key is kept once ([push](../push.md))",
            ),
        ],
        body: "JSON: a document, an array of documents, or a document on each line",
        answers: &[
            (
                201,
                "every event is committed: `{\"accepted\": 2, \"first_offset\": 17}`; with `\"repeated\": true` it was so before; `\"without_event_time\": {\"count\": 1, \"reason\": …}` tells those that have no event time where the stream wants one",
            ),
            (
                207,
                "some are committed, as in 201; `rejected` counts the others, `invalid` has the first 100 with their reasons, the stream `rejects` the first 1,000",
            ),
            (400, "none is committed, with the reasons; or the `Idempotency-Key` is none, or there are several"),
            (403, "the token may push to other streams only"),
            (409, "a push with this key is being written"),
            (415, "the `Content-Encoding` is none of those"),
            (507, "the disk is full; nothing of the body was kept"),
        ],
        limits: "a body of at most 16 MiB; bodies that come too slowly, and how many are read at once: [push](../push.md)",
    },
    Route {
        method: "POST",
        path: "/v1/sql",
        what: "Answers one SELECT over streams and views ([SQL](../sql.md)).",
        parameters: &[(
            "`Accept`",
            "`application/json` (an array; the default), `application/x-ndjson` (a row on each line), `text/csv`, `application/vnd.apache.arrow.stream`. NULL is `null` in JSON",
        )],
        body: "the statement as text",
        answers: &[
            (200, "the rows; `Lakehead-Truncated: true` when there are more than are let through"),
            (400, "the statement is wrong: `error` says what, with line and column, and what would be valid"),
            (406, "no format of `Accept` is known"),
            (
                422,
                "the statement is right and takes more than it may: memory, processor time, rows that views hold open",
            ),
        ],
        limits: "64 KiB of text, 100,000 rows, 60 s, 512 MiB of memory for a statement and 1 GiB for all; some at once, more wait, then 503",
    },
    Route {
        method: "GET",
        path: "/v1/status",
        what: "The state of everything: streams, sources, views, sinks, disk, audit, reloads. It costs no I/O.",
        parameters: &[],
        body: "",
        answers: &[(200, "one JSON object")],
        limits: "",
    },
    Route {
        method: "GET",
        path: "/v1/live",
        what: "The same, pushed once a second, with the rows of the panels that the client names.",
        parameters: &[(
            "`?see=`",
            "names of panels as `panels` lists them, with commas between them: `view:orders,stream:events`, or its own name of one of the pipeline file",
        )],
        body: "",
        answers: &[(200, "Server-Sent Events without an end"), (404, "there is no panel of such a name")],
        limits: "64 listeners",
    },
    Route {
        method: "POST",
        path: "/v1/live/{client}",
        what: "Sets which panels a listener of `/v1/live` is sent from now on ([the dashboard](../dashboard.md)).",
        parameters: &[("`{client}`", "its number, which is in `hello`")],
        body: "a JSON array of panels' names; an unknown one is ignored",
        answers: &[(204, "done"), (404, "there is no such listener")],
        limits: "",
    },
    Route {
        method: "GET",
        path: "/healthz",
        what: "Whether a supervisor should intervene ([sinks](../sinks.md#status-health-and-metrics)).",
        parameters: &[],
        body: "",
        answers: &[(200, "no; `notes` has what is worth a look"), (503, "yes; `reasons` says why")],
        limits: "",
    },
    Route {
        method: "GET",
        path: "/metrics",
        what: "Counters and gauges for Prometheus.",
        parameters: &[],
        body: "",
        answers: &[(200, "the text format 0.0.4")],
        limits: "",
    },
    Route {
        method: "POST",
        path: "/v1/verify",
        what: "Counts everything again, now ([the audit](../verify.md)).",
        parameters: &[],
        body: "a JSON object, each key of which narrows it: `stream` and `view` are names, `since` is RFC 3339 text with a zone, as in `\"2026-11-24T00:00:00Z\"` (or a number: microseconds since 1970); empty for everything",
        answers: &[
            (200, "the report as JSON"),
            (400, "the body is no such object"),
            (404, "there is no such stream or view"),
            (503, "another one is under way"),
        ],
        limits: "one at a time; 4 KiB of body",
    },
    Route {
        method: "POST",
        path: "/v1/reload",
        what: "Reads the pipeline file again ([reload](../reload.md)).",
        parameters: &[],
        body: "",
        answers: &[
            (200, "what was `added`, `removed` and `changed`"),
            (409, "there is no file: the default pipeline, or the demo"),
            (422, "the file is refused; `error` has everything that is wrong, with line and key"),
        ],
        limits: "",
    },
    Route {
        method: "POST",
        path: "/v1/views/{name}/explain",
        what: "The raw events behind rows of a view ([views](../views.md)).",
        parameters: &[("`{name}`", "the view")],
        body: "a JSON object: `where` is a condition in SQL, `rows` and `events` are whole numbers, how many are shown; empty for the first rows",
        answers: &[
            (200, "the rows, the events of each, and whether they give it again"),
            (400, "the condition is wrong, or the body is no such object"),
        ],
        limits: "64 KiB of body; as a query in time and memory",
    },
    Route {
        method: "GET",
        path: "/v1/views/{name}/changes",
        what: "What has changed in closed windows since a position.",
        parameters: &[
            ("`{name}`", "the view"),
            (
                "`?after=`",
                "the position that the previous answer had in `Lakehead-Position`, as in `view.2.17`; without it all rows",
            ),
        ],
        body: "",
        answers: &[
            (200, "JSON lines; `Lakehead-Position` says where to continue, `Lakehead-Reset` that they are all rows"),
            (400, "the position is none"),
        ],
        limits: "4 at once, 32 more wait for 10 s, then 503",
    },
    Route {
        method: "GET",
        path: "/v1/views/{name}/diff",
        what: "What the cutover to the view's shadow would change.",
        parameters: &[("`{name}`", "the view")],
        body: "",
        answers: &[(200, "counts, and some of the rows, as JSON"), (400, "it has no shadow")],
        limits: "",
    },
    Route {
        method: "POST",
        path: "/v1/views/{name}/{what}",
        what: "Does something with a view.",
        parameters: &[
            ("`{name}`", "the view"),
            ("`{what}`", "`rebuild` builds a shadow from the log; `swap` is the cutover to a shadow that waits"),
        ],
        body: "",
        answers: &[(200, "`{\"view\": …, \"done\": …}`"), (400, "no shadow waits")],
        limits: "",
    },
    Route {
        method: "GET",
        path: "/v1/retention",
        what: "What the retention rules would remove now, and who holds what ([the store](../store.md)).",
        parameters: &[],
        body: "",
        answers: &[(200, "an object by stream: `segments`, `bytes`, `until`, `held_bytes`, `held_by`")],
        limits: "",
    },
    Route {
        method: "POST",
        path: "/v1/sealing/{what}",
        what: "Pauses sealing of finished segments, or resumes it; a restart resumes it.",
        parameters: &[("`{what}`", "`pause` or `resume`")],
        body: "",
        answers: &[(200, "how it is now")],
        limits: "",
    },
    Route {
        method: "GET",
        path: "/v1/streams/{name}/import",
        what: "Where an import stands; for `lakehead import`.",
        parameters: &[("`{name}`", "the stream"), ("`?source=`", "the import's name")],
        body: "",
        answers: &[(200, "`{\"cursor\": …}`, null when there is none")],
        limits: "",
    },
    Route {
        method: "POST",
        path: "/v1/streams/{name}/import",
        what: "Takes the next lines of an import; for `lakehead import`.",
        parameters: &[
            ("`{name}`", "the stream"),
            ("`?source=`", "the import's name"),
            ("`?from=`, `?first_line=`, `?cut=`", "where the lines come from, for what is refused"),
            ("`?event_time=`", "the field with the event time; refused unless it is the stream's own"),
            ("`Lakehead-Cursor`", "where the import stands behind these lines, as JSON"),
            ("`Lakehead-Cursor-Expected`", "where it stands before them; without it at its beginning"),
        ],
        body: "whole lines of JSON",
        answers: &[(200, "how many are `events` and `rejects`"), (409, "it stands elsewhere; `cursor` says where")],
        limits: "a body of at most 16 MiB and 262,144 lines",
    },
    Route {
        method: "GET",
        path: "/v1/openapi.json",
        what: "All of this for programs: an OpenAPI 3.1 document, with the JSON Schemas of the answers.",
        parameters: &[],
        body: "",
        answers: &[(200, "the document")],
        limits: "",
    },
    Route {
        method: "GET",
        path: "/",
        what: "The dashboard.",
        parameters: &[],
        body: "",
        answers: &[(200, "HTML"), (401, "the sign-in page, for browsers")],
        limits: "",
    },
    Route {
        method: "GET",
        path: "/assets/{folder}/{name}",
        what: "The dashboard's files; their addresses change with what is in them.",
        parameters: &[],
        body: "",
        answers: &[(200, "a file that may be kept for a year")],
        limits: "",
    },
    Route {
        method: "POST",
        path: "/sign-in",
        what: "Takes the token of the sign-in page's form and keeps it in a cookie.",
        parameters: &[],
        body: "a form with `token`",
        answers: &[(303, "to the dashboard"), (401, "another token, and the page again")],
        limits: "4 KiB of body",
    },
];

/// The page.
#[must_use]
pub fn page() -> String {
    let mut text = format!(
        "# HTTP\n\nMade of the code by `lakehead reference http`; a test fails when it is stale or a route is missing.\n\n\
         Lakehead listens on `listen` (127.0.0.1:8080). Every refusal is a JSON object whose `error` says what to do, but the \
         sign-in page, and what is answered to a head that is too long or is not HTTP: that has no body.\n\n\
         Where the pipeline has a token, every request from another machine brings it, those for the dashboard's files too: \
         `Authorization: Bearer TOKEN`, or the cookie that `POST /sign-in` sets; `GET /` answers 401 with the form for it. A \
         request straight from this machine, over loopback and with neither `X-Forwarded-For` nor `Forwarded`, needs no token. \
         So a reverse proxy on this machine must set one of these headers: else everyone who reaches it passes. A bearer \
         token that is wrong is refused from anywhere.\n\n\
         At most {CONNECTIONS_MAX} connections are open at once. A head has {} s from its first byte, after which the \
         connection is closed without an answer, and {} KiB; a longer one may be answered 431. The body of a push or an \
         import may keep Lakehead waiting for {} s, earned back at {} KiB/s; any other body has {} s.\n\n\
         | status | anywhere |\n|---:|---|\n",
        HEAD_TIME_MAX.as_secs(),
        HEAD_BYTES_MAX >> 10,
        PATIENCE_MAX.as_secs(),
        BYTES_PER_SECOND_MIN >> 10,
        BODY_TIME_MAX.as_secs(),
    );
    for (status, what) in EVERYWHERE {
        let _ = writeln!(text, "| {status} | {what} |");
    }
    for route in ROUTES {
        let _ = writeln!(text, "\n## `{} {}`\n\n{}", route.method, route.path, route.what);
        if !route.parameters.is_empty() {
            text.push_str("\n| parameter | |\n|---|---|\n");
            for (name, what) in route.parameters {
                let _ = writeln!(text, "| {name} | {what} |");
            }
        }
        if !route.body.is_empty() {
            let _ = writeln!(text, "\nBody: {}.", route.body);
        }
        text.push_str("\n| status | answer |\n|---:|---|\n");
        for (status, what) in route.answers {
            let _ = writeln!(text, "| {status} | {what} |");
        }
        if !route.limits.is_empty() {
            let _ = writeln!(text, "\nLimits: {}.", route.limits);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The routes that the router is built from, read from its own text: `.route("PATH", get(…).post(…))`.
    fn served() -> BTreeSet<(String, String)> {
        let text = include_str!("router.rs");
        let router =
            text.split("pub(crate) fn router").nth(1).and_then(|rest| rest.split("\n}").next()).expect("a router");
        let mut served = BTreeSet::new();
        for call in router.split(".route(").skip(1) {
            let (path, rest) = call.split_once(',').expect("a path and its methods");
            let path = match path.trim() {
                "sign_in::PATH" => crate::access::sign_in::PATH.to_owned(),
                path => path.trim_matches('"').to_owned(),
            };
            // What comes behind the methods are other calls of the router.
            let rest = rest.split("\n        .").next().unwrap_or(rest);
            for method in ["get", "post", "put", "delete", "patch", "head", "options", "any"] {
                let is_called = rest
                    .match_indices(&format!("{method}("))
                    .any(|(at, _)| !rest[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'));
                if is_called {
                    served.insert((method.to_uppercase(), path.clone()));
                }
            }
        }
        served
    }

    #[test]
    fn every_route_has_an_entry_and_every_entry_a_route() {
        let told = ROUTES.iter().map(|route| (route.method.to_owned(), route.path.to_owned())).collect();
        let served = served();
        assert!(served.len() > 15, "{served:?}");
        assert_eq!(served, told);
    }
}
