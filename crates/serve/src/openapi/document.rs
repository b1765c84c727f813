//! The document: every route of the table with its parameters, its body and its answers, and the schemas of these.
//!
//! OpenAPI 3.1.0, whose schemas are JSON Schema 2020-12. What people read of a route stands in one place, [`ROUTES`]; links of
//! that text lead to pages, and are left out here.

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::contents::{CONTENTS, Contents};
use crate::{
    answers::ErrorAnswer,
    routes::{EVERYWHERE, ROUTES, Route},
};

/// Headers that OpenAPI says elsewhere than among the parameters (3.1.0, section 4.8.12.2.1).
const SAID_ELSEWHERE: [&str; 3] = ["Accept", "Content-Type", "Authorization"];

/// The document.
pub(crate) fn document(version: &str) -> Value {
    let mut settings = SchemaSettings::draft2020_12().for_serialize();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut schemas = settings.into_generator();
    let mut paths = Map::new();
    for route in ROUTES {
        let item = paths.entry(route.path).or_insert_with(|| json!({}));
        item[route.method.to_lowercase()] = operation(route, &mut schemas);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Lakehead",
            "version": version,
            "description": "Event streams with SQL views. Every refusal says what to do in `error`.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "security": [{}, { "token": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "the token of the pipeline, or for pushes one of its push tokens; a request straight from the same machine needs none",
                },
            },
        },
    })
}

fn operation(route: &Route, schemas: &mut SchemaGenerator) -> Value {
    let contents = CONTENTS.iter().find(|contents| contents.path == route.path && contents.method == route.method);
    let mut operation = json!({
        "operationId": id(route),
        "summary": plain(route.what),
        "parameters": parameters(route),
        "responses": responses(route, contents, schemas),
    });
    if !route.limits.is_empty() {
        operation["description"] = format!("Limits: {}.", plain(route.limits)).into();
    }
    let mut takes = Map::new();
    for (media, schema) in contents.map_or(&[][..], |contents| contents.takes) {
        takes.insert((*media).to_owned(), json!({ "schema": schema(schemas) }));
    }
    if !takes.is_empty() {
        operation["requestBody"] = json!({ "description": plain(route.body), "content": takes });
    }
    operation
}

/// `POST /v1/streams/{name}/events` is `post_v1_streams_name_events`.
fn id(route: &Route) -> String {
    let words = route.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    std::iter::once(route.method.to_lowercase()).chain(words.map(str::to_owned)).collect::<Vec<_>>().join("_")
}

/// The parameters of a route: what its path has in braces, and those of the query and the head that the table names.
fn parameters(route: &Route) -> Vec<Value> {
    let told: Vec<(&str, &str)> = route
        .parameters
        .iter()
        .flat_map(|(names, what)| names.split(", ").map(move |name| (name.trim_matches('`'), *what)))
        .collect();
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = in_path.map(|name| {
        let what = told.iter().find(|(told, _)| told.trim_matches(['{', '}']) == name).map_or("", |(_, what)| what);
        parameter(name, "path", what)
    });
    let others = told.iter().filter(|(name, _)| !name.starts_with('{') && !SAID_ELSEWHERE.contains(name));
    let others = others.map(|(name, what)| match name.strip_prefix('?') {
        Some(name) => parameter(name.trim_end_matches('='), "query", what),
        None => parameter(name, "header", what),
    });
    in_path.chain(others).collect()
}

fn parameter(name: &str, place: &str, what: &str) -> Value {
    json!({
        "name": name,
        "in": place,
        "required": place == "path",
        "description": plain(what),
        "schema": { "type": "string" },
    })
}

