//! Comments, and what MediaWiki makes of them: `comment` is wikitext, `parsedcomment` the same as HTML.
//!
//! Each kind of comment is written by one function for both, so the two always belong together. The kinds are the
//! frequent ones of the recordings: nothing, a section, a tool's summary, links, Wikidata's `/* wb… */` summaries,
//! reverts, pages put in categories. Text is written as it stands inside a JSON string, so a quote is `\"` here.

use crate::{
    change::{Change, Type},
    digits::push_u64,
    log::Log,
    page::{Page, PageKind, words},
    random::{Rng, hash, mix},
    user,
    wikis::Family,
    words::Form,
};

/// Which of the two is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Markup {
    Wikitext,
    Html,
}

/// Summaries of Wikidata's actions: as the database has them, and as a reader sees them in four languages.
const WIKIDATA: [(&str, [&str; 4]); 8] = [
    ("wbsetclaim-create:2||1", ["Created claim", "Aussage erstellt", "Création d’une affirmation", "主張を作成"]),
    ("wbsetclaim-update:2||1", ["Changed claim", "Aussage geändert", "Modification d’une affirmation", "主張を変更"]),
    ("wbcreateclaim-create:1|", ["Created claim", "Aussage erstellt", "Création d’une affirmation", "主張を作成"]),
    ("wbsetqualifier-add:1|", ["Added qualifier", "Qualifikator hinzugefügt", "Qualificatif ajouté", "修飾子を追加"]),
    (
        "wbsetreference-add:2|",
        ["Added reference to claim", "Fundstelle hinzugefügt", "Référence ajoutée", "情報源を追加"],
    ),
    (
        "wbsetlabel-add:1|en",
        ["Added [en] label", "Bezeichnung für [en] hinzugefügt", "Libellé [en] ajouté", "ラベル[en]を追加"],
    ),
    (
        "wbsetdescription-add:1|en",
        ["Added [en] description", "Beschreibung für [en] hinzugefügt", "Description [en] ajoutée", "説明[en]を追加"],
    ),
    ("wbeditentity-update:0|", ["Changed an item", "Ein Datenobjekt geändert", "Un élément modifié", "項目を変更"]),
];

/// Tasks that bots and tools name, with the link that stands in them.
const TASKS: [(&str, &str, &str); 6] = [
    ("/* top */clean up, general fixes using ", "Project:AWB", "AWB"),
    ("Fixed ", "Wikipedia:Linter", "Lint errors"),
    ("Adding local short description, overriding Wikidata, via ", "Wikipedia:Shortdesc helper", "Shortdesc helper"),
    ("correction with ", "Pywikibot", "Pywikibot"),
    ("Copying from category using ", "Help:Cat-a-lot", "Cat-a-lot"),
    ("automatically modify ", "Commons:Structured data", "structured data"),
];

