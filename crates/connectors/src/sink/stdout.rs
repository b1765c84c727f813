//! `stdout`: rows as JSON lines on standard output. Its manual page is [`MANUAL`](ConnectorKind::MANUAL).
//!
//! A thread of its own writes: the reader of a pipe may take as long as it likes, and then neither the runtime nor the end of
//! the program waits for it.

use std::io::{self, Write};

use async_trait::async_trait;
use lakehead_connector_api::{
    Answer, Batch, ConnectorKind, Delivery, Error, Probed, Sink, SinkContext, SinkKind, Takes,
};
use lakehead_model::{ByteSize, Position};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};

const MANUAL: &str = r#"`stdout`: writes each row as one line of JSON to the program's standard output, for `jq` and other programs behind a pipe.

```sh
lakehead run pipeline.toml | jq --unbuffered -r 'select(.bot | not) | .title'
```

**What is written.** An event of a stream stands as it came, byte for byte. A row of a view is a change of its closed windows: it
begins with the field `_op`, which is `insert`, `update` or `delete`, as in `{"_op":"update","minute":…,"edits":7}`; an update
has the new values, a delete those that were there last. Where a view is built again, or the sink is new, all of its rows come
as `insert`.

**What it promises.** At least once: lines are flushed each time before the sink's position is committed (`commit_every`), so
nothing is lost, and after a crash the lines since the last commit come again. Lines are in the order of the stream.

**Waiting.** A program that reads slowly slows this sink down, and no other. When it ends, standard output is closed for good: the
sink then stops and says so, while everything else goes on; start both again, or deliver to a file. What Lakehead has to say
goes to standard error and never between the lines.
"#;

/// The sink kind `stdout`.
pub(crate) struct Stdout;

/// Settings of a `stdout` sink.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// How many bytes of lines are gathered before they are written, if no commit comes before. From 4 KiB to 16 MiB. Default:
    /// 64 KiB, as much as a pipe holds on Linux.
    #[serde(default = "buffer_default")]
    buffer: ByteSize,
}

fn buffer_default() -> ByteSize {
    ByteSize(64 << 10)
}

impl ConnectorKind for Stdout {
    const NAME: &'static str = "stdout";
    const MANUAL: &'static str = MANUAL;
    const EXAMPLE: &'static str = r#"[sink.lines]
kind = "stdout"
from = "recentchange"
start = "now"
"#;
    type Config = Config;

    fn check(config: &Config) -> Result<(), String> {
        if !(4 << 10..=16 << 20).contains(&config.buffer.0) {
            return Err(format!("buffer: expected 4 KiB to 16 MiB, found {}", config.buffer));
        }
        Ok(())
    }
}

impl SinkKind for Stdout {
    const DELIVERY: Delivery = Delivery::AtLeastOnce;
    const TAKES: Takes = Takes::Appends;

    async fn open(config: Config, context: SinkContext) -> Result<Box<dyn Sink>, Error> {
        Printer::open(&config, &context, io::stdout())
    }

    async fn probe(_: Config, _: SinkContext) -> Result<Probed, Error> {
        Ok(Probed::found("rows go to standard output"))
    }
}

/// Lines to be written, and where to tell what became of them.
type Print = (Vec<u8>, oneshot::Sender<io::Result<()>>);

/// Gathers lines and hands them to the thread that writes.
struct Printer {
    buffer: Vec<u8>,
    buffer_bytes_max: usize,
    writer: mpsc::Sender<Print>,
}

impl Printer {
    fn open(
        config: &Config,
        context: &SinkContext,
        output: impl Write + Send + 'static,
    ) -> Result<Box<dyn Sink>, Error> {
        let (writer, lines) = mpsc::channel(1);
        std::thread::Builder::new()
            .name(format!("sink {}", context.name))
            .spawn(move || print(output, lines))
            .map_err(|error| Error::unavailable(format!("no thread can be started for standard output: {error}")))?;
        let buffer_bytes_max = usize::try_from(config.buffer.0).unwrap_or(usize::MAX);
        Ok(Box::new(Self { buffer: Vec::new(), buffer_bytes_max, writer }))
    }

    /// Writes what is gathered, and waits until the other side has it.
    async fn flush(&mut self) -> Result<(), Error> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let (told, outcome) = oneshot::channel();
        let gone = || Error::Internal("the thread that writes standard output has ended".to_owned());
        self.writer.send((std::mem::take(&mut self.buffer), told)).await.map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?.map_err(|error| failure(&error))
    }
}

#[async_trait]
impl Sink for Printer {
    async fn write(&mut self, batch: &Batch) -> Result<Vec<Answer>, Error> {
        for row in batch.rows() {
            self.buffer.extend_from_slice(row.json);
            self.buffer.push(b'\n');
            if self.buffer.len() >= self.buffer_bytes_max {
                self.flush().await?;
            }
        }
        Ok(vec![Answer::Held; batch.len()])
    }

    async fn commit(&mut self, _through: &Position) -> Result<(), Error> {
        self.flush().await
    }
}

/// Writes what comes, until nothing comes any more or nobody takes it.
fn print(mut output: impl Write, mut lines: mpsc::Receiver<Print>) {
    while let Some((bytes, told)) = lines.blocking_recv() {
        // Nobody waits any more when the sink was given up; the next one finds out by itself.
        let _ = told.send(output.write_all(&bytes).and_then(|()| output.flush()));
    }
}

