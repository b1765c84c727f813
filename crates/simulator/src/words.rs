//! The word material: words put together from syllables, in several scripts, ready in the forms that an event needs.
//!
//! No word list of anybody's is used: each script has a handful of syllables, written here, and its words are one to
//! three of them. A word is kept as it is read and as it stands in a wiki's URL (percent-encoded), so that writing a
//! title twice costs two copies. Words hold nothing that JSON or HTML would escape.

use crate::random::Rng;

/// How many words each script has; a power of two.
pub(crate) const WORDS: u64 = 2048;

/// A writing system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Script {
    Latin,
    LatinMarked,
    Vietnamese,
    Cyrillic,
    Greek,
    Arabic,
    Hebrew,
    Devanagari,
    Bengali,
    Armenian,
    Georgian,
    Thai,
    Han,
    Kana,
    Hangul,
}

const SCRIPTS: [(Script, &str); 15] = [
    (
        Script::Latin,
        "ba be bo bri ca ce cha con da de der do el en er fa fo ga ge gra ha he hol in ing ka ken la land le li lin lo \
         ma man mer mi mon na ne nor o pa per port ra re ri ro sa se shi son sta stan ta ter ti ton tra u va ver vi \
         wa wes win ya",
    ),
    (
        Script::LatinMarked,
        "bé bo ça ché dá de dür é en ès fê fo gà ger grö há hé i in ín ka kö la lé ll lü ma mé mó na né ñe nov ó ör pa \
         pé par rà ré rí ro sa sé ska só šta ta té tó trä ú ü va vě ví za žen",
    ),
    (
        Script::Vietnamese,
        "anh bắc bình cảnh châu chính đại đạo đình đông đức giang hà hải hạnh hòa hồng hùng kim kỳ lâm lê long lý mai \
         mỹ nam ngọc nguyên nhân núi phong phú phương quân quốc quý sơn tâm tân thành thị thủy tiên trần trung tự \
         vân văn việt vĩnh xã xuân yên",
    ),
    (
        Script::Cyrillic,
        "а ба бе бо ва ве во га го да де до е за зо и ка ки ко ла ле ли ло ма ме ми мо на не ни но о па пе по ра ре ри \
         ро са се ско ста та те ти то тра у ха хо це ча ши я ов ев ин ный ская",
    ),
    (
        Script::Greek,
        "α αν βα γε δη δι ε η θε ι κα κο κρα λα λε λο μα με νη νο ο πα πο ρα ρι σα σο τα τη το υ φι χα ω ας ης ος",
    ),
    (
        Script::Arabic,
        "ا ال با بر تا جا حا خا دا را رس زي سا سم شا صا طا عا عب غا فا قا قر كا كت لا لي ما مح نا نو ها وا يا ين ون ات",
    ),
    (Script::Hebrew, "א אב ב בן ג גר ד דו ה הר ו ז ח חי ט י יש כ כל ל לו מ מר נ נו ס ע עי פ צ ק קר ר רא ש שה ת ים ות"),
    (
        Script::Devanagari,
        "अ आ का की के को ग गा च ज जा त ता ती द दा दे न ना नी प पा पु ब बा भा म मा मी य रा री ल ला व वि श स सा ह हा",
    ),
    (Script::Bengali, "আ ই ক কা কি গ গা চ জ জা ট ত তা দ দি ন না নি প পা ব বা বি ভ ম মা মি য র রা রি ল লা শ স সা হ"),
    (Script::Armenian, "ա ան բա գա դա ե զա է թա ի լա կա հա մա յա նա շա ո պա ջա ռա սա վա տա րա ու փա քա օ յան ական"),
    (Script::Georgian, "ა ბა გა დე ე ვა ზა თა ი კა ლა მა ნა ო პა რა სა ტა უ ფა ქა ღა შვი ლი ჩა ცა ძე წა ხა ჯა"),
    (Script::Thai, "กา การ เก ขา คน งา จาก ชา ดา ตา ที่ นา นคร บา บาง ปา พระ มา เมือง รา ลา วัด วา สา หา อา"),
    (
        Script::Han,
        "一 三 上 中 大 小 山 川 水 火 木 金 土 日 月 年 東 西 南 北 京 州 市 縣 區 村 江 河 湖 海 島 城 門 橋 路 站 \
         人 王 李 張 林 陳 國 家 文 化 學 校 院 館 史 書 語 電 影 音 樂 隊 球 軍 民 政 法 明 清 唐 宋 新 古 天 地 花 \
         鳥 風 雲 雨 雪 春 秋 光 美 長 高 安 平 和 德 義 公 主 表 列",
    ),
    (
        Script::Kana,
        "ア イ ウ エ カ キ ク コ サ シ ス セ タ チ ト ナ ニ ノ ハ フ ホ マ ミ モ ラ リ ル ロ ワ ン の る 県 町 駅 選 手 \
         曲 第 回 放 送 本 作 品 者 ガ ド バ ブ",
    ),
    (
        Script::Hangul,
        "가 강 고 공 구 국 군 기 김 나 남 노 단 대 도 동 라 로 리 마 명 문 미 민 박 보 부 북 사 산 상 서 선 성 수 시 신 안 역 영 원 이 인 장 전 정 제 주 지 진 천 한 해 호 화",
    ),
];

