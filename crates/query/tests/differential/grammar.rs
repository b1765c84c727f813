//! Queries at random: every aggregate, expressions of every type, one to three group keys, every kind of window.
//!
//! It says only what two engines must answer alike. So sums stay within 64 bits and nothing is divided by zero; letters
//! are folded only where folding is simple; floats that may cancel out are multiples of 1/64.

mod aggregates;
mod expressions;
mod samples;
mod stacks;

use self::samples::Samples;
use crate::{
    case::Check,
    expression::{Expr, Function, column},
    query::{DAY_MICROS, Item, Length, Query, Shape, Step, What, Window},
    random::Random,
    table::{Kind, Table},
};

/// Speaks queries over one table.
pub(crate) struct Grammar<'t> {
    table: &'t Table,
    samples: Samples,
    random: Random,
}

/// Zones whose clocks change, by an hour and by half of one, and one that lies half an hour off and never changes.
const ZONES: &[&str] =
    &["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/St_Johns"];

impl<'t> Grammar<'t> {
    pub(crate) fn new(table: &'t Table) -> Self {
        Self { table, samples: Samples::of(table), random: Random::new(0, "grammar") }
    }

    /// The query of this seed.
    pub(crate) fn query(&mut self, seed: u64) -> Query {
        self.random = Random::new(seed, "query");
        if self.random.chance(8) {
            return self.projection();
        }
        if self.random.chance(12) {
            return self.stack();
        }
        let window = self.window();
        let keys: Vec<Expr> = (0..*self.random.pick(&[0, 1, 1, 1, 2, 2, 3])).map(|_| self.key()).collect();
        let mut items = Vec::new();
        let mut item = |what: What, name: String| items.push(Item { name, what });
        let mut rough = false;
        for place in 0..1 + self.random.below(4) {
            let (expr, check) = self.value(keys.len());
            rough |= check != Check::Exact;
            item(What::Value(expr), format!("{}{place}", check.word()));
        }
        // Rows that cannot be told apart could not be compared where a value need not be the same.
        if rough || !self.random.chance(6) {
            item(What::Window, "w".into());
        }
        for place in 0..keys.len() {
            if rough || !self.random.chance(10) {
                item(What::Key(place), format!("k{place}"));
            }
        }
        self.random.shuffle(&mut items);
        let filter = self.random.chance(65).then(|| self.filter());
        let having = self.random.chance(20).then(|| self.having());
        let by_place = self.random.chance(60);
        Query { window: Some(window), keys, items, filter, having, by_place, ..self.empty() }
    }

    fn projection(&mut self) -> Query {
        let mut items = vec![Item { name: "at".into(), what: What::Value(column("event_offset")) }];
        for place in 0..1 + self.random.below(5) {
            let expr = self.scalar(3);
            items.push(Item { name: format!("v{place}"), what: What::Value(expr) });
        }
        let filter = self.random.chance(80).then(|| self.filter());
        Query { items, filter, ..self.empty() }
    }

    fn window(&mut self) -> Window {
        let time = if self.random.chance(15) { "received_time" } else { "event_time" };
        let size = *self.random.pick(self.table.sizes);
        let shape = match self.random.below(6) {
            1 => {
                let step = match self.random.below(4) {
                    0 => Step::Days(1),
                    1 => Step::Days(self.random.between(2, 8)),
                    2 => Step::Months(*self.random.pick(&[1, 3, 12])),
                    _ => {
                        let parts: Vec<_> =
                            self.table.sizes.iter().filter(|part| part.1 < DAY_MICROS).copied().collect();
                        Step::Within(*self.random.pick(&parts))
                    }
                };
                Shape::Calendar { step, zone: self.random.word(ZONES) }
            }
            2 => {
                // A size that is a multiple of its slide, and one that is not; in few windows each, for the sake of time.
                let fits = |slide: &&Length| slide.1 <= size.1 && size.1 / slide.1 <= 12;
                let slides: Vec<_> = self.table.sizes.iter().filter(fits).copied().collect();
                Shape::Hop { slide: *self.random.pick(&slides), size }
            }
            3 => {
                let gaps: Vec<_> = self.table.sizes.iter().filter(|gap| gap.1 <= DAY_MICROS).copied().collect();
                let gap = *self.random.pick(&gaps);
                let greatest = self.random.chance(40).then(|| *self.random.pick(self.table.sizes));
                Shape::Session { gap, greatest: greatest.filter(|greatest| greatest.1 >= gap.1) }
            }
            _ => Shape::Tumble(size),
        };
        Window { time, shape }
    }

    fn key(&mut self) -> Expr {
        match self.random.below(10) {
            0..5 => {
                let kinds = [Kind::Plain, Kind::Text, Kind::Bool, Kind::Small, Kind::Plain];
                let kind = *self.random.pick(&kinds);
                self.any_column(&[kind]).unwrap_or_else(|| column("event_offset"))
            }
            5 => self.bool(1),
            6 => self.text(2),
            // A few groups of many numbers.
            7 => self.small().binary("%", Expr::Int(self.random.between(2, 7))),
            8 => Expr::call("date_trunc", [Expr::text("hour"), self.time_column()]),
            _ => self.bucket(),
        }
    }

    /// Names for ranges.
    fn bucket(&mut self) -> Expr {
        let of = self.small();
        let branches = vec![
            (of.clone().binary("<", self.sample_int(&of)), Expr::text("low")),
            (of.clone().binary("<", self.sample_int(&of)), Expr::text("middle")),
        ];
        let otherwise = self.random.chance(60).then(|| Box::new(Expr::text("high")));
        Expr::Case { branches, otherwise }
    }

    fn filter(&mut self) -> Expr {
        let condition = self.bool(3);
        if self.table.columns.iter().any(|column| column.name == "canary") && self.random.chance(40) {
            return Expr::Not(Box::new(column("canary"))).binary("AND", condition);
        }
        condition
    }

    fn having(&mut self) -> Expr {
        let count = Expr::aggregate(Function::Count, []).binary(">", Expr::Int(self.random.between(0, 6)));
        match self.random.below(4) {
            0 => count,
            1 => Expr::aggregate(Function::Named("max"), [self.small()]).binary(">", self.literal()),
            2 => {
                let sum = Expr::aggregate(Function::Named("sum"), [self.small()]);
                Expr::Binary(Box::new(count), "OR", Box::new(sum.binary("<", self.literal())))
            }
            _ => {
                let distinct = Expr::aggregate(Function::Distinct("count"), [self.text(1)]);
                distinct.binary("<>", Expr::Int(2)).binary("AND", count)
            }
        }
    }
}
