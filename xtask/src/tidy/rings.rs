//! Inside a crate imports have a direction too: no file may need itself through others.
//!
//! A file's imports are the paths in its code that begin with `crate`, `super`, `self` or one of its own modules. A path
//! leads to the file that *defines* the name: a re-export is followed to the end, so that a list of names in `lib.rs` or in a
//! `mod.rs` neither makes a ring nor hides one. Declaring a module (`mod name;`) is no import.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    paths::{Path, paths},
    source::product_code,
    tree::{Finding, Tree},
};

/// Crates that still hold rings, each with how many of its files stand in one. The table only shrinks: more than it says is a
/// finding, and so is less.
const LEFT: &[(&str, usize)] = &[];

/// Finds every ring of files within a crate, but for those that `LEFT` still allows.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    check_against(tree, LEFT)
}

fn check_against(tree: &Tree, left: &[(&str, usize)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources(tree) {
        let files = Files::of(tree, &source);
        let rings = rings(&files.imports());
        let count: usize = rings.iter().map(Vec::len).sum();
        let name = name(&source);
        let allowed = left.iter().find(|(crate_, _)| *crate_ == name).map_or(0, |(_, count)| *count);
        if count > allowed {
            findings.extend(rings.iter().map(|ring| Finding::file(&source, told(ring, &files))));
        } else if count < allowed {
            let what = format!("{count} files stand in a ring, {allowed} are allowed: lower LEFT in rings.rs");
            findings.push(Finding::file(&source, what));
        }
    }
    findings
}

/// The folders of the crates' code.
pub(crate) fn sources(tree: &Tree) -> BTreeSet<String> {
    let roots = ["src/lib.rs", "src/main.rs"];
    tree.rust("")
        .filter_map(|(path, _)| roots.iter().find_map(|root| path.strip_suffix(root)))
        .map(|c| format!("{c}src/"))
        .collect()
}

/// What `LEFT` calls a crate: its folder, and `lakehead` the root.
pub(crate) fn name(source: &str) -> &str {
    match source.trim_end_matches("src/").trim_start_matches("crates/").trim_end_matches('/') {
        "" => "lakehead",
        name => name,
    }
}

/// A ring in words: its length, and its shortest way round with the lines that close it.
fn told(ring: &[usize], files: &Files) -> String {
    let imports = files.imports();
    let round = shortest(ring, &imports);
    let steps = round.iter().zip(round.iter().cycle().skip(1)).map(|(from, to)| {
        let line = files.line(*from, *to);
        format!("{}:{line}", files.names[*from])
    });
    let steps = steps.collect::<Vec<_>>().join(" → ");
    let names = ring.iter().map(|file| files.names[*file].as_str()).collect::<Vec<_>>().join(", ");
    format!(
        "{} files import each other in a ring ({names}); the shortest: {steps} → {}",
        ring.len(),
        files.names[round[0]]
    )
}

/// One crate's files, by number.
struct Files {
    /// Path below the crate's `src/`.
    names: Vec<String>,
    /// The module that each file is.
    modules: BTreeMap<Vec<String>, usize>,
    module_of: Vec<Vec<String>>,
    paths: Vec<Vec<Path>>,
}

impl Files {
    fn of(tree: &Tree, source: &str) -> Self {
        let mut files = Self { names: vec![], modules: BTreeMap::new(), module_of: vec![], paths: vec![] };
        for (path, text) in tree.rust(source) {
            let name = path[source.len()..].to_owned();
            let module = module(&name);
            if module.iter().any(|part| part == "tests") {
                continue;
            }
            // A crate of a library and a program has two roots; the program's names stand by themselves.
            files.modules.entry(module.clone()).or_insert(files.names.len());
            files.paths.push(paths(&product_code(text)));
            files.module_of.push(module);
            files.names.push(name);
        }
        files
    }

    /// Each file's imports: the other files that define what it names.
    fn imports(&self) -> Vec<BTreeSet<usize>> {
        (0..self.names.len()).map(|file| self.imported(file).map(|(to, _)| to).collect()).collect()
    }

    fn imported(&self, file: usize) -> impl Iterator<Item = (usize, usize)> {
        let paths = self.paths[file].iter().filter(|path| !path.is_reexport);
        paths.filter_map(move |path| Some((self.leads_to(file, path)?, path.line))).filter(move |(to, _)| *to != file)
    }

    /// The line by which one file imports another.
    fn line(&self, from: usize, to: usize) -> usize {
        self.imported(from).find(|(imported, _)| *imported == to).map_or(0, |(_, line)| line)
    }

    /// The file that defines what a path in `file` names, where it is one of this crate.
    fn leads_to(&self, file: usize, path: &Path) -> Option<usize> {
        let (start, rest) = self.start(file, path)?;
        self.follow(start, rest, 0)
    }

    /// The module at which a path begins, and what is left of it.
    fn start<'p>(&self, file: usize, path: &'p Path) -> Option<(Vec<String>, &'p [String])> {
        let (here, parts) = (&self.module_of[file], &path.parts);
        match parts[0].as_str() {
            "crate" => Some((vec![], &parts[1..])),
            "self" => Some((here.clone(), &parts[1..])),
            "super" => {
                let ups = parts.iter().take_while(|part| *part == "super").count();
                // The first of them leave the modules of the file itself.
                let up = here.len().checked_sub(ups.saturating_sub(path.depth))?;
                Some((here[..up].to_vec(), &parts[ups..]))
            }
            child => {
                let mut module = here.clone();
                module.push(child.to_owned());
                self.modules.contains_key(&module).then(|| (module, &parts[1..]))
            }
        }
    }

    fn follow(&self, mut module: Vec<String>, parts: &[String], depth: usize) -> Option<usize> {
        let mut parts = parts;
        while let Some(part) = parts.first() {
            module.push(part.clone());
            if !self.modules.contains_key(&module) {
                module.pop();
                break;
            }
            parts = &parts[1..];
        }
        let file = *self.modules.get(&module)?;
        let Some(name) = parts.first() else { return Some(file) };
        let reexport = self.paths[file].iter().find(|path| path.is_reexport && path.name() == name);
        match reexport {
            Some(path) if depth < 8 => {
                let (start, rest) = self.start(file, path)?;
                self.follow(start, rest, depth + 1)
            }
            _ => Some(file),
        }
    }
}

