//! Which rows of a batch go into which lane. Pure.
//!
//! Rows with a key go by its hash, so that all changes of a row are in one lane, and so in order. Rows without one, the events
//! of a stream, have nothing to keep in order but themselves: a batch goes as a whole into the lane that has the least to write.

use std::{collections::BTreeMap, hash::Hasher};

use lakehead_connector_api::Batch;

/// Where a batch goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// As a whole into one lane, whichever.
    Whole,
    /// By key: of each lane the places of its rows.
    ByKey(BTreeMap<usize, Vec<usize>>),
}

/// Where `batch` goes where there are so many `lanes`.
pub(crate) fn route(batch: &Batch, lanes: usize) -> Route {
    if lanes <= 1 || !batch.rows().any(|row| row.head.key.is_some()) {
        return Route::Whole;
    }
    let mut places: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (place, row) in batch.rows().enumerate() {
        places.entry(lane(row.head.key.as_deref().unwrap_or_default(), lanes)).or_default().push(place);
    }
    Route::ByKey(places)
}

/// The same key is in the same lane for as long as a sink runs.
fn lane(key: &[u8], lanes: usize) -> usize {
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(key);
    usize::try_from(hasher.finish() % lanes as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use lakehead_connector_api::{BatchKind, RowHead};
    use lakehead_model::{Name, Position};

    use super::*;

    fn batch(keys: &[Option<&'static str>]) -> Batch {
        let ends = (1..=keys.len()).map(|row| 2 * u32::try_from(row).expect("few")).collect();
        let heads = keys.iter().map(|key| RowHead { key: key.map(Into::into), ..RowHead::default() }).collect();
        let at = Position::View { incarnation: 1, commit: 1 };
        let from = Name::new("v").expect("a name");
        Batch::new(from, (at, at), ("1\n".repeat(keys.len()).into(), ends), heads, BatchKind::Changes)
    }

    #[test]
    fn the_same_key_goes_into_the_same_lane_and_every_row_into_one() {
        let keys: Vec<Option<&'static str>> = ["a", "b", "c", "a", "d", "b", "e", "f", "a"].map(Some).to_vec();
        let Route::ByKey(places) = route(&batch(&keys), 4) else { panic!("they have keys") };
        let lane_of = |place: usize| *places.iter().find(|(_, of)| of.contains(&place)).expect("it has a lane").0;
        assert_eq!((lane_of(0), lane_of(0)), (lane_of(3), lane_of(8)));
        assert_eq!(lane_of(1), lane_of(5));
        assert!(places.len() > 1 && places.keys().all(|lane| *lane < 4), "{places:?}");
        let mut all: Vec<usize> = places.values().flatten().copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..keys.len()).collect::<Vec<_>>());
        assert!(places.values().all(|places| places.is_sorted()), "in order");
    }

    #[test]
    fn without_a_key_or_with_one_lane_a_batch_stays_whole() {
        assert_eq!(route(&batch(&[None, None]), 4), Route::Whole);
        assert_eq!(route(&batch(&[Some("a"), Some("b")]), 1), Route::Whole);
    }
}
