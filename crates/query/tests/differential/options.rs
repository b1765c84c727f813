//! What `cargo xtask differential` asks for, in environment variables; nothing is asked for in the gate.

use std::{str::FromStr, time::Duration};

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Of the first round; the next one's is one more.
    pub(crate) seed: u64,
    /// How long rounds are run; one round when it is not given.
    pub(crate) minutes: Option<f64>,
    /// Only the case of this name.
    pub(crate) case: Option<String>,
}

/// The seed of the gate.
const SEED: u64 = 5;

impl Options {
    pub(crate) fn from_environment() -> Self {
        Self {
            seed: asked("LAKEHEAD_DIFFERENTIAL_SEED").unwrap_or(SEED),
            minutes: asked("LAKEHEAD_DIFFERENTIAL_MINUTES"),
            case: asked("LAKEHEAD_DIFFERENTIAL_CASE"),
        }
    }

    /// How long rounds are run.
    pub(crate) fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.minutes.unwrap_or(0.0) * 60.0)
    }
}

fn asked<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, which is no value for it")))
}
