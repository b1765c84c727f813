//! Where a source stands when it is opened: what the cursors of its streams say together, and to which stream each partition
//! goes now. Pure decisions.
//!
//! A partition whose events went into another stream until now *goes over*: its place is taken from that stream's cursor, with
//! one `moves` more. The other cursor keeps what it says, as `left`, so that whichever of the two is on disk after a kill, the
//! newer of two entries is known, and no partition is in neither.

use std::collections::BTreeMap;

use lakehead_connector_api::Renumbering;
use lakehead_model::Timestamp;

use super::{
    cursor::{Asked, Begun, Entry, SavedCursor},
    partition::Partition,
    routes::{Routes, is_of, is_same},
};

/// What the cursors say together.
pub(super) struct Standing {
    pub(super) partitions: Vec<Partition>,
    /// For each stream what it has of partitions that go elsewhere now.
    pub(super) left: Vec<Vec<Entry>>,
    /// For each stream whether its cursor has to change, since partitions went over.
    pub(super) moved: Vec<bool>,
    /// Partitions that have come back to a stream, and what their numbers lead over there.
    pub(super) returned: Vec<(usize, Renumbering)>,
    /// There are cursors, and not all streams have one of these upstream streams: their topics have to be learned first.
    pub(super) learning: bool,
}

impl Standing {
    /// Of a source that is `asked` this, and whose streams have these cursors.
    pub(super) fn new(asked: &Asked, routes: &Routes, saved: &[Option<SavedCursor>]) -> Self {
        // By older routes a topic may have gone to a stream whose cursor was lost with a kill, so that none has it.
        let lacks = |saved: &Option<SavedCursor>| saved.as_ref().is_none_or(|saved| saved.asked() != *asked);
        let learning = saved.iter().any(Option::is_some) && saved.iter().any(lacks);
        let mut standing = Self {
            partitions: Vec::new(),
            left: vec![Vec::new(); saved.len()],
            moved: vec![false; saved.len()],
            returned: Vec::new(),
            learning,
        };
        for held in by_partition(saved).into_values() {
            standing.place(held, routes, saved);
        }
        standing
    }

    /// Places the partition of which these streams have these entries.
    fn place(&mut self, held: Vec<(usize, &Entry)>, routes: &Routes, saved: &[Option<SavedCursor>]) {
        let Some((_, first)) = held.first() else { return };
        let route = routes.of_topic(&first.topic);
        let to = route.unwrap_or(0);
        let newest = held.iter().max_by_key(|(stream, entry)| (entry.moves, *stream == to));
        let Some((from, newest)) = newest.copied() else { return };
        let mut entry = newest.clone();
        if from != to {
            entry.moves = entry.moves.saturating_add(1);
            let rule = |stream: usize| saved.get(stream)?.as_ref().map(|saved| saved.time_rule);
            if rule(to).is_some_and(|own| Some(own) != rule(from)) {
                entry.forget_times();
            }
            self.moved[to] = true;
        }
        for (stream, older) in held {
            if stream != to {
                self.moved[stream] |= stream == from;
                self.left[stream].push(older.clone());
            } else if from != to
                && let (Some(from), Some(next)) = (older.next(), entry.next())
            {
                let reason = "its events went into another stream of the source meanwhile";
                let partition = format!("{}/{}", entry.topic, entry.partition);
                self.returned.push((to, Renumbering { partition, from, to: next, reason }));
            }
        }
        self.partitions.push(Partition::new(entry, route));
    }
}

/// What each stream has of each partition.
fn by_partition(saved: &[Option<SavedCursor>]) -> BTreeMap<(&str, i32), Vec<(usize, &Entry)>> {
    let mut held: BTreeMap<(&str, i32), Vec<(usize, &Entry)>> = BTreeMap::new();
    for (stream, saved) in saved.iter().enumerate() {
        let entries = saved.iter().flat_map(|saved| saved.partitions.iter().chain(&saved.left));
        for entry in entries {
            let of = held.entry((entry.topic.as_str(), entry.partition)).or_default();
            // No cursor has a partition twice; of one that has, the first counts.
            if of.last().is_none_or(|(last, _)| *last != stream) {
                of.push((stream, entry));
            }
        }
    }
    held
}

