//! One generated event as JSON: which fields it has, in which order, and what stands in them.
//!
//! Key order, presence and absence are those of recentchange 1.0.0 in its newest wire shape (EVENTSTREAMS.md, section
//! 2.2). What an event is about, of which the fields are made, is in `change.rs`.

use std::ops::Range;

use crate::{
    change::{Change, Type},
    comment::Markup,
    digits::{push_i64, push_rfc3339, push_u64, push_uuid},
    generator::{Generator, STREAM, TOPICS},
    log::Log,
    numbering::{IDLE, LIVE, Slot},
    random::{Rng, hash, mix},
    user,
    wikis::Family,
    words::Form,
};

impl Generator {
    /// Appends event `n` to `out`: the JSON of its `data:` field, exactly as the simulator serves it when no fault
    /// changes it. No newline is added.
    #[inline]
    pub fn write_event(&self, n: u64, out: &mut Vec<u8>) {
        self.write(n, self.offset(n), out);
    }

    /// Appends event `n` as it stands at `offset`.
    pub(crate) fn write(&self, n: u64, offset: u64, out: &mut Vec<u8>) {
        match self.slot(n) {
            Slot::Event => self.write_change(n, offset, out),
            Slot::LiveCanary => self.write_canary(n, LIVE, offset, out),
            Slot::IdleCanary => self.write_canary(n, IDLE, offset, out),
        }
    }

