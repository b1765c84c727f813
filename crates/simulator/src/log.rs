//! Log entries: their kinds, and the many shapes of `log_params`.
//!
//! Kinds and shapes are those recorded in 2021 and 2026 (EVENTSTREAMS.md, section 2.2): an object, the empty array that
//! PHP makes of an empty map, or a list; and no `id` where the entry has no row among the recent changes.

use crate::{
    change::Change,
    digits::push_u64,
    page::words,
    random::{Rng, mix},
    user,
    words::Form,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    AbuseFilter,
    Delete,
    NewUsers,
    Upload,
    Patrol,
    Review,
    Block,
    Move,
    Thanks,
}

/// The part of a change that only log entries have.
pub(crate) struct Log {
    kind: Kind,
    bits: u64,
}

impl Log {
    pub(crate) fn of(change: &Change<'_>) -> Self {
        let bits = mix(change.own ^ 0x6c_6f67);
        let kind = match bits % 100 {
            0..=31 => Kind::AbuseFilter,
            32..=43 => Kind::Delete,
            44..=60 => Kind::NewUsers,
            61..=73 => Kind::Upload,
            74..=83 => Kind::Patrol,
            84..=87 => Kind::Review,
            88..=92 => Kind::Block,
            93..=96 => Kind::Move,
            _ => Kind::Thanks,
        };
        Self { kind, bits }
    }

    /// Whether the entry has a row among the recent changes, and so an `id`.
    pub(crate) fn has_row(&self) -> bool {
        !matches!(self.kind, Kind::AbuseFilter | Kind::Patrol | Kind::Review | Kind::Thanks)
    }

    /// Whether someone gave a reason.
    pub(crate) fn has_comment(&self) -> bool {
        matches!(self.kind, Kind::Delete | Kind::Upload | Kind::Block | Kind::Move)
    }

