//! LIKE, ILIKE, SIMILAR TO and `~` as functions, so that they are measured like functions.
//!
//! Only with a pattern that is not constant: DataFusion knows more of the operators, and with a constant they are not
//! costly ([`costly`](super::costly)).

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::{DataType, Field, FieldRef},
    common::{Result, exec_err},
    functions::regex::regexp_like,
    logical_expr::{
        ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
        Volatility, lit,
    },
    physical_expr_common::datum::apply_cmp,
};

use super::costly::{ILIKE, LIKE, is_constant};

/// An operator as a call.
pub(super) struct Call {
    pub(super) function: Arc<ScalarUDF>,
    pub(super) args: Vec<Expr>,
    /// Whether the operator says no where the call says yes.
    pub(super) is_negated: bool,
}

/// What is looked for.
#[derive(Clone, Copy)]
enum Sought {
    /// `%` and `_`
    Like,
    /// A regular expression.
    Expression,
}

/// An operator that looks for a pattern which is not constant.
struct Search<'a> {
    sought: Sought,
    any_case: bool,
    is_negated: bool,
    text: &'a Expr,
    pattern: &'a Expr,
}

/// Whether `part` is such an operator.
pub(super) fn is_search(part: &Expr) -> bool {
    search(part).is_some()
}

/// `part` as a call, if it is such an operator.
pub(super) fn call(part: &Expr) -> Option<Call> {
    let Search { sought, any_case, is_negated, text, pattern } = search(part)?;
    let mut args = vec![text.clone(), pattern.clone()];
    let function = match sought {
        Sought::Like => {
            let signature = Signature::any(2, Volatility::Immutable);
            Arc::new(ScalarUDF::new_from_impl(Like { any_case, signature }))
        }
        Sought::Expression => {
            args.extend(any_case.then(|| lit("i")));
            regexp_like()
        }
    };
    Some(Call { function, args, is_negated })
}

fn search(part: &Expr) -> Option<Search<'_>> {
    use Sought::{Expression, Like};
    let (sought, any_case, is_negated, text, pattern) = match part {
        Expr::BinaryExpr(binary) => {
            let (sought, any_case, is_negated) = match binary.op {
                Operator::LikeMatch => (Like, false, false),
                Operator::ILikeMatch => (Like, true, false),
                Operator::NotLikeMatch => (Like, false, true),
                Operator::NotILikeMatch => (Like, true, true),
                Operator::RegexMatch => (Expression, false, false),
                Operator::RegexIMatch => (Expression, true, false),
                Operator::RegexNotMatch => (Expression, false, true),
                Operator::RegexNotIMatch => (Expression, true, true),
                _ => return None,
            };
            (sought, any_case, is_negated, &binary.left, &binary.right)
        }
        // Another escape is refused when the plan is made.
        Expr::Like(like) if matches!(like.escape_char, None | Some('\\')) => {
            (Like, like.case_insensitive, like.negated, &like.expr, &like.pattern)
        }
        Expr::SimilarTo(like) if like.escape_char.is_none() => {
            (Expression, like.case_insensitive, like.negated, &like.expr, &like.pattern)
        }
        _ => return None,
    };
    (!is_constant(pattern)).then_some(Search { sought, any_case, is_negated, text, pattern })
}

/// LIKE and ILIKE.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Like {
    any_case: bool,
    signature: Signature,
}

impl ScalarUDFImpl for Like {
    fn name(&self) -> &str {
        if self.any_case { ILIKE } else { LIKE }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let is_nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), DataType::Boolean, is_nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let operator = if self.any_case { Operator::ILikeMatch } else { Operator::LikeMatch };
        match args.args.as_slice() {
            [text, pattern] => apply_cmp(operator, text, pattern),
            _ => exec_err!("LIKE has two sides"),
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{binary_expr, col};

    use super::*;

    #[test]
    fn an_operator_is_a_call_where_its_pattern_is_not_constant() {
        let regex = |op: Operator, pattern: Expr| binary_expr(col("t"), op, pattern);
        for (part, expected) in [
            (col("t").like(col("k")), Some((LIKE, 2, false))),
            (col("t").not_like(col("k")), Some((LIKE, 2, true))),
            (col("t").ilike(col("k")), Some((ILIKE, 2, false))),
            (col("t").not_ilike(col("k")), Some((ILIKE, 2, true))),
            (regex(Operator::LikeMatch, col("k")), Some((LIKE, 2, false))),
            (regex(Operator::RegexMatch, col("k")), Some(("regexp_like", 2, false))),
            (regex(Operator::RegexIMatch, col("k")), Some(("regexp_like", 3, false))),
            (regex(Operator::RegexNotMatch, col("k")), Some(("regexp_like", 2, true))),
            (regex(Operator::RegexNotIMatch, col("k")), Some(("regexp_like", 3, true))),
            (lit("t").like(col("k")), Some((LIKE, 2, false))),
            (col("t").like(lit("a%")), None),
            (regex(Operator::RegexMatch, lit("a")), None),
            (regex(Operator::Eq, col("k")), None),
        ] {
            let found = call(&part);
            let found = found.as_ref().map(|call| (call.function.name(), call.args.len(), call.is_negated));
            assert_eq!(found, expected, "{part}");
        }
    }
}
