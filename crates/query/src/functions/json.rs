//! Access to fields of JSON text: `data -> 'a' -> 0`, `data ->> 'a'`, `data ? 'a'`, and functions of one type each.
//!
//! Each function takes the text and a path: keys of objects as text, places in arrays as whole numbers, from the end
//! where negative. Where there is nothing at the path, or nothing of the function's type, or the text is not JSON, the
//! answer is NULL. What `->` gives is JSON text again, as it is written in the event. Of a key that stands twice the first
//! counts, as for the columns of a stream; and a number is read as there.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, ListBuilder, StringViewArray,
            StringViewBuilder,
        },
        compute::cast,
        datatypes::{DataType, Field},
    },
    common::{DFSchema, Result, ScalarValue, exec_err, plan_err},
    logical_expr::{
        ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
        expr::ScalarFunction,
        planner::{ExprPlanner, PlannerResult, RawBinaryExpr},
        sqlparser::ast::BinaryOperator,
    },
};
use lakehead_json::{Paths, Raw, validate};

/// What is taken of the value at the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Taken {
    /// The value as it is written: `->`.
    Json,
    /// A string's text, any other value as it is written, `null` as NULL: `->>`.
    Text,
    /// Whether there is one: `?`.
    Presence,
    String,
    Integer,
    Float,
    Boolean,
    /// An array's elements, each as it is written.
    Elements,
    /// An object's keys.
    Keys,
    /// How many elements or members there are.
    Length,
}

/// The functions by name.
const FUNCTIONS: [(&str, Taken); 10] = [
    ("json_get", Taken::Json),
    ("json_as_text", Taken::Text),
    ("json_contains", Taken::Presence),
    ("json_get_str", Taken::String),
    ("json_get_int", Taken::Integer),
    ("json_get_float", Taken::Float),
    ("json_get_bool", Taken::Boolean),
    ("json_get_array", Taken::Elements),
    ("json_object_keys", Taken::Keys),
    ("json_length", Taken::Length),
];

/// All of them as functions to register.
pub(super) fn functions() -> impl Iterator<Item = ScalarUDF> {
    FUNCTIONS.into_iter().map(|(name, taken)| function(name, taken))
}

fn function(name: &'static str, taken: Taken) -> ScalarUDF {
    ScalarUDF::from(JsonFunction { name, taken, signature: Signature::variadic_any(Volatility::Immutable) })
}

/// Reads the operators `->`, `->>` and `?` as calls.
#[derive(Debug)]
pub(super) struct Operators;

