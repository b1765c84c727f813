//! The API: what it says of a city changes now and then, and it answers as APIs do.

use std::{
    io::{self, Write},
    net::TcpStream,
    thread::sleep,
    time::Duration,
};

use super::{
    events::{CITIES, answer},
    hostility::{Fault, Shared, Turn},
};

/// Answers one request for the city of this name.
pub(super) fn serve(
    mut socket: TcpStream,
    city: &str,
    known_tag: Option<&str>,
    shared: &Shared,
    mut turn: Turn,
) -> io::Result<()> {
    if turn.refuse(&mut socket, shared)? {
        return Ok(());
    }
    let Some(number) = CITIES.iter().position(|known| *known == city) else {
        return socket.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    };
    let state = shared.state(number);
    let tag = format!("\"{number}-{state}\"");
    if known_tag == Some(tag.as_str()) {
        shared.note_answered(number, state);
        return socket.write_all(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    let mut body = answer(number, state);
    if turn.strikes(Fault::Huge, shared, 10) {
        body = vec![b' '; 1 << 20];
    }
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nETag: {tag}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes())?;
    if turn.strikes(Fault::Cut, shared, 4) {
        let goes = turn.random.between(0, body.len() as u64) as usize;
        return socket.write_all(&body[..goes]);
    }
    if turn.strikes(Fault::Silence, shared, 12) {
        sleep(Duration::from_millis(2_500));
    }
    socket.write_all(&body)?;
    shared.note_answered(number, state);
    Ok(())
}
