//! What the routes take and answer, by media type and type: the part of the OpenAPI document that the table for people does not
//! have. A test holds it against that table.

use std::collections::BTreeMap;

use lakehead_engine::{Reloaded, Status, audit::Report, import::Imported};
use lakehead_model::Name;
use lakehead_query::{Explanation, ViewDifference};
use schemars::{Schema, SchemaGenerator, json_schema};

use crate::{
    answers::{EventsAnswer, PushAnswer, RetentionAnswer},
    handlers::{health::HealthAnswer, import::CursorAnswer, upkeep::SealingAnswer, views::ViewDone},
};

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";

/// Makes the schema of a type, and whatever that refers to.
type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What a route takes and answers.
pub(super) struct Contents {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    /// What a body may be.
    pub(super) takes: &'static [(&'static str, SchemaOf)],
    /// What is answered, by status. A refusal that is not here is `{"error": …}`; another status that is not here has no body.
    pub(super) gives: &'static [(u16, &'static str, SchemaOf)],
}

/// A route without a body of its own.
const fn answers(
    method: &'static str,
    path: &'static str,
    gives: &'static [(u16, &'static str, SchemaOf)],
) -> Contents {
    Contents { method, path, takes: &[], gives }
}

pub(super) const CONTENTS: &[Contents] = &[
    Contents {
        method: "POST",
        path: "/v1/events",
        takes: &[(JSON, events), (LINES, text)],
        gives: &[
            (201, JSON, of::<EventsAnswer>),
            (202, JSON, of::<EventsAnswer>),
            (207, JSON, of::<EventsAnswer>),
            (400, JSON, either::<EventsAnswer>),
            (403, JSON, either::<EventsAnswer>),
            (429, JSON, either::<EventsAnswer>),
            (503, JSON, either::<EventsAnswer>),
            (507, JSON, either::<EventsAnswer>),
        ],
    },
    Contents {
        method: "POST",
        path: "/v1/streams/{name}/events",
        takes: &[(JSON, any), (LINES, text)],
        gives: &[
            (201, JSON, of::<PushAnswer>),
            (207, JSON, of::<PushAnswer>),
            (400, JSON, either::<PushAnswer>),
            (401, JSON, either::<PushAnswer>),
            (403, JSON, either::<PushAnswer>),
            (408, JSON, either::<PushAnswer>),
            (413, JSON, either::<PushAnswer>),
            (503, JSON, either::<PushAnswer>),
            (507, JSON, either::<PushAnswer>),
        ],
    },
    Contents {
        method: "POST",
        path: "/v1/sql",
        takes: &[("text/plain", text)],
        gives: &[
            (200, JSON, rows),
            (200, LINES, text),
            (200, "text/csv", text),
            (200, "application/vnd.apache.arrow.stream", text),
        ],
    },
    answers("GET", "/v1/status", &[(200, JSON, of::<Status>)]),
    answers("GET", "/v1/live", &[(200, "text/event-stream", text)]),
    Contents { method: "POST", path: "/v1/live/{client}", takes: &[(JSON, of::<Vec<String>>)], gives: &[] },
    answers("GET", "/healthz", &[(200, JSON, of::<HealthAnswer>), (503, JSON, either::<HealthAnswer>)]),
    answers("GET", "/metrics", &[(200, "text/plain", text)]),
    Contents { method: "POST", path: "/v1/verify", takes: &[(JSON, any)], gives: &[(200, JSON, of::<Report>)] },
    answers("POST", "/v1/reload", &[(200, JSON, of::<Reloaded>)]),
    Contents {
        method: "POST",
        path: "/v1/views/{name}/explain",
        takes: &[(JSON, any)],
        gives: &[(200, JSON, of::<Explanation>)],
    },
    answers("GET", "/v1/views/{name}/changes", &[(200, LINES, text)]),
    answers("GET", "/v1/views/{name}/diff", &[(200, JSON, of::<ViewDifference>)]),
    answers("POST", "/v1/views/{name}/{what}", &[(200, JSON, of::<ViewDone>)]),
    answers("GET", "/v1/retention", &[(200, JSON, of::<BTreeMap<Name, RetentionAnswer>>)]),
    answers("POST", "/v1/sealing/{what}", &[(200, JSON, of::<SealingAnswer>)]),
    answers("GET", "/v1/streams/{name}/import", &[(200, JSON, of::<CursorAnswer>)]),
    Contents {
        method: "POST",
        path: "/v1/streams/{name}/import",
        takes: &[(LINES, text)],
        gives: &[(200, JSON, of::<Imported>)],
    },
    answers("GET", "/v1/openapi.json", &[(200, JSON, any)]),
    answers("GET", "/", &[(200, "text/html", text), (401, "text/html", text)]),
    answers("GET", "/assets/{folder}/{name}", &[(200, "application/octet-stream", text)]),
    Contents {
        method: "POST",
        path: "/sign-in",
        takes: &[("application/x-www-form-urlencoded", text)],
        gives: &[(401, "text/html", text), (408, "text/html", text), (413, "text/html", text)],
    },
];

fn of<T: schemars::JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// `T`, or that the request as a whole is refused.
fn either<T: schemars::JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let (answer, refusal) = (of::<T>(generator), of::<crate::answers::ErrorAnswer>(generator));
    json_schema!({ "anyOf": [answer, refusal] })
}

fn text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string" })
}

fn any(_: &mut SchemaGenerator) -> Schema {
    json_schema!({})
}

/// Rows by column.
fn rows(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": { "type": "object" } })
}

/// An event that names its stream, or an array of such.
fn events(generator: &mut SchemaGenerator) -> Schema {
    let meta = json_schema!({
        "type": "object",
        "required": ["stream"],
        "properties": {
            "stream": { "type": "string" },
            "id": { "description": "a UUID is written in where it is missing" },
            "dt": { "description": "the time of arrival is written in where it is missing" },
        },
    });
    let event = json_schema!({ "type": "object", "required": ["meta"], "properties": { "meta": meta } });
    generator.definitions_mut().insert("Event".to_owned(), event.to_value());
    let event = json_schema!({ "$ref": "#/components/schemas/Event" });
    json_schema!({ "anyOf": [event, { "type": "array", "items": event }] })
}
