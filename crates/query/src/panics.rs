//! A panic of the query engine as an error: of one row where it can be told which, of its view otherwise.
//!
//! Arrow and DataFusion panic on some values where they should say no. What does so is known, and what others will do so is not.

use std::{
    any::Any,
    cell::Cell,
    panic::{self, AssertUnwindSafe},
};

use futures::FutureExt;

use crate::error::Error;

thread_local! {
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// What a panic says.
#[must_use]
pub fn panic_words(panic: &(dyn Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&str>().map(ToString::to_string).or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "no message".to_owned())
}

/// A panic in what a view is asked to do, which says `words`.
#[must_use]
pub fn defect(words: String) -> Error {
    Error::Engine(format!("a defect ({words}); please report it with the view's SQL"))
}

/// What `work` answers; a panic in it as `defect` tells it.
///
/// # Errors
/// Those of `work`.
pub async fn unharmed<T, E>(
    work: impl Future<Output = Result<T, E>>,
    defect: impl FnOnce(String) -> E,
) -> Result<T, E> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|panic| Err(defect(panic_words(panic.as_ref()))))
}

/// As [`unharmed`], of what is computed at once. The panic is not written to standard error: while the row is looked for on
/// which it comes, it comes again and again.
pub(crate) fn computed<T, E>(work: impl FnOnce() -> Result<T, E>, defect: impl FnOnce(String) -> E) -> Result<T, E> {
    let before = EXPECTED.replace(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    EXPECTED.set(before);
    outcome.unwrap_or_else(|panic| Err(defect(panic_words(panic.as_ref()))))
}

/// From now on, panics that are told elsewhere are not written to standard error. For the start of the program.
pub fn write_unexpected_panics_only() {
    let write = panic::take_hook();
    panic::set_hook(Box::new(move |about| {
        if !EXPECTED.get() {
            write(about);
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_and_a_later_one_is_expected_no_more() {
        let found: Result<(), String> = computed(|| panic!("{} is too large", 7), |words| words);
        assert_eq!(found, Err("7 is too large".to_owned()));
        assert_eq!(computed(|| Ok::<_, String>(EXPECTED.get()), |words| words), Ok(true));
        assert!(!EXPECTED.get());
    }
}
