//! Texts of licences whose holders did not put one beside what they wrote.

/// An SPDX identifier and the text.
const TEXTS: &[(&str, &str)] = &[
    ("Apache-2.0", include_str!("../../../../LICENSE")),
    ("MIT", include_str!("standard/MIT.txt")),
    ("BSD-3-Clause", include_str!("standard/BSD-3-Clause.txt")),
];

/// The texts of the first alternative of a licence expression of which all texts are here.
pub(super) fn texts(expression: &str) -> Option<Vec<(String, String)>> {
    let old_style = expression.replace('/', " OR ");
    old_style.split(" OR ").find_map(|alternative| {
        let identifiers = alternative.trim_matches(['(', ')', ' ']).split(" AND ");
        identifiers.map(text).collect()
    })
}

fn text(identifier: &str) -> Option<(String, String)> {
    let (known, text) = TEXTS.iter().find(|(known, _)| *known == identifier.trim())?;
    Some((format!("standard text of {known}"), (*text).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(expression: &str) -> Option<Vec<String>> {
        texts(expression).map(|texts| texts.into_iter().map(|(name, _)| name).collect())
    }

    #[test]
    fn one_alternative_suffices_and_needs_all_its_parts() {
        assert_eq!(names("MIT"), Some(vec!["standard text of MIT".to_owned()]));
        assert_eq!(names("GPL-2.0-only/MIT"), Some(vec!["standard text of MIT".to_owned()]));
        assert_eq!(names("MIT AND BSD-3-Clause").map(|names| names.len()), Some(2));
        assert_eq!(names("MIT AND OpenSSL"), None);
        assert_eq!(names("Apache-2.0 WITH LLVM-exception"), None);
    }
}