/// Where partitions begin of which nothing is known: when their upstream stream was begun.
#[derive(Clone, Debug, Default)]
pub(super) struct Beginnings {
    named: Begun,
    otherwise: Timestamp,
}

impl Beginnings {
    /// For these upstream streams. One that no cursor names begins at `since`; and so does one that went into a stream which
    /// is fed no more.
    pub(super) fn new(path: &[String], asked: &Asked, saved: &[Option<SavedCursor>], since: Timestamp) -> Self {
        let begun = |name: &String| {
            let is_of = |entry: &Entry| is_of(&entry.topic, name);
            let is_held = saved.iter().flatten().any(|saved| saved.partitions.iter().any(is_of));
            let kept = saved.iter().flatten().filter(|saved| is_held || saved.asked().fed == asked.fed);
            let kept = kept.flat_map(|saved| &saved.begun);
            kept.filter(|(known, _)| is_same(known, name)).map(|(_, time)| *time).min().unwrap_or(since)
        };
        Self { named: path.iter().map(|name| (name.clone(), begun(name))).collect(), otherwise: since }
    }

    /// When each upstream stream was begun.
    pub(super) fn named(&self) -> &Begun {
        &self.named
    }

    /// Where a partition of this topic begins.
    pub(super) fn of_topic(&self, topic: &str) -> Timestamp {
        let of = self.named.iter().filter(|(name, _)| is_of(topic, name));
        of.max_by_key(|(name, _)| name.len()).map_or(self.otherwise, |(_, time)| *time)
    }
}

#[cfg(test)]
mod tests {
    use lakehead_model::Name;

    use super::*;

    fn asked(path: &str, fed: u64) -> Asked {
        Asked { path: path.to_owned(), fed: Some(fed), routed: Some(9) }
    }

    /// What the source of these tests is asked.
    fn both() -> Asked {
        asked("x,y", 7)
    }

    fn routes(table: &[(&str, &str)]) -> Routes {
        let table = table.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
        let streams = ["a", "b"].map(|name| Name::new(name).expect("a name"));
        Routes::new(&[], &table, &streams).expect("routes")
    }

    fn entry(topic: &str, through: i64, moves: u32) -> Entry {
        Entry { through: Some(through), moves, ..Entry::new(topic.to_owned(), 0, Timestamp(0)) }
    }

    fn saved(partitions: &[Entry], left: &[Entry]) -> Option<SavedCursor> {
        Some(SavedCursor::new(both(), partitions.to_vec(), None).with(Begun::new(), left.to_vec()))
    }

    /// Each partition with its stream, its place and how often it moved.
    fn placed(standing: &Standing) -> Vec<(&str, usize, i64, u32)> {
        let placed = |p: &Partition| (p.to, p.entry.through.unwrap_or(-1), p.entry.moves);
        let of = standing.partitions.iter().map(|p| (p.entry.topic.as_str(), placed(p)));
        of.map(|(topic, (to, through, moves))| (topic, to, through, moves)).collect()
    }

    #[test]
    fn each_stream_goes_on_where_its_own_cursor_says() {
        let routes = routes(&[("x", "a"), ("y", "b")]);
        let saved = [saved(&[entry("q.x", 5, 0)], &[]), saved(&[entry("q.y", 9, 0)], &[])];
        let standing = Standing::new(&both(), &routes, &saved);
        assert_eq!(placed(&standing), [("q.x", 0, 5, 0), ("q.y", 1, 9, 0)]);
        assert!(!standing.learning && standing.moved == [false; 2] && standing.left == [vec![], vec![]]);
    }

    #[test]
    fn a_partition_that_goes_over_keeps_its_place_and_is_left_in_the_other_cursor() {
        let held = [saved(&[entry("q.x", 5, 0), entry("q.y", 9, 0)], &[]), saved(&[], &[])];
        let standing = Standing::new(&both(), &routes(&[("x", "a"), ("y", "b")]), &held);
        assert_eq!(placed(&standing), [("q.x", 0, 5, 0), ("q.y", 1, 9, 1)]);
        assert_eq!(standing.left, [vec![entry("q.y", 9, 0)], vec![]]);
        assert_eq!((standing.moved.as_slice(), standing.returned.len()), ([true, true].as_slice(), 0));
    }

