//! Structure rules that a reader cannot see in the tree, because they are about what is absent. A machine sees them.
//!
//! Each rule is a pure function from the checkout's files to findings; each is seen to fail on a made-up tree in its
//! tests. Sizes are reported, never judged.

mod clocks;
mod code_map;
mod floors;
mod heads;
mod leftovers;
mod owners;
mod paths;
mod registration;
mod rings;
mod sizes;
mod source;
mod tree;
mod types;
mod versions;

use anyhow::{Result, bail};

use crate::command::root;
use tree::{Finding, Tree};

/// A rule: its name, and what it finds.
type Rule = (&'static str, fn(&Tree) -> Vec<Finding>);

const RULES: &[Rule] = &[
    ("imports go down the floors", floors::check),
    ("inside a crate imports have no ring", rings::check),
    ("a type's name is unique within its crate", types::check),
    ("versions stand in the root manifest alone", versions::check),
    ("only query and planning name DataFusion", owners::check),
    ("nothing below the engine reads the clock, the nouns do no I/O", clocks::check),
    ("every file opens by saying what it is", heads::check),
    ("every connector is registered, tried and held to the suite", registration::check),
    ("nothing is left over", leftovers::check),
    ("the code map is true", code_map::check),
];

/// Checks every rule against the checkout.
pub(crate) fn run() -> Result<()> {
    let tree = Tree::read(root())?;
    let mut broken = 0;
    for (name, rule) in RULES {
        let findings = rule(&tree);
        println!("{} {name}", if findings.is_empty() { "  ok " } else { "  NO " });
        findings.iter().for_each(|finding| println!("       {finding}"));
        broken += findings.len();
    }
    println!("{}", sizes::report(&tree));
    if broken > 0 {
        bail!("{broken} places break the structure rules");
    }
    Ok(())
}
