//! Writes frames, a field at a time, at the end of a buffer.
//!
//! ```text
//! event("message")       event: message
//! id(…)                  id: [{"topic":"eqiad.t","partition":0,"offset":7}]
//! data(…)                data: {"a":1}
//! end()                  (blank line)
//! ```
//!
//! Values are written straight into the buffer by a function of the caller, so that a frame costs no copy. That a frame is
//! whole is the caller's business: a simulator of faults leaves a field out, or cuts the buffer off.

use memchr::memchr2;

/// Writes the field `event:`. The name is one line.
#[inline]
pub fn event(name: &str, out: &mut Vec<u8>) {
    field(b"event: ", out, |out| out.extend_from_slice(name.as_bytes()));
}

/// Writes the field `id:`. The value is one line, without a NUL: a reader ignores an id that has one.
#[inline]
pub fn id(value: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) {
    field(b"id: ", out, value);
}

/// Writes the field `data:`. A value of several lines becomes as many fields, which a reader joins by LF: of the value,
/// only the kind of its line ends is lost.
#[inline]
pub fn data(value: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) {
    let mut from = 0;
    field(b"data: ", out, |out| {
        from = out.len();
        value(out);
    });
    let end = out.len() - 1;
    if memchr2(b'\n', b'\r', &out[from..end]).is_some() {
        split(from, out);
    }
}

/// Ends a frame.
#[inline]
pub fn end(out: &mut Vec<u8>) {
    out.push(b'\n');
}

/// Writes a comment, which readers pass over. The text is one line.
pub fn comment(text: &str, out: &mut Vec<u8>) {
    out.push(b':');
    out.extend_from_slice(text.as_bytes());
    out.push(b'\n');
}

#[inline]
fn field(name: &[u8], out: &mut Vec<u8>, value: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(name);
    value(out);
    out.push(b'\n');
}

/// Makes the data that begins at `from` into one field for each of its lines. Events are one line nearly always, so this
/// may copy.
#[cold]
fn split(from: usize, out: &mut Vec<u8>) {
    let value = out.split_off(from);
    let mut rest = &value[..value.len() - 1];
    while let Some(line_end) = memchr2(b'\n', b'\r', rest) {
        let (line, behind) = rest.split_at(line_end);
        out.extend_from_slice(line);
        out.extend_from_slice(b"\ndata: ");
        rest = behind.strip_prefix(b"\r\n").unwrap_or(&behind[1..]);
    }
    out.extend_from_slice(rest);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn a_frame_is_its_fields_and_a_blank_line() {
        let written = text(|out| {
            comment("ok", out);
            end(out);
            event("message", out);
            id(|out| out.extend_from_slice(b"[1]"), out);
            data(|out| out.extend_from_slice(b"{\"a\":1}"), out);
            end(out);
        });
        assert_eq!(written, ":ok\n\nevent: message\nid: [1]\ndata: {\"a\":1}\n\n");
    }

    #[test]
    fn data_of_several_lines_is_several_fields() {
        for (value, expected) in [
            ("", "data: \n"),
            ("a\nb", "data: a\ndata: b\n"),
            ("a\r\nb\rc\n", "data: a\ndata: b\ndata: c\ndata: \n"),
            ("\n", "data: \ndata: \n"),
        ] {
            assert_eq!(text(|out| data(|out| out.extend_from_slice(value.as_bytes()), out)), expected, "{value:?}");
        }
    }
}
