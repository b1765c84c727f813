//! What is wrong with a pipeline file: where, which key, and what would be valid.

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    /// The line, from 1; 0 when it concerns the file as a whole.
    pub(crate) line: usize,
    /// The key, as it would be written from the top: `source.wikimedia.url`.
    pub(crate) key: String,
    /// What is wrong, and what would be valid.
    pub(crate) what: String,
}

/// Everything that is wrong with one file, in its order.
#[derive(Debug)]
pub(crate) struct Problems {
    /// The file, as the user named it.
    pub(crate) file: String,
    /// At least one.
    pub(crate) found: Vec<Problem>,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Problem { line, key, what }) in self.found.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&self.file)?;
            if *line > 0 {
                write!(f, ":{line}")?;
            }
            if !key.is_empty() {
                write!(f, ": {key}")?;
            }
            write!(f, ": {what}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// What is valid, the nearest first if one is near: `did you mean "stream"? valid: kind, stream, url`.
pub(crate) fn instead<'a>(found: &str, valid: impl IntoIterator<Item = &'a str>) -> String {
    let valid: Vec<_> = valid.into_iter().collect();
    if valid.is_empty() {
        return "there are none".to_owned();
    }
    let list = valid.join(", ");
    let near = valid.into_iter().map(|word| (distance(found, word), word)).min();
    match near {
        Some((distance, word)) if distance < found.len() && distance <= found.len().div_ceil(3).min(3) => {
            format!("did you mean `{word}`? valid: {list}")
        }
        _ => format!("valid: {list}"),
    }
}

/// How many letters must be changed, added or taken away to make `a` into `b` (Levenshtein's distance).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_offered_only_when_it_is_near() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(instead("limt", ["kind", "limit"]), "did you mean `limit`? valid: kind, limit");
        assert_eq!(instead("banana", ["kind", "limit"]), "valid: kind, limit");
        assert_eq!(instead("x", []), "there are none");
    }
}
