//! What a query's filters say of a column of whole numbers or times: a closed range, everything by default.

use datafusion::{
    common::ScalarValue,
    logical_expr::{BinaryExpr, Expr, Operator},
};
use lakehead_model::Timestamp;

/// The values that a column may have, by the filters looked at so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeBounds {
    /// The least.
    pub(crate) least: Timestamp,
    /// The greatest.
    pub(crate) greatest: Timestamp,
}

impl Default for TimeBounds {
    fn default() -> Self {
        Self { least: Timestamp(i64::MIN), greatest: Timestamp(i64::MAX) }
    }
}

impl TimeBounds {
    /// What `filter` says of `column`.
    pub(crate) fn of(column: &str, filter: &Expr) -> Self {
        let mut bounds = Self::default();
        bounds.narrow(column, filter);
        bounds
    }

    /// Whether it says nothing.
    pub(crate) fn everything(self) -> bool {
        self == Self::default()
    }

    /// Takes note of `filter` where it bounds `column`; anything else says nothing here.
    pub(crate) fn narrow(&mut self, column: &str, filter: &Expr) {
        let is_it = |expression: &Expr| matches!(expression, Expr::Column(found) if found.name == column);
        match filter {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                self.narrow(column, left);
                self.narrow(column, right);
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (left.as_ref(), right.as_ref()) {
                (left, Expr::Literal(value, _)) if is_it(left) => self.bound(*op, value),
                (Expr::Literal(value, _), right) if is_it(right) => {
                    if let Some(op) = op.swap() {
                        self.bound(op, value);
                    }
                }
                _ => {}
            },
            Expr::Between(between) if !between.negated && is_it(&between.expr) => {
                if let (Expr::Literal(low, _), Expr::Literal(high, _)) = (between.low.as_ref(), between.high.as_ref()) {
                    self.bound(Operator::GtEq, low);
                    self.bound(Operator::LtEq, high);
                }
            }
            _ => {}
        }
    }

    fn bound(&mut self, op: Operator, value: &ScalarValue) {
        let value = match value {
            ScalarValue::Int64(Some(value)) | ScalarValue::TimestampMicrosecond(Some(value), _) => *value,
            _ => return,
        };
        let at_least = |bounds: &mut Self, value: i64| bounds.least = bounds.least.max(Timestamp(value));
        let at_most = |bounds: &mut Self, value: i64| bounds.greatest = bounds.greatest.min(Timestamp(value));
        match op {
            Operator::Eq => {
                at_least(self, value);
                at_most(self, value);
            }
            Operator::Gt => at_least(self, value.saturating_add(1)),
            Operator::GtEq => at_least(self, value),
            Operator::Lt => at_most(self, value.saturating_sub(1)),
            Operator::LtEq => at_most(self, value),
            _ => {}
        }
    }
}
