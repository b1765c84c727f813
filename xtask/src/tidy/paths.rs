//! The paths that Rust code names: `use` trees taken apart, and paths that stand in expressions and types.

/// One path in the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    /// `crate::a::B` as its parts; the last may be `*`.
    pub(crate) parts: Vec<String>,
    /// The name that the code knows it by, where `as` gives another.
    alias: Option<String>,
    /// Whether it only hands a name on: `pub use`, of any visibility.
    pub(crate) is_reexport: bool,
    /// How many modules of the file itself (`mod name { … }`) it stands in.
    pub(crate) depth: usize,
    /// From 1.
    pub(crate) line: usize,
}

impl Path {
    /// The name that it brings.
    pub(crate) fn name(&self) -> &str {
        self.alias.as_deref().or(self.parts.last().map(String::as_str)).unwrap_or_default()
    }
}

/// Every path of two parts or more, in order. What stands in a string counts too, which these rules can bear.
pub(crate) fn paths(code: &str) -> Vec<Path> {
    let tokens = tokens(code);
    let mut found: Vec<Path> = Vec::new();
    let mut at = 0;
    // For each open brace, whether it is that of a module.
    let mut braces: Vec<bool> = Vec::new();
    while at < tokens.len() {
        match tokens[at].text {
            "{" => braces.push(at >= 2 && tokens[at - 2].text == "mod"),
            "}" => drop(braces.pop()),
            _ => {}
        }
        let (depth, before_it) = (braces.iter().filter(|is_module| **is_module).count(), found.len());
        let before = at.checked_sub(1).map(|before| tokens[before].text);
        let begins = tokens[at].is_name() && before != Some("::") && before != Some(".");
        if !begins {
            at += 1;
        } else if tokens[at].text == "use" {
            let is_reexport = matches!(before, Some("pub" | ")"));
            at = tree(&tokens, at + 1, &[], is_reexport, &mut found);
        } else {
            at = tree(&tokens, at, &[], false, &mut found);
        }
        found[before_it..].iter_mut().for_each(|path| path.depth = depth);
    }
    found.retain(|path| path.parts.len() > 1);
    found
}

/// Reads one tree (`a::{b, c as d}`) from `at` on; returns where it ends.
fn tree(tokens: &[Token<'_>], mut at: usize, before: &[String], is_reexport: bool, found: &mut Vec<Path>) -> usize {
    let mut parts = before.to_vec();
    let line = tokens.get(at).map_or(0, |token| token.line);
    while let Some(token) = tokens.get(at) {
        match token.text {
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token.text != "}") {
                    let next = tree(tokens, at, &parts, is_reexport, found);
                    at = next.max(at + 1);
                    if tokens.get(at).is_some_and(|token| token.text == ",") {
                        at += 1;
                    }
                }
                return at + 1;
            }
            text if token.is_name() || text == "*" => parts.push(text.to_owned()),
            _ => break,
        }
        at += 1;
        let goes_on = tokens.get(at).is_some_and(|token| token.text == "::");
        if !goes_on {
            break;
        }
        // `Vec::<T>::new()`: the path ends before its arguments, which are read by themselves.
        if !tokens.get(at + 1).is_some_and(|token| token.is_name() || matches!(token.text, "{" | "*")) {
            break;
        }
        at += 1;
    }
    if parts.len() > before.len() {
        let alias = (tokens.get(at).map(|token| token.text) == Some("as")).then(|| tokens.get(at + 1)).flatten();
        let alias = alias.map(|token| token.text.to_owned());
        if alias.is_some() {
            at += 2;
        }
        // `a::{self}` names `a`.
        if parts.len() > 1 && parts.last().is_some_and(|last| last == "self") {
            parts.pop();
        }
        found.push(Path { parts, alias, is_reexport, depth: 0, line });
    }
    at
}

#[derive(Debug, Clone, Copy)]
struct Token<'c> {
    text: &'c str,
    line: usize,
}

impl Token<'_> {
    fn is_name(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// Names, `::`, and single signs.
fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for (line, text) in (1..).zip(code.lines()) {
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            let len = match first {
                _ if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
                ':' if rest.starts_with("::") => 2,
                _ => first.len_utf8(),
            };
            tokens.push(Token { text: &rest[..len], line });
            rest = rest[len..].trim_start();
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(code: &str) -> Vec<String> {
        paths(code).iter().map(|path| path.parts.join("::")).collect()
    }

    #[test]
    fn trees_are_taken_apart() {
        let code = "use crate::{\n    a::{A, b::*},\n    c::{self, C},\n};\nuse std::fmt;\n";
        assert_eq!(read(code), ["crate::a::A", "crate::a::b::*", "crate::c", "crate::c::C", "std::fmt"]);
        assert_eq!(paths(code)[2].line, 3);
    }

    #[test]
    fn paths_in_code_are_seen() {
        let code = "fn f(a: &crate::A) -> Vec::<b::B> { self.c.d(); super::e::<F>(g::H { i }) }";
        assert_eq!(read(code), ["crate::A", "b::B", "super::e", "g::H"]);
    }

    #[test]
    fn modules_of_the_file_itself_are_counted() {
        let code =
            "use super::a;\nmod b {\n    fn c() { super::d() }\n    mod e { use super::super::f; }\n}\nuse super::g;\n";
        assert_eq!(paths(code).iter().map(|path| path.depth).collect::<Vec<_>>(), [0, 1, 2, 0]);
    }

    #[test]
    fn what_is_handed_on_is_known_with_its_name() {
        let read = |code| paths(code).into_iter().map(|p| (p.is_reexport, p.name().to_owned())).collect::<Vec<_>>();
        assert_eq!(
            read("pub use a::B;\npub(crate) use a::{C as D};\nuse a::E;\n"),
            [(true, "B".to_owned()), (true, "D".to_owned()), (false, "E".to_owned())]
        );
    }
}
