//! The suite that every sink passes: what [`Sink`](lakehead_connector_api::Sink) promises, seen from its target.
//!
//! A kind brings a [`Target`]: something that it delivers to, that can be asked what it holds and told to misbehave. Each check
//! begins with a target of its own. What a target cannot be told, such as refusing a row where nothing is ever refused, is given
//! back by name, so that the caller says that it knows of it.

mod checks;
mod rows;
mod target;
#[cfg(test)]
mod tests;
mod world;

use std::future::Future;

use lakehead_connector_api::{SinkKind, SinkSpec};

pub use self::target::{Behaviour, POISON, Target};
use self::world::SinkWorld;
use super::registration;

/// The keys of a `[sink.NAME]` table that are the engine's.
const ENGINE_KEYS: &[&str] = &["kind", "from", "start", "lanes", "keep", "commit_every", "memory"];

/// Runs the suite against the sink kind `K`, whose target `target` makes, and gives back what the target could not be told.
///
/// # Panics
/// Where the sink does not keep a promise.
pub async fn sink<K: SinkKind, T: Target, F: Future<Output = T>>(target: impl Fn() -> F) -> Vec<Behaviour> {
    let spec = SinkSpec::of::<K>();
    registration::is_complete(&spec, "sink", ENGINE_KEYS);
    no_key_is_the_engines(&spec);
    let world = || async { SinkWorld::new(spec, target().await) };
    checks::rows_arrive_as_they_are_and_in_order(world().await).await;
    checks::a_batch_without_rows_is_nothing(world().await).await;
    checks::what_is_committed_outlives_the_sink(world().await).await;
    checks::the_same_batch_twice(world().await).await;
    checks::the_same_rows_in_other_batches(world().await).await;
    checks::a_snapshot_and_then_changes(world().await).await;
    checks::a_sink_that_is_closed_has_ended(world().await).await;
    let mut untold = Vec::new();
    if !checks::a_target_that_was_away_has_everything_in_the_end(world().await).await {
        untold.push(Behaviour::Away);
    }
    if !checks::a_refused_row_is_named_and_the_others_arrive(world().await).await {
        untold.push(Behaviour::RefusingPoison);
    }
    if !checks::a_target_that_never_answers_does_not_hold_up_the_end(world().await).await {
        untold.push(Behaviour::Silent);
    }
    untold
}

/// A key that the engine takes out of the table would never reach the kind.
fn no_key_is_the_engines(spec: &SinkSpec) {
    let schema = (spec.schema)();
    let properties = schema.get("properties").and_then(|properties| properties.as_object());
    for key in properties.into_iter().flat_map(|properties| properties.keys()) {
        assert!(!ENGINE_KEYS.contains(&key.as_str()), "{}: {key} is a key of the engine", spec.name);
    }
}
