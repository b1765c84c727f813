//! `top_k(value, k)`: the `k` most frequent values of a group with their exact counts, the most frequent first and equals
//! by value. NULL is not counted.
//!
//! Every value's count is kept, since the most frequent of all may be rare in each part; so the state of a group is as
//! large as its distinct values. It is two lists, values and counts, and merges by adding.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, Int64Array, ListArray, StringViewArray, StructArray, new_empty_array},
        buffer::OffsetBuffer,
        compute::cast,
        datatypes::{DataType, Field, FieldRef, Fields, Int64Type},
    },
    common::{HashMap, Result, ScalarValue, exec_err, plan_err},
    logical_expr::{
        Accumulator, AggregateUDF, AggregateUDFImpl, Expr, Signature, Volatility,
        expr::AggregateFunction,
        function::{AccumulatorArgs, StateFieldsArgs},
        utils::{AggregateOrderSensitivity, format_state_name},
    },
    physical_expr::expressions::Literal,
};

use crate::error::Error;

const TOP_K: &str = "top_k";

/// Most values that can be asked for: an answer in a cell, not a table. Whoever wants more groups by the value.
const K_MAX: i64 = 10_000;

/// `top_k` as an aggregate to register.
pub(super) fn function() -> AggregateUDF {
    AggregateUDF::from(TopK { signature: Signature::any(2, Volatility::Immutable) })
}

/// Looks at the call of an aggregate before it is planned.
///
/// # Errors
/// [`Error::Sql`] when it is a call of `top_k` that cannot be.
pub(crate) fn check_call(call: &AggregateFunction) -> Result<(), Error> {
    if call.func.name() != TOP_K {
        return Ok(());
    }
    let k = match call.params.args.get(1) {
        Some(Expr::Literal(value, _)) => count(value),
        Some(other) => Err(format!("k is {other}, but must be a constant")),
        None => Ok(0),
    };
    let whole = if call.params.distinct { Err("DISTINCT would make every count 1; leave it out".into()) } else { k };
    whole.map(|_| ()).map_err(|why| Error::Sql(format!("top_k(value, k): {why}")))
}