impl Change<'_> {
    /// Writes the comment, without its quotes.
    pub(crate) fn comment(&self, log: Option<&Log>, markup: Markup, out: &mut Vec<u8>) {
        let mut task = Rng::new(mix(self.session ^ 0x7461_736b));
        let mut own = Rng::new(mix(self.own ^ 0x63_6f6d));
        match (self.kind, self.wiki.family) {
            (Type::Categorize, _) => self.category_comment(&mut own, markup, out),
            (Type::Log, _) => {
                if let Some(log) = log {
                    log.write_comment(self, out);
                }
            }
            (Type::Flow, _) => {
                user::write(self.generator, self.wiki, self.session, self.bot, out);
                out.extend_from_slice(match markup {
                    Markup::Wikitext => br#" commented on \""#.as_slice(),
                    Markup::Html => b" commented on &quot;",
                });
                self.words(3 + own.below(5), &mut own, out);
                out.extend_from_slice(match markup {
                    Markup::Wikitext => br#"\""#.as_slice(),
                    Markup::Html => b"&quot;",
                });
            }
            (_, Family::Wikidata) => self.wikidata_comment(&mut task, &mut own, markup, out),
            (Type::New, _) => {
                out.extend_from_slice("←Created page with ".as_bytes());
                out.extend_from_slice(if markup == Markup::Html { b"&#039;" } else { b"'" });
                self.words(3 + own.below(14), &mut own, out);
                self.link(self.linked(PageKind::Category, self.own), markup, out);
                out.extend_from_slice(if markup == Markup::Html { b"&#039;" } else { b"'" });
            }
            (_, family) => self.edit_comment(family, &mut task, &mut own, markup, out),
        }
    }

    fn category_comment(&self, own: &mut Rng, markup: Markup, out: &mut Vec<u8>) {
        self.colon_link(self.subject, markup, out);
        out.push(b' ');
        let added = own.per_mille(720);
        out.extend_from_slice(if added { self.wiki.added } else { self.wiki.removed }.as_bytes());
        if mix(self.request).is_multiple_of(12) {
            out.extend_from_slice(b", ");
            match markup {
                Markup::Wikitext => {
                    out.extend_from_slice(b"[[Special:WhatLinksHere/");
                    self.title(self.subject, Form::Plain, out);
                    out.extend_from_slice(b"|this page is included within other pages]]");
                }
                Markup::Html => {
                    out.extend_from_slice(br#"<a href=\"/wiki/Special:WhatLinksHere/"#);
                    self.title(self.subject, Form::Url, out);
                    out.extend_from_slice(br#"\" title=\"Special:WhatLinksHere/"#);
                    self.title(self.subject, Form::Plain, out);
                    out.extend_from_slice(br#"\">this page is included within other pages</a>"#);
                }
            }
        }
    }

    fn wikidata_comment(&self, task: &mut Rng, own: &mut Rng, markup: Markup, out: &mut Vec<u8>) {
        let (action, read) = WIKIDATA[task.skewed(WIKIDATA.len() as u64) as usize];
        match markup {
            Markup::Wikitext => {
                out.extend_from_slice(b"/* ");
                out.extend_from_slice(action.as_bytes());
                out.extend_from_slice(b" */ ");
            }
            Markup::Html => {
                out.extend_from_slice("\u{200e}<span dir=\\\"auto\\\"><span class=\\\"autocomment\\\">".as_bytes());
                out.extend_from_slice(read[task.clone().skewed(4) as usize].as_bytes());
                out.extend_from_slice(b": </span></span> ");
            }
        }
        let property = 1 + if task.per_mille(700) { task.below(9000) } else { own.below(9000) };
        match action.as_bytes().get(5) {
            // A label or description is words; a changed item names nothing.
            Some(b'l' | b'd') => self.words(1 + own.below(4), own, out),
            Some(b'i') => {}
            _ => {
                self.entity_link(b"Property:P", property, markup, out);
                out.extend_from_slice(b": ");
                let item = if task.per_mille(650) { task.below(1000) * 77 } else { own.below(135_000_000) };
                self.entity_link(b"Q", 5 + item, markup, out);
            }
        }
        if task.per_mille(620) {
            self.batch(task, markup, out);
        }
    }

    /// The tool that a batch of edits was made with.
    fn batch(&self, task: &mut Rng, markup: Markup, out: &mut Vec<u8>) {
        let quick = task.per_mille(400);
        let number = 20_000 + task.below(90_000);
        let path = |out: &mut Vec<u8>| {
            if quick {
                out.extend_from_slice(b"qs-dev/batch/");
                push_u64(out, number);
            } else {
                out.extend_from_slice(b"editgroups/b/CB/");
                self.push_hex(0x6261, 12, out);
            }
        };
        out.extend_from_slice(if quick { b", " } else { b" (" });
        match markup {
            Markup::Wikitext => {
                out.extend_from_slice(b"[[:toollabs:");
                path(out);
                out.push(b'|');
            }
            Markup::Html => {
                out.extend_from_slice(br#"<a href=\"https://iw.toolforge.org/"#);
                path(out);
                out.extend_from_slice(br#"\" class=\"extiw\" title=\"toollabs:"#);
                path(out);
                out.extend_from_slice(br#"\">"#);
            }
        }
        if quick {
            out.extend_from_slice(b"batch #");
            push_u64(out, number);
        } else {
            out.extend_from_slice(b"details");
        }
        out.extend_from_slice(if markup == Markup::Html { b"</a>" } else { b"]]" });
        if !quick {
            out.push(b')');
        }
    }

    fn edit_comment(&self, family: Family, task: &mut Rng, own: &mut Rng, markup: Markup, out: &mut Vec<u8>) {
        if own.per_mille(30) {
            return self.long_comment(own, out);
        }
        let habit = task.below(100);
        match if self.bot && habit < 80 { habit / 2 } else { habit } {
            // Two links, as when files move from one category to another.
            0..=5 => {
                out.extend_from_slice(b"Moving from ");
                self.colon_link(self.linked(PageKind::Category, task.next()), markup, out);
                out.extend_from_slice(b" to ");
                self.colon_link(self.linked(PageKind::Category, self.session ^ own.below(40)), markup, out);
            }
            6..=29 => {
                let (text, target, shown) = TASKS[task.below(TASKS.len() as u64) as usize];
                out.extend_from_slice(text.as_bytes());
                named_link(target, shown, markup, out);
                if task.per_mille(500) {
                    out.extend_from_slice(b": ");
                    self.words(2 + task.below(4), task, out);
                }
            }
            30..=39 if family == Family::Commons => {
                match markup {
                    Markup::Wikitext => out.extend_from_slice(b"/* wbeditentity-update:0| */ "),
                    Markup::Html => out.extend_from_slice(
                        "\u{200e}<span dir=\\\"auto\\\"><span class=\\\"autocomment\\\">Changed an entity: </span></span> ".as_bytes(),
                    ),
                }
                out.extend_from_slice(b"automatically adding ");
                named_link("Commons:Structured data", "structured data", markup, out);
                out.extend_from_slice(b" based on file information: date camera meta copyright license");
            }
            30..=39 => {
                out.extend_from_slice(b"Rescuing ");
                push_u64(out, 1 + own.below(9));
                out.extend_from_slice(b" sources and tagging ");
                push_u64(out, own.below(3));
                out.extend_from_slice(b" as dead.) #IABot (v2.0.9.5");
            }
            40..=60 => {
                self.section(own, markup, out);
            }
            61..=63 => {
                self.words(1 + own.below(6), own, out);
            }
            64..=66 => {
                self.words(1 + own.below(3), own, out);
                out.push(b' ');
                self.link(self.linked(PageKind::Article, self.own), markup, out);
            }
            67..=68 => {
                out.extend_from_slice(b"Reverted edits by ");
                let who = self.linked(PageKind::UserTalk, self.own);
                self.link(who, markup, out);
                out.extend_from_slice(b" to last version by ");
                self.link(self.linked(PageKind::User, self.own), markup, out);
            }
            _ => {}
        }
    }

    /// Some comments run long, and hold raw line breaks, tabs, marks of direction and characters beyond the basic plane.
    fn long_comment(&self, own: &mut Rng, out: &mut Vec<u8>) {
        out.extend_from_slice("\u{200f}📷 𝒜\\n\\t".as_bytes());
        let (count, usual) = (9 + own.below(16), hash(self.wiki.ids_from, own.below(4)));
        for part in 0..count {
            out.extend_from_slice(if part == 0 { b"replaced: ".as_slice() } else { b", " });
            self.words(2 + own.below(3), &mut Rng::new(mix(usual + own.below(10))), out);
            out.extend_from_slice(" → ".as_bytes());
            self.words(2, &mut Rng::new(mix(usual + own.below(10))), out);
        }
    }

    /// A section's name, at times with words after it.
    fn section(&self, own: &mut Rng, markup: Markup, out: &mut Vec<u8>) {
        let more = own.per_mille(450);
        // Most sections have a usual name of the wiki.
        let usual = own.per_mille(700);
        let name = if usual { Rng::new(hash(self.wiki.ids_from ^ 10, own.skewed(40))) } else { own.clone() };
        let section = |form: Form, out: &mut Vec<u8>| {
            words(self.generator, self.wiki, 1 + name.clone().below(3), form, &mut name.clone(), out);
        };
        match markup {
            Markup::Wikitext => {
                out.extend_from_slice(b"/* ");
                section(Form::Plain, out);
                out.extend_from_slice(b" */");
            }
            Markup::Html => {
                out.extend_from_slice(br#"<span dir=\"auto\"><span class=\"autocomment\"><a href=\"/wiki/"#);
                self.title(self.page, Form::Url, out);
                out.push(b'#');
                let from = out.len();
                section(Form::Plain, out);
                for byte in &mut out[from..] {
                    if *byte == b' ' {
                        *byte = b'_';
                    }
                }
                out.extend_from_slice(br#"\" title=\""#);
                self.title(self.page, Form::Plain, out);
                out.extend_from_slice("\\\">→\u{200e}".as_bytes());
                section(Form::Plain, out);
                out.extend_from_slice(if more { b"</a>: </span>" } else { b"</a></span>" });
            }
        }
        if more {
            out.push(b' ');
            own.next();
            self.words(1 + own.below(5), own, out);
        }
        if markup == Markup::Html {
            out.extend_from_slice(b"</span>");
        }
    }

    fn words(&self, count: u64, rng: &mut Rng, out: &mut Vec<u8>) {
        words(self.generator, self.wiki, count, Form::Plain, rng, out);
    }

    fn title(&self, page: Page, form: Form, out: &mut Vec<u8>) {
        page.write(self.generator, self.wiki, form, out);
    }

    fn link(&self, page: Page, markup: Markup, out: &mut Vec<u8>) {
        self.link_after(b"[[", page, markup, out);
    }

    /// A link that does not put the page into the category it names.
    fn colon_link(&self, page: Page, markup: Markup, out: &mut Vec<u8>) {
        self.link_after(b"[[:", page, markup, out);
    }

    fn link_after(&self, opening: &[u8], page: Page, markup: Markup, out: &mut Vec<u8>) {
        match markup {
            Markup::Wikitext => {
                out.extend_from_slice(opening);
                self.title(page, Form::Plain, out);
                out.extend_from_slice(b"]]");
            }
            Markup::Html => {
                out.extend_from_slice(br#"<a href=\"/wiki/"#);
                self.title(page, Form::Url, out);
                out.extend_from_slice(br#"\" title=\""#);
                let from = out.len();
                self.title(page, Form::Plain, out);
                let title = from..out.len();
                out.extend_from_slice(br#"\">"#);
                out.extend_from_within(title);
                out.extend_from_slice(b"</a>");
            }
        }
    }

    fn entity_link(&self, prefix: &[u8], number: u64, markup: Markup, out: &mut Vec<u8>) {
        let name = |out: &mut Vec<u8>| {
            out.extend_from_slice(prefix);
            push_u64(out, number);
        };
        match markup {
            Markup::Wikitext => {
                out.extend_from_slice(b"[[");
                name(out);
                out.extend_from_slice(b"]]");
            }
            Markup::Html => {
                out.extend_from_slice(br#"<a href=\"/wiki/"#);
                name(out);
                out.extend_from_slice(br#"\" title=\""#);
                name(out);
                out.extend_from_slice(br#"\">"#);
                name(out);
                out.extend_from_slice(b"</a>");
            }
        }
    }
}

/// A link to a page whose name is in Latin letters, shown as another text.
fn named_link(target: &str, shown: &str, markup: Markup, out: &mut Vec<u8>) {
    match markup {
        Markup::Wikitext => {
            for part in ["[[", target, "|", shown, "]]"] {
                out.extend_from_slice(part.as_bytes());
            }
        }
        Markup::Html => {
            out.extend_from_slice(br#"<a href=\"/wiki/"#);
            let from = out.len();
            out.extend_from_slice(target.as_bytes());
            for byte in &mut out[from..] {
                if *byte == b' ' {
                    *byte = b'_';
                }
            }
            out.extend_from_slice(br#"\" title=\""#);
            out.extend_from_slice(target.as_bytes());
            out.extend_from_slice(br#"\">"#);
            out.extend_from_slice(shown.as_bytes());
            out.extend_from_slice(b"</a>");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_wikitext_or_html() {
        let mut out = Vec::new();
        named_link("Help:Cat-a lot", "x", Markup::Wikitext, &mut out);
        named_link("Help:Cat-a lot", "x", Markup::Html, &mut out);
        assert_eq!(
            String::from_utf8_lossy(&out),
            r#"[[Help:Cat-a lot|x]]<a href=\"/wiki/Help:Cat-a_lot\" title=\"Help:Cat-a lot\">x</a>"#
        );
    }
}
