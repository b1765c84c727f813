//! A second compressor on a thread of its own, for when appends come faster than one can compress.
//!
//! The writer hands a full block over and gathers the next one meanwhile; it takes the first back before it writes anything
//! after it, so blocks are written in their order. The thread is started when it is first needed and ends with its owner.

use std::{
    io, mem,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{self, JoinHandle},
};

use crate::{format::data_frame::Compressor, write::block_builder::BlockBuilder};

/// A gathered block and its data frame, or why there is none.
#[derive(Debug)]
pub(crate) struct Compressed {
    pub(crate) builder: BlockBuilder,
    /// The frame; with room for a footer.
    pub(crate) frame: Vec<u8>,
    pub(crate) outcome: io::Result<()>,
}

impl Compressed {
    /// Compresses what is gathered, into the memory of `frame`.
    pub(crate) fn new(builder: BlockBuilder, mut frame: Vec<u8>, compressor: &mut Compressor) -> Self {
        let outcome = compressor.compress(builder.payload(), &mut frame);
        Self { builder, frame, outcome }
    }
}

/// The thread, and the one block that it may have.
#[derive(Debug)]
pub(crate) struct BackgroundCompressor {
    to: Option<SyncSender<(BlockBuilder, Vec<u8>)>>,
    from: Receiver<Compressed>,
    thread: Option<JoinHandle<()>>,
    is_busy: bool,
}

impl BackgroundCompressor {
    /// Starts the thread.
    pub(crate) fn start(name: String, level: i32) -> io::Result<Self> {
        let mut compressor = Compressor::new(level)?;
        let (to, work) = sync_channel::<(BlockBuilder, Vec<u8>)>(1);
        let (done, from) = sync_channel(1);
        let run = move || {
            for (builder, frame) in work {
                if done.send(Compressed::new(builder, frame, &mut compressor)).is_err() {
                    return;
                }
            }
        };
        let thread = Some(thread::Builder::new().name(name).spawn(run)?);
        Ok(Self { to: Some(to), from, thread, is_busy: false })
    }

    /// Gives it a block; gives that back when it has one already, or its thread is gone.
    pub(crate) fn give(&mut self, builder: BlockBuilder, frame: Vec<u8>) -> Result<(), Box<(BlockBuilder, Vec<u8>)>> {
        match &self.to {
            Some(to) if !self.is_busy => to.send((builder, frame)).map_err(|unsent| Box::new(unsent.0))?,
            _ => return Err(Box::new((builder, frame))),
        }
        self.is_busy = true;
        Ok(())
    }

    /// Waits for its block; `None` when it has none. A block whose thread has panicked is gone, and whoever waits for it is
    /// told that the stream is closed.
    pub(crate) fn take_back(&mut self) -> Option<Compressed> {
        if !mem::take(&mut self.is_busy) {
            return None;
        }
        self.from.recv().ok()
    }
}

impl Drop for BackgroundCompressor {
    fn drop(&mut self) {
        self.to = None;
        if let Some(thread) = self.thread.take() {
            // A panic has been told to those who waited; there is nobody else to tell.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_comes_back_compressed_and_only_one_is_taken_at_once() {
        let mut aside = BackgroundCompressor::start("compress".to_owned(), 1).expect("a thread");
        assert!(aside.take_back().is_none());
        aside.give(BlockBuilder::default(), Vec::new()).expect("it is free");
        aside.give(BlockBuilder::default(), vec![7]).expect_err("it has one");
        let back = aside.take_back().expect("the block");
        assert!(back.outcome.is_ok() && !back.frame.is_empty());
        assert!(aside.take_back().is_none());
    }
}
