//! The heavy connectors: those with a large client library, or one in C. Each is a cargo feature of its own name, here and in
//! the program, and all are in the feature `full`. One that was left out of a build is still known by its name, so that a
//! pipeline that names it is answered with the feature.

/// Which way a connector's events go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It brings events into a stream.
    Source,
    /// It delivers them to another system.
    Sink,
}

impl End {
    /// As in `[source.NAME]`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Sink => "sink",
        }
    }
}

/// A connector that some builds leave out.
#[derive(Clone, Copy, Debug)]
pub struct Heavy {
    /// The word after `kind =`, which is also the feature.
    pub kind: &'static str,
    /// Which way it goes.
    pub end: End,
    /// Whether this build has it.
    pub is_built: bool,
}

impl Heavy {
    /// A source; `is_built` is `cfg!(feature = "KIND")`.
    #[must_use]
    pub const fn source(kind: &'static str, is_built: bool) -> Self {
        Self { kind, end: End::Source, is_built }
    }

    /// A sink; `is_built` is `cfg!(feature = "KIND")`.
    #[must_use]
    pub const fn sink(kind: &'static str, is_built: bool) -> Self {
        Self { kind, end: End::Sink, is_built }
    }
}

/// Every heavy connector, one line each, in alphabetical order: `Heavy::sink("kafka", cfg!(feature = "kafka")),`.
pub const HEAVY: &[Heavy] = &[Heavy::source("kafka", cfg!(feature = "kafka"))];
