//! `/v1/openapi.json` as a contract: what a process answers is held to the document that it serves itself.

use lakehead_json_schema::JsonSchema;
use serde_json::{Value, json};

use crate::http::Answer;

/// The document of a running process.
pub(crate) struct Contract(pub(crate) Value);

impl Contract {
    /// Asks the process at `address` for it.
    pub(crate) fn of(address: &str) -> Self {
        let answer = crate::http::get(address, "/v1/openapi.json").expect("it answers");
        assert_eq!(answer.status, 200, "{}", answer.body);
        let mut document = answer.json();
        without_widths(&mut document);
        Self(document)
    }

    /// Holds an answer to a request of `method` on `path`, as it stands in the document, to what is said of its status there.
    pub(crate) fn holds(&self, method: &str, path: &str, answer: &Answer) {
        let response = &self.0["paths"][path][method.to_lowercase()]["responses"][answer.status.to_string()];
        assert!(response.is_object(), "{method} {path} has no {}: {}", answer.status, answer.body);
        let schema = &response["content"]["application/json"]["schema"];
        assert!(!schema.is_null(), "{method} {path} {} has no JSON: {}", answer.status, answer.body);
        let whole = json!({ "allOf": [schema], "components": self.0["components"] });
        let schema =
            JsonSchema::new(whole.to_string().as_bytes()).unwrap_or_else(|wrong| panic!("{method} {path}: {wrong}"));
        if let Err(wrong) = schema.check(answer.body.as_bytes()) {
            panic!("{method} {path} {}: {wrong}\n{}", answer.status, answer.body);
        }
    }
}

/// Takes out the formats of numbers, as in `uint64`: OpenAPI's own, which say something of a program's types.
fn without_widths(value: &mut Value) {
    match value {
        Value::Object(keys) => {
            let is_number = |of: &Value| matches!(of.as_str(), Some("integer" | "number"));
            let numbers = keys
                .get("type")
                .is_some_and(|of| is_number(of) || of.as_array().is_some_and(|of| of.iter().any(is_number)));
            if numbers {
                keys.remove("format");
            }
            keys.values_mut().for_each(without_widths);
        }
        Value::Array(values) => values.iter_mut().for_each(without_widths),
        _ => {}
    }
}
