//! When an event happened, by its stream's schema.

use lakehead_model::{StreamSchema, TimeFormat, Timestamp};

use crate::Paths;

/// Rules that are looked for in one walk. A schema may have more; the next walk happens only when these found nothing.
const RULES_A_WALK: usize = 8;

/// Finds an event's time: the first of the schema's rules whose value is there and readable.
#[derive(Clone, Debug)]
pub struct EventTimes {
    walks: Vec<(Paths, Vec<TimeFormat>)>,
}

impl EventTimes {
    /// Prepares the rules of `schema`.
    #[must_use]
    pub fn new(schema: &StreamSchema) -> Self {
        let walks = schema.event_time.chunks(RULES_A_WALK).map(|rules| {
            let paths: Vec<_> = rules.iter().map(|rule| rule.path.clone()).collect();
            (Paths::new(&paths), rules.iter().map(|rule| rule.format).collect())
        });
        Self { walks: walks.collect() }
    }

    /// The event time of `document`, which must be valid; `None` when no rule finds one.
    #[must_use]
    pub fn of(&self, document: &[u8]) -> Option<Timestamp> {
        self.walks.iter().find_map(|(paths, formats)| {
            let mut found = [None; RULES_A_WALK];
            paths.extract(document, &mut found);
            formats.iter().zip(found).find_map(|(format, raw)| raw?.as_time(*format))
        })
    }
}
