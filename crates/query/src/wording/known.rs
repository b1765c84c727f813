//! Suggests near names for a table or a function that is not there.

use datafusion::execution::{FunctionRegistry, SessionState};
use lakehead_model::hint::{instead, nearest};

use super::{
    cure::with_cure,
    mistake::{Missing, Mistake},
    own_words::place_of,
    place::{Clue, Place, Tokens},
};

/// What a statement can name.
pub(crate) struct Known<'a> {
    pub(crate) state: &'a SessionState,
    /// All tables, where those of `state` are not all; else none.
    pub(crate) tables: &'a [String],
}

impl Known<'_> {
    /// The sentence of `mistake` with near names and a cure, and its place in `text`.
    pub(crate) fn complete(&self, mistake: Mistake, text: &str) -> (String, Option<Place>) {
        let Mistake { mut what, clue, missing, .. } = mistake;
        match &missing {
            Missing::Table(name) => what = self.no_table(name),
            Missing::Function(name) => what = self.no_function(name),
            Missing::Nothing => {}
        }
        let mut place = clue.find(text).or_else(|| place_of(&what, text));
        if place.is_none() && matches!(missing, Missing::Table(_)) {
            place = Clue::Text.find(text);
        }
        if let Some(place) = &place {
            what = with_cure(what, &Tokens::of(text), place);
        }
        (what, place)
    }

    fn no_table(&self, name: &str) -> String {
        let mut tables = self.tables.to_vec();
        let catalogs = self.state.catalog_list();
        for catalog in catalogs.catalog_names().iter().filter_map(|name| catalogs.catalog(name)) {
            for schema in &catalog.schema_names() {
                tables.extend(catalog.schema(schema).map(|schema| schema.table_names()).unwrap_or_default());
            }
        }
        tables.sort();
        tables.dedup();
        format!("there is no stream or view {name:?}; {}", instead(name, tables.iter().map(String::as_str)))
    }

    fn no_function(&self, name: &str) -> String {
        let registered = [self.state.udfs(), self.state.udafs(), self.state.udwfs()];
        let mut names: Vec<&str> = registered.iter().flatten().map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        if self.state.udwfs().contains(name) {
            return format!("{name} needs OVER, as in {name}(…) OVER (ORDER BY event_time)");
        }
        if names.contains(&name) {
            return format!("{name} cannot stand with OVER; leave OVER out");
        }
        let near = nearest(name, names);
        let quoted: Vec<_> = near.iter().take(3).map(|name| format!("`{name}`")).collect();
        match quoted.as_slice() {
            [] => format!("there is no function {name:?}; docs/sql.md names what there is"),
            near => format!("there is no function {name:?}; did you mean {}?", near.join(" or ")),
        }
    }
}
