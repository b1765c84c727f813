//! Expressions of each type, to a depth.

use super::Grammar;
use crate::{
    expression::{Expr, column},
    table::Kind,
};

/// Every kind of text.
const TEXTS: &[Kind] = &[Kind::Plain, Kind::Plain, Kind::Text];

impl Grammar<'_> {
    /// A column of one of these kinds, if the table has any.
    pub(super) fn any_column(&mut self, kinds: &[Kind]) -> Option<Expr> {
        let columns = self.table.of(kinds);
        (!columns.is_empty()).then(|| column(self.random.pick(&columns).name))
    }

    pub(super) fn small(&mut self) -> Expr {
        self.any_column(&[Kind::Small]).expect("event_offset is one")
    }

    pub(super) fn time_column(&mut self) -> Expr {
        self.any_column(&[Kind::Time]).expect("event_time is one")
    }

    fn text_column(&mut self) -> Expr {
        let kind = *self.random.pick(TEXTS);
        self.any_column(&[kind]).expect("every table has text of both kinds")
    }

    fn plain(&mut self) -> Expr {
        self.any_column(&[Kind::Plain]).expect("every table has plain text")
    }

    /// A value that is in the column, or near one.
    pub(super) fn sample_int(&mut self, of: &Expr) -> Expr {
        let Expr::Column(name) = of else { return self.literal() };
        let int = self.samples.int(name, &mut self.random);
        Expr::Int(int)
    }

    fn sample_text(&mut self, of: &Expr) -> String {
        let Expr::Column(name) = of else { return "a".to_owned() };
        self.samples.text(name, &mut self.random)
    }

    fn sample_time(&mut self, of: &Expr) -> Expr {
        let Expr::Column(name) = of else { unreachable!("times are sampled of columns") };
        Expr::Time(self.samples.time(name, &mut self.random))
    }

    pub(super) fn literal(&mut self) -> Expr {
        Expr::Int(*self.random.pick(&[0, 1, 2, 7, 100, 1_000, -1, 50_000]))
    }

    /// An expression of any type.
    pub(super) fn scalar(&mut self, depth: usize) -> Expr {
        match self.random.below(10) {
            0..3 => self.text(depth),
            3..5 => self.int(depth),
            5 => self.bool(depth),
            6 => self.time(depth),
            7 => self.any_column(&[Kind::Big]).unwrap_or_else(|| column("event_offset")),
            8 if self.any_column(&[Kind::Float]).is_some() => self.float(depth),
            _ => self.any_column(&[Kind::Json, Kind::Text]).expect("every table has text"),
        }
    }

    /// A condition.
    pub(super) fn bool(&mut self, depth: usize) -> Expr {
        if depth > 0 && self.random.chance(40) {
            let (left, right) = (self.bool(depth - 1), self.bool(depth - 1));
            return match self.random.below(8) {
                0..3 => left.binary("AND", right),
                3..6 => left.binary("OR", right),
                6 => Expr::Not(Box::new(left)),
                _ => left.is(self.random.word(&["TRUE", "NOT TRUE", "FALSE", "NOT FALSE", "NULL", "NOT NULL"])),
            };
        }
        match self.random.below(16) {
            0 | 1 => self.any_column(&[Kind::Bool]).expect("every table has one"),
            2 | 3 => {
                let of = self.text_column();
                let with = Expr::Text(self.sample_text(&of));
                of.binary(self.random.word(&["=", "<>", "<", ">=", "IS DISTINCT FROM"]), with)
            }
            4 => {
                let of = self.text_column();
                let how = self.random.word(&["LIKE", "NOT LIKE"]);
                let pattern = self.pattern(&of);
                Expr::Like { of: Box::new(of), how, pattern }
            }
            5 => {
                let of = self.plain();
                let pattern = self.pattern(&of).to_uppercase();
                // Upper case of odd letters may be two letters, or none that folds back.
                let pattern = if pattern.is_ascii() { pattern } else { "%A%".to_owned() };
                Expr::Like { of: Box::new(of), how: self.random.word(&["ILIKE", "NOT ILIKE"]), pattern }
            }
            6 => {
                let of = self.text_column();
                let patterns = ["^[A-Z]", "[0-9]+", "(User|Talk):", "wiki$", "a.c", "^$", "^.{3,9}$", "[^a-z ]"];
                Expr::call("regexp_like", [of, Expr::text(self.random.word(&patterns))])
            }
            7 => {
                let of = self.text_column();
                let mut list: Vec<Expr> =
                    (0..1 + self.random.below(4)).map(|_| Expr::Text(self.sample_text(&of))).collect();
                if self.random.chance(15) {
                    list.push(Expr::Null);
                }
                Expr::In { of: Box::new(of), list, negated: self.random.chance(30) }
            }
            8 => {
                let of = self.any_column(&[Kind::Small, Kind::Big]).expect("event_offset is one");
                let list = (0..1 + self.random.below(4)).map(|_| self.sample_int(&of)).collect();
                Expr::In { of: Box::new(of), list, negated: self.random.chance(30) }
            }
            9 => {
                let of = self.any_column(&[Kind::Small, Kind::Big]).expect("event_offset is one");
                let (low, high) = (Box::new(self.sample_int(&of)), Box::new(self.sample_int(&of)));
                Expr::Between { of: Box::new(of), low, high }
            }
            10 | 11 => {
                let of = self.any_column(&[Kind::Small, Kind::Small, Kind::Big]).expect("event_offset is one");
                let with = self.sample_int(&of);
                of.binary(self.random.word(&["=", "<>", "<", "<=", ">", ">="]), with)
            }
            12 => {
                let of = self.time_column();
                let with = self.sample_time(&of);
                of.binary(self.random.word(&["<", "<=", ">", ">=", "="]), with)
            }
            13 => {
                let expr = self.scalar(0);
                expr.is(self.random.word(&["NULL", "NOT NULL"]))
            }
            14 if depth > 0 => {
                let (left, right) = (self.int(depth - 1), self.int(depth - 1));
                left.binary(self.random.word(&["<", "=", ">=", "IS NOT DISTINCT FROM"]), right)
            }
            _ => {
                let of = self.text_column();
                let start = self.sample_text(&of).chars().take(2).collect();
                Expr::call("starts_with", [of, Expr::Text(start)])
            }
        }
    }

    fn pattern(&mut self, of: &Expr) -> String {
        let letters: Vec<char> = self.sample_text(of).chars().collect();
        let from = self.random.below(letters.len());
        let part: String = letters.iter().skip(from).take(1 + self.random.below(4)).collect();
        match self.random.below(5) {
            0 => format!("{part}%"),
            1 => format!("%{part}"),
            2 => format!("_{part}%"),
            3 => format!("%{}%", part.chars().map(|c| if c.is_ascii_digit() { '_' } else { c }).collect::<String>()),
            _ => format!("%{part}%"),
        }
    }

    /// A text.
    pub(super) fn text(&mut self, depth: usize) -> Expr {
        if depth == 0 || self.random.chance(40) {
            return self.text_column();
        }
        let inner = |grammar: &mut Self| grammar.text(depth - 1);
        match self.random.below(12) {
            0 => Expr::call("lower", [self.plain()]),
            1 => Expr::call("upper", [self.plain()]),
            2 => {
                let (from, count) = (self.random.between(1, 5), self.random.between(0, 6));
                Expr::call("substr", [inner(self), Expr::Int(from), Expr::Int(count)])
            }
            3 => inner(self).binary("||", Expr::text(self.random.word(&["-", "", "😀"]))),
            4 => inner(self).binary("||", inner(self)),
            5 => Expr::call("coalesce", [inner(self), Expr::text("-")]),
            6 => {
                let of = self.text_column();
                let with = Expr::Text(self.sample_text(&of));
                Expr::call("nullif", [of, with])
            }
            7 => Expr::call("replace", [inner(self), Expr::text("a"), Expr::text("xy")]),
            8 => Expr::call("split_part", [inner(self), Expr::text("."), Expr::Int(self.random.between(1, 3))]),
            9 => Expr::call("left", [inner(self), Expr::Int(self.random.between(0, 4))]),
            10 => self.int(depth - 1).cast("VARCHAR"),
            11 => Expr::JsonText(self.random.pick(&[&["$schema"][..], &["title_url"]]).to_vec()),
            _ => {
                let branches = vec![(self.bool(depth - 1), inner(self)), (self.bool(0), Expr::text("other"))];
                let otherwise = self.random.chance(50).then(|| Box::new(inner(self)));
                Expr::Case { branches, otherwise }
            }
        }
    }

    /// An integer below 2^44, so that a hundred thousand of them can be summed.
    pub(super) fn int(&mut self, depth: usize) -> Expr {
        if depth == 0 || self.random.chance(35) {
            return self.small();
        }
        match self.random.below(14) {
            0 => self.int(depth - 1).binary("+", self.literal()),
            1 => self.small().binary("-", self.small()),
            2 => self.small().binary("*", Expr::Int(self.random.between(-9, 10))),
            3 => self.int(depth - 1).binary("/", Expr::Int(*self.random.pick(&[2, 7, 1_000, -3]))),
            4 => self.int(depth - 1).binary("%", Expr::Int(*self.random.pick(&[2, 3, 10, 1_000]))),
            5 => Expr::call("character_length", [self.text(depth - 1)]).cast("BIGINT"),
            6 => Expr::call("coalesce", [self.small(), self.literal()]),
            7 => {
                let of = self.small();
                let with = self.sample_int(&of);
                Expr::call("nullif", [of, with])
            }
            8 => Expr::call("abs", [self.small()]),
            9 => {
                let of = self.any_column(&[Kind::Big]).unwrap_or_else(|| column("event_offset"));
                of.binary(self.random.word(&["%", "/"]), Expr::Int(*self.random.pick(&[1_000_000, 999_983])))
            }
            10 => {
                let part = self.random.word(&["minute", "hour", "day", "month", "dow"]);
                Expr::call("date_part", [Expr::text(part), self.time_column()]).cast("BIGINT")
            }
            11 => Expr::call("strpos", [self.text(depth - 1), Expr::text("a")]).cast("BIGINT"),
            12 => Expr::JsonInt(self.random.pick(&[&["namespace"][..], &["length", "new"]]).to_vec()),
            _ => {
                let branches = vec![(self.bool(depth - 1), self.small())];
                let otherwise = self.random.chance(50).then(|| Box::new(self.literal()));
                Expr::Case { branches, otherwise }
            }
        }
    }

    /// A float above zero, or one whose sums are exact.
    pub(super) fn float(&mut self, depth: usize) -> Expr {
        let positive = self.any_column(&[Kind::Float]);
        let dyadic = self.any_column(&[Kind::Dyadic]);
        let (Some(positive), Some(dyadic)) = (positive, dyadic) else { return self.int(depth).cast("DOUBLE") };
        if depth == 0 || self.random.chance(40) {
            return if self.random.chance(50) { positive } else { dyadic };
        }
        match self.random.below(9) {
            0 => positive.binary("*", Expr::Float(self.random.word(&["2.5", "0.1", "1.0"]))),
            1 => positive.binary("/", Expr::Float(self.random.word(&["4.0", "3.0"]))),
            2 => positive.binary("+", Expr::Float(self.random.word(&["1.5", "0.3"]))),
            3 => dyadic.binary("*", Expr::Float(self.random.word(&["0.5", "4.0"]))),
            4 => dyadic.binary("-", Expr::Float("3.25")),
            5 => Expr::call("sqrt", [positive]),
            6 => Expr::call(self.random.word(&["floor", "ceil"]), [positive]),
            7 => Expr::call("abs", [dyadic]),
            _ => {
                let branches = vec![(self.bool(depth - 1), positive)];
                Expr::Case { branches, otherwise: Some(Box::new(Expr::Float("1.25"))) }
            }
        }
    }

    /// A time.
    pub(super) fn time(&mut self, depth: usize) -> Expr {
        if depth == 0 || self.random.chance(50) {
            return self.time_column();
        }
        match self.random.below(3) {
            0 => {
                let unit = self.random.word(&["second", "minute", "hour", "day", "month"]);
                Expr::call("date_trunc", [Expr::text(unit), self.time_column()])
            }
            1 => Expr::call("coalesce", [self.time_column(), self.time_column()]),
            _ => Expr::Case { branches: vec![(self.bool(depth - 1), self.time_column())], otherwise: None },
        }
    }
}