    /// A canary has the schema's example and nothing else: `$schema` and `meta` (EVENTSTREAMS.md, section 1.11).
    pub(crate) fn write_canary(&self, n: u64, topic: usize, offset: u64, out: &mut Vec<u8>) {
        let own = hash(self.seed, n);
        out.extend_from_slice(br#"{"$schema":"/mediawiki/recentchange/1.0.0","meta":{"request_id":""#);
        push_uuid(out, mix(own ^ 1), mix(own ^ 2));
        out.extend_from_slice(br#"","id":""#);
        push_uuid(out, mix(own ^ 3), mix(own ^ 4));
        out.extend_from_slice(br#"","domain":"canary""#);
        push_stream_to_offset(out, self.timeline.kafka_millis(n), topic, offset);
        out.extend_from_slice(b"}}");
    }

    /// Writes `$schema` and `meta`, and gives where the page's title stands as in a URL.
    fn write_meta(&self, change: &Change<'_>, n: u64, offset: u64, out: &mut Vec<u8>) -> Range<usize> {
        let Change { wiki, request, own, .. } = *change;
        out.extend_from_slice(br#"{"$schema":"/mediawiki/recentchange/1.0.0","meta":{"uri":"https://"#);
        out.extend_from_slice(&wiki.domain);
        out.extend_from_slice(b"/wiki/");
        let url_from = out.len();
        change.page.write(self, wiki, Form::Url, out);
        let url = url_from..out.len();
        out.extend_from_slice(br#"","request_id":""#);
        push_uuid(out, mix(request ^ 1), mix(request ^ 2));
        out.extend_from_slice(br#"","id":""#);
        push_uuid(out, mix(own ^ 3), mix(own ^ 4));
        out.extend_from_slice(br#"","domain":""#);
        out.extend_from_slice(&wiki.domain);
        out.push(b'"');
        push_stream_to_offset(out, self.timeline.kafka_millis(n), LIVE, offset);
        out.push(b'}');
        url
    }

    fn write_change(&self, n: u64, offset: u64, out: &mut Vec<u8>) {
        let change = self.change(n);
        let Change { wiki, kind, own, .. } = change;
        let mut rng = Rng::new(mix(own ^ 0x66_6965_6c64));
        let url = self.write_meta(&change, n, offset, out);
        let log = (kind == Type::Log).then(|| Log::of(&change));
        let rcid = wiki.ids_from + n;
        if log.as_ref().is_none_or(|log| log.has_row()) {
            out.extend_from_slice(br#","id":"#);
            push_u64(out, rcid);
        }
        out.extend_from_slice(match kind {
            Type::Edit => br#","type":"edit","namespace":"#.as_slice(),
            Type::Categorize => br#","type":"categorize","namespace":"#,
            Type::New => br#","type":"new","namespace":"#,
            Type::Log => br#","type":"log","namespace":"#,
            Type::Flow => br#","type":"142","namespace":"#,
        });
        push_i64(out, change.page.kind.namespace());
        out.extend_from_slice(br#","title":""#);
        change.page.write(self, wiki, Form::Plain, out);
        out.extend_from_slice(br#"","title_url":"https://"#);
        out.extend_from_slice(&wiki.domain);
        out.extend_from_slice(b"/wiki/");
        out.extend_from_within(url);
        out.extend_from_slice(br#"","comment":""#);
        change.comment(log.as_ref(), Markup::Wikitext, out);
        out.extend_from_slice(br#"","timestamp":"#);
        push_i64(out, change.seconds);
        if !change.redacted() {
            out.extend_from_slice(br#","user":""#);
            user::write(self, wiki, change.session, change.bot, out);
            out.push(b'"');
        }
        out.extend_from_slice(if change.bot { br#","bot":true"# } else { br#","bot":false"# });
        if let Some(log) = &log {
            log.write(&change, out);
        }
        change.write_revisions(rcid, n, &mut rng, out);
        out.extend_from_slice(&wiki.tail);
        out.push(b'"');
        change.comment(log.as_ref(), Markup::Html, out);
        out.extend_from_slice(b"\"}");
    }
}

fn push_stream_to_offset(out: &mut Vec<u8>, kafka_millis: i64, topic: usize, offset: u64) {
    out.extend_from_slice(br#","stream":""#);
    out.extend_from_slice(STREAM.as_bytes());
    out.extend_from_slice(br#"","dt":""#);
    push_rfc3339(out, kafka_millis);
    out.extend_from_slice(br#"","topic":""#);
    out.extend_from_slice(TOPICS[topic].as_bytes());
    out.extend_from_slice(br#"","partition":0,"offset":"#);
    push_u64(out, offset);
}

impl Change<'_> {
    /// Whether the user is withheld, as for the pages of EVENTSTREAMS.md, section 1.10.
    fn redacted(&self) -> bool {
        self.kind == Type::Edit && self.wiki.family == Family::Text && mix(self.own ^ 7).is_multiple_of(1500)
    }

    /// From `notify_url` to `revision`; log and "142" events have none of it.
    fn write_revisions(&self, rcid: u64, n: u64, rng: &mut Rng, out: &mut Vec<u8>) {
        if matches!(self.kind, Type::Log | Type::Flow) {
            return;
        }
        let page_bits = mix(self.subject.hash);
        let new = match self.kind {
            Type::Categorize => self.wiki.revisions_from + (n & !(self.generator.request_span - 1)) + self.request % 32,
            _ => self.wiki.revisions_from + n,
        };
        let old = match self.kind {
            Type::Categorize if page_bits.is_multiple_of(3) => 0,
            _ => self.wiki.revisions_from - 1 - page_bits % (self.wiki.revisions_from / 4),
        };
        out.extend_from_slice(br#","notify_url":"https://"#);
        out.extend_from_slice(&self.wiki.domain);
        out.extend_from_slice(b"/w/index.php?");
        if self.kind == Type::New {
            out.extend_from_slice(b"oldid=");
            push_u64(out, new);
        } else {
            out.extend_from_slice(b"diff=");
            push_u64(out, new);
            out.extend_from_slice(b"&oldid=");
            push_u64(out, old);
        }
        let patrols = self.kind == Type::New || (self.kind == Type::Edit && self.wiki.patrols);
        if patrols {
            out.extend_from_slice(b"&rcid=");
            push_u64(out, rcid);
        }
        out.push(b'"');
        if self.kind == Type::Categorize {
            return;
        }
        let minor = self.kind == Type::Edit && Rng::new(mix(self.session ^ 8)).per_mille(210);
        out.extend_from_slice(if minor { br#","minor":true"# } else { br#","minor":false"# });
        if patrols {
            let patrolled = self.bot || rng.per_mille(850);
            out.extend_from_slice(if patrolled { br#","patrolled":true"# } else { br#","patrolled":false"# });
        }
        // Page lengths are spread over orders of magnitude, 128 bytes to 128 KiB; changes are mostly small.
        let length = (128 << rng.below(10)) + rng.below(128);
        let delta_end = if rng.per_mille(800) { 400 } else { 6000 };
        let delta = rng.skewed(delta_end);
        out.extend_from_slice(br#","length":{"#);
        if self.kind == Type::Edit {
            out.extend_from_slice(br#""old":"#);
            push_u64(out, length);
            out.push(b',');
        }
        out.extend_from_slice(br#""new":"#);
        push_u64(out, if rng.per_mille(780) { length + delta } else { length.saturating_sub(delta) });
        out.extend_from_slice(br#"},"revision":{"#);
        if self.kind == Type::Edit {
            out.extend_from_slice(br#""old":"#);
            push_u64(out, old);
            out.push(b',');
        }
        out.extend_from_slice(br#""new":"#);
        push_u64(out, new);
        out.push(b'}');
    }
}
