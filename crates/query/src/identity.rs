//! What a view is: everything that determines its answers, as one value.
//!
//! ```text
//!   its SQL and that of the views it reads ─┐
//!   how the columns are read, the time rule ┤
//!   watermark_delay, lateness, late ────────┼─▶ identity ─▶ in the checkpoint, compared at every opening
//!   types of its state and of its rows ─────┤
//!   DataFusion, what SQL means here ────────┘
//! ```
//!
//! A checkpoint is gone on with only if its identity is that of the view as it is to be. There is no other way to find out
//! whether old results still hold, and no setting that may be left out: whoever adds one that changes answers adds it here.
//! The files of another view that a result file was made of are compared file by file ([`MadeOf`](crate::view::files::MadeOf)).

use std::time::Duration;

use datafusion::sql::sqlparser::{
    dialect::GenericDialect,
    tokenizer::{Token, Tokenizer},
};
use serde::{Deserialize, Serialize};

use crate::{
    plan::{PlanKind, TimeColumn, ViewPlan},
    view::{Late, ViewSettings},
};

/// What the SQL of views means in this version of Lakehead: raised when an expression or an aggregate begins to give
/// another value for the same events. Views that were made under another meaning are built anew.
pub(crate) const MEANING: u32 = 3;

/// Everything that determines a view's answers but the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The SQL of all views that it reads and its own, and how the columns that they ask for are read from an event.
    pub(crate) definition: String,
    /// How far its watermark stays behind; none where its windows are not over event time.
    pub(crate) watermark_delay: Option<Duration>,
    /// How long windows are corrected; none where nothing can be late.
    pub(crate) lateness: Option<Duration>,
    /// What becomes of late events; none where nothing can be late.
    pub(crate) late: Option<Late>,
    /// The types of its state and of its rows.
    pub(crate) columns: String,
    /// The DataFusion release, whose state it is.
    pub(crate) datafusion: String,
    /// [`MEANING`] when it was made.
    pub(crate) meaning: u32,
}

impl Identity {
    /// That of a view of this plan with these settings.
    #[must_use]
    pub fn of(plan: &ViewPlan, settings: &ViewSettings) -> Self {
        let can_be_late = matches!(plan.kind(), PlanKind::Windowed(_)) && plan.time() == TimeColumn::EventTime;
        Self {
            definition: plan.definition().to_owned(),
            watermark_delay: can_be_late.then_some(settings.watermark_delay),
            lateness: can_be_late.then_some(settings.lateness),
            late: can_be_late.then_some(settings.late),
            columns: plan.fingerprint(),
            datafusion: crate::DATAFUSION_VERSION.to_owned(),
            meaning: MEANING,
        }
    }

    /// What has changed from this to `now`, in words; `None` when nothing has.
    #[must_use]
    pub fn change(&self, now: &Self) -> Option<&'static str> {
        let differs = [
            (self.definition != now.definition, "its SQL or a column was changed"),
            (self.watermark_delay != now.watermark_delay, "its watermark_delay was changed"),
            (self.lateness != now.lateness, "its lateness was changed"),
            (self.late != now.late, "what it does with late events was changed"),
            (self.datafusion != now.datafusion, "DataFusion was upgraded"),
            (self.meaning != now.meaning, "SQL has another meaning in this version of Lakehead"),
            (self.columns != now.columns, "its columns changed"),
        ];
        differs.iter().find(|(differs, _)| *differs).map(|(_, why)| *why)
    }

    /// `settings` with those that this has in their place.
    pub(crate) fn settings(&self, settings: ViewSettings) -> ViewSettings {
        ViewSettings {
            watermark_delay: self.watermark_delay.unwrap_or(settings.watermark_delay),
            lateness: self.lateness.unwrap_or(settings.lateness),
            late: self.late.unwrap_or(settings.late),
            ..settings
        }
    }
}

/// `sql` without what means nothing: blanks, line ends and comments. Word for word otherwise, so that two texts of
/// different meaning are never taken for one.
pub(crate) fn normalised(sql: &str) -> String {
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize() else { return sql.to_owned() };
    let tokens = tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_) | Token::SemiColon));
    tokens.map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_and_comments_are_no_change_and_everything_else_is() {
        let sql = "SELECT a,\n  'x  y' AS b -- the second\nFROM s /* all */;";
        assert_eq!(normalised(sql), "SELECT a , 'x  y' AS b FROM s");
        for other in ["SELECT a, 'x y' AS b FROM s", "SELECT A, 'x  y' AS b FROM s", "SELECT a, \"x  y\" AS b FROM s"] {
            assert_ne!(normalised(sql), normalised(other), "{other}");
        }
        assert_eq!(normalised("SELECT 'open"), "SELECT 'open");
    }
}
