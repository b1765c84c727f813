//! Explains rows of views by the events behind them.

mod ask;
mod explaining;
mod narrowing;
mod question;
mod row;
mod selection;

pub use self::{
    question::{ExplainedEvent, ExplainedRow, Explanation, Question},
    selection::Selection,
};
