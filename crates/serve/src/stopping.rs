//! The signal that the server stops, so that answers without an end can end.

use tokio::sync::watch;

/// Tells that the server stops.
#[derive(Clone)]
pub(crate) struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// The signal, and what gives it: set it to true.
    pub(crate) fn new() -> (watch::Sender<bool>, Self) {
        let (give, take) = watch::channel(false);
        (give, Self(take))
    }

    /// Returns when the server stops.
    pub(crate) async fn wait(&mut self) {
        // An error means that the one who would tell is gone: that is stopping, too.
        let _ = self.0.wait_for(|stopping| *stopping).await;
    }

    #[cfg(test)]
    pub(crate) fn never() -> Self {
        let (give, take) = Self::new();
        std::mem::forget(give);
        take
    }
}
