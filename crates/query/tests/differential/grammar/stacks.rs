//! Views over views: windows over windows, rows of rows, and windows over a projection.

use super::Grammar;
use crate::{
    expression::{Expr, Function, column},
    query::{Item, Query, Shape, What, Window},
};

impl Grammar<'_> {
    /// A query over a view of the grammar.
    pub(super) fn stack(&mut self) -> Query {
        if self.random.chance(30) { self.over_projection() } else { self.over_windows() }
    }

    /// A window over a projection's rows.
    fn over_projection(&mut self) -> Query {
        let time = if self.random.chance(20) { "received_time" } else { "event_time" };
        let mut items = vec![value(time, column(time)), value("t", self.text(2)), value("i", self.int(2))];
        self.random.shuffle(&mut items);
        let filter = Some(self.filter());
        let below = Query { items, filter, ..self.empty() };

        let mut items = vec![
            Item { name: "w".into(), what: What::Window },
            value("v0", Expr::aggregate(Function::Count, [])),
            value("v1", Expr::aggregate(Function::Named("sum"), [column("i")])),
            value("v2", Expr::aggregate(Function::Distinct("count"), [column("t")])),
            value("v3", Expr::aggregate(Function::Named("max"), [column("t")])),
        ];
        let keys = if self.random.chance(60) { vec![column("t")] } else { Vec::new() };
        items.extend(shown(&keys));
        let filter = self.random.chance(40).then(|| column("i").binary(">", self.literal()));
        let window = Some(Window { time, shape: Shape::Tumble(*self.random.pick(self.table.sizes)) });
        Query { below: Some(Box::new(below)), window, keys, items, filter, ..self.empty() }
    }

    /// A window over windows, or their rows one by one.
    fn over_windows(&mut self) -> Query {
        let window = Some(self.window());
        let keys: Vec<Expr> = (0..1 + self.random.below(2)).map(|_| self.key()).collect();
        let mut items = vec![
            Item { name: "w".into(), what: What::Window },
            value("n", Expr::aggregate(Function::Count, [])),
            value("s", Expr::aggregate(Function::Named("sum"), [self.small()])),
            value("m", Expr::aggregate(Function::Named("max"), [self.text(1)])),
        ];
        items.extend(shown(&keys));
        self.random.shuffle(&mut items);
        let filter = self.random.chance(50).then(|| self.filter());
        let having = self.random.chance(30).then(|| self.having());
        let below = Some(Box::new(Query { window, keys, items, filter, having, ..self.empty() }));

        let filter = self.random.chance(40).then(|| column("n").binary(">", Expr::Int(self.random.between(0, 4))));
        if self.random.chance(25) {
            let items = vec![
                value("w", column("w")),
                value("k", column("k0")),
                value("v", column("n").binary("*", Expr::Int(2))),
                value("some", column("m").is("NOT NULL")),
            ];
            return Query { below, items, filter, ..self.empty() };
        }
        let shape = match self.window().shape {
            // Not over a view: which events are in one would depend on rows that may change.
            Shape::Session { .. } => Shape::Tumble(*self.random.pick(self.table.sizes)),
            shape => shape,
        };
        let window = Some(Window { time: "w", shape });
        let keys = if self.random.chance(60) { vec![column("k0")] } else { Vec::new() };
        let mut items = vec![
            Item { name: "w".into(), what: What::Window },
            value("v0", Expr::aggregate(Function::Count, [])),
            value("v1", Expr::aggregate(Function::Named("sum"), [column("n")])),
            value("v2", Expr::aggregate(Function::Named("sum"), [column("s")])),
            value("v3", Expr::aggregate(Function::Named(self.random.word(&["min", "max"])), [column("m")])),
            value("v4", Expr::aggregate(Function::Named("avg"), [column("n")])),
        ];
        items.extend(shown(&keys));
        self.random.shuffle(&mut items);
        Query { below, window, keys, items, filter, ..self.empty() }
    }

    /// A query over the table that shows nothing yet.
    pub(super) fn empty(&self) -> Query {
        Query {
            from: self.table.name.to_owned(),
            below: None,
            window: None,
            keys: Vec::new(),
            items: Vec::new(),
            filter: None,
            having: None,
            by_place: false,
        }
    }
}

fn value(name: &str, value: Expr) -> Item {
    Item { name: name.to_owned(), what: What::Value(value) }
}

fn shown(keys: &[Expr]) -> impl Iterator<Item = Item> {
    (0..keys.len()).map(|place| Item { name: format!("k{place}"), what: What::Key(place) })
}
