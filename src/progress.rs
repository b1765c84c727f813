//! Something to look at while a command takes longer than two seconds, for a person at a terminal.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Before this, showing anything would only flicker.
const SHOW_AFTER: Duration = Duration::from_secs(2);

/// Runs `work`; from the third second on a line on standard error shows what takes so long, and for how long already.
/// `work` may set the bar's length and position, which then shows the time left.
pub(crate) async fn with_progress<T>(what: &'static str, work: impl AsyncFnOnce(ProgressBar) -> T) -> T {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()).with_message(what);
    let work = work(bar.clone());
    tokio::pin!(work);
    let outcome = tokio::select! {
        outcome = &mut work => return outcome,
        () = tokio::time::sleep(SHOW_AFTER) => {
            if io::stderr().is_terminal() {
                bar.set_style(style(bar.length().is_some()));
                bar.set_draw_target(ProgressDrawTarget::stderr());
                bar.enable_steady_tick(Duration::from_millis(200));
            }
            work.await
        }
    };
    bar.finish_and_clear();
    outcome
}

fn style(length_known: bool) -> ProgressStyle {
    let template =
        if length_known { "{msg} {bar:30} {percent} %, {eta} left" } else { "{spinner} {msg}, {elapsed} so far" };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
