//! `[push_token.NAME]`: a token that may push to some streams, and do nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use lakehead_engine::pipeline::{PushToken, Token};
use lakehead_model::{Name, hint::instead};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{document::Document, problem::Problem};
use crate::regular_file;

/// The largest file of a secret: 4 KiB, longer than any.
const SECRET_BYTES_MAX: u64 = 4 << 10;

/// A push token's keys.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PushTokenKeys {
    /// The secret: at least 16 characters; take it from the environment, as in "${SENSORS_TOKEN}". Either this or `file`.
    secret: Option<String>,
    /// A file that holds the secret, of at most 4 KiB; white space around it does not count. It is read at the start and at each
    /// reload. A relative path begins in the folder in which Lakehead is started.
    file: Option<String>,
    /// The streams that it may push to.
    streams: Vec<String>,
}

/// Reads all push tokens. `streams` are those of the file, be they good or not.
pub(super) fn read<T>(
    document: &Document,
    streams: &BTreeMap<Name, T>,
    pipeline: Option<&Token>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<Name, PushToken> {
    let mut tokens: BTreeMap<Name, PushToken> = BTreeMap::new();
    for (name, key) in document.tables("push_token", problems) {
        let at = ["push_token", key];
        let Some(keys) = document.read_all::<PushTokenKeys>(&at, problems) else { continue };
        let allowed = allowed(document, key, &keys.streams, streams, problems);
        let Some(token) = secret(document, key, &keys, problems) else { continue };
        if tokens.values().any(|other| other.token == token) || pipeline == Some(&token) {
            let what = "another token has the same secret, so nobody could tell which of them is meant; choose another";
            problems.push(document.problem(&at, what));
        }
        tokens.insert(name, PushToken { token, streams: Arc::new(allowed) });
    }
    if tokens.len() > PushToken::COUNT_MAX {
        let what =
            format!("there are {} push tokens; at most {} are looked through", tokens.len(), PushToken::COUNT_MAX);
        problems.push(document.problem(&["push_token"], what));
    }
    tokens
}

/// The streams that it may push to.
fn allowed<T>(
    document: &Document,
    key: &str,
    named: &[String],
    streams: &BTreeMap<Name, T>,
    problems: &mut Vec<Problem>,
) -> BTreeSet<Name> {
    let at = ["push_token", key, "streams"];
    if named.is_empty() {
        problems.push(document.problem(&at, "name at least one stream; a token that may push nowhere is left out"));
    }
    let mut allowed = BTreeSet::new();
    for name in named {
        match streams.get_key_value(name.as_str()) {
            Some((name, _)) => {
                allowed.insert(name.clone());
            }
            None => {
                let known = instead(name, streams.keys().map(Name::as_str));
                problems.push(document.problem(&at, format!("there is no stream {name:?}; {known}")));
            }
        }
    }
    allowed
}

/// The secret, wherever it stands.
fn secret(document: &Document, key: &str, keys: &PushTokenKeys, problems: &mut Vec<Problem>) -> Option<Token> {
    let (place, text) = match (&keys.secret, &keys.file) {
        (Some(secret), None) => ("secret", Ok(secret.clone())),
        (None, Some(file)) => ("file", from_file(Path::new(file))),
        _ => {
            let what = "write one of `secret`, as in secret = \"${TOKEN}\", and `file`";
            problems.push(document.problem(&["push_token", key], what));
            return None;
        }
    };
    match text.and_then(Token::new) {
        Ok(token) => Some(token),
        Err(what) => {
            problems.push(document.problem(&["push_token", key, place], what));
            None
        }
    }
}

fn from_file(file: &Path) -> Result<String, String> {
    let bytes =
        regular_file::bytes(file, "a file with a secret", SECRET_BYTES_MAX).map_err(|error| format!("{error:#}"))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("{} holds what is no text", file.display()))?;
    Ok(text.trim().to_owned())
}
