//! The worker's own life: a thread that listens, a thread with a large stack that answers, a small runtime.
//!
//! The limits of the process are set by whoever runs it, before this begins.

use std::{
    io,
    os::unix::net::UnixStream,
    sync::mpsc::{Receiver, sync_channel},
    thread,
};

use lakehead_query::{
    Limits, STACK_BYTES,
    worker::{Channel, Frame, FrameKind, Worker},
};

/// The stacks of the threads that run a query.
const THREAD_STACK_BYTES: usize = 4 << 20;
/// Threads of a worker at most: more help few queries, and other things run on the machine.
const THREADS_MAX: usize = 4;
/// Messages that have come and were not looked at yet.
const FRAMES_AHEAD: usize = 1;

/// The wire, with a thread that listens.
struct Listened {
    frames: Receiver<Frame>,
    to: UnixStream,
}

impl Channel for Listened {
    fn receive(&mut self) -> io::Result<Option<Frame>> {
        Ok(self.frames.recv().ok())
    }

    fn send(&mut self, kind: FrameKind, content: &[u8]) -> io::Result<()> {
        Frame::write(&mut self.to, kind, content)
    }
}

/// Threads of one query.
#[must_use]
pub fn threads() -> usize {
    Limits::default().threads.clamp(1, THREADS_MAX)
}

/// Answers what comes over `wire`. When the other end goes, `gone` is called at once, whatever is being computed, and then
/// this returns as soon as it can.
///
/// # Errors
/// When a thread or the query engine cannot be set up.
pub fn run(wire: UnixStream, gone: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mut from = wire.try_clone()?;
    let (give, frames) = sync_channel(FRAMES_AHEAD);
    thread::Builder::new().name("listen".into()).spawn(move || {
        while let Ok(Some(frame)) = Frame::read(&mut from) {
            if give.send(frame).is_err() {
                break;
            }
        }
        gone();
    })?;
    let limits = Limits { threads: threads(), ..Limits::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(limits.threads)
        .thread_stack_size(THREAD_STACK_BYTES)
        .enable_time()
        .build()?;
    let answering = thread::Builder::new().name("answer".into()).stack_size(STACK_BYTES).spawn(move || {
        let mut channel = Listened { frames, to: wire };
        let worker = Worker::new(limits).map_err(io::Error::other)?;
        let served = runtime.block_on(worker.serve(&mut channel));
        runtime.shutdown_background();
        served
    })?;
    answering.join().map_err(|_| io::Error::other("the query panicked"))?
}
