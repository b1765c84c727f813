//! What a generated event is about: who changes which page of which wiki, how, and when.
//!
//! Neighbours are alike as on the real stream: some forty *sessions* (a bot at its task, a person at a run of edits) make
//! more than half of all events, each staying with its user, wiki and kind of comment for some thousand events; the rest are
//! people who come once. A categorize event belongs to a *request* that put one page into several categories. All of that is
//! hashed from the seed and N; nothing is remembered.

use crate::{
    digits::{push_compact_date, push_hex},
    generator::Generator,
    page::{Page, PageKind},
    random::{Rng, hash, mix},
    wikis::{Family, Wiki},
};

/// What an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Edit,
    Categorize,
    New,
    Log,
    /// StructuredDiscussions, whose events say `"142"`.
    Flow,
}

/// Shares of the types, of 65,536: the contiguous slices of 2023 (EVENTSTREAMS.md, section 3.4).
const EDITS: u64 = 36_044;
const CATEGORIZES: u64 = 23_593;
const NEWS: u64 = 3_277;
const FLOWS: u64 = 8;

/// How many sessions run at a time, of changes and of pages put in categories, and how many events each lasts (a power
/// of two).
const SESSIONS: [u64; 2] = [36, 8];
const SESSION_EVENTS: u32 = 12;
/// How many of 1,000 events belong to a session.
const SESSION_SHARE: u64 = 840;
/// How many people edit once in the span of a request.
const VISITORS: u64 = 2;

/// How many maintenance categories of a wiki come again and again.
const BUSY_CATEGORIES: u64 = 24;

/// Who does what: the facts of an event that its fields are made from.
pub(crate) struct Change<'g> {
    pub(crate) generator: &'g Generator,
    pub(crate) wiki: &'g Wiki,
    pub(crate) kind: Type,
    /// The same for all events of a session.
    pub(crate) session: u64,
    /// The same for all events of a web request.
    pub(crate) request: u64,
    /// Of this event alone.
    pub(crate) own: u64,
    pub(crate) bot: bool,
    pub(crate) page: Page,
    /// The page that a categorize event is about; the edited page itself otherwise.
    pub(crate) subject: Page,
    pub(crate) seconds: i64,
}

impl Generator {
    /// What event `n` is about.
    pub(crate) fn change(&self, n: u64) -> Change<'_> {
        let own = hash(self.seed, n);
        let mut rng = Rng::new(own);
        let kind = match rng.next() & 0xffff {
            part if part < EDITS => Type::Edit,
            part if part < EDITS + CATEGORIZES => Type::Categorize,
            part if part < EDITS + CATEGORIZES + NEWS => Type::New,
            part if part < EDITS + CATEGORIZES + NEWS + FLOWS => Type::Flow,
            _ => Type::Log,
        };
        let categorize = kind == Type::Categorize;
        let span = n & !(self.request_span - 1);
        let stays = rng.per_mille(SESSION_SHARE);
        let (session, request) = if stays {
            // Sessions begin at different times; each kind of event has its own.
            let place = rng.skewed(SESSIONS[usize::from(categorize)]);
            let epoch = (n + place * 977) >> SESSION_EVENTS;
            let session = hash(self.seed ^ u64::from(categorize), place << 40 | epoch);
            (session, hash(session, span))
        } else {
            let visitor = hash(self.seed ^ 0x76, span << 8 | rng.below(VISITORS));
            (visitor, mix(visitor))
        };
        // One request may make an edit and put its page into categories; most make an edit alone.
        let (session, request, first) = match (categorize, stays) {
            (true, _) => (session, request, span),
            (false, true) if rng.per_mille(650) => (session, request, span),
            (false, true) => (session, mix(own ^ 5), n),
            (false, false) => (mix(own ^ 6), mix(own ^ 5), n),
        };
        let mut traits = Rng::new(mix(session ^ 0x7472_6169_7473));
        let wiki = match (categorize, traits.next()) {
            (true, bits) => self.wikis.of_category(bits),
            (false, bits) => self.wikis.of_change(bits),
        };
        let bot = stays && traits.per_mille(560);
        let (page, subject) = pages(kind, wiki, session, request, own, &mut rng);
        let seconds = self.timeline.event_seconds(first, request);
        Change { generator: self, wiki, kind, session, request, own, bot, page, subject, seconds }
    }
}

/// The page that the event names in its title, and the page that its change was made on.
fn pages(kind: Type, wiki: &Wiki, session: u64, request: u64, own: u64, rng: &mut Rng) -> (Page, Page) {
    match kind {
        Type::Categorize => {
            let mut of_request = Rng::new(request);
            let content = if wiki.family == Family::Commons { PageKind::File } else { PageKind::Article };
            let subject = Page { kind: content, hash: of_request.next() };
            let busy = rng.per_mille(560);
            let category =
                if busy { hash(wiki.ids_from, rng.skewed(BUSY_CATEGORIES)) } else { hash(session, rng.skewed(64)) };
            (Page { kind: PageKind::Category, hash: category }, subject)
        }
        Type::Flow => both(Page { kind: PageKind::Topic, hash: mix(session) }),
        Type::Edit => {
            // A third comes back to a page of the session.
            let hash = if rng.per_mille(600) { hash(session, rng.skewed(12)) } else { mix(own ^ 9) };
            both(Page { kind: edited(wiki, &mut Rng::new(hash)), hash })
        }
        Type::New | Type::Log => {
            let hash = mix(own ^ 9);
            both(Page { kind: edited(wiki, &mut Rng::new(hash)), hash })
        }
    }
}

fn both(page: Page) -> (Page, Page) {
    (page, page)
}

/// The kind of page that is edited in this wiki.
fn edited(wiki: &Wiki, rng: &mut Rng) -> PageKind {
    match (wiki.family, rng.below(100)) {
        (Family::Wikidata, 0..=97) => PageKind::Item,
        (Family::Commons, 0..=88) => PageKind::File,
        (Family::Commons, 89..=95) => PageKind::Category,
        (Family::Text, 0..=79) => PageKind::Article,
        (Family::Text, 80..=84) => PageKind::Talk,
        (Family::Text, 85..=88) => PageKind::Template,
        (Family::Text, 89..=90) => PageKind::Category,
        (_, part) if part % 3 == 0 => PageKind::User,
        _ => PageKind::UserTalk,
    }
}

/// What the writers of several fields need.
impl Change<'_> {
    pub(crate) fn push_compact_date(&self, out: &mut Vec<u8>) {
        push_compact_date(out, self.seconds * 1000);
    }

    pub(crate) fn push_hex(&self, salt: u64, count: u32, out: &mut Vec<u8>) {
        push_hex(out, mix(self.session ^ salt), count);
    }

    /// A page named by a link.
    pub(crate) fn linked(&self, kind: PageKind, bits: u64) -> Page {
        Page { kind, hash: mix(bits) }
    }
}
