//! The wikis: about three hundred, with the names, scripts and set phrases that their events show.
//!
//! Names and phrases are facts of the real wikis; how often each appears follows the recorded mix (EVENTSTREAMS.md,
//! section 3.4): commonswiki, wikidatawiki and enwiki make most of it, and the rest falls off with its rank.

use crate::words::{Script, push_url_byte};

/// What a wiki is, where that shows in its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Titles are item numbers, comments are summaries of claims.
    Wikidata,
    /// Titles are mostly files.
    Commons,
    /// Titles are words.
    Text,
}

/// A language and the set phrases of its wikis.
struct Language {
    code: &'static str,
    script: Script,
    /// Namespaces 14, 2 and 3, and 1.
    category: &'static str,
    user: &'static str,
    user_talk: &'static str,
    talk: &'static str,
    added: &'static str,
    removed: &'static str,
}

const fn language(
    code: &'static str,
    script: Script,
    namespaces: [&'static str; 4],
    phrases: [&'static str; 2],
) -> Language {
    let [category, user, user_talk, talk] = namespaces;
    let [added, removed] = phrases;
    Language { code, script, category, user, user_talk, talk, added, removed }
}

const ENGLISH: [&str; 4] = ["Category", "User", "User talk", "Talk"];
const ADDED: [&str; 2] = ["added to category", "removed from category"];

#[rustfmt::skip]
const LANGUAGES: [Language; 40] = [
    language("en", Script::Latin, ENGLISH, ADDED),
    language("fr", Script::LatinMarked, ["Catégorie", "Utilisateur", "Discussion utilisateur", "Discussion"], ["ajoutée à la catégorie", "retirée de la catégorie"]),
    language("de", Script::Latin, ["Kategorie", "Benutzer", "Benutzer Diskussion", "Diskussion"], ["zur Kategorie hinzugefügt", "aus der Kategorie entfernt"]),
    language("ru", Script::Cyrillic, ["Категория", "Участник", "Обсуждение участника", "Обсуждение"], ["добавлена в категорию", "убрана из категории"]),
    language("es", Script::LatinMarked, ["Categoría", "Usuario", "Usuario discusión", "Discusión"], ["añadida a la categoría", "eliminada de la categoría"]),
    language("it", Script::Latin, ["Categoria", "Utente", "Discussioni utente", "Discussione"], ["aggiunta alla categoria", "rimossa dalla categoria"]),
    language("zh", Script::Han, ["Category", "User", "User talk", "Talk"], ["已添加至分类", "已从分类中移除"]),
    language("ja", Script::Kana, ["Category", "利用者", "利用者‐会話", "ノート"], ["をカテゴリに追加", "をカテゴリから除去"]),
    language("vi", Script::Vietnamese, ["Thể loại", "Thành viên", "Thảo luận Thành viên", "Thảo luận"], ["đã được thêm vào thể loại", "đã được xóa khỏi thể loại"]),
    language("ar", Script::Arabic, ["تصنيف", "مستخدم", "نقاش المستخدم", "نقاش"], ["أضيفت إلى التصنيف", "أزيلت من التصنيف"]),
    language("pt", Script::LatinMarked, ["Categoria", "Usuário", "Usuário Discussão", "Discussão"], ["adicionada à categoria", "removida da categoria"]),
    language("pl", Script::LatinMarked, ["Kategoria", "Wikipedysta", "Dyskusja wikipedysty", "Dyskusja"], ["dodano do kategorii", "usunięto z kategorii"]),
    language("uk", Script::Cyrillic, ["Категорія", "Користувач", "Обговорення користувача", "Обговорення"], ["додано до категорії", "вилучено з категорії"]),
    language("fa", Script::Arabic, ["رده", "کاربر", "بحث کاربر", "بحث"], ["به رده افزوده شد", "از رده حذف شد"]),
    language("he", Script::Hebrew, ["קטגוריה", "משתמש", "שיחת משתמש", "שיחה"], ["נוסף לקטגוריה", "הוסר מהקטגוריה"]),
    language("nl", Script::Latin, ["Categorie", "Gebruiker", "Overleg gebruiker", "Overleg"], ["toegevoegd aan categorie", "verwijderd uit categorie"]),
    language("ce", Script::Cyrillic, ["Категори", "Декъашхо", "Декъашхон дийцаре", "Дийцаре"], ["категори чу тоьхна", "категори чуьра дӀаяьккхина"]),
    language("sv", Script::LatinMarked, ["Kategori", "Användare", "Användardiskussion", "Diskussion"], ["tillagd i kategori", "borttagen från kategori"]),
    language("ko", Script::Hangul, ["분류", "사용자", "사용자토론", "토론"], ["분류에 추가됨", "분류에서 제거됨"]),
    language("tr", Script::LatinMarked, ["Kategori", "Kullanıcı", "Kullanıcı mesaj", "Tartışma"], ["kategoriye eklendi", "kategoriden çıkarıldı"]),
    language("id", Script::Latin, ["Kategori", "Pengguna", "Pembicaraan Pengguna", "Pembicaraan"], ["ditambahkan ke kategori", "dihapus dari kategori"]),
    language("ca", Script::LatinMarked, ["Categoria", "Usuari", "Usuari Discussió", "Discussió"], ["afegida a la categoria", "treta de la categoria"]),
    language("hu", Script::LatinMarked, ["Kategória", "Szerkesztő", "Szerkesztővita", "Vita"], ["felvéve a kategóriába", "eltávolítva a kategóriából"]),
    language("cs", Script::LatinMarked, ["Kategorie", "Wikipedista", "Diskuse s wikipedistou", "Diskuse"], ["přidáno do kategorie", "odebráno z kategorie"]),
    language("fi", Script::Latin, ["Luokka", "Käyttäjä", "Keskustelu käyttäjästä", "Keskustelu"], ["lisättiin luokkaan", "poistettiin luokasta"]),
    language("el", Script::Greek, ["Κατηγορία", "Χρήστης", "Συζήτηση χρήστη", "Συζήτηση"], ["προστέθηκε στην κατηγορία", "αφαιρέθηκε από την κατηγορία"]),
    language("hy", Script::Armenian, ["Կատեգորիա", "Մասնակից", "Մասնակցի քննարկում", "Քննարկում"], ["ավելացվել է կատեգորիայում", "հեռացվել է կատեգորիայից"]),
    language("ka", Script::Georgian, ["კატეგორია", "მომხმარებელი", "მომხმარებლის განხილვა", "განხილვა"], ["დაემატა კატეგორიას", "ამოიშალა კატეგორიიდან"]),
    language("hi", Script::Devanagari, ["श्रेणी", "सदस्य", "सदस्य वार्ता", "वार्ता"], ["श्रेणी में जोड़ा गया", "श्रेणी से हटाया गया"]),
    language("bn", Script::Bengali, ["বিষয়শ্রেণী", "ব্যবহারকারী", "ব্যবহারকারী আলাপ", "আলাপ"], ["বিষয়শ্রেণীতে যোগ", "বিষয়শ্রেণী থেকে বাদ"]),
    language("th", Script::Thai, ["หมวดหมู่", "ผู้ใช้", "คุยกับผู้ใช้", "พูดคุย"], ADDED),
    language("sr", Script::Cyrillic, ["Категорија", "Корисник", "Разговор с корисником", "Разговор"], ["додато у категорију", "уклоњено из категорије"]),
    language("bg", Script::Cyrillic, ["Категория", "Потребител", "Потребител беседа", "Беседа"], ["добавена към категория", "премахната от категория"]),
    language("ro", Script::LatinMarked, ["Categorie", "Utilizator", "Discuție Utilizator", "Discuție"], ["adăugată în categorie", "scoasă din categorie"]),
    language("da", Script::Latin, ["Kategori", "Bruger", "Brugerdiskussion", "Diskussion"], ["føjet til kategori", "fjernet fra kategori"]),
    language("no", Script::Latin, ["Kategori", "Bruker", "Brukerdiskusjon", "Diskusjon"], ["lagt til i kategori", "fjernet fra kategori"]),
    language("eo", Script::Latin, ["Kategorio", "Uzanto", "Uzanto-Diskuto", "Diskuto"], ["aldonita al kategorio", "forigita el kategorio"]),
    language("ms", Script::Latin, ["Kategori", "Pengguna", "Perbincangan pengguna", "Perbincangan"], ["ditambahkan kepada kategori", "dibuang daripada kategori"]),
    language("simple", Script::Latin, ENGLISH, ADDED),
    language("mg", Script::Latin, ["Sokajy", "Mpikambana", "Dinika mpikambana", "Dinika"], ADDED),
];

/// Languages whose wikis speak English in their set phrases here, by script.
const MORE: [(Script, &str); 10] = [
    (
        Script::Latin,
        "ceb eu gl ast af sq br bs cy et ga hr ht io is jv la lb lmo lt lv min nap nds nn oc pms sc scn sco sh sk sl su \
         sw tl uz vec vo war yo zu ig ha fy an bar bcl bjn csb dsb hsb ext fo frr fur gd gn gv ia ie ilo jbo kab kw lad \
         lij ln mi mt nah pam pap pcd pdc qu rm rw se sn so st stq szl tk to tpi ts wa wo xh za",
    ),
    (Script::LatinMarked, "az ku crh kaa gag"),
    (Script::Cyrillic, "be kk ky mk mn tg tt ba cv os sah myv udm bxr av kv lez mhr mrj tyv xal inh krc lbe"),
    (Script::Arabic, "ur arz ckb azb pnb sd ps ug glk mzn"),
    (Script::Hebrew, "yi"),
    (Script::Devanagari, "mr ne sa mai new bh gom"),
    (Script::Bengali, "as bpy"),
    (Script::Han, "wuu gan hak cdo"),
    (Script::Greek, "pnt"),
    (Script::Armenian, "hyw"),
];

/// Projects beside Wikipedia: the domain's second label, the database's suffix, and how many languages have one here.
const PROJECTS: [(&str, &str, usize); 7] = [
    ("wiktionary", "wiktionary", 48),
    ("wikisource", "wikisource", 24),
    ("wikiquote", "wikiquote", 18),
    ("wikibooks", "wikibooks", 14),
    ("wikinews", "wikinews", 10),
    ("wikivoyage", "wikivoyage", 10),
    ("wikiversity", "wikiversity", 6),
];

/// Wikis that belong to no language.
const SPECIAL: [(&str, &str); 6] = [
    ("meta.wikimedia.org", "metawiki"),
    ("www.mediawiki.org", "mediawikiwiki"),
    ("species.wikimedia.org", "specieswiki"),
    ("incubator.wikimedia.org", "incubatorwiki"),
    ("www.wikifunctions.org", "wikifunctionswiki"),
    ("wikitech.wikimedia.org", "labswiki"),
];

/// A text as it is read and as it stands in a URL.
pub(crate) struct Phrase {
    pub(crate) plain: Box<[u8]>,
    pub(crate) url: Box<[u8]>,
}

impl Phrase {
    pub(crate) fn new(text: &str) -> Self {
        let mut url = Vec::new();
        for byte in text.bytes() {
            push_url_byte(&mut url, byte);
        }
        Self { plain: text.as_bytes().into(), url: url.into() }
    }
}

/// One wiki.
pub(crate) struct Wiki {
    pub(crate) family: Family,
    pub(crate) script: Script,
    /// Where in its script's words the wiki's own begin, so that languages of one script differ.
    pub(crate) words_from: u64,
    /// `en.wikipedia.org`.
    pub(crate) domain: Box<[u8]>,
    /// From the comma before `server_url` to the colon after `parsedcomment`.
    pub(crate) tail: Box<[u8]>,
    /// Namespace prefixes with their colon: 14, 2, 3, 1, 6, 10.
    pub(crate) category: Phrase,
    pub(crate) user: Phrase,
    pub(crate) user_talk: Phrase,
    pub(crate) talk: Phrase,
    pub(crate) file: Phrase,
    pub(crate) template: Phrase,
    pub(crate) added: &'static str,
    pub(crate) removed: &'static str,
    /// Where its rcids and revision ids stand.
    pub(crate) ids_from: u64,
    pub(crate) revisions_from: u64,
    /// Whether its edits carry `patrolled`.
    pub(crate) patrols: bool,
}

/// All wikis, and tables that pick one.
pub(crate) struct Wikis {
    wikis: Vec<Wiki>,
    changes: Vec<u16>,
    categories: Vec<u16>,
}

/// How fine the shares of the wikis are; a power of two.
const SHARES: usize = 16_384;

/// How fast a tail wiki's weight falls off with its rank.
const TAIL_POWER: f64 = 1.25;

impl Wikis {
    pub(crate) fn new() -> Self {
        let english = &LANGUAGES[0];
        let mut wikis = vec![
            wiki(english, Family::Commons, "commons.wikimedia.org", "commonswiki", 0),
            wiki(english, Family::Wikidata, "www.wikidata.org", "wikidatawiki", 1),
        ];
        let mut languages: Vec<(String, Language)> = Vec::new();
        for language in LANGUAGES {
            languages.push((language.code.to_owned(), language));
        }
        for (script, codes) in MORE {
            for code in codes.split_whitespace() {
                languages.push((code.to_owned(), language("", script, ENGLISH, ADDED)));
            }
        }
        for (code, language) in &languages {
            let rank = wikis.len();
            let domain = format!("{code}.wikipedia.org");
            wikis.push(wiki(language, Family::Text, &domain, &format!("{code}wiki"), rank));
        }
        for (domain, name) in SPECIAL {
            let rank = wikis.len();
            wikis.push(wiki(english, Family::Text, domain, name, rank));
        }
        for (project, suffix, count) in PROJECTS {
            for (code, language) in languages.iter().take(count).filter(|(code, _)| code != "ce") {
                let rank = wikis.len();
                let domain = format!("{code}.{project}.org");
                wikis.push(wiki(language, Family::Text, &domain, &format!("{code}{suffix}"), rank));
            }
        }
        // Per 1,000 of the wikis at the head; the tail shares what is left. Measured on the 2023 slice.
        let changes = shares(wikis.len(), &[250.0, 390.0, 100.0]);
        let categories = shares(wikis.len(), &[560.0, 0.0, 130.0]);
        Self { wikis, changes, categories }
    }

    /// The wiki of an edit, a new page or a log entry.
    #[inline]
    pub(crate) fn of_change(&self, bits: u64) -> &Wiki {
        &self.wikis[usize::from(self.changes[bits as usize % SHARES])]
    }

    /// The wiki of a page that was put in a category or taken out of one.
    #[inline]
    pub(crate) fn of_category(&self, bits: u64) -> &Wiki {
        &self.wikis[usize::from(self.categories[bits as usize % SHARES])]
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.wikis.len()
    }
}

/// A table in which each wiki stands as often as its share says.
fn shares(wikis: usize, head: &[f64]) -> Vec<u16> {
    let falling = |rank: usize| (rank as f64 + 2.0).powf(-TAIL_POWER);
    let tail: f64 = (head.len()..wikis).map(falling).sum();
    let left = 1000.0 - head.iter().sum::<f64>();
    let weight = |rank: usize| head.get(rank).copied().unwrap_or_else(|| left * falling(rank) / tail);
    let mut table = Vec::with_capacity(SHARES);
    let mut sum = 0.0;
    for rank in 0..wikis {
        sum += weight(rank);
        let end = ((sum / 1000.0 * SHARES as f64).round() as usize).min(SHARES);
        table.resize(end.max(table.len()), rank as u16);
    }
    table.resize(SHARES, (wikis - 1) as u16);
    table
}

fn wiki(language: &Language, family: Family, domain: &str, name: &str, rank: usize) -> Wiki {
    let tail = format!(
        ",\"server_url\":\"https://{domain}\",\"server_name\":\"{domain}\",\"server_script_path\":\"/w\",\"wiki\":\"{name}\",\"parsedcomment\":"
    );
    let prefix = |text: &str| Phrase::new(&format!("{text}:"));
    // Orders of magnitude of 2026; smaller wikis have smaller numbers.
    let (ids_from, revisions_from) = match name {
        "commonswiki" => (3_213_449_330, 1_172_275_261),
        "wikidatawiki" => (2_543_471_307, 2_467_166_266),
        "enwiki" => (2_000_103_898, 1_340_597_627),
        _ => (900_000_000 / (rank as u64 + 1), 400_000_000 / (rank as u64 + 1)),
    };
    Wiki {
        family,
        script: language.script,
        words_from: (rank as u64) * 389,
        domain: domain.as_bytes().into(),
        tail: tail.into_bytes().into(),
        category: prefix(language.category),
        user: prefix(language.user),
        user_talk: prefix(language.user_talk),
        talk: prefix(language.talk),
        file: prefix("File"),
        template: prefix("Template"),
        added: language.added,
        removed: language.removed,
        ids_from,
        revisions_from,
        patrols: !matches!(language.code, "de" | "ru" | "pl" | "hu" | "ar" | "fi" | "tr" | "uk"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_three_hundred_wikis_fall_off_by_rank() {
        let wikis = Wikis::new();
        assert!((280..360).contains(&wikis.len()), "{}", wikis.len());
        let count = |table: &[u16], rank: u16| table.iter().filter(|wiki| **wiki == rank).count();
        assert!(count(&wikis.changes, 1) > count(&wikis.changes, 0));
        assert_eq!(count(&wikis.categories, 1), 0, "wikidata has no categories to speak of");
        let shown = (0..wikis.len() as u16).filter(|rank| count(&wikis.changes, *rank) > 0).count();
        assert_eq!(shown, wikis.len(), "every wiki has a share");
    }
}
