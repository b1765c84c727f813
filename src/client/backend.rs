//! Who answers for a data directory: the process that runs on it, or its files.

use std::path::{Path, PathBuf};

use anyhow::bail;
use indicatif::ProgressBar;
use lakehead_engine::{
    audit::{Report, Scope},
    offline,
    sql::AnswerFormat,
};
use lakehead_model::Name;
use lakehead_query::{Answer, Explanation, Lake, Limits, Question, worker};

use super::process::{Process, warn};
use crate::subprocess::sql_worker;

/// Who answers.
pub(crate) enum Backend {
    /// A running process.
    Process(Process),
    /// Nobody: the files are read.
    Files(PathBuf),
}

impl Backend {
    /// Finds who answers for `data`.
    pub(crate) fn find(data: &Path, token: Option<String>) -> anyhow::Result<Self> {
        let Some(holder) = lakehead_store::holder(data)? else { return Ok(Self::Files(data.to_owned())) };
        let Some(address) = holder.address else {
            bail!("process {} has {} open and is still starting; try again in a moment", holder.pid, data.display());
        };
        Ok(Self::Process(Process::here(holder.pid, data, &address, token)?))
    }

    /// Answers `sql`.
    pub(crate) async fn query(&self, sql: &str, progress: &ProgressBar) -> anyhow::Result<Answer> {
        let data = match self {
            Self::Files(data) => data,
            Self::Process(process) => match process.query(sql).await {
                Err(error) => process.released(error).await?,
                answer => return answer,
            },
        };
        // Here, too, by a worker: what is too much for it ends it, and not the one who says why.
        let workers = sql_worker::workers(lake(data, sql, progress).await?)?;
        progress.finish_and_clear();
        let mut answering = workers.answer(sql, AnswerFormat::Arrow).await?;
        let bytes = answering.whole(usize::MAX).await?;
        warn(&answering.head.warnings);
        Ok(worker::answer(bytes, &answering.head)?)
    }

    /// Audits `scope`.
    pub(crate) async fn verify(&self, scope: &Scope, progress: &ProgressBar) -> anyhow::Result<Report> {
        let data = match self {
            Self::Files(data) => data,
            Self::Process(process) => match process.verify(scope).await {
                Err(error) => process.released(error).await?,
                report => return report,
            },
        };
        let progress = progress.clone();
        let show = move |read, total| {
            progress.set_length(total);
            progress.set_position(read);
        };
        Ok(offline::audit(data, scope, show).await?)
    }

    /// Explains rows of a view.
    pub(crate) async fn explain(
        &self,
        view: &Name,
        question: &Question,
        progress: &ProgressBar,
    ) -> anyhow::Result<Explanation> {
        let data = match self {
            Self::Files(data) => data,
            Self::Process(process) => match process.explain(view, question).await {
                Err(error) => process.released(error).await?,
                explanation => return explanation,
            },
        };
        let workers = sql_worker::workers(lake(data, view.as_str(), progress).await?)?;
        Ok(workers.explain(view, question).await?)
    }
}

async fn lake(data: &Path, sql: &str, progress: &ProgressBar) -> anyhow::Result<Lake> {
    let mut show = |reached: offline::Progress<'_>| {
        progress.set_length(reached.end.0);
        progress.set_position(reached.at.0);
    };
    Ok(offline::open(data, Some(sql), Limits::default(), &mut show).await?)
}