#[derive(Clone, Copy)]
struct Word {
    start: u32,
    plain: u8,
    url: u8,
}

/// All words of all scripts, each in lower case and with a capital.
pub(crate) struct Words {
    bytes: Vec<u8>,
    words: Vec<Word>,
}

/// One word in one of its forms.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As it is read.
    Plain,
    /// As it stands in a URL.
    Url,
}

impl Words {
    pub(crate) fn new() -> Self {
        let mut words = Self { bytes: Vec::with_capacity(1 << 20), words: Vec::with_capacity(SCRIPTS.len() * 4096) };
        for (script, syllables) in SCRIPTS {
            let syllables: Vec<&str> = syllables.split_whitespace().collect();
            let mut rng = Rng::new(script as u64);
            for index in 0..WORDS {
                let mut word = String::new();
                for _ in 0..script.syllables(index, &mut rng) {
                    word.push_str(syllables[rng.below(syllables.len() as u64) as usize]);
                }
                words.push(&word);
                let mut letters = word.chars();
                let head = letters.next().map(|letter| letter.to_uppercase().collect::<String>()).unwrap_or_default();
                words.push(&(head + letters.as_str()));
            }
        }
        words
    }

    fn push(&mut self, word: &str) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(word.as_bytes());
        let plain = self.bytes.len() - start;
        for byte in word.bytes() {
            push_url_byte(&mut self.bytes, byte);
        }
        let url = self.bytes.len() - start - plain;
        let short = |length| u8::try_from(length).expect("three syllables are far below 255 bytes, encoded or not");
        let start = u32::try_from(start).expect("all words together are a few hundred KiB");
        self.words.push(Word { start, plain: short(plain), url: short(url) });
    }

    /// The `index`-th word of the script.
    #[inline]
    pub(crate) fn get(&self, script: Script, index: u64, capital: bool, form: Form) -> &[u8] {
        let at = (script as u64 * WORDS + index % WORDS) * 2 + u64::from(capital);
        let word = self.words[at as usize];
        let start = word.start as usize;
        let middle = start + usize::from(word.plain);
        match form {
            Form::Plain => &self.bytes[start..middle],
            Form::Url => &self.bytes[middle..middle + usize::from(word.url)],
        }
    }
}

impl Script {
    /// How many syllables the word has: frequent words (low indices) are short.
    fn syllables(self, index: u64, rng: &mut Rng) -> u64 {
        match self {
            Self::Vietnamese => 1,
            Self::Han | Self::Hangul => 1 + rng.below(2),
            _ if index < 64 => 1 + rng.below(2),
            _ => 2 + rng.below(2),
        }
    }

    /// Whether words stand apart.
    #[inline]
    pub(crate) fn spaced(self) -> bool {
        !matches!(self, Self::Han | Self::Kana | Self::Thai)
    }
}

/// Writes a byte of a page's address as MediaWiki does: letters, digits and a few signs as they are, a space as an
/// underscore, the rest percent-encoded.
#[inline]
pub(crate) fn push_url_byte(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    match byte {
        b' ' => out.push(b'_'),
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => out.push(byte),
        b'-' | b'_' | b'.' | b'~' | b'!' | b'*' | b'(' | b')' | b':' | b'/' | b',' | b';' | b'@' | b'$' => {
            out.push(byte)
        }
        _ => out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_has_a_plain_and_an_url_form() {
        let words = Words::new();
        for (script, _) in SCRIPTS {
            for index in 0..WORDS {
                let plain = words.get(script, index, true, Form::Plain);
                let url = words.get(script, index, true, Form::Url);
                assert!(
                    std::str::from_utf8(plain)
                        .is_ok_and(|word| word.chars().all(char::is_alphanumeric) || !word.is_ascii())
                );
                assert!(url.is_ascii() && url.len() >= plain.len());
            }
        }
    }
}
