//! Under which name an import goes: the base, or one of the numbered ones behind it, as in `import_old`, `import_old_2`.

use std::sync::Arc;

use lakehead_connectors::file::FileCursor;
use lakehead_engine::import::PREFIX;
use lakehead_model::Name;

use super::destination::Opened;
use crate::outcome::Failure;

/// The most imports under one name, each with a number of its own.
const NUMBER_MAX: u32 = 1_000_000;

/// The import's name and its cursor. With `again` the first of NAME, NAME_2, NAME_3 … that is not done, after the first.
pub(super) async fn choose(
    opened: &Opened,
    stream: &Name,
    base: &Name,
    again: bool,
) -> Result<(Name, Option<Arc<str>>), Failure> {
    let done = |cursor: &str| FileCursor::read(cursor).is_ok_and(|cursor| cursor.done);
    let unnamed = base.as_str() == format!("{PREFIX}stdin");
    let cursor = opened.cursor(stream, base).await?;
    if !again && !unnamed {
        return Ok((base.clone(), cursor));
    }
    if unnamed && cursor.is_none() {
        return Ok((base.clone(), None));
    }
    let numbered =
        |number: u32| Name::new(&format!("{base}_{number}")).map_err(|error| Failure::Usage(error.to_string()));
    // Without a name nothing is gone on with, so every import needs a name that nobody has had.
    let is_free = async |number: u32| {
        let cursor = opened.cursor(stream, &numbered(number)?).await?;
        Ok::<_, Failure>(cursor.as_deref().is_none_or(|cursor| !unnamed && !done(cursor)))
    };
    let number = first(2, NUMBER_MAX, is_free).await?.ok_or_else(|| {
        Failure::Usage(format!("{base} was imported {NUMBER_MAX} times; give this import another --name"))
    })?;
    let name = numbered(number)?;
    let cursor = opened.cursor(stream, &name).await?;
    Ok((name, cursor))
}

/// The first number of `[from, to]` that is free, when all before it are taken and all behind it are free: numbers are given
/// one after the other. Asks as often as the number has binary digits, twice: each time may be a request.
async fn first<E>(from: u32, to: u32, is_free: impl AsyncFn(u32) -> Result<bool, E>) -> Result<Option<u32>, E> {
    let (mut taken, mut step) = (from - 1, 1);
    let mut free = loop {
        let next = taken.saturating_add(step).min(to);
        if is_free(next).await? {
            break next;
        }
        if next == to {
            return Ok(None);
        }
        (taken, step) = (next, step.saturating_mul(2));
    };
    while free - taken > 1 {
        let middle = taken + (free - taken) / 2;
        if is_free(middle).await? { free = middle } else { taken = middle }
    }
    Ok(Some(free))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn the_first_free_number_is_found_with_few_questions() {
        for expected in (2..200).chain([65_537, 999_999, 1_000_000]) {
            let asked = Cell::new(0);
            let found = first(2, NUMBER_MAX, async |number| {
                asked.set(asked.get() + 1);
                Ok::<_, ()>(number >= expected)
            });
            assert_eq!(found.await, Ok(Some(expected)));
            assert!(asked.get() <= 41, "{expected}: {}", asked.get());
        }
        let none = first(2, NUMBER_MAX, async |_| Ok::<_, ()>(false)).await;
        assert_eq!(none, Ok(None));
    }
}
