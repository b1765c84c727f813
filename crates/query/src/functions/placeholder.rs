//! A function that stands in GROUP BY and is never called: another plan runs in its stead.

use datafusion::{
    arrow::datatypes::DataType,
    common::{Result, exec_err},
    logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature},
};

use super::arguments::start_type;

/// What is said of `hop` and `session` anywhere but in GROUP BY.
pub(crate) const NOWHERE_ELSE: &str = "stands in GROUP BY of a query or view, nowhere else";

/// A window function by its name alone: its type is that of a window's start.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Placeholder {
    name: &'static str,
    usage: &'static str,
    signature: Signature,
}

/// The function `name` as one to register; `usage` is how it is written.
pub(super) fn placeholder(name: &'static str, usage: &'static str, signature: Signature) -> ScalarUDF {
    ScalarUDF::from(Placeholder { name, usage, signature })
}

impl ScalarUDFImpl for Placeholder {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        start_type(self.usage, types)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("{}(…) {NOWHERE_ELSE}", self.name)
    }
}
