//! User names: accounts, bots, addresses of people without an account and the temporary accounts that replaced them.

use crate::{
    digits::{push_hex, push_u64},
    generator::Generator,
    random::{Rng, mix},
    wikis::Wiki,
    words::{Form, Script},
};

/// Writes the name of the user that `who` stands for. Most names are in Latin letters on every wiki.
pub(crate) fn write(generator: &Generator, wiki: &Wiki, who: u64, bot: bool, out: &mut Vec<u8>) {
    let mut rng = Rng::new(mix(who ^ 0x7573_6572));
    let script = match rng.below(8) {
        0 => wiki.script,
        1 => Script::LatinMarked,
        _ => Script::Latin,
    };
    let word = |rng: &mut Rng, capital: bool, out: &mut Vec<u8>| {
        out.extend_from_slice(generator.words.get(script, rng.next() >> 40, capital, Form::Plain));
    };
    if bot {
        word(&mut rng, true, out);
        out.extend_from_slice([b"Bot".as_slice(), b"bot", b" bot", b"-bot"][rng.below(4) as usize]);
        return;
    }
    match rng.below(20) {
        0..=7 => word(&mut rng, true, out),
        8..=11 => {
            word(&mut rng, true, out);
            push_u64(out, rng.below(2100));
        }
        12..=15 => {
            word(&mut rng, true, out);
            out.push(b' ');
            word(&mut rng, true, out);
        }
        16 => {
            for place in 0..4 {
                if place > 0 {
                    out.push(b'.');
                }
                push_u64(out, 1 + rng.below(254));
            }
        }
        17 => {
            out.extend_from_slice(b"2001:DB8");
            for _ in 0..6 {
                out.push(b':');
                push_hex(out, rng.below(10_000) | 0x1000, 4);
            }
        }
        _ => {
            out.extend_from_slice(b"~2026-");
            push_u64(out, 10_000 + rng.below(60_000));
            out.push(b'-');
            push_u64(out, rng.below(100));
        }
    }
}