/// The module that a file is: its folders and its name.
fn module(name: &str) -> Vec<String> {
    let mut parts: Vec<String> = name.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if matches!(parts.last().map(String::as_str), Some("mod")) || parts == ["lib"] || parts == ["main"] {
        parts.pop();
    }
    parts
}

/// The sets of files of which each needs every other (Tarjan's strongly connected components), those of one file left out.
fn rings(imports: &[BTreeSet<usize>]) -> Vec<Vec<usize>> {
    let reach: Vec<BTreeSet<usize>> = (0..imports.len()).map(|file| reached(file, imports)).collect();
    let mut rings = BTreeSet::new();
    for (file, reached) in reach.iter().enumerate().filter(|(file, reached)| reached.contains(file)) {
        rings.insert(reached.iter().copied().filter(|other| reach[*other].contains(&file)).collect::<Vec<_>>());
    }
    rings.into_iter().collect()
}

fn reached(from: usize, imports: &[BTreeSet<usize>]) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<usize> = imports[from].iter().copied().collect();
    while let Some(file) = next.pop() {
        if reached.insert(file) {
            next.extend(&imports[file]);
        }
    }
    reached
}

/// The shortest way from a file of the ring back to itself.
fn shortest(ring: &[usize], imports: &[BTreeSet<usize>]) -> Vec<usize> {
    let round = |from: usize| {
        let mut ways = vec![vec![from]];
        let mut seen = BTreeSet::new();
        loop {
            let mut longer = Vec::new();
            for way in &ways {
                let last = way[way.len() - 1];
                if imports[last].contains(&from) {
                    return way.clone();
                }
                for next in imports[last].iter().filter(|next| ring.contains(next)) {
                    if seen.insert(*next) {
                        longer.push(way.iter().chain([next]).copied().collect());
                    }
                }
            }
            ways = longer;
        }
    };
    ring.iter().map(|file| round(*file)).min_by_key(Vec::len).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        check_against(&Tree::of(files), &[]).into_iter().map(|finding| finding.what).collect()
    }

    const LIST: (&str, &str) = ("crates/x/src/lib.rs", "//! x\nmod a;\nmod b;\npub use a::A;\npub use b::B;\n");

    #[test]
    fn a_ring_of_two_is_found_with_its_lines() {
        let files = [LIST, ("crates/x/src/a.rs", "use crate::b::B;\n"), ("crates/x/src/b.rs", "\nuse crate::a::A;\n")];
        let what = "2 files import each other in a ring (a.rs, b.rs); the shortest: a.rs:1 → b.rs:2 → a.rs";
        assert_eq!(found(&files), [what]);
    }

    #[test]
    fn a_ring_through_a_list_of_names_is_found() {
        let files = [
            LIST,
            ("crates/x/src/a.rs", "use crate::{\n    B,\n};\n"),
            ("crates/x/src/b.rs", "fn b(a: &crate::A) {}\n"),
        ];
        assert_eq!(found(&files).len(), 1);
    }

    #[test]
    fn a_direction_is_no_ring() {
        let files = [LIST, ("crates/x/src/a.rs", "use crate::B;\n"), ("crates/x/src/b.rs", "pub struct B;\n")];
        assert_eq!(found(&files), Vec::<String>::new());
    }

    #[test]
    fn what_a_parent_and_its_child_take_from_each_other_is_a_ring() {
        let root = ("crates/x/src/lib.rs", "mod a;\n");
        let child = ("crates/x/src/a/b.rs", "use super::A;\n");
        let parent = |uses: &str| ("crates/x/src/a/mod.rs", format!("mod b;\n{uses}pub struct A;\n"));
        let found = |uses: &str| {
            let (path, text) = parent(uses);
            found(&[root, child, (path, &text)]).len()
        };
        assert_eq!(found("use b::B;\n"), 1);
        assert_eq!(found("fn f() { b::work() }\n"), 1);
        assert_eq!(found(""), 0);
    }

    #[test]
    fn a_list_only_hands_on() {
        let files = [
            ("crates/x/src/lib.rs", "mod a;\n"),
            ("crates/x/src/a/mod.rs", "mod b;\nmod c;\npub(crate) use b::B;\npub(crate) use c::C;\n"),
            ("crates/x/src/a/b.rs", "use super::C;\n"),
            ("crates/x/src/a/c.rs", "pub(crate) struct C;\n"),
        ];
        assert_eq!(found(&files), Vec::<String>::new());
    }

    #[test]
    fn tests_and_comments_import_what_they_like() {
        let tests = "//! see crate::b::B\n#[cfg(test)]\nmod tests {\n    use crate::b::B;\n}\n";
        let files = [LIST, ("crates/x/src/a.rs", tests), ("crates/x/src/b.rs", "use crate::a::A;\n")];
        assert_eq!(found(&files), Vec::<String>::new());
    }

    #[test]
    fn a_module_within_a_file_is_the_file() {
        let files = [
            ("crates/x/src/lib.rs", "mod a;\n"),
            ("crates/x/src/a/mod.rs", "mod b;\nuse b::B;\n"),
            ("crates/x/src/a/b.rs", "pub(super) struct B;\nmod text {\n    use super::B;\n}\n"),
        ];
        assert_eq!(found(&files), Vec::<String>::new());
    }

    #[test]
    fn what_is_left_only_shrinks() {
        let ring = [LIST, ("crates/x/src/a.rs", "use crate::b::B;\n"), ("crates/x/src/b.rs", "use crate::a::A;\n")];
        let found = |allowed: usize| check_against(&Tree::of(&ring), &[("x", allowed)]).len();
        assert_eq!((found(1), found(2), found(3)), (1, 0, 1));
    }
}
