//! Names the columns of an answer that the statement leaves unnamed: by its own words, `total / 2`, not by those of the engine,
//! `orders.total / Int64(2)`.
//!
//! The names are given on top of the whole plan, so nothing in the statement can tell: ORDER BY, HAVING and UNION see what
//! they always saw. A view has no need of this, since each of its columns has a name.

use std::{collections::BTreeSet, sync::Arc};

use datafusion::{
    logical_expr::{Expr, LogicalPlan, Projection},
    sql::{
        parser::Statement,
        sqlparser::ast::{self, SelectItem, SetExpr},
    },
};

use crate::error::Error;

/// Longest statement whose columns are called so, in bytes. Writing an expression goes as deep as it is nested, and a chain
/// of additions is nested once for each two bytes: this is some megabytes of a worker's stack of 64 MiB.
const STATEMENT_BYTES_MAX: usize = 16 << 10;

/// What is selected, one after the other.
pub(crate) struct ColumnNames(Vec<Item>);

enum Item {
    /// A column that has a name.
    Named,
    /// A column that is called as it is written.
    Written(String),
    /// Any number of columns, as `*` is.
    Many,
}

impl Item {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Written(text) => Some(text),
            Self::Named | Self::Many => None,
        }
    }
}

impl ColumnNames {
    /// Those of `statement`, which is that of `sql`; of a UNION those of its first part, as SQL has it.
    pub(crate) fn of(statement: &Statement, sql: &str) -> Self {
        let Statement::Statement(plain) = statement else { return Self(Vec::new()) };
        let ast::Statement::Query(query) = &**plain else { return Self(Vec::new()) };
        if sql.len() > STATEMENT_BYTES_MAX {
            return Self(Vec::new());
        }
        let mut body = &*query.body;
        loop {
            body = match body {
                SetExpr::Query(query) => &*query.body,
                SetExpr::SetOperation { left, .. } => &**left,
                SetExpr::Select(select) => return Self(select.projection.iter().map(item).collect()),
                _ => return Self(Vec::new()),
            };
        }
    }

    /// `plan` with its columns named so, as far as it can be told which is which and no two get one name.
    ///
    /// # Errors
    /// [`Error::Engine`] when the plan cannot be made.
    pub(crate) fn give(&self, plan: LogicalPlan) -> Result<LogicalPlan, Error> {
        let schema = Arc::clone(plan.schema());
        let written = self.each(schema.fields().len());
        // The engine's name is kept where it differs in case alone, as count(*) for COUNT(*).
        let names: Vec<&str> = schema
            .fields()
            .iter()
            .zip(&written)
            .map(|(field, written)| match written {
                Some(written) if !written.eq_ignore_ascii_case(field.name()) => *written,
                _ => field.name().as_str(),
            })
            .collect();
        let is_as_before = names.iter().zip(schema.fields()).all(|(name, field)| *name == field.name());
        if is_as_before || names.iter().collect::<BTreeSet<_>>().len() < names.len() {
            return Ok(plan);
        }
        let columns = schema.iter().zip(&names).map(|(column, name)| {
            let is_same = *name == column.1.name();
            let column = Expr::from(column);
            if is_same { column } else { column.alias(*name) }
        });
        Ok(LogicalPlan::Projection(Projection::try_new(columns.collect(), Arc::new(plan))?))
    }

    /// For each of so many columns what it is to be called; none where it has a name, or cannot be told.
    fn each(&self, columns: usize) -> Vec<Option<&str>> {
        let many: Vec<usize> =
            self.0.iter().enumerate().filter(|(_, item)| matches!(item, Item::Many)).map(|(at, _)| at).collect();
        match many.as_slice() {
            [] if self.0.len() == columns => self.0.iter().map(Item::text).collect(),
            [at] if self.0.len() <= columns + 1 => {
                let (before, after) = (&self.0[..*at], &self.0[at + 1..]);
                let unknown = std::iter::repeat_n(None, columns - before.len() - after.len());
                before.iter().map(Item::text).chain(unknown).chain(after.iter().map(Item::text)).collect()
            }
            _ => vec![None; columns],
        }
    }
}

fn item(item: &SelectItem) -> Item {
    match item {
        SelectItem::ExprWithAlias { .. } | SelectItem::UnnamedExpr(ast::Expr::Identifier(_)) => Item::Named,
        // A column of a table, or a field of a record.
        SelectItem::UnnamedExpr(ast::Expr::CompoundIdentifier(parts)) => match parts.last() {
            Some(last) if last.quote_style.is_some() => Item::Written(last.value.clone()),
            Some(last) => Item::Written(last.value.to_lowercase()),
            None => Item::Named,
        },
        SelectItem::UnnamedExpr(expression) => match expression.to_string() {
            // A list of records gives a column for each of their fields.
            text if text.to_ascii_lowercase().contains("unnest(") => Item::Many,
            text => Item::Written(text),
        },
        _ => Item::Many,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_column_is_called_as_it_is_written_where_it_can_be_told_which_it_is() {
        use Item::{Many, Named};
        let written = |text: &str| Item::Written(text.to_owned());
        for (items, columns, called) in [
            (vec![written("1"), Named, written("b")], 3, vec![Some("1"), None, Some("b")]),
            (vec![written("1"), Many, written("b")], 4, vec![Some("1"), None, None, Some("b")]),
            (vec![written("1"), Many], 1, vec![Some("1")]),
            (vec![Many, written("1"), Many], 4, vec![None; 4]),
            (vec![written("1")], 2, vec![None; 2]),
            (vec![written("1"), Many, written("b")], 1, vec![None]),
            (Vec::new(), 1, vec![None]),
        ] {
            assert_eq!(ColumnNames(items).each(columns), called);
        }
    }
}