    /// From `log_id` to `log_action_comment`.
    pub(crate) fn write(&self, change: &Change<'_>, out: &mut Vec<u8>) {
        let mut rng = Rng::new(self.bits);
        out.extend_from_slice(br#","log_id":"#);
        push_u64(
            out,
            if self.kind == Kind::AbuseFilter { 0 } else { change.wiki.revisions_from / 8 + self.bits % 90_000 },
        );
        let (log_type, action) = match self.kind {
            Kind::AbuseFilter => ("abusefilter", "hit"),
            Kind::Delete => ("delete", "delete"),
            Kind::NewUsers => ("newusers", "create"),
            Kind::Upload => ("upload", "upload"),
            Kind::Patrol => ("patrol", "patrol"),
            Kind::Review => ("review", "approve"),
            Kind::Block => ("block", if rng.per_mille(100) { "reblock" } else { "block" }),
            Kind::Move => ("move", if rng.per_mille(100) { "move_redir" } else { "move" }),
            Kind::Thanks => ("thanks", "thank"),
        };
        for (key, value) in [(br#","log_type":""#.as_slice(), log_type), (br#"","log_action":""#, action)] {
            out.extend_from_slice(key);
            out.extend_from_slice(value.as_bytes());
        }
        out.extend_from_slice(br#"","log_params":"#);
        self.write_params(change, &mut rng, out);
        out.extend_from_slice(br#","log_action_comment":""#);
        self.write_action_comment(change, out);
        out.push(b'"');
    }

    fn write_params(&self, change: &Change<'_>, rng: &mut Rng, out: &mut Vec<u8>) {
        match self.kind {
            Kind::Delete | Kind::Thanks => out.extend_from_slice(b"[]"),
            Kind::AbuseFilter => {
                out.extend_from_slice(br#"{"action":"edit","filter":""#);
                push_u64(out, 1 + rng.below(900));
                let actions =
                    [r#"","actions":"disallow","log":"#, r#"","actions":"tag","log":"#, r#"","actions":"","log":"#];
                out.extend_from_slice(actions[rng.below(3) as usize].as_bytes());
                push_u64(out, 1_000_000 + rng.below(20_000_000));
                out.push(b'}');
            }
            Kind::NewUsers => {
                out.extend_from_slice(br#"{"userid":"#);
                push_u64(out, 100_000 + rng.below(48_000_000));
                out.push(b'}');
            }
            Kind::Upload => {
                out.extend_from_slice(br#"{"img_sha1":""#);
                for _ in 0..31 {
                    out.push(b"0123456789abcdefghijklmnopqrstuvwxyz"[rng.below(36) as usize]);
                }
                out.extend_from_slice(br#"","img_timestamp":""#);
                change.push_compact_date(out);
                out.extend_from_slice(b"\"}");
            }
            Kind::Patrol => {
                out.extend_from_slice(br#"{"curid":""#);
                push_u64(out, change.wiki.revisions_from + rng.below(1000));
                out.extend_from_slice(br#"","previd":""#);
                push_u64(out, change.wiki.revisions_from / 2 + rng.below(1_000_000));
                out.extend_from_slice(br#"","auto":0}"#);
            }
            Kind::Review => {
                out.push(b'[');
                push_u64(out, change.wiki.revisions_from + rng.below(1000));
                out.push(b',');
                push_u64(out, change.wiki.revisions_from / 2 + rng.below(1_000_000));
                out.extend_from_slice(b",\"");
                change.push_compact_date(out);
                out.extend_from_slice(b"\"]");
            }
            Kind::Block => {
                let durations = ["1 day", "1 week", "31 hours", "infinity"];
                out.extend_from_slice(br#"{"duration":""#);
                out.extend_from_slice(durations[rng.below(4) as usize].as_bytes());
                out.extend_from_slice(br#"","flags":"anononly,nocreate","sitewide":true,"blockId":"#);
                push_u64(out, 100_000 + rng.below(30_000_000));
                out.push(b'}');
            }
            Kind::Move => {
                out.extend_from_slice(br#"{"target":""#);
                change.linked(change.page.kind, self.bits).write(change.generator, change.wiki, Form::Plain, out);
                out.extend_from_slice(if rng.per_mille(500) { br#"","noredir":"1"}"# } else { br#"","noredir":"0"}"# });
            }
        }
    }

    fn write_action_comment(&self, change: &Change<'_>, out: &mut Vec<u8>) {
        let title = |out: &mut Vec<u8>| {
            out.extend_from_slice(b"[[");
            change.page.write(change.generator, change.wiki, Form::Plain, out);
            out.extend_from_slice(b"]]");
        };
        match self.kind {
            Kind::AbuseFilter => {
                user::write(change.generator, change.wiki, change.session, change.bot, out);
                out.extend_from_slice(b" triggered [[Special:AbuseFilter/");
                push_u64(out, 1 + self.bits % 900);
                out.extend_from_slice(br#"|filter]], performing the action \"edit\" on "#);
                title(out);
                out.extend_from_slice(b". Actions taken: none ([[Special:AbuseLog/");
                push_u64(out, 1_000_000 + self.bits % 20_000_000);
                out.extend_from_slice(b"|details]])");
                return;
            }
            Kind::NewUsers => {
                out.extend_from_slice(b"New user account");
                return;
            }
            Kind::Delete => out.extend_from_slice(b"deleted &quot;"),
            Kind::Upload => out.extend_from_slice(b"uploaded &quot;"),
            Kind::Patrol => out.extend_from_slice(b"marked revision of "),
            Kind::Review => out.extend_from_slice(b"approved a version of "),
            Kind::Block => out.extend_from_slice(b"blocked "),
            Kind::Move => out.extend_from_slice(b"moved "),
            Kind::Thanks => out.extend_from_slice(b"thanked "),
        }
        title(out);
        match self.kind {
            Kind::Delete | Kind::Upload => out.extend_from_slice(b"&quot;: "),
            Kind::Patrol => out.extend_from_slice(b" patrolled "),
            Kind::Move | Kind::Block => out.extend_from_slice(b": "),
            _ => {}
        }
        if self.has_comment() {
            self.write_comment(change, out);
        }
    }

    /// The reason given.
    pub(crate) fn write_comment(&self, change: &Change<'_>, out: &mut Vec<u8>) {
        if self.has_comment() {
            let mut rng = Rng::new(mix(change.session ^ 0x77_6879));
            words(change.generator, change.wiki, 2 + rng.below(8), Form::Plain, &mut rng, out);
        }
    }
}
