//! What a kind of sink brings to its suite: something to deliver to.

use async_trait::async_trait;

/// What a sink delivers to.
#[async_trait]
pub trait Target: Send {
    /// The settings of a sink that delivers here.
    fn settings(&self) -> serde_json::Value;

    /// The rows that it has for good, in the order in which it holds them; one that is there twice is twice in it. Of a target
    /// with keys: the row of each key.
    async fn rows(&mut self) -> Vec<Vec<u8>>;

    /// Changes how it behaves from now on; `false` when such a target cannot be made to.
    async fn behave(&mut self, how: Behaviour) -> bool;
}

/// How a target behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// As it should.
    Well,
    /// It cannot be reached.
    Away,
    /// It takes what is written and never answers.
    Silent,
    /// It refuses, for good, each row that has [`POISON`] in it, and takes the others.
    RefusingPoison,
}

/// What a row has in it that a target in [`Behaviour::RefusingPoison`] refuses.
pub const POISON: &str = "poison";
