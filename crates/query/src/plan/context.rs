//! The session in which views are planned: all streams and views as tables, none with rows.

use std::{collections::BTreeMap, sync::Arc};

use datafusion::{
    catalog::{MemTable, TableProvider},
    execution::{SessionStateBuilder, memory_pool::GreedyMemoryPool, runtime_env::RuntimeEnvBuilder},
    prelude::SessionContext,
};
use lakehead_model::{Name, StreamSchema};

use super::view_plan::ViewPlan;
use crate::{
    checked::{self, Mode},
    error::Error,
    functions,
};

/// Memory that one view may use while it takes events in or writes results, as far as DataFusion accounts for it, beside
/// its state. Four times the default bound of the state, since merging it reads one copy and builds another.
const WORK_BYTES_MAX: usize = 4 << 30;

/// Rules of the optimizer that are not for views. A distinct count must stay one aggregation: its partial state can be merged,
/// two nested ones cannot. And a condition that no event meets must leave a plan that can be cut, if one without rows.
const LEFT_OUT: [&str; 3] = ["single_distinct_aggregation_to_group_by", "eliminate_filter", "propagate_empty_relation"];

pub(super) fn planning_context(
    streams: &BTreeMap<Name, StreamSchema>,
    views: &BTreeMap<Name, Arc<ViewPlan>>,
) -> Result<SessionContext, Error> {
    let mut config = functions::config().with_target_partitions(1).with_information_schema(false);
    // Partial rows are kept, so giving up on grouping them because most are distinct would only make them more.
    config.options_mut().execution.skip_partial_aggregation_probe_rows_threshold = usize::MAX;
    let runtime =
        RuntimeEnvBuilder::new().with_memory_pool(Arc::new(GreedyMemoryPool::new(WORK_BYTES_MAX))).build_arc()?;
    let mut builder = SessionStateBuilder::new().with_config(config).with_runtime_env(runtime).with_default_features();
    let rules = match builder.optimizer().take() {
        Some(optimizer) => optimizer.rules,
        None => datafusion::optimizer::Optimizer::new().rules,
    };
    builder = checked::session(builder, Mode::View);
    builder = builder.with_optimizer_rules(rules.into_iter().filter(|rule| !LEFT_OUT.contains(&rule.name())).collect());
    let context = SessionContext::new_with_state(builder.build());
    functions::register(&context)?;
    for (name, schema) in streams {
        let table = MemTable::try_new(lakehead_decode::table_schema(schema), vec![vec![]])?;
        context.register_table(name.as_str(), Arc::new(table))?;
    }
    for (name, plan) in views {
        match &plan.inline {
            Some(inline) => context.register_table(name.as_str(), Arc::clone(inline) as Arc<dyn TableProvider>)?,
            None => {
                let table = MemTable::try_new(plan.schema(), vec![vec![]])?;
                context.register_table(name.as_str(), Arc::new(table))?
            }
        };
    }
    Ok(context)
}
