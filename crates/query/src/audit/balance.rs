//! The balance of a view: what became of each event, by its counts and by the second count.

use super::{
    report::{Balance, Difference},
    under_way::Audit,
    window_counts::WindowCounts,
};

impl Audit<'_> {
    pub(super) fn strike_balance(&mut self, windows: &WindowCounts, without_window: u64, failed_in_log: u64) {
        let counts = self.snapshot.counts;
        let passed = windows.values().sum::<u64>() + without_window;
        let balance = Balance {
            events: self.snapshot.next_offset.0,
            seen: counts.events,
            in_view: counts.in_view,
            filtered: self.snapshot.next_offset.0.saturating_sub(passed + failed_in_log),
            late_dropped: counts.late_dropped,
            too_late: counts.too_late,
            without_time: counts.without_time,
            without_time_in_log: without_window,
            failed: counts.failed,
            failed_in_log,
        };
        if !balance.adds_up() {
            let Balance { seen, in_view, filtered, late_dropped, too_late, without_time, failed, .. } = balance;
            let view = format!(
                "{seen} seen: {in_view} in windows, {late_dropped} late and dropped, {too_late} too late, {without_time} without time, \
                 {failed} that an expression fails on"
            );
            let log = format!(
                "{} events: {filtered} filtered, {failed_in_log} that an expression fails on, {passed} not, of them \
                 {without_window} without time",
                balance.events
            );
            self.found.differs(Difference { what: "the balance of events".into(), view, log, ..Difference::default() });
        }
        self.found.balance = Some(balance);
    }

    /// Where `unnest` makes several rows of one event, the view counts rows, and nobody can say of how many events.
    pub(super) fn strike_rows(&mut self, windows: &WindowCounts, without_window: u64) {
        let why = "because unnest makes several rows of one, or none; the rows are counted in its place";
        self.found.not_checked.push(format!("what became of each event, {why}"));
        if self.from.is_some() || !self.extent.known.is_empty() {
            return;
        }
        let counts = self.snapshot.counts;
        let (in_log, end) = (windows.values().sum::<u64>() + without_window, self.snapshot.next_offset.0);
        let in_view = counts.in_view + counts.late_dropped + counts.too_late + counts.without_time;
        if in_view != in_log || counts.without_time != without_window || counts.events != end {
            let view = format!("{} events seen, {in_view} rows, {} without time", counts.events, counts.without_time);
            let log = format!("{end} events, {in_log} rows, {without_window} without time");
            self.found.differs(Difference { what: "the balance of rows".into(), view, log, ..Difference::default() });
        }
    }
}
