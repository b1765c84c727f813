//! A data directory read without running it: the log as it lies, the views from their checkpoints, brought up to date
//! in memory. Nothing on disk changes.

use std::{path::Path, sync::Arc};

use lakehead_decode::{Decoder, Events};
use lakehead_model::{Offset, StreamSchema};
use lakehead_query::{Lake, Limits, Round, View, check_view};
use lakehead_store::{Store, Stream};

use crate::{Error, catalog::Catalog, engine::schemas, pipeline::ViewConfig};

/// Raw events in one round of catching up, as when running.
const ROUND_BYTES: usize = 4 << 20;

/// How far a view has been brought up to date.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The view.
    pub view: &'a str,
    /// The first offset that it has not seen.
    pub at: Offset,
    /// Where the log ends.
    pub end: Offset,
}

/// Opens `data` for reading. With `sql`, only the views that it may mention are brought up to date: those whose name
/// stands in it. `limits` are what a query may use.
///
/// # Errors
/// `Invalid` when this is no data directory; `Corrupt` when it is damaged.
pub async fn open(
    data: &Path,
    sql: Option<&str>,
    limits: Limits,
    progress: &mut (dyn FnMut(Progress<'_>) + Send),
) -> Result<Lake, Error> {
    let store = Store::open_read_only(data)?;
    let catalog = Catalog::load(data)?;
    let schemas = schemas(&catalog.stream_configs());
    let lake = Lake::new(limits)?;
    for name in store.names()? {
        let schema = schemas.get(&name).cloned().or_else(|| StreamSchema::builtin("json")).unwrap_or_default();
        lake.add_stream(schema, store.stream(&name)?);
    }
    for (name, config) in catalog.views {
        if sql.is_some_and(|sql| !sql.to_ascii_lowercase().contains(name.as_str())) {
            continue;
        }
        let failed = |source| Error::View { view: name.clone(), source };
        let config = ViewConfig::from(config);
        let plan = Arc::new(check_view(&config.sql, &schemas).await.map_err(failed)?);
        let (stream, schema) = (store.stream(plan.stream())?, schemas[plan.stream()].clone());
        let mut view = View::open_read_only(data, name.clone(), plan, config.settings()).await.map_err(failed)?;
        if view.next_offset() > stream.head().end {
            view.restart().map_err(failed)?;
        }
        catch_up(&mut view, &stream, &schema, &mut |at, end| progress(Progress { view: name.as_str(), at, end }))
            .await?;
        lake.add_view(view.handle());
    }
    Ok(lake)
}

async fn catch_up(
    view: &mut View,
    stream: &Stream,
    schema: &StreamSchema,
    progress: &mut (dyn FnMut(Offset, Offset) + Send),
) -> Result<(), Error> {
    let decoder = Decoder::new(schema, view.plan().wanted()).map_err(|error| Error::Internal(error.to_string()))?;
    let end = stream.head().end;
    let mut reader = stream.reader(view.next_offset());
    while view.next_offset() < end {
        let (mut batches, mut times, mut events, mut bytes) = (Vec::new(), Vec::new(), 0, 0);
        while bytes < ROUND_BYTES {
            let Some(block) = reader.next()? else { break };
            let reached = block.cursors.values().filter_map(|cursor| cursor.progress).min();
            times.push((reached, block.event_time_greatest, block.received_time));
            if !block.is_empty() {
                let columns = decoder.decode(&Events {
                    payload: &block.payload,
                    ends: &block.ends,
                    first_offset: block.first_offset,
                    received_time: block.received_time,
                });
                batches.push(columns.map_err(|error| Error::Internal(error.to_string()))?);
            }
            bytes += block.payload.len();
            events += block.len() as u64;
        }
        if times.is_empty() {
            break;
        }
        let round = Round { batches, events, end: reader.position(), times };
        view.absorb(&round).await?;
        progress(view.next_offset(), end);
    }
    Ok(())
}