fn responses(route: &Route, contents: Option<&Contents>, schemas: &mut SchemaGenerator) -> Value {
    let mut responses = Map::new();
    // What the route says of a status itself comes first.
    for (status, what) in route.answers.iter().chain(EVERYWHERE) {
        if responses.contains_key(&status.to_string()) {
            continue;
        }
        let mut content = Map::new();
        let given = contents.map_or(&[][..], |contents| contents.gives).iter().filter(|(given, ..)| given == status);
        for (_, media, schema) in given {
            content.insert((*media).to_owned(), json!({ "schema": schema(schemas) }));
        }
        // A head that is too long is answered by the HTTP library, without a body.
        if content.is_empty() && *status >= 400 && *status != 431 {
            let schema = schemas.subschema_for::<ErrorAnswer>();
            content.insert("application/json".to_owned(), json!({ "schema": schema }));
        }
        let mut response = json!({ "description": plain(what) });
        if !content.is_empty() {
            response["content"] = Value::Object(content);
        }
        responses.insert(status.to_string(), response);
    }
    Value::Object(responses)
}

/// Text of the table without the links of its page: `[push](../push.md)` is `push`.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        let link = after.split_once("](").and_then(|(word, target)| Some((word, target.split_once(')')?.1)));
        plain.push_str(before);
        rest = match link {
            Some((word, behind)) if !word.contains('[') => {
                plain.push_str(word);
                behind
            }
            _ => {
                plain.push('[');
                after
            }
        };
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every `$ref` below a value.
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(keys) => {
                found.extend(keys.get("$ref").and_then(Value::as_str).map(str::to_owned));
                keys.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_route_is_in_the_document_and_the_document_has_no_other() {
        let document = document("1");
        let paths = document["paths"].as_object().expect("paths");
        let written: BTreeSet<(String, String)> = paths
            .iter()
            .flat_map(|(path, item)| {
                let methods = item.as_object().expect("an item").keys();
                methods.map(|method| (method.to_uppercase(), path.clone())).collect::<Vec<_>>()
            })
            .collect();
        // That table is held against the router itself by its own test.
        let routes: BTreeSet<_> = ROUTES.iter().map(|route| (route.method.to_owned(), route.path.to_owned())).collect();
        assert_eq!(written, routes);
        let contents: BTreeSet<_> = CONTENTS.iter().map(|of| (of.method.to_owned(), of.path.to_owned())).collect();
        assert_eq!(contents, routes, "what each takes and answers");
    }

    #[test]
    fn every_status_with_a_type_is_one_that_the_table_names() {
        for contents in CONTENTS {
            let route = ROUTES.iter().find(|route| route.path == contents.path && route.method == contents.method);
            let route = route.expect("a route");
            let told: BTreeSet<u16> = route.answers.iter().chain(EVERYWHERE).map(|(status, _)| *status).collect();
            for (status, ..) in contents.gives {
                assert!(told.contains(status), "{} {}: {status}", route.method, route.path);
            }
            assert_eq!(contents.takes.is_empty(), route.body.is_empty(), "{} {}", route.method, route.path);
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_no_link_of_the_page_is_left() {
        let document = document("1");
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(found.len() > 20, "{found:?}");
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("in the document");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        assert!(!document.to_string().contains(".md)"));
        assert_eq!(plain("[push](../push.md), a [b] and [c](d)"), "push, a [b] and c");
    }

    #[test]
    fn parameters_stand_where_they_are_given() {
        let document = document("1");
        let of = |path: &str, method: &str| {
            let parameters = document["paths"][path][method]["parameters"].as_array().cloned().unwrap_or_default();
            let named = parameters.iter().map(|of| format!("{} {}", of["in"], of["name"]).replace('"', ""));
            named.collect::<Vec<_>>()
        };
        assert_eq!(
            of("/v1/streams/{name}/events", "post"),
            ["path name", "header Content-Encoding", "header Idempotency-Key"]
        );
        assert_eq!(of("/v1/views/{name}/changes", "get"), ["path name", "query after"]);
        assert_eq!(of("/assets/{folder}/{name}", "get"), ["path folder", "path name"]);
        let ids: BTreeSet<String> = ROUTES.iter().map(id).collect();
        assert_eq!(ids.len(), ROUTES.len());
    }
}
