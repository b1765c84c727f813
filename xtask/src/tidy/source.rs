//! Rust source as the rules read it: numbered lines of the product's code, without comments and without tests.

/// The lines that are the product's code, numbered from 1.
///
/// Comments are cut from `//` on (a `//` inside a string cuts too much, which these rules can bear), and so is all
/// from the first line that is `#[cfg(test)]` on: house style puts tests last. Where only one line is for tests (`mod tests;`,
/// `use …;`), only that one is cut.
pub(crate) fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut lines = (1..).zip(text.lines()).peekable();
    std::iter::from_fn(move || {
        while let Some((number, line)) = lines.next() {
            if line.trim_end() != "#[cfg(test)]" {
                return Some((number, line.split("//").next().unwrap_or_default()));
            }
            lines.next_if(|(_, next)| next.trim_end().ends_with(';'))?;
        }
        None
    })
    .fuse()
}

/// The same as one text with the same line numbers.
pub(crate) fn product_code(text: &str) -> String {
    code_lines(text).fold(String::new(), |mut code, (_, line)| {
        code.push_str(line);
        code.push('\n');
        code
    })
}

/// Whether `name` stands in `line` as a whole word.
pub(crate) fn names(line: &str, name: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + name.len()..].chars().next();
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_tests_are_not_code() {
        let text = "//! uses x\nuse x; // and y\n#[cfg(test)]\nmod tests { use z; }\n";
        let lines: Vec<_> = code_lines(text).collect();
        assert_eq!(lines, [(1, ""), (2, "use x; ")]);
    }

    #[test]
    fn a_line_for_tests_does_not_hide_what_follows() {
        let text = "#[cfg(test)]\nmod tests;\nmod x;\n#[cfg(test)]\nmod more {\n}\n";
        assert_eq!(code_lines(text).collect::<Vec<_>>(), [(3, "mod x;")]);
    }

    #[test]
    fn a_word_is_not_a_part_of_another() {
        assert!(names("use datafusion::prelude;", "datafusion"));
        assert!(!names("use lakehead_datafusion_x;", "datafusion"));
        assert!(!names("datafusions", "datafusion"));
    }
}
