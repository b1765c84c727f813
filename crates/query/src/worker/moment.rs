//! One moment of the tables that a statement names.
//!
//! A view is always some events behind its stream. A statement over both would see an event in one and not in the other, so
//! the two are pinned at one offset: the views are waited for until they have taken in all that was committed when the
//! statement came, and the stream is cut where the views stand then. Where that takes longer than [`MOMENT_WAIT_MAX`]
//! the stream is cut all the same, and the answer says how far behind it is. A statement over a stream alone waits for
//! nobody and sees every event that was acknowledged.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use lakehead_model::{Name, Offset, StreamSchema};
use lakehead_store::{PinGuard, Pinned, Stream};

use super::{
    frame::{Frame, FrameKind},
    messages::TableRequest,
    tables::{Tables, Told, ToldFile, rows},
};
use crate::{
    error::Error,
    lake::Lake,
    view::{Listed, Snapshot, ViewHandle, files, table},
};

/// How long a statement over a stream and its views waits for the views: some times what a view needs for a micro-batch of
/// events that have just come, and short enough for a page that a person waits for.
pub const MOMENT_WAIT_MAX: Duration = Duration::from_millis(250);
/// Between two looks at the views; a micro-batch takes longer.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Most bytes of open rows that one view hands over: beyond that a question costs the process that runs the views more
/// memory than is right, and a result period is too long for the view.
pub const OPEN_BYTES_MAX: usize = 64 << 20;

/// The tables that a statement names, as of one moment. What they read stays where it is for as long as this is there.
pub struct Moment {
    tables: Vec<(Name, Table)>,
    known: Vec<String>,
    warnings: Vec<String>,
}

enum Table {
    Stream { schema: StreamSchema, log: Box<Pinned>, end: Offset, _hold: PinGuard },
    View(Arc<Snapshot>),
}

/// Views over one stream, and where they stand.
type Standing = Vec<(Name, Arc<Snapshot>)>;

impl Lake {
    /// The tables that are asked for, of one moment; those that are not there are left out. `given` are views that are
    /// pinned already.
    pub fn moment<'a>(&'a self, ask: &'a TableRequest, given: &'a [(Name, Arc<Snapshot>)]) -> BoxFuture<'a, Moment> {
        Box::pin(async move {
            let names = || ask.names.iter().filter_map(|name| Name::new(name).ok());
            let mut moment = Moment { tables: Vec::new(), known: self.names(), warnings: Vec::new() };
            let mut views: BTreeMap<Name, Vec<ViewHandle>> = BTreeMap::new();
            for name in names() {
                if let Some((_, snapshot)) = given.iter().find(|(given, _)| *given == name) {
                    moment.tables.push((name, Table::View(Arc::clone(snapshot))));
                } else if let Some(view) = self.view(&name) {
                    moment.warnings.extend(view.stale());
                    views.entry(view.plan().stream().clone()).or_default().push(view);
                }
            }
            let mut streams: BTreeMap<Name, (StreamSchema, Stream)> =
                names().filter_map(|name| Some((name.clone(), self.stream(&name)?))).collect();
            for (stream, views) in views {
                let kept = streams.remove(&stream);
                let (standing, end) = moment.agree(&views, kept.as_ref().map(|(_, stream)| stream)).await;
                moment.tables.extend(standing.into_iter().map(|(name, snapshot)| (name, Table::View(snapshot))));
                if let Some((schema, stream)) = kept {
                    moment.add_stream(schema, &stream, Some(end));
                }
            }
            // Last of all, so that they have everything that was acknowledged until now.
            for (schema, stream) in streams.into_values() {
                moment.add_stream(schema, &stream, None);
            }
            moment
        })
    }
}

