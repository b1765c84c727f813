//! An expression that stands for itself while it can be computed, and looks at each row where it cannot.
//!
//! To DataFusion it is a function of the columns that it needs, which never fail; so wherever it stands, nothing of it is
//! computed ahead of it. On the way that is nearly always taken it costs one call. Where a batch fails, it is halved until the
//! rows are found that do; and AND, OR and NOT are then computed as logic has them: false AND what fails is false, true OR what
//! fails is true, whichever stands first. Rows that still fail fail the query, are left out, or are NULL.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::{Hash, Hasher},
    sync::Arc,
};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array},
        compute::take_record_batch,
        datatypes::{DataType, Field, FieldRef, Int64Type, SchemaRef},
        error::ArrowError,
        util::display::array_value_to_string,
    },
    common::{Column, DFSchema, DataFusionError, Result, exec_err},
    execution::context::ExecutionProps,
    logical_expr::{
        ColumnarValue, Expr, ExprSchemable, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
        Signature, Volatility, expr::ScalarFunction, physical_planning_context::PhysicalPlanningContext,
    },
    physical_expr::{
        PhysicalExpr, create_physical_expr,
        expressions::{BinaryExpr, NotExpr},
    },
};
use lakehead_planning::Walk;

use super::{
    measured,
    notes::{self, Notes},
    text::text,
};
use crate::panics::computed;

/// Its name; no function of SQL has it.
pub(super) const NAME: &str = "__guarded";

/// What becomes of a row that the expression fails on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum OnFailure {
    /// The query fails.
    Fail,
    /// The query fails, with the error as it is. It stands where nothing is excused, around what may be too much at once.
    FailInParts,
    /// The condition is false and a note is taken.
    LeaveOut,
    /// The value is NULL and a note is taken.
    Null,
}

/// What a guard is to be.
pub(super) struct Wanted<'a> {
    pub(super) expression: Expr,
    /// Other conditions that must hold: where one is false, nobody asks for this one.
    pub(super) excuses: Vec<Expr>,
    pub(super) on_failure: OnFailure,
    /// Columns that name the row in a note.
    pub(super) row: Vec<Column>,
    /// The column of the event's offset.
    pub(super) offset: Option<Column>,
    /// Where notes are taken; those of the running task otherwise.
    pub(super) notes: Option<Arc<Notes>>,
    pub(super) schema: &'a DFSchema,
}

#[derive(Debug)]
struct Guarded {
    expression: Expr,
    excuses: Vec<Expr>,
    on_failure: OnFailure,
    text: String,
    /// The arguments.
    schema: SchemaRef,
    physical: Arc<dyn PhysicalExpr>,
    physical_excuses: Vec<Arc<dyn PhysicalExpr>>,
    row: Vec<usize>,
    offset: Option<usize>,
    notes: Option<Arc<Notes>>,
    field: FieldRef,
    signature: Signature,
}

impl PartialEq for Guarded {
    fn eq(&self, other: &Self) -> bool {
        self.expression == other.expression
            && self.excuses == other.excuses
            && self.on_failure == other.on_failure
            && self.row == other.row
            && self.offset == other.offset
    }
}

impl Eq for Guarded {}

impl Hash for Guarded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.expression.hash(state);
        self.excuses.hash(state);
        self.on_failure.hash(state);
    }
}

