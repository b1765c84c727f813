//! What stands in an answer beside its window and its keys: aggregates, and expressions over them.

use super::Grammar;
use crate::{
    case::Check,
    expression::{Direction, Expr, Function, column},
    table::Kind,
};

impl Grammar<'_> {
    /// A column of the answer, with how its values are compared.
    pub(super) fn value(&mut self, keys: usize) -> (Expr, Check) {
        match self.random.below(12) {
            0 => (self.over_aggregates(), Check::Exact),
            1 if keys > 0 => {
                let key = Expr::Key(self.random.below(keys));
                (key.is(self.random.word(&["NULL", "NOT NULL"])), Check::Exact)
            }
            _ => self.aggregate(),
        }
    }

    fn over_aggregates(&mut self) -> Expr {
        let sum = Expr::aggregate(Function::Named("sum"), [self.int(2)]);
        let count = Expr::aggregate(Function::Count, []);
        match self.random.below(5) {
            0 => sum.binary("/", count),
            1 => {
                let of = self.small();
                let most = Expr::aggregate(Function::Named("max"), [of.clone()]);
                most.binary("-", Expr::aggregate(Function::Named("min"), [of]))
            }
            2 => Expr::Case {
                branches: vec![(count.binary(">", Expr::Int(self.random.between(1, 9))), Expr::text("many"))],
                otherwise: Some(Box::new(Expr::text("few"))),
            },
            3 => Expr::call("coalesce", [sum, Expr::Int(0)]),
            _ => sum.cast("DOUBLE").binary("/", count.cast("DOUBLE")),
        }
    }

    fn aggregate(&mut self) -> (Expr, Check) {
        let (function, arguments, check) = self.function();
        let mut expr = Expr::aggregate(function, arguments);
        if self.random.chance(25)
            && let Expr::Aggregate(aggregate) = &mut expr
        {
            aggregate.filter = Some(self.bool(1));
        }
        (expr, check)
    }

    fn function(&mut self) -> (Function, Vec<Expr>, Check) {
        use Check::{Distinct, Exact, Ranks, Rough};
        let named = Function::Named;
        let has_floats = self.any_column(&[Kind::Float]).is_some();
        let number = |grammar: &mut Self| {
            if has_floats && grammar.random.chance(60) { grammar.float(2) } else { grammar.int(2) }
        };
        match self.random.below(27) {
            0 | 1 => (Function::Count, Vec::new(), Exact),
            2 => (named("count"), vec![self.scalar(2)], Exact),
            3 | 4 => (Function::Distinct("count"), vec![self.scalar(1)], Exact),
            5 | 6 => (named("sum"), vec![number(self)], Exact),
            7 => (named("avg"), vec![number(self)], Exact),
            8 | 9 => {
                let of = match self.random.below(5) {
                    0 => self.any_column(&[Kind::Big]).unwrap_or_else(|| column("event_offset")),
                    1 => self.time(1),
                    2 => self.bool(1),
                    3 => self.text(2),
                    _ => number(self),
                };
                (named(self.random.word(&["min", "max"])), vec![of], Exact)
            }
            10 => (named(self.random.word(&["stddev", "stddev_pop", "var", "var_pop"])), vec![number(self)], Rough),
            11 => (named(self.random.word(&["bool_and", "bool_or"])), vec![self.bool(1)], Exact),
            12 | 13 => {
                let of = self.any_column(&[Kind::Small, Kind::Big]).expect("event_offset is one");
                (named(self.random.word(&["bit_and", "bit_or", "bit_xor"])), vec![of], Exact)
            }
            14 => (named("median"), vec![number(self).cast("DOUBLE")], Exact),
            15 => (
                Function::Percentile(self.random.word(&["0.0", "0.25", "0.75", "1.0"])),
                vec![number(self).cast("DOUBLE")],
                Exact,
            ),
            16 => {
                let sum = self.int(1).cast("DECIMAL(18,2)");
                (named(self.random.word(&["sum", "min", "max"])), vec![sum], Exact)
            }
            17 => (Function::Distinct("sum"), vec![self.small()], Exact),
            18 => (Function::ApproxDistinct, vec![self.text(1)], Distinct),
            19 => (Function::ApproxMedian, vec![number(self).cast("DOUBLE")], Ranks),
            20 => {
                let rank = *self.random.pick(&[0.05, 0.5, 0.9, 0.99]);
                (Function::ApproxPercentile(rank), vec![number(self).cast("DOUBLE")], Ranks)
            }
            21 | 22 => {
                let name = self.random.word(&["first_value", "last_value", "array_agg", "string_agg"]);
                let direction = *self.random.pick(&[Direction::Ascending, Direction::Descending]);
                let arguments = match name {
                    "string_agg" => vec![self.text(1), Expr::text("|")],
                    _ => vec![self.scalar(1)],
                };
                (Function::Ordered(name, direction), arguments, Exact)
            }
            23 | 24 => {
                let of = if self.random.chance(70) { self.text(1) } else { self.small() };
                (Function::TopK(1 + self.random.below(4)), vec![of], Exact)
            }
            25 => (named(self.random.word(&["covar_samp", "covar_pop"])), vec![number(self), number(self)], Rough),
            _ => (named("sum"), vec![self.int(3)], Exact),
        }
    }
}
