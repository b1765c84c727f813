//! A view's SQL, compiled: what it reads, what its rows are, and the pieces that keep it up to date.
//!
//! There are three kinds. A view with a window over a stream is cut at its aggregation ([`Windowed`]); one without an
//! aggregation makes rows of events ([`Projection`]); one that reads another view's rows is computed from that view's result
//! files as they come ([`Derived`]). A projection of a stream that another view reads is planned into that view.

use std::{fmt, sync::Arc};

use datafusion::{
    arrow::datatypes::{DataType, Field, SchemaRef},
    catalog::view::ViewTable,
    prelude::SessionContext,
};
use lakehead_model::{Name, TimeRange, Timestamp};
use lakehead_window::{ResultPeriod, Windows};

use super::{condition::Condition, piece::Piece, shape::Shape};
use crate::error::Error;

/// The time that a view's windows are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeColumn {
    /// When it happened: needs a watermark with a delay.
    EventTime,
    /// When Lakehead first saw it: never late.
    ReceivedTime,
}

impl TimeColumn {
    /// The stream's column of this time.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::EventTime => lakehead_decode::EVENT_TIME,
            Self::ReceivedTime => lakehead_decode::RECEIVED_TIME,
        }
    }
}

/// A view's SQL, compiled.
#[derive(Clone)]
pub struct ViewPlan {
    pub(super) sql: String,
    pub(super) definition: String,
    /// The definition with the SQL as it was written, which checkpoints of format 2 hold.
    pub(super) written: String,
    /// Tells this plan from all others of this process: what one made, another does not take in.
    pub(super) serial: u64,
    pub(super) stream: Name,
    pub(super) upstream: Option<Name>,
    pub(super) time: TimeColumn,
    pub(super) required_columns: Vec<String>,
    pub(super) output: SchemaRef,
    pub(super) shape: Shape,
    /// The names of the columns that make a row's key.
    pub(super) key: Option<Vec<String>>,
    pub(super) kind: PlanKind,
    /// For other views that read this one: how it is planned into them.
    pub(super) inline: Option<Arc<ViewTable>>,
    /// The projections that are planned into it: their names and SQL, each after those that it reads.
    pub(super) inlined: Vec<(Name, String)>,
}

/// Its SQL alone: the pieces are long.
impl fmt::Debug for ViewPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ViewPlan").field("sql", &self.sql).finish_non_exhaustive()
    }
}

/// How a view is kept up to date.
#[derive(Clone, Debug)]
pub(crate) enum PlanKind {
    Windowed(Windowed),
    Projection(Projection),
    Derived(Derived),
}

/// Windows over a stream.
#[derive(Clone, Debug)]
pub(crate) struct Windowed {
    pub(crate) windows: Windows,
    pub(crate) period: ResultPeriod,
    /// The column of a partial row with the slice's start.
    pub(crate) slice: usize,
    /// The column of a partial row with the time of a session's last event.
    pub(crate) last: Option<usize>,
    /// The column of a partial row with the number of events in it: the last.
    pub(crate) events: usize,
    /// The columns of a partial row that are groups, the slice among them.
    pub(crate) keys: Vec<usize>,
    /// Which events it counts; what `partial` is given are these.
    pub(crate) condition: Option<Condition>,
    pub(crate) partial: Piece,
    /// The same over all events, without those on which an expression fails: asked when `condition` or `partial` has failed.
    /// `None` where nothing can.
    pub(crate) careful: Option<Piece>,
    pub(crate) reduce: Piece,
    pub(crate) finish: Piece,
}

/// A projection of a stream.
#[derive(Clone, Debug)]
pub(crate) struct Projection {
    pub(crate) piece: Piece,
    /// The same without the events on which an expression fails, whose columns may have the events' offsets behind them.
    pub(crate) careful: Option<Piece>,
}

