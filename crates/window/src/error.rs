//! Why a window cannot be.

use std::time::Duration;

use lakehead_model::Kind;

/// Why a window cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A window's size is no whole number of microseconds, or it is zero, or too great.
    #[error("a window of {0:?} cannot be: its size must be a whole number of microseconds, from 1 µs to 36525 days")]
    Size(Duration),
    /// A calendar's windows of days or months are none at all, or more than a century.
    #[error("a window of {count} {unit} cannot be: it must have from 1 to {count_max} {unit}")]
    Step {
        /// How many were asked for.
        count: u32,
        /// Of what: `days` or `months`.
        unit: &'static str,
        /// How many there may be.
        count_max: u32,
    },
    /// A calendar's windows are to cut up the day, but are as long as one.
    #[error(
        "a window of {0:?} does not fit into a day: it must be shorter than 24 hours, or a number of days or months"
    )]
    Within(Duration),
    /// No time zone has this name.
    #[error("no time zone is called {0:?}: give an IANA name such as \"Europe/Berlin\" or \"UTC\"")]
    Zone(String),
    /// Hopping windows leave gaps.
    #[error(
        "windows of {size:?} that begin every {slide:?} leave moments that are in no window: use tumble with a filter"
    )]
    HopGaps {
        /// From one window's start to the next one's.
        slide: Duration,
        /// From a window's start to its end.
        size: Duration,
    },
    /// Hopping windows have too many panes.
    #[error(
        "windows of {size:?} that begin every {slide:?} are of {panes} panes, and may be of {panes_max}: choose a greater \
         slide, or one that goes into the size"
    )]
    HopPanes {
        /// From one window's start to the next one's.
        slide: Duration,
        /// From a window's start to its end.
        size: Duration,
        /// The panes in each window.
        panes: u64,
        /// How many there may be.
        panes_max: u64,
    },
    /// A session could not even hold one gap.
    #[error("a session of at most {greatest:?} is shorter than the gap of {gap:?} that ends it")]
    SessionGap {
        /// The silence that ends a session.
        gap: Duration,
        /// The size of the slices that no session crosses.
        greatest: Duration,
    },
}

impl Error {
    /// What the caller does next: always [`Kind::Invalid`], a person must choose other windows.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Size(_)
            | Self::Step { .. }
            | Self::Within(_)
            | Self::Zone(_)
            | Self::HopGaps { .. }
            | Self::HopPanes { .. }
            | Self::SessionGap { .. } => Kind::Invalid,
        }
    }
}