/// The guard as an expression; the expression as it was where it cannot be guarded: without columns, or with what cannot be
/// computed apart from its plan.
pub(super) fn guard(wanted: Wanted<'_>) -> Result<Expr> {
    let Wanted { expression, excuses, on_failure, row, offset, notes, schema } = wanted;
    let mut is_bound = |part: &Expr| {
        Ok(matches!(
            part,
            Expr::ScalarSubquery(_)
                | Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::OuterReferenceColumn(..)
                | Expr::LambdaVariable(_)
                | Expr::AggregateFunction(_)
                | Expr::WindowFunction(_)
                | Expr::Unnest(_)
        ))
    };
    if expression.any(&mut is_bound)? {
        return Ok(expression);
    }
    let excuses: Vec<Expr> = excuses.into_iter().filter(|excuse| !excuse.any(&mut is_bound).unwrap_or(true)).collect();
    let mut columns: BTreeSet<Column> = BTreeSet::new();
    for part in std::iter::once(&expression).chain(&excuses) {
        columns.extend(part.column_refs().into_iter().cloned());
    }
    columns.extend(row.iter().chain(&offset).cloned());
    if columns.is_empty() {
        return Ok(expression);
    }
    let columns: Vec<Column> = columns.into_iter().collect();
    let mut fields = Vec::with_capacity(columns.len());
    for column in &columns {
        let (table, field) = schema.qualified_field_from_column(column)?;
        let field = Field::new(field.name(), field.data_type().clone(), true);
        fields.push((table.cloned(), Arc::new(field)));
    }
    let own = DFSchema::new_with_metadata(fields, HashMap::new())?;
    let (props, planning) = (ExecutionProps::new(), PhysicalPlanningContext::default());
    let compile = |expression: &Expr| create_physical_expr(expression, &own, &props, &planning);
    let physical = compile(&expression)?;
    let physical_excuses = excuses.iter().map(compile).collect::<Result<_>>()?;
    let place = |wanted: &Column| columns.iter().position(|column| column == wanted);
    let is_left_empty = matches!(on_failure, OnFailure::LeaveOut | OnFailure::Null);
    let is_nullable = is_left_empty || !excuses.is_empty() || expression.nullable(schema)?;
    let kind = expression.get_type(schema)?;
    let function = Guarded {
        text: text(&expression),
        field: Arc::new(Field::new(NAME, kind, is_nullable)),
        row: row.iter().filter_map(place).collect(),
        offset: offset.as_ref().and_then(place),
        // Names are only looked at in notes; places count.
        schema: Arc::new(own.as_arrow().clone()),
        expression,
        excuses,
        on_failure,
        physical,
        physical_excuses,
        notes,
        signature: Signature::variadic_any(Volatility::Immutable),
    };
    let arguments = columns.into_iter().map(Expr::Column).collect();
    Ok(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::new_from_impl(function)), arguments)))
}

impl ScalarUDFImpl for Guarded {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn schema_name(&self, _: &[Expr]) -> Result<String> {
        Ok(self.text.clone())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.field.data_type().clone())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::clone(&self.field))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let columns = args.args.into_iter().map(|value| value.into_array(rows)).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        if self.on_failure == OnFailure::FailInParts {
            return Ok(ColumnarValue::Array(in_parts(&self.physical, &batch)?));
        }
        match evaluated(&self.physical, &batch) {
            Ok(value) => Ok(value),
            Err(error) if is_fatal(&error) => Err(error),
            Err(_) => Ok(ColumnarValue::Array(self.row_by_row(&batch)?)),
        }
    }
}

impl Guarded {
    fn row_by_row(&self, batch: &RecordBatch) -> Result<ArrayRef> {
        let Outcome { values, mut failed } = outcome(&self.physical, batch)?;
        for excuse in &self.physical_excuses {
            if failed.is_empty() {
                break;
            }
            let rows: Vec<usize> = failed.keys().copied().collect();
            let those = UInt32Array::from_iter_values(rows.iter().map(|row| u32::try_from(*row).unwrap_or(u32::MAX)));
            let answer = outcome(excuse, &take_record_batch(batch, &those)?)?;
            let Some(values) = answer.values.as_boolean_opt() else { continue };
            for (place, row) in rows.iter().enumerate() {
                if !answer.failed.contains_key(&place) && values.is_valid(place) && !values.value(place) {
                    failed.remove(row);
                }
            }
        }
        if let (OnFailure::Fail, Some(why)) = (self.on_failure, failed.values().next()) {
            return exec_err!("{why}");
        }
        if let Some(notes) = self.notes.clone().or_else(notes::current) {
            for (row, why) in &failed {
                let offset = self.offset.and_then(|column| batch.column(column).as_primitive_opt::<Int64Type>());
                let offset = offset.and_then(|offsets| u64::try_from(offsets.value(*row)).ok());
                notes.add(offset, || self.named(batch, *row), || why.clone());
            }
        }
        // What failed has no value; a condition without one is not met.
        Ok(values)
    }

