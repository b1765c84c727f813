//! The few frames of Cassandra's native protocol, version 4, that a statement without values needs.
//!
//! Specification: `doc/native_protocol_v4.spec` in Cassandra's sources; sections are named where they are used.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Context, Result, bail};

/// Longest silence of a server that is alive; creating a table takes a second or two.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Opcodes (section 2.4).
const ERROR: u8 = 0x00;
const STARTUP: u8 = 0x01;
const READY: u8 = 0x02;
const QUERY: u8 = 0x07;
const RESULT: u8 = 0x08;

/// The kind of a RESULT that has rows (section 4.2.5).
const ROWS: u32 = 2;

/// A flag of QUERY that asks for rows without their description, and the flag of the answer that says so (sections 4.1.4,
/// 4.2.5.2).
const SKIP_METADATA: u8 = 0x02;
const NO_METADATA: u32 = 0x04;

/// One connection.
pub(crate) struct Cql {
    socket: TcpStream,
}

impl Cql {
    pub(crate) fn connect(address: &str) -> Result<Self> {
        let socket = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        socket.set_read_timeout(Some(SILENCE_MAX))?;
        let mut it = Self { socket };
        // A map of one pair of strings (section 4.1.1).
        let mut body = 1_u16.to_be_bytes().to_vec();
        for text in ["CQL_VERSION", "3.0.0"] {
            body.extend((text.len() as u16).to_be_bytes());
            body.extend(text.as_bytes());
        }
        match it.ask(STARTUP, &body)? {
            (READY, _) => Ok(it),
            (opcode, _) => bail!("STARTUP was answered by opcode {opcode:#04x}"),
        }
    }

    /// Runs a statement; the values of its rows as text, `None` for null.
    pub(crate) fn query(&mut self, statement: &str) -> Result<Vec<Vec<Option<String>>>> {
        let mut body = (statement.len() as u32).to_be_bytes().to_vec();
        body.extend(statement.as_bytes());
        // Consistency ONE (section 3).
        body.extend(1_u16.to_be_bytes());
        body.push(SKIP_METADATA);
        match self.ask(QUERY, &body).with_context(|| format!("asking `{statement}`"))? {
            (RESULT, answer) => rows(&answer).with_context(|| format!("the answer to `{statement}`")),
            (opcode, _) => bail!("`{statement}` was answered by opcode {opcode:#04x}"),
        }
    }

    /// Sends a frame and reads the next one (section 2): version, flags, stream, opcode, length, body.
    fn ask(&mut self, opcode: u8, body: &[u8]) -> Result<(u8, Vec<u8>)> {
        let mut frame = vec![0x04, 0, 0, 0, opcode];
        frame.extend((body.len() as u32).to_be_bytes());
        frame.extend(body);
        self.socket.write_all(&frame)?;
        let mut head = [0; 9];
        self.socket.read_exact(&mut head)?;
        let len = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut answer = vec![0; len as usize];
        self.socket.read_exact(&mut answer)?;
        if head[4] == ERROR {
            // A code, then a string with its length.
            bail!("{}", String::from_utf8_lossy(answer.get(6..).unwrap_or_default()));
        }
        Ok((head[4], answer))
    }
}

/// The rows of a RESULT's body; none of a result of another kind.
fn rows(body: &[u8]) -> Result<Vec<Vec<Option<String>>>> {
    let mut rest = body;
    if number(&mut rest)? != ROWS {
        return Ok(Vec::new());
    }
    let (flags, columns) = (number(&mut rest)?, number(&mut rest)?);
    if flags & NO_METADATA == 0 {
        bail!("it describes its columns although it was asked not to");
    }
    (0..number(&mut rest)?).map(|_| (0..columns).map(|_| value(&mut rest)).collect()).collect()
}

/// A value with its length before it; a negative length is null.
fn value(rest: &mut &[u8]) -> Result<Option<String>> {
    let len = number(rest)? as i32;
    let Ok(len) = usize::try_from(len) else { return Ok(None) };
    let (value, after) = rest.split_at_checked(len).context("it ends within a value")?;
    *rest = after;
    Ok(Some(String::from_utf8_lossy(value).into_owned()))
}

fn number(rest: &mut &[u8]) -> Result<u32> {
    let (number, after) = rest.split_first_chunk().context("it ends within a number")?;
    *rest = after;
    Ok(u32::from_be_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_and_a_cut_answer_is_refused() {
        let body =
            [[0, 0, 0, 2].as_slice(), &[0, 0, 0, 4], &[0, 0, 0, 2], &[0, 0, 0, 1], &[0, 0, 0, 5], b"hello", &[0xff; 4]]
                .concat();
        assert_eq!(rows(&body).expect("rows"), [[Some("hello".to_owned()), None]]);
        assert!(rows(&body[..body.len() - 6]).is_err());
        assert!(rows(&[0, 0, 0, 5]).expect("no rows").is_empty());
    }
}
