//! The two ends of an append's answer: the ticket of who has appended, and the writer's duty to answer it.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use lakehead_model::Name;
use tokio::sync::oneshot;

use crate::{
    error::Error,
    write::{append::Appended, queue::Room},
};

/// Resolves when the append is committed, or has failed. May be dropped: the append goes on all the same.
///
/// An error means that nothing of the append is kept, as far as can be known, and nothing that was handed over after it before the error
/// was seen: begin again from the cursor in [`Stream::head`](crate::Stream::head).
#[derive(Debug)]
pub struct Ticket {
    answer: oneshot::Receiver<Result<Appended, Error>>,
    stream: Name,
}

impl Future for Ticket {
    type Output = Result<Appended, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.answer).poll(context));
        Poll::Ready(answer.unwrap_or_else(|_| Err(Error::Closed { stream: self.stream.clone() })))
    }
}

impl Ticket {
    /// Waits for the answer on a thread that is not a task of an async runtime.
    ///
    /// # Errors
    /// As the ticket itself.
    pub fn wait(self) -> Result<Appended, Error> {
        let stream = self.stream;
        self.answer.blocking_recv().unwrap_or(Err(Error::Closed { stream }))
    }
}

/// Who waits for an answer, and the room in the queue that is theirs until then.
#[derive(Debug)]
pub(crate) struct Waiting {
    answer: oneshot::Sender<Result<Appended, Error>>,
    _room: Room,
}

impl Waiting {
    /// A ticket for an append to `stream`, and what answers it.
    pub(crate) fn new(stream: Name, room: Room) -> (Self, Ticket) {
        let (answer, receiver) = oneshot::channel();
        (Self { answer, _room: room }, Ticket { answer: receiver, stream })
    }

    /// Answers, and gives the room back. Nobody may be listening any more.
    pub(crate) fn answer(self, answer: Result<Appended, Error>) {
        let _ = self.answer.send(answer);
    }
}
