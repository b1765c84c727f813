//! One source, opened for a look: what it brings within the wait, and nothing acknowledged.

use std::sync::Arc;

use lakehead_connector_api::{Activity, Chunk, Error as SourceError, Opened, Peeked, Resume};
use lakehead_model::{Name, Span};
use tokio::time::{Instant, timeout_at};

use super::{
    limits::PreviewLimits,
    place::DataPlace,
    report::{RejectPreview, SourceLook, SourcePreview},
    sample::Sample,
    words::{beginning, panicked, said},
};
use crate::{Parts, ledgers::gaps, plan::Plan};

/// Bytes of events of one source that are looked at, all of its streams together: a few of the largest.
const SAMPLE_BYTES_MAX: usize = 16 << 20;

/// Rejects that are told with their reason; all are counted.
const REJECTS_TOLD_MAX: usize = 3;

/// How much of a refused payload is told, in characters.
const PAYLOAD_SHOWN_MAX: usize = 120;

/// Looks at the source `name`. Answers what it brought for each of its streams beside.
pub(super) async fn look(
    plan: &Plan,
    name: &Name,
    place: &DataPlace,
    parts: &Parts,
    limits: PreviewLimits,
) -> (Name, SourcePreview, Vec<(Name, Sample)>) {
    let config = &plan.pipeline.sources[name];
    let mut told =
        SourcePreview { kind: config.kind.clone(), streams: config.streams.clone(), ..SourcePreview::default() };
    let resume = config.streams.iter().map(|stream| place.resume(name, stream, &plan.schemas[stream]));
    let streams = match resume.collect::<Result<Vec<_>, _>>() {
        Ok(streams) => streams,
        Err(error) => {
            (told.state, told.fails) = (SourceLook::Failed, Some(error));
            return (name.clone(), told, Vec::new());
        }
    };
    told.resumed = streams.iter().any(|stream| stream.cursor.is_some());
    let resume = Resume { name: name.to_string(), streams, clock: Arc::clone(&parts.clock) };
    let look = Look::new(told, config.streams.clone(), limits);
    let opening = (plan.specs[name].peek)(config.settings.clone(), resume);
    // A connector that panics is a failure like another, here as when it runs.
    let looked = tokio::spawn(async move { look.at(opening).await }).await;
    let (told, samples) = looked.unwrap_or_else(|error| {
        let fails = Some(panicked(error));
        let (kind, streams) = (config.kind.clone(), config.streams.clone());
        (SourcePreview { kind, streams, state: SourceLook::Failed, fails, ..SourcePreview::default() }, Vec::new())
    });
    (name.clone(), told, samples)
}

/// What was seen of a source so far.
struct Look {
    told: SourcePreview,
    samples: Vec<(Name, Sample)>,
    limits: PreviewLimits,
    began: Instant,
    activity: Option<Activity>,
}

impl Look {
    fn new(told: SourcePreview, streams: Vec<Name>, limits: PreviewLimits) -> Self {
        let samples = streams.into_iter().map(|stream| (stream, Sample::default())).collect();
        Self { told, samples, limits, began: Instant::now(), activity: None }
    }

    async fn at(
        mut self,
        opening: impl Future<Output = Result<Peeked, SourceError>>,
    ) -> (SourcePreview, Vec<(Name, Sample)>) {
        let until = self.began + self.limits.wait;
        match timeout_at(until, opening).await {
            Err(_) => {
                let wait = Span(self.limits.wait);
                self.fails(format!(
                    "it was not opened within {wait}: its upstream does not answer; --wait allows more"
                ));
            }
            Ok(Err(error)) => self.fails(said(&error)),
            Ok(Ok(Peeked::Unseen(why))) => {
                self.told.state = SourceLook::Unseen;
                self.told.notes.push(format!("it was not opened: {why}"));
            }
            Ok(Ok(Peeked::Opened(opened))) => self.read(opened, until).await,
        }
        self.judge();
        (self.told, self.samples)
    }

    /// Reads until there is enough, or `until`. Whatever is not read then is somebody else's.
    async fn read(&mut self, mut opened: Opened, until: Instant) {
        self.told.opened_after = Some(self.began.elapsed().as_secs_f64());
        while !self.has_enough() {
            match timeout_at(until, opened.reader.next()).await {
                Err(_) => return,
                Ok(Err(error)) => return self.fails(said(&error)),
                Ok(Ok(None)) => {
                    if self.told.state == SourceLook::Quiet {
                        self.told.state = SourceLook::Ended;
                    }
                    return;
                }
                Ok(Ok(Some(chunk))) => self.take(chunk),
            }
        }
    }

    fn has_enough(&self) -> bool {
        let is_full = |(_, sample): &(Name, Sample)| sample.events.len() >= self.limits.events;
        self.samples.iter().all(is_full) || self.bytes_left() == 0
    }

    fn bytes_left(&self) -> usize {
        SAMPLE_BYTES_MAX.saturating_sub(usize::try_from(self.told.bytes).unwrap_or(usize::MAX))
    }

    fn take(&mut self, chunk: Chunk) {
        let at = self.began.elapsed();
        self.activity = chunk.activity.or(self.activity.take());
        let told = &mut self.told;
        told.duplicates += chunk.duplicates;
        told.rejects += chunk.rejects.len() as u64 + chunk.refused_more;
        let room = REJECTS_TOLD_MAX.saturating_sub(told.rejected.len());
        told.rejected.extend(chunk.rejects.iter().take(room).map(|reject| RejectPreview {
            reason: reject.reason.clone(),
            position: reject.position.clone(),
            payload: beginning(&reject.payload, PAYLOAD_SHOWN_MAX),
        }));
        told.missing += chunk.discontinuities.iter().map(gaps::missing_at).sum::<u64>();
        if chunk.events.is_empty() && chunk.rejects.is_empty() {
            return;
        }
        self.told.state = SourceLook::Read;
        self.told.first_after.get_or_insert(at.as_secs_f64());
        let left = self.bytes_left();
        let Some((_, sample)) = self.samples.get_mut(chunk.to.0) else { return };
        let before = sample.events.payload().len();
        let taken = sample.take(&chunk.events, at, self.limits.events, left);
        self.told.events += taken as u64;
        self.told.bytes += (sample.events.payload().len() - before) as u64;
        self.told.passed_over += (chunk.events.len() - taken) as u64;
    }

    fn fails(&mut self, why: String) {
        (self.told.state, self.told.fails) = (SourceLook::Failed, Some(why));
    }

    /// What follows from all that was seen.
    fn judge(&mut self) {
        let told = &mut self.told;
        if told.fails.is_none() && told.rejects > 0 && told.events == 0 {
            let why = told.rejected.first().map_or("", |reject| reject.reason.as_str());
            told.fails = Some(format!("nothing that came is an event: {why}"));
        }
        match (told.state, self.activity.as_ref()) {
            (SourceLook::Quiet, Some(Activity::Live)) => told.notes.push("connected; nothing came".to_owned()),
            (SourceLook::Quiet, _) => told.notes.push(format!(
                "nothing came within {}: its upstream is quiet, or does not answer; --wait allows more",
                Span(self.limits.wait)
            )),
            (SourceLook::Ended, _) if told.resumed => {
                told.notes.push("everything was read before: there is nothing from its cursor on".to_owned());
            }
            (SourceLook::Ended, _) => told.notes.push("it ends without an event".to_owned()),
            _ => {}
        }
    }
}
