//! `sum`, exact: of whole numbers and durations in 128 bits, of decimals in 256, whatever the order and the parts.
//!
//! The answer has the type that SQL gives it; one that has no place in it fails, and says what to write. A view keeps the wide
//! sum to its end ([`wide`]) and narrows it there ([`narrow`]), where a failure is that of one row. Floats are summed by
//! DataFusion's own.

use std::{
    collections::HashSet,
    fmt::Debug,
    hash::Hash,
    marker::PhantomData,
    sync::{Arc, LazyLock},
};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, ListArray, PrimitiveArray},
        buffer::{BooleanBuffer, NullBuffer, OffsetBuffer},
        datatypes::{
            ArrowNativeType, ArrowNativeTypeOp, DataType, Decimal128Type, Decimal256Type, DurationMicrosecondType,
            DurationMillisecondType, DurationNanosecondType, DurationSecondType, Field, FieldRef, Int64Type, TimeUnit,
            UInt64Type, i256,
        },
    },
    common::{Result, ScalarValue, exec_err},
    functions_aggregate::sum::sum_udaf,
    logical_expr::{
        Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, EmitTo, Expr, GroupsAccumulator, ReversedUDAF,
        ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, SetMonotonicity, Signature, Volatility,
        expr::{AggregateFunction, AggregateFunctionParams, ScalarFunction},
        function::{AccumulatorArgs, StateFieldsArgs},
        utils::{AggregateOrderSensitivity, format_state_name},
    },
};

use super::arithmetic::named;

const NAME: &str = "sum";

static CHECKED: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| Arc::new(make(false)));
static WIDE: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| Arc::new(make(true)));

fn make(is_wide: bool) -> AggregateUDF {
    AggregateUDF::new_from_impl(Sum { is_wide, signature: sum_udaf().signature().clone() })
}

/// The function of SQL.
pub(super) fn function() -> AggregateUDF {
    CHECKED.as_ref().clone()
}

/// The same call with a result that every sum has a place in, if it is a sum that could be outside of its type.
pub(super) fn wide(call: &AggregateFunction, kind: &DataType) -> Option<Expr> {
    let is_sum = call.func.inner().downcast_ref::<Sum>().is_some_and(|sum| !sum.is_wide);
    (is_sum && Wide::of(kind).is_some()).then(|| {
        let params: AggregateFunctionParams = call.params.clone();
        Expr::AggregateFunction(AggregateFunction { func: Arc::clone(&WIDE), params })
    })
}

/// `wide`, a wide sum, as a value of the type that SQL gives the sum, whose text is `text`.
pub(super) fn narrow(wide: Expr, kind: DataType, text: String) -> Expr {
    let function = Narrow { kind, text, signature: Signature::any(1, Volatility::Immutable) };
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::new_from_impl(function)), vec![wide]))
}

fn outside<T>(text: &str, kind: &DataType) -> Result<T> {
    exec_err!(
        "{text} is outside of {}; sum DECIMAL(38, 0) for an exact number, as in sum(CAST(… AS DECIMAL(38, 0))), or DOUBLE \
         for one of about sixteen digits",
        named(kind)
    )
}

/// What is summed in.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wide {
    Bits128,
    /// Of decimals with this scale.
    Bits256(i8),
}

impl Wide {
    fn of(kind: &DataType) -> Option<Self> {
        match kind {
            DataType::Int64 | DataType::UInt64 | DataType::Duration(_) => Some(Self::Bits128),
            DataType::Decimal128(_, scale) => Some(Self::Bits256(*scale)),
            _ => None,
        }
    }

