//! The second generated stream: `mediawiki.page-create`, by the schema mediawiki/revision/create 2.0.0 (EVENTSTREAMS.md,
//! section 2.1), with the fields that people use. Titles have spaces, where the real ones have underscores.

use crate::{
    digits::{push_i64, push_rfc3339, push_u64, push_uuid},
    generator::Generator,
    numbering::{IDLE, LIVE, Numbering, Slot},
    random::{hash, mix},
    user,
    wikis::Wiki,
    words::Form,
};

/// The stream.
pub(crate) const STREAM: &str = "mediawiki.page-create";
/// Its topics: the live one, and the idle one, which has canaries only.
pub(crate) const TOPICS: [&str; 2] = ["eqiad.mediawiki.page-create", "codfw.mediawiki.page-create"];

/// Canaries come once in so many events.
const CANARY_PERIOD: u64 = 64;

/// Makes the events.
#[derive(Debug)]
pub(crate) struct PageCreates {
    pub(crate) numbering: Numbering,
    seed: u64,
}

impl PageCreates {
    pub(crate) fn new(seed: u64) -> Self {
        let seed = mix(seed ^ 0x7061_6765);
        let offsets = [410_000_000 + hash(seed, 1) % 5_000_000, 120_000_000 + hash(seed, 2) % 500_000];
        Self { numbering: Numbering::new(CANARY_PERIOD, offsets), seed }
    }

    /// Writes event `n` of this stream, of this Kafka time, as it stands at `offset`.
    pub(crate) fn write(&self, words: &Generator, n: u64, kafka_millis: i64, offset: u64, out: &mut Vec<u8>) {
        let own = hash(self.seed, n);
        let canary = self.numbering.slot(n) != Slot::Event;
        let topic = TOPICS[if self.numbering.slot(n) == Slot::IdleCanary { IDLE } else { LIVE }];
        // Only what the page is and who made it; when it happened is the Kafka time.
        let change = words.change(own >> 24);
        out.extend_from_slice(br#"{"$schema":"/mediawiki/revision/create/2.0.0","meta":{"request_id":""#);
        push_uuid(out, mix(own ^ 1), mix(own ^ 2));
        out.extend_from_slice(br#"","id":""#);
        push_uuid(out, mix(own ^ 3), mix(own ^ 4));
        out.extend_from_slice(br#"","domain":""#);
        out.extend_from_slice(if canary { b"canary".as_slice() } else { &change.wiki.domain });
        for (key, text) in [(br#"","stream":""#.as_slice(), STREAM), (br#"","topic":""#, topic)] {
            out.extend_from_slice(key);
            out.extend_from_slice(text.as_bytes());
        }
        out.extend_from_slice(br#"","dt":""#);
        push_rfc3339(out, kafka_millis);
        out.extend_from_slice(br#"","partition":0,"offset":"#);
        push_u64(out, offset);
        out.extend_from_slice(br#"},"database":""#);
        // As the real canaries, which are the schema's example.
        out.extend_from_slice(if canary { b"examplewiki".as_slice() } else { database(change.wiki) });
        out.extend_from_slice(br#"","page_id":"#);
        push_u64(out, 1_000 + own % 90_000_000);
        out.extend_from_slice(br#","page_title":""#);
        change.page.write(words, change.wiki, Form::Plain, out);
        out.extend_from_slice(br#"","page_namespace":"#);
        push_i64(out, change.page.kind.namespace());
        out.extend_from_slice(br#","page_is_redirect":"#);
        out.extend_from_slice(if own.is_multiple_of(9) { b"true" } else { b"false" });
        out.extend_from_slice(br#","rev_id":"#);
        push_u64(out, 1_200_000_000 + n);
        out.extend_from_slice(br#","rev_timestamp":""#);
        push_rfc3339(out, kafka_millis.saturating_sub(900).div_euclid(1_000) * 1_000);
        out.push(b'"');
        // Some performers are withheld (section 1.10).
        if !mix(own ^ 7).is_multiple_of(500) {
            out.extend_from_slice(br#","performer":{"user_text":""#);
            user::write(words, change.wiki, change.session, change.bot, out);
            out.extend_from_slice(br#"","user_is_bot":"#);
            out.extend_from_slice(if change.bot { b"true" } else { b"false" });
            out.push(b'}');
        }
        out.push(b'}');
    }
}

/// The name of the wiki's database, as its recentchange events have it.
fn database(wiki: &Wiki) -> &[u8] {
    const KEY: &[u8] = br#""wiki":""#;
    let from = memchr::memmem::find(&wiki.tail, KEY).map_or(0, |at| at + KEY.len());
    let length = memchr::memchr(b'"', &wiki.tail[from..]).unwrap_or(0);
    &wiki.tail[from..from + length]
}