/// The number that `k` is.
fn count(k: &ScalarValue) -> Result<usize, String> {
    let wrong = || format!("k is {k}, but must be a whole number from 1 to {K_MAX}");
    let whole =
        if k.data_type().is_integer() { k.cast_to(&DataType::Int64).map_err(|_| wrong())? } else { ScalarValue::Null };
    match whole {
        ScalarValue::Int64(Some(k @ 1..=K_MAX)) => usize::try_from(k).map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TopK {
    signature: Signature,
}

/// What one entry of the answer is.
fn entry(value: &DataType) -> Fields {
    Fields::from(vec![Field::new("value", value.clone(), true), Field::new("count", DataType::Int64, true)])
}

fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}

/// A list as one value.
fn one_list(items: ArrayRef) -> ScalarValue {
    let field = Arc::new(Field::new_list_field(items.data_type().clone(), true));
    ScalarValue::List(Arc::new(ListArray::new(field, OffsetBuffer::from_lengths([items.len()]), items, None)))
}

impl AggregateUDFImpl for TopK {
    fn name(&self) -> &str {
        TOP_K
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [DataType::Null, _] => plan_err!("top_k(value, k): the value has no type"),
            [value, _] if value.is_nested() => {
                plan_err!("top_k(value, k): the value is a {value}; use a plain value, as data ->> 'field' is one")
            }
            [value, _] => Ok(list_of(DataType::Struct(entry(value)))),
            _ => plan_err!("top_k(value, k) takes a value and a number"),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let Some(value) = args.input_fields.first() else { return plan_err!("top_k(value, k) takes a value") };
        let field =
            |name, item: DataType| Arc::new(Field::new(format_state_name(args.name, name), list_of(item), true));
        Ok(vec![field("values", value.data_type().clone()), field("counts", DataType::Int64)])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let k = match args.exprs.get(1).and_then(|k| k.downcast_ref::<Literal>()).map(|k| count(k.value())) {
            Some(Ok(k)) => k,
            Some(Err(why)) => return exec_err!("top_k(value, k): {why}"),
            None => return exec_err!("top_k(value, k): k must be a constant"),
        };
        let Some(value) = args.expr_fields.first() else { return exec_err!("top_k(value, k) takes a value") };
        Ok(Box::new(Counted::new(value.data_type().clone(), k)))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    /// No values: an empty list.
    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        match data_type {
            DataType::List(item) => Ok(one_list(new_empty_array(item.data_type()))),
            other => ScalarValue::try_from(other),
        }
    }
}

/// The values of one group. There are as many of these as groups, so an empty one allocates nothing.
#[derive(Debug)]
struct Counted {
    value_type: DataType,
    k: usize,
    counts: ValueCounts,
    /// What the values take beside their places in the map.
    value_bytes: usize,
}

/// Text, which most values are, is looked up without a copy.
#[derive(Debug)]
enum ValueCounts {
    Text(HashMap<Box<str>, i64>),
    Other(HashMap<ScalarValue, i64>),
}

impl Counted {
    fn new(value_type: DataType, k: usize) -> Self {
        let counts = match value_type {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => ValueCounts::Text(HashMap::default()),
            _ => ValueCounts::Other(HashMap::default()),
        };
        Self { value_type, k, counts, value_bytes: 0 }
    }

    fn add(&mut self, values: &ArrayRef, count_of: impl Fn(usize) -> i64) -> Result<()> {
        let Self { counts, value_bytes, .. } = self;
        match counts {
            ValueCounts::Text(counts) => {
                let mut add = |(row, text): (usize, Option<&str>)| {
                    let Some(text) = text else { return };
                    if let Some(count) = counts.get_mut(text) {
                        *count += count_of(row);
                    } else {
                        *value_bytes += text.len();
                        counts.insert(text.into(), count_of(row));
                    }
                };
                match values.data_type() {
                    DataType::Utf8 => values.as_string::<i32>().iter().enumerate().for_each(&mut add),
                    DataType::LargeUtf8 => values.as_string::<i64>().iter().enumerate().for_each(&mut add),
                    DataType::Utf8View => values.as_string_view().iter().enumerate().for_each(&mut add),
                    other => return exec_err!("top_k counts texts, but was given a {other}"),
                }
            }
            ValueCounts::Other(counts) => {
                for row in (0..values.len()).filter(|row| values.is_valid(*row)) {
                    let value = ScalarValue::try_from_array(values, row)?;
                    let bytes = value.size().saturating_sub(size_of::<ScalarValue>());
                    let count = counts.entry(value).or_insert_with(|| {
                        *value_bytes += bytes;
                        0
                    });
                    *count += count_of(row);
                }
            }
        }
        Ok(())
    }

    /// Values and their counts as two columns: all of them in any order, or the `first` in order.
    fn columns(&self, first: Option<usize>) -> Result<(ArrayRef, Int64Array)> {
        match &self.counts {
            ValueCounts::Text(counts) => {
                let rows = ordered(counts, first, |a, b| a.cmp(b));
                let values = StringViewArray::from_iter_values(rows.iter().map(|(text, _)| text));
                let counts = rows.iter().map(|(_, count)| **count).collect();
                Ok((cast(&(Arc::new(values) as ArrayRef), &self.value_type)?, counts))
            }
            ValueCounts::Other(counts) => {
                let rows = ordered(counts, first, |a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
                let counts = rows.iter().map(|(_, count)| **count).collect();
                let values = match rows.is_empty() {
                    true => new_empty_array(&self.value_type),
                    false => ScalarValue::iter_to_array(rows.iter().map(|(value, _)| (*value).clone()))?,
                };
                Ok((values, counts))
            }
        }
    }
}

/// The entries of a map; with `first` only so many, those with the greatest counts, equals by value.
fn ordered<V>(
    counts: &HashMap<V, i64>,
    first: Option<usize>,
    compare: impl Fn(&V, &V) -> std::cmp::Ordering,
) -> Vec<(&V, &i64)> {
    let mut rows: Vec<_> = counts.iter().collect();
    if let Some(first) = first {
        let by = |a: &(&V, &i64), b: &(&V, &i64)| b.1.cmp(a.1).then_with(|| compare(a.0, b.0));
        if first < rows.len() {
            rows.select_nth_unstable_by(first, by);
            rows.truncate(first);
        }
        rows.sort_unstable_by(by);
    }
    rows
}

impl Accumulator for Counted {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let Some(values) = columns.first() else { return exec_err!("top_k was given no values") };
        self.add(values, |_| 1)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let (values, counts) = self.columns(None)?;
        Ok(vec![one_list(values), one_list(Arc::new(counts))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [values, counts] = states else { return exec_err!("the state of top_k is two lists") };
        for (values, counts) in values.as_list::<i32>().iter().zip(counts.as_list::<i32>().iter()) {
            let (Some(values), Some(counts)) = (values, counts) else { continue };
            let counts = counts.as_primitive::<Int64Type>();
            self.add(&values, |row| counts.value(row))?;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let (values, counts) = self.columns(Some(self.k))?;
        let entries = StructArray::new(entry(&self.value_type), vec![values, Arc::new(counts)], None);
        Ok(one_list(Arc::new(entries)))
    }

    fn size(&self) -> usize {
        let place = match &self.counts {
            ValueCounts::Text(counts) => counts.capacity() * (size_of::<(Box<str>, i64)>() + 1),
            ValueCounts::Other(counts) => counts.capacity() * (size_of::<(ScalarValue, i64)>() + 1),
        };
        size_of_val(self) + place + self.value_bytes
    }
}
