//! What a view's results depend on, as text: its SQL, that of the views that it reads, and how columns are read.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use lakehead_model::{ColumnType, Name, READING, StreamSchema};

use super::view_plan::ViewPlan;
use crate::{error::Error, identity};

/// The definition of a view with `sql` that reads the views `names` of `views`: without blanks and comments, and as it was
/// written, which checkpoints of format 2 hold. Where it reads a stream, `columns` are its schema and those that are read of it.
pub(super) fn definition(
    sql: &str,
    names: &BTreeSet<Name>,
    views: &BTreeMap<Name, Arc<ViewPlan>>,
    columns: Option<(&StreamSchema, &[String])>,
) -> Result<(String, String), Error> {
    let joined = |of: fn(&ViewPlan) -> &str, own: &str| {
        names.iter().map(|name| of(&views[name])).chain([own]).collect::<Vec<_>>().join(";\n")
    };
    let definition = joined(|plan| &plan.definition, &identity::normalised(sql));
    let written = joined(|plan| &plan.written, sql);
    Ok(match columns {
        Some((schema, wanted)) => {
            let columns = reading(schema, wanted)?;
            (format!("{definition};\n{columns}"), format!("{written};\n{columns}"))
        }
        None => (definition, written),
    })
}

/// How those of a stream's columns that are `wanted` are read from an event, as comments of SQL.
fn reading(schema: &StreamSchema, wanted: &[String]) -> Result<String, Error> {
    let mut text = String::new();
    let mut add = |name: &str, how: Result<String, serde_json::Error>| -> Result<(), Error> {
        let how = how.map_err(|error| Error::Engine(format!("a column is JSON: {error}")))?;
        text.push_str(&format!("-- {name}: {how}\n"));
        Ok(())
    };
    for name in wanted {
        if name == lakehead_decode::EVENT_TIME {
            add(name, serde_json::to_string(&(READING, &schema.event_time)))?;
        } else if let Some(column) = schema.columns.iter().find(|column| column.name == *name) {
            // Of the others no value was ever read otherwise.
            let is_read_anew = matches!(column.column_type, ColumnType::Int64 | ColumnType::Timestamp);
            let how =
                if is_read_anew { serde_json::to_string(&(READING, column)) } else { serde_json::to_string(column) };
            add(name, how)?;
        }
    }
    Ok(text)
}
