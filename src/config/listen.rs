//! `listen`, `listen_anyone` and `token`: where Lakehead listens, and who may ask.

use std::{net::SocketAddr, path::PathBuf};

use lakehead_engine::pipeline::Token;

use super::{document::Document, problem::Problem};

/// Where Lakehead listens when the pipeline does not say: loopback only.
const LISTEN: &str = "127.0.0.1:8080";

/// What the command line says over the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    /// In place of `data`.
    pub(crate) data: Option<PathBuf>,
    /// In place of `listen`.
    pub(crate) listen: Option<SocketAddr>,
    /// As `listen_anyone = true`.
    pub(crate) listen_anyone: bool,
}

/// Reads the token.
pub(super) fn token(document: &Document, problems: &mut Vec<Problem>) -> Option<Token> {
    let text: String = document.optional(&["token"], problems)?;
    match Token::new(text) {
        Ok(token) => Some(token),
        Err(what) => {
            problems.push(document.problem(&["token"], what));
            None
        }
    }
}

/// Reads the address, which other machines may reach only with a token or where that is said out loud.
pub(super) fn listen(
    document: &Document,
    overrides: &Overrides,
    token: bool,
    problems: &mut Vec<Problem>,
) -> SocketAddr {
    let anyone = document.optional::<bool>(&["listen_anyone"], problems).unwrap_or(false);
    let anyone = anyone || overrides.listen_anyone;
    let written: Option<String> = document.optional(&["listen"], problems);
    let written = written.as_deref().unwrap_or(LISTEN);
    let address = match (overrides.listen, written.parse::<SocketAddr>()) {
        (Some(address), _) | (None, Ok(address)) => address,
        (None, Err(_)) => {
            let what = format!("{written:?} is not an address: write IP and port, as in {LISTEN:?}");
            problems.push(document.problem(&["listen"], what));
            return SocketAddr::from(([127, 0, 0, 1], 0));
        }
    };
    if !address.ip().is_loopback() && !token && !anyone {
        let what = format!(
            "{address} can be reached from other machines: set a token, as in token = \"${{LAKEHEAD_TOKEN}}\", or write \
             listen_anyone = true (--listen-anyone) if everyone who reaches it may read and push"
        );
        problems.push(match overrides.listen {
            Some(_) => Problem { key: "--listen".to_owned(), what, ..Problem::default() },
            None => document.problem(&["listen"], what),
        });
    }
    address
}
