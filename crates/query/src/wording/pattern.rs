//! Matches a text against a pattern with `{}` placeholders.

/// What stands for each `{}` of `pattern` where it is first found in `text`; the last `{}` of a pattern that ends so takes
/// the rest.
pub(super) fn captures<'t>(pattern: &str, text: &'t str) -> Option<Vec<&'t str>> {
    let mut parts = pattern.split("{}");
    let first = parts.next()?;
    let mut rest = &text[text.find(first)? + first.len()..];
    let mut found = Vec::new();
    for part in parts {
        let at = if part.is_empty() { rest.len() } else { rest.find(part)? };
        found.push(&rest[..at]);
        rest = &rest[at + part.len()..];
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_takes_what_stands_between() {
        assert_eq!(captures("a {} b {}", "x a 1 b 2 3"), Some(vec!["1", "2 3"]));
        assert_eq!(captures("a {} b", "a 1 c"), None);
    }
}
