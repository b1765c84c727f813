//! A text of a TOML file as it is written, character by character: where in the file each character of its value stands.

/// The byte of `raw`, a TOML text with its quotes, in which the character at `(line, column)` (both from 1) of its value
/// stands. `shown` is that value, with each `${NAME}` replaced by `value(NAME)`. `None` where the two do not fit.
pub(super) fn place(
    raw: &str,
    value: &dyn Fn(&str) -> String,
    shown: &str,
    (line, column): (usize, usize),
) -> Option<usize> {
    let characters = substituted(characters(raw)?, value);
    if !characters.iter().map(|(character, _)| *character).eq(shown.chars()) {
        return None;
    }
    let mut at = 0;
    for _ in 1..line {
        at += characters[at..].iter().position(|(character, _)| *character == '\n')? + 1;
    }
    let in_line = characters[at..].iter().take_while(|(character, _)| *character != '\n').count();
    let at = at + column.saturating_sub(1).min(in_line);
    // Behind the last character: where the closing quotes begin.
    let end = raw.len() - quotes(raw)?.len();
    Some(characters.get(at).map_or(end, |(_, byte)| *byte))
}

/// The quotes that a text of TOML stands in.
fn quotes(raw: &str) -> Option<&'static str> {
    ["\"\"\"", "'''", "\"", "'"]
        .into_iter()
        .find(|quotes| raw.len() >= 2 * quotes.len() && raw.starts_with(quotes) && raw.ends_with(quotes))
}

/// Each character of the value, and the byte where it is written.
fn characters(raw: &str) -> Option<Vec<(char, usize)>> {
    let quotes = quotes(raw)?;
    let (mut at, end) = (quotes.len(), raw.len() - quotes.len());
    if quotes.len() == 3 {
        at += ["\r\n", "\n"].iter().find(|new| raw[at..end].starts_with(**new)).map_or(0, |new| new.len());
    }
    let mut found = Vec::new();
    while at < end {
        let rest = &raw[at..end];
        let character = rest.chars().next()?;
        if character != '\\' || quotes.starts_with('\'') {
            found.push((character, at));
            at += character.len_utf8();
            continue;
        }
        let kind = rest[1..].chars().next()?;
        let digits = match kind {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        let meant = match kind {
            'b' => '\u{8}',
            't' => '\t',
            'n' => '\n',
            'f' => '\u{c}',
            'r' => '\r',
            'e' => '\u{1b}',
            '"' | '\\' => kind,
            'x' | 'u' | 'U' => char::from_u32(u32::from_str_radix(rest.get(2..2 + digits)?, 16).ok()?)?,
            // The end of the line, and all space that the next ones begin with, are left out.
            _ if kind.is_whitespace() => {
                at += 1 + rest[1..].len() - rest[1..].trim_start().len();
                continue;
            }
            _ => return None,
        };
        found.push((meant, at));
        at += 1 + kind.len_utf8() + digits;
    }
    Some(found)
}

/// The same with each `${NAME}` replaced; what comes in its place stands where the `$` does.
fn substituted(characters: Vec<(char, usize)>, value: &dyn Fn(&str) -> String) -> Vec<(char, usize)> {
    let text: Vec<char> = characters.iter().map(|(character, _)| *character).collect();
    let mut found = Vec::with_capacity(characters.len());
    let mut at = 0;
    while at < characters.len() {
        let rest = &text[at..];
        if rest.starts_with(&['$', '$', '{']) {
            found.extend_from_slice(&characters[at + 1..at + 3]);
            at += 3;
        } else if rest.starts_with(&['$', '{'])
            && let Some(end) = rest.iter().position(|character| *character == '}')
        {
            let name: String = rest[2..end].iter().collect();
            found.extend(value(&name).chars().map(|character| (character, characters[at].1)));
            at += end + 1;
        } else {
            found.push(characters[at]);
            at += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_found_where_it_is_written_whatever_the_quotes() {
        let value = |_: &str| "seven".to_owned();
        let cases: [(&str, &str, (usize, usize), &str); 9] = [
            (r#""ab""#, "ab", (1, 2), "b"),
            (r#""a\"b""#, "a\"b", (1, 3), "b"),
            (r#""a\nb""#, "a\nb", (2, 1), "b"),
            (r#""\u00e4b""#, "äb", (1, 2), "b"),
            ("\"\"\"\nä\n  b\"\"\"", "ä\n  b", (2, 3), "b"),
            ("\"\"\"a \\\n   b\"\"\"", "a b", (1, 3), "b"),
            ("'''\r\na\\n\nb'''", "a\\n\nb", (2, 1), "b"),
            ("'${X}b'", "sevenb", (1, 6), "b"),
            ("'$${X}b'", "${X}b", (1, 5), "b"),
        ];
        for (raw, shown, at, wanted) in cases {
            let found = place(raw, &value, shown, at).unwrap_or_else(|| panic!("{raw} is not {shown}"));
            assert!(raw[found..].starts_with(wanted), "{raw}: {found}");
        }
        assert_eq!(place("\"ab\"", &value, "ab", (1, 9)), Some(3), "behind the end");
        assert_eq!(place("\"ab\"", &value, "abc", (1, 1)), None, "another text");
        assert_eq!(place("\"ab\"", &value, "ab", (2, 1)), None, "no such line");
    }
}
