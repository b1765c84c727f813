//! The file itself: a list of everything, then each text once, however many have it.

use std::{collections::BTreeMap, fmt::Write};

use super::licensed::Licensed;

const HEAD: &str = "\
Third-party notices of Lakehead

Lakehead is under the Apache License 2.0. Its program is linked with the crates below, and holds the scripts that stand
first. Each stands under the licence that its authors state; a number in brackets is that of a text further down.
";

/// The page over `all`, in their order.
pub(super) fn page(all: &[Licensed]) -> String {
    let mut numbers = BTreeMap::new();
    let mut texts = Vec::new();
    let mut page = HEAD.to_owned();
    for licensed in all {
        let mut files = Vec::new();
        for (name, text) in &licensed.texts {
            let text = tidied(text);
            let number = *numbers.entry(text.clone()).or_insert_with(|| {
                texts.push(text);
                texts.len()
            });
            files.push(format!("{name} [{number}]"));
        }
        let Licensed { name, licence, about, .. } = licensed;
        let about = if about.is_empty() { String::new() } else { format!("    {about}\n") };
        let written = write!(page, "\n{name}\n    {licence}\n{about}    {}\n", files.join(", "));
        written.expect("a string takes everything");
    }
    for (index, text) in texts.iter().enumerate() {
        let line = "-".repeat(80);
        write!(page, "\n{line}\n[{}]\n\n{text}\n", index + 1).expect("a string takes everything");
    }
    page
}

/// A text without what no reader sees: ends of lines, blank lines around it.
fn tidied(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn licensed(name: &str, text: &str) -> Licensed {
        Licensed {
            name: name.to_owned(),
            licence: "MIT".to_owned(),
            about: String::new(),
            texts: vec![("LICENSE".to_owned(), text.to_owned())],
        }
    }

    #[test]
    fn a_text_stands_once_and_all_who_have_it_name_its_number() {
        let page =
            page(&[licensed("a 1", "\nBe kind. \r\n"), licensed("b 2", "Other."), licensed("c 3", "Be kind.\n\n")]);
        assert!(page.starts_with("Third-party notices"), "{page}");
        assert_eq!(page.matches("Be kind.").count(), 1);
        for entry in
            ["a 1\n    MIT\n    LICENSE [1]\n", "b 2\n    MIT\n    LICENSE [2]\n", "c 3\n    MIT\n    LICENSE [1]\n"]
        {
            assert!(page.contains(entry), "{page}");
        }
    }
}
