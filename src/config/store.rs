//! `[store]`: how the log is written. The store itself says what its settings are.

use lakehead_store::Options;

use super::{document::Document, problem::Problem};

/// Reads the table.
pub(super) fn read(document: &Document, problems: &mut Vec<Problem>) -> Options {
    let Some(options) = document.optional_table::<Options>(&["store"], problems) else { return Options::default() };
    if let Err(error) = options.check() {
        problems.push(document.explain(vec!["store".to_owned()], &error.to_string()));
    }
    options
}
