//! The feed: events of a number a second by SSE, to whoever asks from the id that he names, with all that an upstream does wrong.

use std::{
    io::{self, Write},
    net::TcpStream,
    thread::sleep,
    time::Duration,
};

use super::{
    events::tick,
    hostility::{Fault, Shared, Turn},
};

/// How many events at most come again that the client has: a server that goes back to the beginning of its page. Over a kill that is
/// more than the source `sse` can know again by ids alone (16 at first), so the pipeline names the field that tells events apart.
const REPEATED_MAX: u64 = 20;

/// Answers one request. `last_id` is what the client has last.
pub(super) fn serve(mut socket: TcpStream, last_id: Option<&str>, shared: &Shared, mut turn: Turn) -> io::Result<()> {
    if turn.refuse(&mut socket, shared)? {
        return Ok(());
    }
    let mut next = last_id.and_then(|id| id.parse::<u64>().ok()).map_or(0, |id| id + 1);
    if turn.strikes(Fault::Repeat, shared, 3) {
        next = next.saturating_sub(turn.random.between(1, REPEATED_MAX));
    }
    socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n: hello\n\n")?;
    // Where it cuts: somewhere in what it would send, also inside an event and inside a character.
    let mut left = if turn.strikes(Fault::Cut, shared, 2) { turn.random.between(1, 60_000) } else { u64::MAX };
    let line_end = ["\n", "\r\n", "\r"][turn.random.between(0, 3) as usize];
    let silent_at =
        if turn.strikes(Fault::Silence, shared, 6) { Some(next + turn.random.between(1, 200)) } else { None };
    loop {
        let produced = shared.produced();
        let mut text = Vec::new();
        while next < produced && text.len() < 8_192 {
            write!(text, "id: {next}{line_end}data: ")?;
            text.extend_from_slice(&tick(next));
            write!(text, "{line_end}{line_end}")?;
            next += 1;
        }
        if text.is_empty() {
            if shared.is_over() {
                return Ok(());
            }
            write!(text, ": wait{line_end}{line_end}")?;
            sleep(Duration::from_millis(20));
        }
        let goes = usize::try_from(left).unwrap_or(usize::MAX).min(text.len());
        socket.write_all(&text[..goes])?;
        left -= goes as u64;
        if left == 0 {
            return Ok(());
        }
        if silent_at.is_some_and(|at| next >= at) && !shared.is_calm() {
            sleep(Duration::from_millis(1_600));
            return Ok(());
        }
    }
}