    #[test]
    fn whichever_cursor_is_on_disk_after_a_kill_the_newer_place_is_known() {
        let routes = routes(&[("x", "a"), ("y", "b")]);
        let (old, new) = (saved(&[entry("q.x", 5, 0), entry("q.y", 9, 0)], &[]), saved(&[entry("q.y", 12, 1)], &[]));
        let left = saved(&[entry("q.x", 7, 0)], &[entry("q.y", 9, 0)]);
        for a in [&old, &left] {
            let standing = Standing::new(&both(), &routes, &[a.clone(), new.clone()]);
            let placed = placed(&standing);
            assert_eq!(placed[1], ("q.y", 1, 12, 1));
            assert_eq!(standing.left[0], [entry("q.y", 9, 0)], "it knows where its own log ends");
        }
        // The other way: it has been left, and not come over.
        let standing = Standing::new(&both(), &routes, &[left, saved(&[], &[])]);
        assert_eq!(placed(&standing)[1], ("q.y", 1, 9, 1));
    }

    #[test]
    fn a_partition_that_comes_back_goes_on_at_its_newest_place_and_the_ledger_leads_over() {
        let routes = routes(&[("x", "a"), ("y", "a")]);
        let saved = [saved(&[entry("q.x", 5, 0)], &[entry("q.y", 9, 0)]), saved(&[entry("q.y", 30, 1)], &[])];
        let standing = Standing::new(&both(), &routes, &saved);
        assert_eq!(placed(&standing), [("q.x", 0, 5, 0), ("q.y", 0, 30, 2)]);
        let (to, lead) = &standing.returned[0];
        assert_eq!((*to, lead.partition.as_str(), lead.from, lead.to), (0, "q.y/0", 10, 31));
        assert_eq!(standing.left, [vec![], vec![entry("q.y", 30, 1)]]);
    }

    #[test]
    fn topics_are_learned_where_a_stream_has_no_cursor_of_this_path() {
        let routes = routes(&[("x", "a"), ("y", "b")]);
        let one = saved(&[entry("q.x", 5, 0)], &[]);
        let other = Some(SavedCursor::new(asked("x", 7), vec![entry("q.x", 5, 0)], None));
        let otherwise = Asked { routed: Some(5), ..both() };
        let otherwise = Some(SavedCursor::new(otherwise, vec![entry("q.x", 5, 0)], None));
        let fewer = Some(SavedCursor::new(asked("x,y", 6), vec![entry("q.x", 5, 0)], None));
        for (saved, learning) in [
            ([None, None], false),
            ([one.clone(), None], true),
            ([None, one.clone()], true),
            ([one.clone(), other.clone()], true),
            ([one.clone(), fewer.clone()], true),
            ([one.clone(), otherwise.clone()], true),
            ([one.clone(), one.clone()], false),
        ] {
            assert_eq!(Standing::new(&both(), &routes, &saved).learning, learning, "{saved:?}");
        }
        let all_in_one = self::routes(&[("x", "a"), ("y", "a")]);
        let standing = Standing::new(&both(), &all_in_one, &[one, None]);
        assert!(standing.learning, "nothing goes to the other now, and by older routes something may have");
    }

    #[test]
    fn what_is_in_no_cursor_begins_when_its_stream_was_begun() {
        let begun = BTreeMap::from([("mediawiki.x".to_owned(), Timestamp(5))]);
        let saved = [Some(SavedCursor::new(both(), vec![], None).with(begun, vec![])), None];
        let beginnings = Beginnings::new(&["x".to_owned(), "y".to_owned()], &both(), &saved, Timestamp(70));
        assert_eq!(beginnings.of_topic("q.mediawiki.x"), Timestamp(5));
        assert_eq!(beginnings.of_topic("q.y"), Timestamp(70));
        assert_eq!(beginnings.of_topic("q.z"), Timestamp(70));
        // With other streams to feed, it may have gone into one that is not among them.
        let beginnings = Beginnings::new(&["x".to_owned()], &asked("x", 8), &saved, Timestamp(70));
        assert_eq!(beginnings.of_topic("q.x"), Timestamp(70));
    }
}
