//! Registration: the author's trait is typed, the engine's is erased, one `of` joins them.

use std::{future::Future, ops::Deref, pin::Pin};

use crate::{
    ConnectorKind, Error,
    kind::{KindSpec, config},
    probe::{Peeked, Probed},
    sink::{Delivery, Sink, SinkContext, Takes},
    source::{Identity, Opened, Resume},
};

/// What the author of a source writes beside its [`ConnectorKind`]: how it opens.
pub trait SourceKind: ConnectorKind {
    /// Where an event says which one it is upstream; `None` where events of this kind do not say it. With it the audit
    /// compares what was kept with what the upstream had.
    const IDENTITY: Option<Identity> = None;

    /// Opens it where `resume` says. May connect; must not read events before the reader is asked for some.
    fn open(config: Self::Config, resume: Resume) -> impl Future<Output = Result<Opened, Error>> + Send;

    /// Opens it for a look (`lakehead plan`): a few chunks are read, nothing is acknowledged, and it is dropped. Nothing outside may
    /// change by that: no group's offset, no file's name, no claim on an event that another reader would have got, no session
    /// that a running Lakehead holds. A kind whose [`open`](Self::open) alone keeps to that, as reading a file or a feed does, has
    /// nothing to write here; another opens otherwise (without its group, by looking in place of taking), or says why it cannot.
    fn peek(config: Self::Config, resume: Resume) -> impl Future<Output = Result<Peeked, Error>> + Send {
        async move { Ok(Peeked::Opened(Self::open(config, resume).await?)) }
    }
}

/// What the author of a sink writes beside its [`ConnectorKind`]: what it promises, and how it opens.
pub trait SinkKind: ConnectorKind {
    /// What happens to a row that is written twice. The suite holds the sink to it, and `explain` prints it.
    const DELIVERY: Delivery;
    /// Which rows it can take. `check` refuses what does not fit.
    const TAKES: Takes;

    /// Opens it. May connect; writes nothing.
    fn open(config: Self::Config, context: SinkContext) -> impl Future<Output = Result<Box<dyn Sink>, Error>> + Send;

    /// Finds out, without writing anything, whether rows would get there (`lakehead plan`): whether the address answers, and
    /// whether it lets Lakehead in. Default: nothing is asked, and that is said.
    ///
    /// An error is what opening or writing would fail with.
    fn probe(config: Self::Config, context: SinkContext) -> impl Future<Output = Result<Probed, Error>> + Send {
        let _ = (config, context);
        async { Ok(Probed::default()) }
    }
}

type Opening<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

/// What the engine holds of a kind of source.
#[derive(Clone, Copy)]
pub struct SourceSpec {
    /// What it has in common with every connector.
    pub kind: KindSpec,
    /// Where its events say which they are.
    pub identity: Option<Identity>,
    /// Opens a source with settings that passed `check`.
    pub open: fn(serde_json::Value, Resume) -> Opening<Opened>,
    /// Opens it for a look, which changes nothing outside.
    pub peek: fn(serde_json::Value, Resume) -> Opening<Peeked>,
}

impl SourceSpec {
    /// Erases `K`.
    #[must_use]
    pub const fn of<K: SourceKind>() -> Self {
        Self {
            kind: KindSpec::of::<K>(),
            identity: K::IDENTITY,
            open: |settings, resume| Box::pin(async move { K::open(config::<K>(settings)?, resume).await }),
            peek: |settings, resume| Box::pin(async move { K::peek(config::<K>(settings)?, resume).await }),
        }
    }
}

impl Deref for SourceSpec {
    type Target = KindSpec;

    fn deref(&self) -> &KindSpec {
        &self.kind
    }
}

/// What the engine holds of a kind of sink.
#[derive(Clone, Copy)]
pub struct SinkSpec {
    /// What it has in common with every connector.
    pub kind: KindSpec,
    /// What happens to a row that is written twice.
    pub delivery: Delivery,
    /// Which rows it can take.
    pub takes: Takes,
    /// Opens a sink with settings that passed `check`.
    pub open: fn(serde_json::Value, SinkContext) -> Opening<Box<dyn Sink>>,
    /// Finds out whether rows would get there, without writing anything.
    pub probe: fn(serde_json::Value, SinkContext) -> Opening<Probed>,
}

impl SinkSpec {
    /// Erases `K`.
    #[must_use]
    pub const fn of<K: SinkKind>() -> Self {
        Self {
            kind: KindSpec::of::<K>(),
            delivery: K::DELIVERY,
            takes: K::TAKES,
            open: |settings, context| Box::pin(async move { K::open(config::<K>(settings)?, context).await }),
            probe: |settings, context| Box::pin(async move { K::probe(config::<K>(settings)?, context).await }),
        }
    }
}

impl Deref for SinkSpec {
    type Target = KindSpec;

    fn deref(&self) -> &KindSpec {
        &self.kind
    }
}
