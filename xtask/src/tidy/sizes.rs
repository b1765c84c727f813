//! How long the files are: reported, because a giant file tires the reader; never judged, because a number is no reason.

use super::tree::Tree;

/// How many of the longest files are named.
const NAMED: usize = 5;

/// One line on the files as a whole, then the longest.
pub(crate) fn report(tree: &Tree) -> String {
    let mut sizes: Vec<(usize, &str)> = tree.rust("").map(|(path, text)| (text.lines().count(), path)).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let Some((median, _)) = sizes.get(sizes.len() / 2) else { return "  no Rust files".to_owned() };
    let sum: usize = sizes.iter().map(|(lines, _)| lines).sum();
    let ninth = sizes[sizes.len() / 10].0;
    let mut text =
        format!("  {} Rust files, {sum} lines: median {median}, nine of ten up to {ninth}; the longest:", sizes.len());
    for (lines, path) in sizes.iter().take(NAMED) {
        text.push_str(&format!("\n       {lines:5}  {path}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_comes_first() {
        let tree = Tree::of(&[("a.rs", "1\n2\n3"), ("b.rs", "1"), ("c.rs", "1\n2"), ("d.md", "1\n2\n3\n4")]);
        let report = report(&tree);
        assert!(report.starts_with("  3 Rust files, 6 lines: median 2"), "{report}");
        assert!(report.lines().nth(1).is_some_and(|line| line.ends_with("3  a.rs")), "{report}");
    }
}
