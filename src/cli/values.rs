//! Values of the command line.

use std::net::SocketAddr;

use lakehead_model::Timestamp;

/// Reads a moment of the command line.
pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "write a moment with its zone (RFC 3339), as in 2026-11-24T10:00:00Z".to_owned())
}

/// Reads an address to listen on.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "write IP and port, as in 127.0.0.1:8080".to_owned())
}