impl Moment {
    /// Waits until `views` stand at one offset and, with the stream among the tables, have seen all that is committed now.
    async fn agree(&mut self, views: &[ViewHandle], stream: Option<&Stream>) -> (Standing, Offset) {
        let look = || -> Standing { views.iter().map(|view| (view.name().clone(), view.snapshot())).collect() };
        let target = stream.map_or(Offset(0), |stream| stream.head().end);
        let is_one = |standing: &Standing| {
            let first = standing.first().map_or(target, |(_, snapshot)| snapshot.next_offset);
            first >= target && standing.iter().all(|(_, snapshot)| snapshot.next_offset == first)
        };
        let agreed = async {
            loop {
                let standing = look();
                if is_one(&standing) {
                    return standing;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let standing = match tokio::time::timeout(MOMENT_WAIT_MAX, agreed).await {
            Ok(standing) => standing,
            Err(_) => look(),
        };
        let end = standing.iter().map(|(_, snapshot)| snapshot.next_offset).min().unwrap_or(target);
        if !is_one(&standing) {
            self.warnings.push(behind(&standing, stream, target, end));
        }
        (standing, end)
    }

    fn add_stream(&mut self, schema: StreamSchema, stream: &Stream, end: Option<Offset>) {
        let (log, hold) = stream.pin("a query");
        let end = end.map_or(log.end(), |end| end.min(log.end()));
        self.tables.push((stream.name().clone(), Table::Stream { schema, log: Box::new(log), end, _hold: hold }));
    }

    /// What the worker is told.
    ///
    /// # Errors
    /// [`Error::Limit`] when a view has too many open rows, or the rows of a view cannot be made.
    pub fn frames(&self) -> BoxFuture<'_, Result<Vec<Frame>, Error>> {
        Box::pin(async move {
            let mut told = Tables { known: self.known.clone(), warnings: self.warnings.clone(), ..Tables::default() };
            let mut frames = Vec::new();
            for (name, table) in &self.tables {
                let name = name.clone();
                match table {
                    Table::Stream { schema, log, end, .. } => {
                        let (schema, log) = (schema.clone(), Pinned::clone(log));
                        told.tables.push(Told::Stream { name, schema, log, end: *end });
                    }
                    Table::View(snapshot) => {
                        let (plan, rest) = (snapshot.plan(), snapshot.rest().await?);
                        let content = rows(&plan.schema(), rest)?;
                        if content.len() > OPEN_BYTES_MAX {
                            return Err(Error::Limit(format!(
                                "view {name} has {} MiB of rows that no result file holds yet; at most {} MiB of them \
                                 can be asked: give the view a shorter window or less lateness",
                                content.len() >> 20,
                                OPEN_BYTES_MAX >> 20
                            )));
                        }
                        frames.push(Frame { kind: FrameKind::Rows, content });
                        for listed in &snapshot.results.files {
                            // The worker has no checkpoint to know the checksums by.
                            files::check(&listed.file.path)?;
                        }
                        let file = |listed: &Listed| ToldFile {
                            range: listed.range,
                            path: listed.file.path.clone(),
                            size: listed.file.size,
                            sum: files::sum(&listed.file.path).map(|(_, sum)| sum),
                        };
                        let files = snapshot.results.files.iter().map(file).collect();
                        let filed_by = table::filed_by(plan).map(str::to_owned);
                        told.tables.push(Told::View { name, filed_by, files });
                    }
                }
            }
            frames.insert(0, Frame::json(FrameKind::Tables, &told)?);
            Ok(frames)
        })
    }
}

/// What is said when views and stream could not be had at one offset as it should be.
fn behind(standing: &Standing, stream: Option<&Stream>, target: Offset, end: Offset) -> String {
    let are = standing.iter().map(|(name, snapshot)| format!("{name} at offset {}", snapshot.next_offset));
    let are = are.collect::<Vec<_>>().join(", ");
    let waited = MOMENT_WAIT_MAX.as_millis();
    match stream {
        Some(stream) => format!(
            "the views are behind the stream {} after {waited} ms of waiting: {are}; the stream is read up to offset {end}, \
             {} events before its end",
            stream.name(),
            target.since(end)
        ),
        None => format!("the views are not at one offset after {waited} ms of waiting: {are}"),
    }
}