impl ExprPlanner for Operators {
    fn plan_binary_op(&self, expr: RawBinaryExpr, _: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let taken = match expr.op {
            BinaryOperator::Arrow => Taken::Json,
            BinaryOperator::LongArrow => Taken::Text,
            BinaryOperator::Question => Taken::Presence,
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let Some((name, _)) = FUNCTIONS.iter().find(|(_, found)| *found == taken) else {
            return Ok(PlannerResult::Original(expr));
        };
        // `a -> 'b' ->> 'c'` is one walk to `b.c`.
        let mut args = match expr.left {
            Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == "json_get" => args,
            other => vec![other],
        };
        args.push(expr.right);
        Ok(PlannerResult::Planned(function(name, taken).call(args)))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonFunction {
    name: &'static str,
    taken: Taken,
    signature: Signature,
}

impl JsonFunction {
    fn list_item() -> Arc<Field> {
        Arc::new(Field::new_list_field(DataType::Utf8View, true))
    }
}

impl ScalarUDFImpl for JsonFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types.first() {
            Some(DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null) => {}
            Some(other) => return plan_err!("{}(json, path …): json is a {other}, but must be text", self.name),
            None => return plan_err!("{}(json, path …) begins with JSON text", self.name),
        }
        Ok(match self.taken {
            Taken::Json | Taken::Text | Taken::String => DataType::Utf8View,
            Taken::Presence | Taken::Boolean => DataType::Boolean,
            Taken::Integer | Taken::Length => DataType::Int64,
            Taken::Float => DataType::Float64,
            Taken::Elements | Taken::Keys => DataType::List(Self::list_item()),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some((json, path)) = args.args.split_first() else {
            return exec_err!("{}(json, path …) begins with JSON text", self.name);
        };
        let mut steps = Vec::new();
        for arg in path {
            let ColumnarValue::Scalar(step) = arg else {
                return exec_err!("{}(json, path …): the path must be constant", self.name);
            };
            if !add(&mut steps, step) {
                return exec_err!("{}(json, path …): {step} is no key and no place in an array", self.name);
            }
        }
        let steps: Vec<PathStep> = steps.into_iter().map(PathStep::from).collect();
        let json = cast(&json.to_array(args.number_rows)?, &DataType::Utf8View)?;
        Ok(ColumnarValue::Array(self.take(json.as_string_view(), &steps)))
    }
}

impl JsonFunction {
    fn take(&self, documents: &StringViewArray, steps: &[PathStep]) -> ArrayRef {
        let found = documents.iter().map(|document| find(document?, steps));
        match self.taken {
            Taken::Json => Arc::new(found.map(|value| written(value?)).collect::<StringViewArray>()),
            Taken::Text => {
                let mut texts = StringViewBuilder::with_capacity(documents.len());
                found.for_each(|value| match value.filter(|value| !value.is_null()) {
                    Some(value) => match value.as_str() {
                        Some(text) => texts.append_value(text),
                        None => texts.append_option(written(value)),
                    },
                    None => texts.append_null(),
                });
                Arc::new(texts.finish())
            }
            Taken::Presence => {
                let presence = documents.iter().map(|document| Some(find(document?, steps).is_some()));
                Arc::new(presence.collect::<BooleanArray>())
            }
            Taken::String => {
                let mut texts = StringViewBuilder::with_capacity(documents.len());
                found.for_each(|value| texts.append_option(value.and_then(Raw::as_str)));
                Arc::new(texts.finish())
            }
            Taken::Integer => Arc::new(found.map(|value| value?.as_integer()).collect::<Int64Array>()),
            Taken::Float => Arc::new(found.map(|value| value?.as_f64()).collect::<Float64Array>()),
            Taken::Boolean => Arc::new(found.map(|value| value?.as_bool()).collect::<BooleanArray>()),
            Taken::Length => {
                let length = |value: Raw| {
                    let count = value.elements().map(Iterator::count).or_else(|| value.members().map(Iterator::count));
                    i64::try_from(count?).ok()
                };
                Arc::new(found.map(|value| length(value?)).collect::<Int64Array>())
            }
            Taken::Elements | Taken::Keys => {
                let mut lists = ListBuilder::new(StringViewBuilder::new()).with_field(Self::list_item());
                for value in found {
                    let is_some = match self.taken {
                        Taken::Keys => fill(&mut lists, value.and_then(Raw::members), |(key, _)| key.as_str()),
                        _ => fill(&mut lists, value.and_then(Raw::elements), |item| written(item).map(Into::into)),
                    };
                    lists.append(is_some);
                }
                Arc::new(lists.finish())
            }
        }
    }
}

/// Puts the items of one row into its list, if there are any to be had.
fn fill<'d, I>(
    lists: &mut ListBuilder<StringViewBuilder>,
    items: Option<impl Iterator<Item = I>>,
    text: impl Fn(I) -> Option<std::borrow::Cow<'d, str>>,
) -> bool {
    let Some(items) = items else { return false };
    items.for_each(|item| lists.values().append_option(text(item)));
    true
}

/// A step of a path as it is written: keys that follow each other are found in one walk.
enum PathPart {
    Keys(Vec<String>),
    Place(i64),
}

/// A step of a path, ready to be gone.
enum PathStep {
    Keys(Paths),
    Place(i64),
}

impl From<PathPart> for PathStep {
    fn from(part: PathPart) -> Self {
        match part {
            PathPart::Keys(keys) => Self::Keys(Paths::new(&[keys])),
            PathPart::Place(place) => Self::Place(place),
        }
    }
}

/// Adds a step, if it is one.
fn add(path: &mut Vec<PathPart>, step: &ScalarValue) -> bool {
    if let Some(Some(key)) = step.try_as_str() {
        match path.last_mut() {
            Some(PathPart::Keys(keys)) => keys.push(key.to_owned()),
            _ => path.push(PathPart::Keys(vec![key.to_owned()])),
        }
        return true;
    }
    match step.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(Some(place))) if step.data_type().is_integer() => {
            path.push(PathPart::Place(place));
            true
        }
        _ => false,
    }
}

/// The value at a path.
fn find<'d>(document: &'d str, steps: &[PathStep]) -> Option<Raw<'d>> {
    let document = document.as_bytes();
    validate(document).ok()?;
    let mut value = Raw::new(document.trim_ascii());
    for step in steps {
        value = match step {
            PathStep::Keys(paths) => {
                let mut found = [None];
                paths.extract(value.bytes(), &mut found);
                let [found] = found;
                found?
            }
            PathStep::Place(place) if *place < 0 => {
                let from_end = usize::try_from(place.unsigned_abs()).ok()?;
                let count = value.elements()?.count();
                value.elements()?.nth(count.checked_sub(from_end)?)?
            }
            PathStep::Place(place) => value.elements()?.nth(usize::try_from(*place).ok()?)?,
        };
    }
    Some(value)
}

/// A value as it is written in the document.
fn written(value: Raw<'_>) -> Option<&str> {
    std::str::from_utf8(value.bytes()).ok()
}
