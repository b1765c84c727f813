//! Who follows a view by its changes alone, commit by commit, and must end with the rows of its closed windows.

use lakehead_model::Position;
use lakehead_query::{Changes, ViewHandle};

use crate::{
    compare::{Side, difference},
    value::{self, Row, Value},
};

/// The rows that the changes so far make.
#[derive(Default)]
pub(crate) struct Follower {
    position: Option<Position>,
    rows: Vec<Row>,
    /// The columns that name a row, where all of a view's groups are shown; an update comes only there.
    keys: Vec<usize>,
}

impl Follower {
    /// Takes what has changed since the last time.
    pub(crate) async fn follow(&mut self, view: &ViewHandle) -> Result<(), String> {
        let changes =
            view.changes_after(self.position).await.map_err(|e| format!("the changes cannot be read: {e}"))?;
        // Before a view's first commit there is nothing to go on from, and a follower begins with all rows.
        let begins = self.position.is_none_or(|position| changes.is_snapshot && position.to_string().ends_with(".0"));
        if changes.is_snapshot != begins {
            return Err(format!("the changes begin anew after {:?}", self.position));
        }
        if changes.is_snapshot {
            self.rows.clear();
        }
        self.position = Some(changes.position);
        let names = |column: &str| {
            column == "w" || column.strip_prefix('k').is_some_and(|rest| rest.is_empty() || rest.parse::<u8>().is_ok())
        };
        let fields = changes.schema.fields().iter().skip(1).enumerate();
        self.keys = fields.filter(|(_, field)| names(field.name())).map(|(place, _)| place).collect();
        for (operation, row) in operations(changes)? {
            self.apply(&operation, row)?;
        }
        Ok(())
    }

    fn apply(&mut self, operation: &str, row: Row) -> Result<(), String> {
        let same_key = |own: &Row| self.keys.iter().all(|key| own[*key] == row[*key]);
        match operation {
            "insert" => self.rows.push(row),
            "delete" => {
                let found = self.rows.iter().position(|own| *own == row);
                let found = found.ok_or_else(|| format!("a row that is not there is deleted: {row:?}"))?;
                self.rows.swap_remove(found);
            }
            "update" => {
                let mut found = self.rows.iter().enumerate().filter(|(_, own)| same_key(own)).map(|(place, _)| place);
                let (Some(place), None) = (found.next(), found.next()) else {
                    return Err(format!("an update names no row, or several: {row:?}"));
                };
                self.rows[place] = row;
            }
            other => return Err(format!("there is no operation {other:?}")),
        }
        Ok(())
    }

    /// Compares with what there is now.
    pub(crate) async fn check(&mut self, view: &ViewHandle) -> Result<(), String> {
        self.follow(view).await?;
        let all = view.changes_after(None).await.map_err(|e| format!("the rows cannot be read: {e}"))?;
        let schema = all.schema.clone();
        let rows: Vec<Row> = operations(all)?.map(|(_, row)| row).collect();
        let shown: Vec<&str> = schema.fields().iter().skip(1).map(|field| field.name().as_str()).collect();
        let (left, right) = (Side { name: "followed", rows: &self.rows }, Side { name: "files", rows: &rows });
        difference(&shown, left, right, false).map_or(Ok(()), Err)
    }
}

fn operations(changes: Changes) -> Result<impl Iterator<Item = (String, Row)>, String> {
    let batches =
        changes.rows().collect::<Result<Vec<_>, _>>().map_err(|e| format!("the changes cannot be read: {e}"))?;
    Ok(value::rows(&batches).into_iter().map(|mut row| match row.remove(0) {
        Value::Text(operation) => (operation, row),
        other => (other.to_string(), row),
    }))
}