fn failure(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Error::Invalid(
            "standard output is closed: the program that read it has ended; start both again, or deliver to a file"
                .to_owned(),
        ),
        _ => Error::unavailable(format!("standard output cannot be written: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Condvar, Mutex},
        time::Duration,
    };

    use lakehead_connector_api::{BatchKind, Feed, RowHead};
    use lakehead_model::{Name, Offset, Timestamp};
    use lakehead_testkit::{Behaviour, ManualClock, Target, conformance};

    use super::*;

    /// What reads standard output.
    #[derive(Clone, Default)]
    struct Reader(Arc<Pipe>);

    #[derive(Default)]
    struct Pipe {
        state: Mutex<(Vec<u8>, Option<Behaviour>)>,
        changed: Condvar,
    }

    impl Reader {
        fn with<T>(&self, work: impl FnOnce(&mut (Vec<u8>, Option<Behaviour>)) -> T) -> T {
            work(&mut self.0.state.lock().expect("no test panics while it holds the lock"))
        }
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut state = self.0.state.lock().expect("no test panics while it holds the lock");
            while state.1 == Some(Behaviour::Silent) {
                state = self.0.changed.wait(state).expect("no test panics while it holds the lock");
            }
            if state.1 == Some(Behaviour::Away) {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            state.0.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[async_trait]
    impl Target for Reader {
        fn settings(&self) -> serde_json::Value {
            *READER.lock().expect("no test panics while it holds the lock") = Some(self.clone());
            serde_json::json!({ "buffer": "4 KiB" })
        }

        async fn rows(&mut self) -> Vec<Vec<u8>> {
            self.with(|(bytes, _)| bytes.split_inclusive(|b| *b == b'\n').map(|l| l[..l.len() - 1].to_vec()).collect())
        }

        async fn behave(&mut self, how: Behaviour) -> bool {
            self.with(|state| state.1 = Some(how));
            self.0.changed.notify_all();
            how != Behaviour::RefusingPoison
        }
    }

    /// The reader of the sink that is opened next.
    static READER: Mutex<Option<Reader>> = Mutex::new(None);

    /// The kind `stdout` before another reader.
    struct Piped;

    impl ConnectorKind for Piped {
        const NAME: &'static str = Stdout::NAME;
        const MANUAL: &'static str = Stdout::MANUAL;
        const EXAMPLE: &'static str = Stdout::EXAMPLE;
        type Config = Config;

        fn check(config: &Config) -> Result<(), String> {
            Stdout::check(config)
        }
    }

    impl SinkKind for Piped {
        const DELIVERY: Delivery = Stdout::DELIVERY;
        const TAKES: Takes = Stdout::TAKES;

        async fn open(config: Config, context: SinkContext) -> Result<Box<dyn Sink>, Error> {
            let reader = READER.lock().expect("no test panics while it holds the lock").take();
            Printer::open(&config, &context, reader.expect("settings come before the opening"))
        }
    }

    #[tokio::test]
    async fn it_keeps_the_promises_of_a_sink() {
        let untold = conformance::sink::<Piped, _, _>(|| std::future::ready(Reader::default())).await;
        assert_eq!(untold, [Behaviour::RefusingPoison], "nothing refuses a row here");
    }

    fn context() -> SinkContext {
        let from = Feed::Stream { name: Name::new("s").expect("a name"), columns: Vec::new() };
        let clock = Arc::new(ManualClock::new(Timestamp(0)));
        SinkContext { name: "lines".to_owned(), from, clock }
    }

    #[tokio::test]
    async fn a_pipe_that_was_closed_stops_it_for_good() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut sink = Printer::open(&Config { buffer: buffer_default() }, &context(), Closed).expect("it opens");
        let at = Position::Log { epoch: 0, next: Offset(0) };
        let lines = (b"{}\n".to_vec().into(), vec![3]);
        let name = Name::new("s").expect("a name");
        let batch = Batch::new(name, (at, at), lines, vec![RowHead::default()], BatchKind::Changes);
        assert_eq!(sink.write(&batch).await.expect("it is gathered"), [Answer::Held]);
        let error = sink.commit(&at).await.expect_err("nobody reads");
        assert!(matches!(&error, Error::Invalid(what) if what.contains("has ended")), "{error}");
    }

    #[tokio::test]
    async fn lines_are_gathered_up_to_the_buffer() {
        let reader = Reader::default();
        let config = Config { buffer: ByteSize(4 << 10) };
        let mut sink = Printer::open(&config, &context(), reader.clone()).expect("it opens");
        let at = Position::Log { epoch: 0, next: Offset(0) };
        let of = |rows: usize| {
            let lines = (b"{}\n".repeat(rows).into(), (1..=rows as u32).map(|n| n * 3).collect());
            let heads = vec![RowHead::default(); rows];
            Batch::new(Name::new("s").expect("a name"), (at, at), lines, heads, BatchKind::Changes)
        };
        sink.write(&of(1_000)).await.expect("gathered");
        assert_eq!(reader.with(|state| state.0.len()), 0);
        sink.write(&of(1_000)).await.expect("written");
        assert!((4_096..4_200).contains(&reader.with(|state| state.0.len())));
        tokio::time::timeout(Duration::from_secs(10), sink.commit(&at)).await.expect("in time").expect("flushed");
        assert_eq!(reader.with(|state| state.0.len()), 6_000);
    }
}