/// A query over another view's rows.
#[derive(Clone, Debug)]
pub(crate) struct Derived {
    /// Its own window over the other's windows, and the column of the other that has their start; without, each row is
    /// made of one row.
    pub(crate) windows: Option<(Windows, String)>,
    /// Without a window of its own: makes its rows of the other's.
    pub(crate) piece: Option<Piece>,
    /// The same without the rows on which an expression fails.
    pub(crate) careful: Option<Piece>,
}

impl ViewPlan {
    /// The SQL as the user wrote it.
    #[must_use]
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// Its SQL and that of every view that it reads, and how the columns that they ask for are read from an event: what its
    /// results depend on.
    #[must_use]
    pub fn definition(&self) -> &str {
        &self.definition
    }

    /// The same with every text as it was written.
    pub(crate) fn written(&self) -> &str {
        &self.written
    }

    /// Tells it from all other plans of this process.
    pub(crate) fn serial(&self) -> u64 {
        self.serial
    }

    /// The stream that it reads, itself or by way of other views.
    #[must_use]
    pub fn stream(&self) -> &Name {
        &self.stream
    }

    /// The upstream view, whose rows it reads; `None` for a view over a stream.
    #[must_use]
    pub fn upstream(&self) -> Option<&Name> {
        self.upstream.as_ref()
    }

    /// Which time its windows are over.
    #[must_use]
    pub fn time(&self) -> TimeColumn {
        self.time
    }

    /// The columns of the stream that the view requires: all that has to be decoded for it.
    #[must_use]
    pub fn required_columns(&self) -> &[String] {
        &self.required_columns
    }

    /// The columns of its rows.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.output)
    }

    /// The columns that name a row, in the order of the output: the window and all other groups. `None` where the view does not
    /// show each of its groups as it stands, where a row of the view that it reads becomes several, and for a projection of a
    /// stream.
    #[must_use]
    pub fn key(&self) -> Option<&[String]> {
        self.key.as_deref()
    }

    /// Makes the projections that are planned into this view tables of `context`, over the streams that it has.
    pub(crate) async fn register_inlined(&self, context: &SessionContext) -> Result<(), Error> {
        for (name, sql) in &self.inlined {
            let logical = lakehead_planning::of_text(&context.state(), sql).await?;
            context.deregister_table(name.as_str())?;
            context.register_table(name.as_str(), Arc::new(ViewTable::new(logical, Some(sql.clone()))))?;
        }
        Ok(())
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    pub(crate) fn kind(&self) -> &PlanKind {
        &self.kind
    }

    /// How it is kept up to date, if it has windows over a stream.
    pub(crate) fn windowed(&self) -> Option<&Windowed> {
        match &self.kind {
            PlanKind::Windowed(windowed) => Some(windowed),
            _ => None,
        }
    }

    /// The name of the column that shows the window's start, if one does.
    #[must_use]
    pub fn window_output(&self) -> Option<&str> {
        self.shape.window.map(|column| self.output.field(column).name().as_str())
    }

    /// The result period in which rows with this time are filed: a window's start, or a row's received time.
    pub(crate) fn period_at(&self, start: Timestamp) -> TimeRange {
        match &self.kind {
            PlanKind::Windowed(windowed) => windowed.period.range(start),
            PlanKind::Derived(Derived { windows: Some((windows, _)), .. }) => windows.period().range(start),
            PlanKind::Projection(_) | PlanKind::Derived(_) => ResultPeriod::Hour.range(start),
        }
    }

    /// A text that changes whenever the state of this plan could not be read by another.
    pub(crate) fn fingerprint(&self) -> String {
        let fields = |schema: &SchemaRef| {
            let each = |field: &Arc<Field>| match field.data_type() {
                DataType::Timestamp(unit, zone) => format!("{}:{unit:?}/{zone:?}", field.name()),
                other => format!("{}:{other}", field.name()),
            };
            schema.fields().iter().map(each).collect::<Vec<_>>().join(",")
        };
        let state = self.windowed().map(|windowed| fields(&windowed.partial.schema())).unwrap_or_default();
        format!("{} -> {}", state, fields(&self.output))
    }
}