    fn state(&self) -> DataType {
        match self {
            Self::Bits128 => DataType::Decimal128(38, 0),
            Self::Bits256(scale) => DataType::Decimal256(76, *scale),
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Sum {
    is_wide: bool,
    signature: Signature,
}

/// Calls `$make` with the types of what is summed and of what it is summed in.
macro_rules! by_type {
    ($kind:expr, $make:ident, $other:expr) => {
        match $kind {
            DataType::Int64 => $make!(Int64Type, Decimal128Type, |wide| i64::try_from(wide).ok()),
            DataType::UInt64 => $make!(UInt64Type, Decimal128Type, |wide| u64::try_from(wide).ok()),
            DataType::Duration(TimeUnit::Second) => {
                $make!(DurationSecondType, Decimal128Type, |wide| i64::try_from(wide).ok())
            }
            DataType::Duration(TimeUnit::Millisecond) => {
                $make!(DurationMillisecondType, Decimal128Type, |wide| i64::try_from(wide).ok())
            }
            DataType::Duration(TimeUnit::Microsecond) => {
                $make!(DurationMicrosecondType, Decimal128Type, |wide| i64::try_from(wide).ok())
            }
            DataType::Duration(TimeUnit::Nanosecond) => {
                $make!(DurationNanosecondType, Decimal128Type, |wide| i64::try_from(wide).ok())
            }
            DataType::Decimal128(..) => {
                $make!(Decimal128Type, Decimal256Type, |wide: i256| wide
                    .to_i128()
                    .filter(|n| n.unsigned_abs() < TEN_TO_38))
            }
            _ => $other,
        }
    };
}

/// Decimals of 128 bits have at most 38 digits.
const TEN_TO_38: u128 = 10_u128.pow(38);

impl AggregateUDFImpl for Sum {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types.first().and_then(Wide::of).filter(|_| self.is_wide) {
            Some(wide) => Ok(wide.state()),
            None => sum_udaf().return_type(types),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let kind = args.input_fields.first().map(|field| field.data_type().clone());
        let Some((kind, wide)) = kind.and_then(|kind| Some((kind.clone(), Wide::of(&kind)?))) else {
            return sum_udaf().state_fields(args);
        };
        let field = match args.is_distinct {
            true => {
                Field::new_list(format_state_name(args.name, "sum distinct"), Field::new_list_field(kind, true), false)
            }
            false => Field::new(format_state_name(args.name, "sum"), wide.state(), true),
        };
        Ok(vec![Arc::new(field)])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let kind = args.expr_fields.first().map_or(DataType::Null, |field| field.data_type().clone());
        let of = SumOf { name: args.name.to_owned(), result: args.return_type().clone(), is_wide: self.is_wide };
        let is_distinct = args.is_distinct;
        macro_rules! make {
            ($value:ty, $wide:ty, $narrow:expr) => {{
                let one = One::<$value, $wide> { of, sum: None, narrow: $narrow, count: 0, kind: PhantomData };
                if is_distinct {
                    Ok(Box::new(Distinct::<$value, $wide> { values: HashSet::new(), kind: kind.clone(), one }))
                } else {
                    Ok(Box::new(one))
                }
            }};
        }
        by_type!(&kind, make, sum_udaf().accumulator(args))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let kind = args.expr_fields.first().map_or(DataType::Null, |field| field.data_type().clone());
        match Wide::of(&kind) {
            Some(_) if !args.is_distinct => self.accumulator(args),
            _ => sum_udaf().create_sliding_accumulator(args),
        }
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        let kind = args.expr_fields.first().map_or(DataType::Null, |field| field.data_type().clone());
        let of = SumOf { name: args.name.to_owned(), result: args.return_type().clone(), is_wide: self.is_wide };
        let state = Wide::of(&kind).map_or(DataType::Null, |wide| wide.state());
        macro_rules! make {
            ($value:ty, $wide:ty, $narrow:expr) => {
                Ok(Box::new(Groups::<$value, $wide> {
                    of,
                    state,
                    sums: Vec::new(),
                    seen: Vec::new(),
                    narrow: $narrow,
                    kind: PhantomData,
                }))
            };
        }
        by_type!(&kind, make, sum_udaf().create_groups_accumulator(args))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn set_monotonicity(&self, kind: &DataType) -> SetMonotonicity {
        sum_udaf().inner().set_monotonicity(kind)
    }
}

/// What a sum is of and what becomes of it.
#[derive(Clone, Debug)]
struct SumOf {
    name: String,
    result: DataType,
    is_wide: bool,
}

type Narrower<V, W> = fn(<W as ArrowPrimitiveType>::Native) -> Option<<V as ArrowPrimitiveType>::Native>;

/// Whether a narrow value has at most the digits of its type.
fn has_place<V: ArrowPrimitiveType>(value: V::Native, kind: &DataType) -> bool {
    match kind {
        DataType::Decimal128(precision, _) if *precision < 38 => {
            let bound = V::Native::usize_as(10).pow_wrapping(u32::from(*precision));
            value.is_lt(bound) && V::Native::ZERO.sub_wrapping(bound).is_lt(value)
        }
        _ => true,
    }
}

/// The sum of one group.
struct One<V: ArrowPrimitiveType, W: ArrowPrimitiveType> {
    of: SumOf,
    sum: Option<W::Native>,
    narrow: Narrower<V, W>,
    /// Values that are in it, for a window that slides.
    count: u64,
    kind: PhantomData<V>,
}

impl<V: ArrowPrimitiveType, W: ArrowPrimitiveType> Debug for One<V, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sum").field("of", &self.of).finish_non_exhaustive()
    }
}

impl<V: ArrowPrimitiveType, W: ArrowPrimitiveType> One<V, W>
where
    V::Native: Into<W::Native>,
{
    fn value(&self) -> Result<ScalarValue> {
        if self.of.is_wide {
            return ScalarValue::new_primitive::<W>(self.sum, &self.of.result);
        }
        let Some(sum) = self.sum else { return ScalarValue::new_primitive::<V>(None, &self.of.result) };
        match (self.narrow)(sum).filter(|value| has_place::<V>(*value, &self.of.result)) {
            Some(value) => ScalarValue::new_primitive::<V>(Some(value), &self.of.result),
            None => outside(&self.of.name, &self.of.result),
        }
    }

    fn add(&mut self, value: W::Native) {
        self.sum = Some(self.sum.unwrap_or(W::Native::ZERO).add_wrapping(value));
    }
}

impl<V, W> Accumulator for One<V, W>
where
    V: ArrowPrimitiveType + Send + Sync,
    W: ArrowPrimitiveType + Send + Sync,
    V::Native: Into<W::Native>,
{
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        for value in columns[0].as_primitive::<V>().iter().flatten() {
            self.add(value.into());
            self.count += 1;
        }
        Ok(())
    }

    fn retract_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        for value in columns[0].as_primitive::<V>().iter().flatten() {
            self.sum = self.sum.map(|sum| sum.sub_wrapping(value.into()));
            self.count -= 1;
        }
        if self.count == 0 {
            self.sum = None;
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let kind = match W::DATA_TYPE {
            DataType::Decimal256(..) => match self.of.result {
                DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => DataType::Decimal256(76, scale),
                _ => W::DATA_TYPE,
            },
            _ => DataType::Decimal128(38, 0),
        };
        Ok(vec![ScalarValue::new_primitive::<W>(self.sum, &kind)?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for sum in states[0].as_primitive::<W>().iter().flatten() {
            self.add(sum);
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.value()
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// The sum of one group's different values.
struct Distinct<V: ArrowPrimitiveType, W: ArrowPrimitiveType> {
    /// As bytes, since not every native type can be hashed.
    values: HashSet<[u8; 16]>,
    kind: DataType,
    one: One<V, W>,
}

impl<V: ArrowPrimitiveType, W: ArrowPrimitiveType> Debug for Distinct<V, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SumDistinct").field("of", &self.one.of).finish_non_exhaustive()
    }
}

impl<V, W> Distinct<V, W>
where
    V: ArrowPrimitiveType + Send + Sync,
    W: ArrowPrimitiveType + Send + Sync,
    V::Native: Into<W::Native>,
{
    fn take_in(&mut self, values: &PrimitiveArray<V>) {
        let values = values.slice(0, values.len());
        let bytes = values.values().inner().as_slice();
        let width = size_of::<V::Native>();
        for (row, value) in bytes.chunks_exact(width).enumerate().take(values.len()) {
            if values.is_valid(row) {
                let mut key = [0; 16];
                key[..width].copy_from_slice(value);
                if self.values.insert(key) {
                    self.one.add(values.value(row).into());
                }
            }
        }
    }
}

impl<V, W> Accumulator for Distinct<V, W>
where
    V: ArrowPrimitiveType + Send + Sync,
    W: ArrowPrimitiveType + Send + Sync,
    V::Native: Into<W::Native>,
{
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        self.take_in(columns[0].as_primitive::<V>());
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let width = size_of::<V::Native>();
        let bytes: Vec<u8> = self.values.iter().flat_map(|key| key[..width].iter().copied()).collect();
        let data = datafusion::arrow::array::ArrayData::builder(self.kind.clone())
            .len(self.values.len())
            .add_buffer(datafusion::arrow::buffer::Buffer::from(bytes))
            .align_buffers(true)
            .build()?;
        let values = datafusion::arrow::array::make_array(data);
        let offsets = OffsetBuffer::from_lengths([values.len()]);
        let field = Arc::new(Field::new_list_field(self.kind.clone(), true));
        Ok(vec![ScalarValue::List(Arc::new(ListArray::try_new(field, offsets, values, None)?))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for values in states[0].as_list::<i32>().iter().flatten() {
            self.take_in(values.as_primitive::<V>());
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.one.value()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.capacity() * 17
    }
}

/// The sums of many groups.
struct Groups<V: ArrowPrimitiveType, W: ArrowPrimitiveType> {
    of: SumOf,
    state: DataType,
    sums: Vec<W::Native>,
    /// Which groups have a value at all.
    seen: Vec<bool>,
    narrow: Narrower<V, W>,
    kind: PhantomData<V>,
}

impl<V, W> Groups<V, W>
where
    V: ArrowPrimitiveType,
    W: ArrowPrimitiveType,
{
    fn add<T: ArrowPrimitiveType>(
        &mut self,
        values: &PrimitiveArray<T>,
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) where
        T::Native: Into<W::Native>,
    {
        self.sums.resize(total, W::Native::ZERO);
        self.seen.resize(total, false);
        let mut add = |group: usize, value: T::Native| {
            if let (Some(sum), Some(seen)) = (self.sums.get_mut(group), self.seen.get_mut(group)) {
                *sum = sum.add_wrapping(value.into());
                *seen = true;
            }
        };
        if values.null_count() == 0 && filter.is_none() {
            groups.iter().zip(values.values()).for_each(|(group, value)| add(*group, *value));
            return;
        }
        for (row, group) in groups.iter().enumerate() {
            let counts = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if counts && values.is_valid(row) {
                add(*group, values.value(row));
            }
        }
    }

    fn emit(&mut self, emit_to: EmitTo) -> (Vec<W::Native>, Option<NullBuffer>) {
        let sums = emit_to.take_needed(&mut self.sums);
        let seen = emit_to.take_needed(&mut self.seen);
        let nulls = seen.iter().any(|seen| !seen).then(|| NullBuffer::new(BooleanBuffer::from(seen)));
        (sums, nulls)
    }
}

impl<V, W> GroupsAccumulator for Groups<V, W>
where
    V: ArrowPrimitiveType + Send + Sync,
    W: ArrowPrimitiveType + Send + Sync,
    V::Native: Into<W::Native>,
{
    fn update_batch(
        &mut self,
        columns: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.add(columns[0].as_primitive::<V>(), groups, filter, total);
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.add(states[0].as_primitive::<W>(), groups, None, total);
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let (sums, nulls) = self.emit(emit_to);
        if self.of.is_wide {
            return Ok(Arc::new(PrimitiveArray::<W>::new(sums.into(), nulls).with_data_type(self.of.result.clone())));
        }
        let mut narrow = Vec::with_capacity(sums.len());
        for sum in sums {
            match (self.narrow)(sum).filter(|value| has_place::<V>(*value, &self.of.result)) {
                Some(value) => narrow.push(value),
                None => return outside(&self.of.name, &self.of.result),
            }
        }
        Ok(Arc::new(PrimitiveArray::<V>::new(narrow.into(), nulls).with_data_type(self.of.result.clone())))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let (sums, nulls) = self.emit(emit_to);
        Ok(vec![Arc::new(PrimitiveArray::<W>::new(sums.into(), nulls).with_data_type(self.state.clone()))])
    }

    fn convert_to_state(&self, columns: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let values = columns[0].as_primitive::<V>();
        let wide = (0..values.len()).map(|row| {
            let counts = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            (counts && values.is_valid(row)).then(|| values.value(row).into())
        });
        let wide: PrimitiveArray<W> = wide.collect::<Vec<Option<W::Native>>>().into_iter().collect_native();
        Ok(vec![Arc::new(wide.with_data_type(self.state.clone()))])
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<W::Native>() + self.seen.capacity()
    }
}

/// An array of natives that may be missing.
trait CollectNative<W: ArrowPrimitiveType> {
    fn collect_native(self) -> PrimitiveArray<W>;
}

impl<W: ArrowPrimitiveType, I: Iterator<Item = Option<W::Native>>> CollectNative<W> for I {
    fn collect_native(self) -> PrimitiveArray<W> {
        let (values, seen): (Vec<W::Native>, Vec<bool>) =
            self.map(|value| (value.unwrap_or(W::Native::ZERO), value.is_some())).unzip();
        PrimitiveArray::new(values.into(), Some(NullBuffer::new(BooleanBuffer::from(seen))))
    }
}

/// Makes an ordinary sum of a wide one.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Narrow {
    kind: DataType,
    text: String,
    signature: Signature,
}

/// The name of [`narrow`]; no function of SQL has it.
pub(super) const NARROW: &str = "__narrow";

impl ScalarUDFImpl for Narrow {
    fn name(&self) -> &str {
        NARROW
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.kind.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(wide) = args.args.first() else { return exec_err!("{} is not there", self.text) };
        let wide = wide.to_array(args.number_rows)?;
        macro_rules! make {
            ($value:ty, $wide:ty, $narrow:expr) => {{
                let narrow: Narrower<$value, $wide> = $narrow;
                let mut values = Vec::with_capacity(wide.len());
                for sum in wide.as_primitive::<$wide>() {
                    let value = sum.map(|sum| narrow(sum).filter(|value| has_place::<$value>(*value, &self.kind)));
                    match value {
                        Some(None) => return outside(&self.text, &self.kind),
                        Some(value) => values.push(value),
                        None => values.push(None),
                    }
                }
                let values: PrimitiveArray<$value> = values.into_iter().collect_native();
                Ok(ColumnarValue::Array(Arc::new(values.with_data_type(self.kind.clone()))))
            }};
        }
        by_type!(&self.kind, make, exec_err!("{} is of a type that is not summed", self.text))
    }
}
