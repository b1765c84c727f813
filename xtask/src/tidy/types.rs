//! A type's name is unique within its crate: whoever meets it knows which one is meant without looking at the imports.
//!
//! Types within a function or a test are left out, and so are the associated types of traits.

use std::collections::BTreeMap;

use super::{
    rings::{name, sources},
    source::code_lines,
    tree::{Finding, Tree},
};

/// Crates that still use names twice, each with how many names. The table only shrinks, as that of `rings.rs`.
const LEFT: &[(&str, usize)] = &[];

/// Names that each of several files of one kind gives to its own: a connector's settings, a subcommand's
/// words, a campaign's.
const BY_CONTRACT: &[&str] = &["Arguments", "Config", "Options"];

/// Finds names that two types of one crate have, but for as many as `LEFT` still allows.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    check_against(tree, LEFT)
}

fn check_against(tree: &Tree, left: &[(&str, usize)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources(tree) {
        let twice = twice(tree, &source);
        let allowed = left.iter().find(|(crate_, _)| *crate_ == name(&source)).map_or(0, |(_, count)| *count);
        if twice.len() > allowed {
            findings.extend(twice.iter().map(|(name, places)| {
                Finding::file(&source, format!("{} types are called {name}: {}", places.len(), places.join(", ")))
            }));
        } else if twice.len() < allowed {
            let what = format!("{} names are used twice, {allowed} are allowed: lower LEFT in types.rs", twice.len());
            findings.push(Finding::file(&source, what));
        }
    }
    findings
}

/// Each name that is used twice, with the places.
fn twice(tree: &Tree, source: &str) -> BTreeMap<String, Vec<String>> {
    let mut types: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, text) in tree.rust(source).filter(|(path, _)| !path.contains("/tests")) {
        for (line, code) in code_lines(text) {
            if let Some(name) = defined(code).filter(|name| !BY_CONTRACT.contains(name)) {
                types.entry(name.to_owned()).or_default().push(format!("{}:{line}", &path[source.len()..]));
            }
        }
    }
    types.retain(|_, places| places.len() > 1);
    types
}

/// The type that a line of a file's outermost level defines.
fn defined(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace().peekable();
    if line.starts_with(char::is_whitespace) {
        return None;
    }
    words.next_if(|word| word.starts_with("pub"));
    if !matches!(words.next()?, "struct" | "enum" | "trait" | "type" | "union") {
        return None;
    }
    let rest = words.next()?;
    Some(rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)], left: &[(&str, usize)]) -> Vec<String> {
        check_against(&Tree::of(files), left).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_name_used_twice_is_found() {
        let files = [
            ("crates/x/src/lib.rs", "mod a;\nmod b;\n"),
            ("crates/x/src/a.rs", "/// A.\npub(crate) struct Kept<'a> {\n"),
            ("crates/x/src/b.rs", "enum Kept {\n    type Kept = u8;\n#[cfg(test)]\nmod tests { }\nstruct A;"),
            ("crates/y/src/lib.rs", "struct Kept;"),
        ];
        assert_eq!(found(&files, &[]), ["2 types are called Kept: a.rs:2, b.rs:1"]);
        assert_eq!(found(&files, &[("x", 1)]), Vec::<String>::new());
        assert_eq!(found(&files, &[("x", 2)]), ["1 names are used twice, 2 are allowed: lower LEFT in types.rs"]);
    }
}
