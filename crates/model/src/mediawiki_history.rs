//! The columns of MediaWiki history dumps: their order, their types, and since which layout each is there.
//!
//! Documented at Wikitech, "Data Platform/Data Lake/Edits/MediaWiki history dumps"; the order is that of `toTSVLine` in
//! `MediawikiEvent.scala` of Wikimedia's analytics-refinery-source (v0.3.22, July 2026), whose history says when columns came in
//! between. A dump does not name its columns, but their number tells the layout:
//!
//! | columns | snapshots | new in it |
//! |---|---|---|
//! | 70 | 2020-01 to 2024-10 | |
//! | 74 | from 2024-11 | `event_user_` and `user_`: `is_temporary`, `is_permanent` |
//! | 76 | from 2025-10 | `event_user_central_id`, `user_central_id` |
//! | 78 | from 2026-05 | `event_log_id`, `event_user_is_cross_wiki` |
//!
//! The months are those in which the code was changed; a snapshot of about that month may still have the layout before.

use HistoryValue::{List, Text, Time, Truth, Whole};

/// How a column of a dump is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryValue {
    /// Text, in which tab, line feed and carriage return are `\t`, `\n` and `\r`.
    Text,
    /// Texts with commas between them; a comma within one is `\,`.
    List,
    /// A whole number of 64 bits.
    Whole,
    /// `true` or `false`.
    Truth,
    /// A time in UTC, as in `2001-01-15 19:27:13.0`.
    Time,
}

/// A column of a dump. An empty one is NULL, whatever its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryColumn {
    /// Its name in the table `wmf.mediawiki_history`, and here in events and in SQL.
    pub name: &'static str,
    /// How it is written.
    pub value: HistoryValue,
    /// The number of columns of the first layout that has it.
    pub since: usize,
    /// Whether every row has it.
    pub is_required: bool,
}

/// How many columns a row may have, each a layout.
pub const LAYOUTS: [usize; 4] = [70, 74, 76, 78];

/// The columns of a row that has so many; `None` where no layout has.
pub fn layout(columns: usize) -> Option<impl Iterator<Item = &'static HistoryColumn>> {
    LAYOUTS.contains(&columns).then(|| COLUMNS.iter().filter(move |column| column.since <= columns))
}

const fn required(name: &'static str, value: HistoryValue) -> HistoryColumn {
    HistoryColumn { name, value, since: 70, is_required: true }
}

const fn column(name: &'static str, value: HistoryValue) -> HistoryColumn {
    HistoryColumn { name, value, since: 70, is_required: false }
}

const fn since(since: usize, name: &'static str, value: HistoryValue) -> HistoryColumn {
    HistoryColumn { name, value, since, is_required: false }
}

/// All columns, in the order of the newest layout. The others lack some, and have the rest in this order.
pub const COLUMNS: &[HistoryColumn] = &[
    required("wiki_db", Text),
    since(78, "event_log_id", Whole),
    required("event_entity", Text),
    required("event_type", Text),
    required("event_timestamp", Time),
    column("event_comment", Text),
    column("event_user_id", Whole),
    since(76, "event_user_central_id", Whole),
    column("event_user_text_historical", Text),
    column("event_user_text", Text),
    column("event_user_blocks_historical", List),
    column("event_user_blocks", List),
    column("event_user_groups_historical", List),
    column("event_user_groups", List),
    column("event_user_is_bot_by_historical", List),
    column("event_user_is_bot_by", List),
    column("event_user_is_created_by_self", Truth),
    column("event_user_is_created_by_system", Truth),
    column("event_user_is_created_by_peer", Truth),
    column("event_user_is_anonymous", Truth),
    since(74, "event_user_is_temporary", Truth),
    since(74, "event_user_is_permanent", Truth),
    since(78, "event_user_is_cross_wiki", Truth),
    column("event_user_registration_timestamp", Time),
    column("event_user_creation_timestamp", Time),
    column("event_user_first_edit_timestamp", Time),
    column("event_user_revision_count", Whole),
    column("event_user_seconds_since_previous_revision", Whole),
    column("page_id", Whole),
    column("page_title_historical", Text),
    column("page_title", Text),
    column("page_namespace_historical", Whole),
    column("page_namespace_is_content_historical", Truth),
    column("page_namespace", Whole),
    column("page_namespace_is_content", Truth),
    column("page_is_redirect", Truth),
    column("page_is_deleted", Truth),
    column("page_creation_timestamp", Time),
    column("page_first_edit_timestamp", Time),
    column("page_revision_count", Whole),
    column("page_seconds_since_previous_revision", Whole),
    column("user_id", Whole),
    since(76, "user_central_id", Whole),
    column("user_text_historical", Text),
    column("user_text", Text),
    column("user_blocks_historical", List),
    column("user_blocks", List),
    column("user_groups_historical", List),
    column("user_groups", List),
    column("user_is_bot_by_historical", List),
    column("user_is_bot_by", List),
    column("user_is_created_by_self", Truth),
    column("user_is_created_by_system", Truth),
    column("user_is_created_by_peer", Truth),
    column("user_is_anonymous", Truth),
    since(74, "user_is_temporary", Truth),
    since(74, "user_is_permanent", Truth),
    column("user_registration_timestamp", Time),
    column("user_creation_timestamp", Time),
    column("user_first_edit_timestamp", Time),
    column("revision_id", Whole),
    column("revision_parent_id", Whole),
    column("revision_minor_edit", Truth),
    column("revision_deleted_parts", List),
    column("revision_deleted_parts_are_suppressed", Truth),
    column("revision_text_bytes", Whole),
    column("revision_text_bytes_diff", Whole),
    column("revision_text_sha1", Text),
    column("revision_content_model", Text),
    column("revision_content_format", Text),
    column("revision_is_deleted_by_page_deletion", Truth),
    column("revision_deleted_by_page_deletion_timestamp", Time),
    column("revision_is_identity_reverted", Truth),
    column("revision_first_identity_reverting_revision_id", Whole),
    column("revision_seconds_to_identity_revert", Whole),
    column("revision_is_identity_revert", Truth),
    column("revision_is_from_before_page_creation", Truth),
    column("revision_tags", List),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_layout_has_as_many_columns_as_it_is_called_by() {
        for columns in LAYOUTS {
            assert_eq!(layout(columns).expect("a layout").count(), columns);
        }
        assert!([0, 69, 71, 77, 79].iter().all(|columns| layout(*columns).is_none()));
    }

    #[test]
    fn columns_stand_where_the_documentation_has_them() {
        let place = |columns: usize, name: &str| layout(columns).and_then(|mut all| all.position(|c| c.name == name));
        // Places of the layouts of 2020 and of 2024 as others have counted them, from 0.
        for (name, before, since) in [
            ("event_timestamp", 3, 3),
            ("event_user_is_anonymous", 17, 17),
            ("event_user_registration_timestamp", 18, 20),
            ("page_id", 23, 25),
            ("page_revision_count", 34, 36),
            ("user_id", 36, 38),
            ("revision_id", 52, 56),
            ("revision_tags", 69, 73),
        ] {
            assert_eq!((place(70, name), place(74, name)), (Some(before), Some(since)), "{name}");
        }
        assert_eq!((place(76, "event_user_central_id"), place(78, "event_log_id")), (Some(6), Some(1)));
        assert_eq!((place(78, "event_user_is_cross_wiki"), place(70, "event_log_id")), (Some(22), None));
    }
}
