//! Pages: their kinds, and the title of each, as it is read and as it stands in a URL.

use crate::{
    digits::push_u64,
    generator::Generator,
    random::Rng,
    user,
    wikis::{Phrase, Wiki},
    words::{Form, WORDS},
};

/// The kind of a page, which gives its namespace and the look of its title.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageKind {
    Article,
    Item,
    File,
    Category,
    Talk,
    User,
    UserTalk,
    Template,
    Topic,
}

/// A page: its title follows from kind, wiki and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) kind: PageKind,
    pub(crate) hash: u64,
}

impl PageKind {
    pub(crate) fn namespace(self) -> i64 {
        match self {
            Self::Article | Self::Item => 0,
            Self::Talk => 1,
            Self::User => 2,
            Self::UserTalk => 3,
            Self::File => 6,
            Self::Template => 10,
            Self::Category => 14,
            Self::Topic => 2600,
        }
    }
}

impl Page {
    /// Writes the title, with its namespace.
    pub(crate) fn write(self, generator: &Generator, wiki: &Wiki, form: Form, out: &mut Vec<u8>) {
        let mut rng = Rng::new(self.hash ^ 0x74_6974_6c65);
        let mut prefix = |phrase: &Phrase| {
            out.extend_from_slice(if form == Form::Plain { &phrase.plain } else { &phrase.url });
        };
        match self.kind {
            PageKind::Article => words(generator, wiki, 1 + rng.skewed(4), form, &mut rng, out),
            PageKind::Item => {
                out.push(b'Q');
                push_u64(out, 1_000_000 + rng.below(135_000_000));
            }
            PageKind::File => {
                prefix(&wiki.file);
                words(generator, wiki, 1 + rng.below(4), form, &mut rng, out);
                out.push(space(form));
                push_u64(out, 100 + rng.skewed(9_999_900));
                out.extend_from_slice(if rng.per_mille(850) { b".jpg" } else { b".svg" });
            }
            PageKind::Category => {
                prefix(&wiki.category);
                words(generator, wiki, 1 + rng.below(4), form, &mut rng, out);
            }
            PageKind::Talk => {
                prefix(&wiki.talk);
                words(generator, wiki, 1 + rng.skewed(4), form, &mut rng, out);
            }
            PageKind::Template => {
                prefix(&wiki.template);
                words(generator, wiki, 1 + rng.skewed(3), form, &mut rng, out);
            }
            PageKind::User => {
                prefix(&wiki.user);
                user::write(generator, wiki, self.hash, false, out);
            }
            PageKind::UserTalk => {
                prefix(&wiki.user_talk);
                user::write(generator, wiki, self.hash, false, out);
            }
            PageKind::Topic => {
                out.extend_from_slice(b"Topic:W");
                for _ in 0..15 {
                    out.push(b"abcdefghijklmnopqrstuvwxyz0123456789"[rng.below(36) as usize]);
                }
            }
        }
    }
}

fn space(form: Form) -> u8 {
    if form == Form::Plain { b' ' } else { b'_' }
}

/// Writes some of the wiki's words, the first with a capital; at times a year or a word in brackets follows.
pub(crate) fn words(generator: &Generator, wiki: &Wiki, count: u64, form: Form, rng: &mut Rng, out: &mut Vec<u8>) {
    let count = if wiki.script.spaced() { count } else { count + 1 };
    for place in 0..count {
        if place > 0 && wiki.script.spaced() {
            out.push(space(form));
        }
        let bits = rng.next();
        let index = wiki.words_from + frequent(bits);
        let capital = place == 0 || bits >> 62 == 0;
        out.extend_from_slice(generator.words.get(wiki.script, index, capital, form));
    }
    match rng.below(16) {
        0 => {
            out.push(space(form));
            out.push(b'(');
            out.extend_from_slice(generator.words.get(wiki.script, wiki.words_from + rng.below(64), false, form));
            out.push(b')');
        }
        1 | 2 => {
            out.push(space(form));
            push_u64(out, 1850 + rng.below(177));
        }
        _ => {}
    }
}

/// The index of a word, of which the first ones are the most frequent: half of all words are among the first eighth.
#[inline]
fn frequent(bits: u64) -> u64 {
    let [a, b, c] = [bits & 0xffff, (bits >> 16) & 0xffff, (bits >> 32) & 0xffff];
    (((((a * b) >> 16) * c) >> 16) * WORDS) >> 16
}