    /// The row by the columns that name it.
    fn named(&self, batch: &RecordBatch, row: usize) -> String {
        let one = |column: &usize| {
            let (values, schema) = (batch.column(*column), batch.schema_ref());
            let value = match values.is_null(row) {
                true => "NULL".to_owned(),
                false => array_value_to_string(values, row).unwrap_or_default(),
            };
            // Of a window, the name of its function.
            let name = schema.field(*column).name();
            format!("{}={value}", name.split('(').next().unwrap_or(name))
        };
        self.row.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

/// What an expression makes of each row of a batch.
struct Outcome {
    values: ArrayRef,
    /// Why, by the row; `values` is NULL there.
    failed: BTreeMap<usize, String>,
}

/// An error that is not about a row.
fn is_fatal(error: &DataFusionError) -> bool {
    matches!(
        error.find_root(),
        DataFusionError::ResourcesExhausted(_) | DataFusionError::IoError(_) | DataFusionError::ExecutionJoin(_)
    )
}

/// Why, in words.
pub(super) fn reason(error: &DataFusionError) -> String {
    match error.find_root() {
        DataFusionError::Execution(why) => why.clone(),
        DataFusionError::ArrowError(error, _) => match error.as_ref() {
            ArrowError::DivideByZero => "division by zero".to_owned(),
            ArrowError::CastError(why) | ArrowError::ComputeError(why) | ArrowError::ParseError(why) => why.clone(),
            other => other.to_string(),
        },
        other => other.strip_backtrace(),
    }
}

/// The values of a batch; a panic is an error like another.
fn evaluated(expression: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<ColumnarValue> {
    let defect = |words| DataFusionError::Execution(format!("a defect of the query engine ({words})"));
    computed(|| expression.evaluate(batch), defect)
}

/// The values of a batch, which is halved while it is too much at once.
fn in_parts(expression: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<ArrayRef> {
    let rows = batch.num_rows();
    match evaluated(expression, batch).and_then(|value| value.into_array(rows)) {
        Err(error) if rows > 1 && measured::is_too_much(&error) => {
            let half = rows / 2;
            let first = in_parts(expression, &batch.slice(0, half))?;
            measured::together(&first, &in_parts(expression, &batch.slice(half, rows - half))?)
        }
        values => values,
    }
}

fn outcome(expression: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<Outcome> {
    if let Some(binary) = expression.downcast_ref::<BinaryExpr>()
        && matches!(binary.op(), Operator::And | Operator::Or)
    {
        let decides = *binary.op() == Operator::Or;
        return Ok(joined(outcome(binary.left(), batch)?, &outcome(binary.right(), batch)?, decides));
    }
    if let Some(not) = expression.downcast_ref::<NotExpr>() {
        let Outcome { values, failed } = outcome(not.arg(), batch)?;
        return Ok(Outcome { values: Arc::new(datafusion::arrow::compute::not(values.as_boolean())?), failed });
    }
    let rows = batch.num_rows();
    match evaluated(expression, batch).and_then(|value| value.into_array(rows)) {
        Ok(values) => Ok(Outcome { values, failed: BTreeMap::new() }),
        Err(error) if is_fatal(&error) => Err(error),
        Err(error) if rows <= 1 => {
            let values = new_null_array(&expression.data_type(batch.schema_ref())?, rows);
            let failed = (0..rows).map(|row| (row, reason(&error))).collect();
            Ok(Outcome { values, failed })
        }
        Err(_) => {
            let half = rows / 2;
            let first = outcome(expression, &batch.slice(0, half))?;
            let second = outcome(expression, &batch.slice(half, rows - half))?;
            let mut failed = first.failed;
            failed.extend(second.failed.into_iter().map(|(row, why)| (row + half, why)));
            Ok(Outcome { values: measured::together(&first.values, &second.values)?, failed })
        }
    }
}

/// `left AND right`, or OR; `decides` is the value of one side that settles it.
fn joined(left: Outcome, right: &Outcome, decides: bool) -> Outcome {
    let value = |side: &Outcome, row: usize| {
        let values = side.values.as_boolean();
        values.is_valid(row).then(|| values.value(row))
    };
    let mut failed = BTreeMap::new();
    let values: BooleanArray = (0..left.values.len())
        .map(|row| {
            let (one, other) = (value(&left, row), value(right, row));
            if one == Some(decides) || other == Some(decides) {
                return Some(decides);
            }
            if let Some(why) = left.failed.get(&row).or_else(|| right.failed.get(&row)) {
                failed.insert(row, why.clone());
                return None;
            }
            match (one, other) {
                (Some(one), Some(_)) => Some(one),
                _ => None,
            }
        })
        .collect();
    Outcome { values: Arc::new(values), failed }
}
