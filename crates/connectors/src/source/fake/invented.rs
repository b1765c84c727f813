//! Names, addresses and the like, each made of a run of draws: by the crate `fake` where it has them, and such that nothing made
//! up belongs to anybody.
//!
//! The lists of names are those of `fake`, so another version of it may give other values; `tests/golden.rs` notices that.

use std::fmt::Write;

use fake::{
    Fake,
    faker::{
        address::en::{BuildingNumber, CityName, CountryCode, CountryName, PostCode, StateName, StreetName},
        company::en::CompanyName,
        internet::en::Username,
        job::en::Title,
        lorem::en::{Sentence, Word},
        name::en::{FirstName, LastName, Name},
    },
};

use super::{
    draws::{Draws, below},
    values::Values,
};

/// Makes a text of draws.
pub(super) type Invent = fn(&mut Draws) -> String;

/// A text that is made up has at most so many bytes; `tests/generators.rs` holds 3,000 of each kind to half of it.
pub(super) const INVENTED_BYTES_MAX: usize = 256;

/// What makes these values; `None` where they are not made up.
pub(super) fn invent(values: &Values) -> Option<Invent> {
    Some(match values {
        Values::Name => |draws| Name().fake_with_rng(draws),
        Values::FirstName => |draws| FirstName().fake_with_rng(draws),
        Values::LastName => |draws| LastName().fake_with_rng(draws),
        Values::Address => address,
        Values::Street => street,
        Values::City => |draws| CityName().fake_with_rng(draws),
        Values::State => |draws| StateName().fake_with_rng(draws),
        Values::Country => |draws| CountryName().fake_with_rng(draws),
        Values::CountryCode => |draws| CountryCode().fake_with_rng(draws),
        Values::Postcode => |draws| PostCode().fake_with_rng(draws),
        Values::Email => email,
        Values::Username => |draws| Username().fake_with_rng(draws),
        Values::Phone => phone,
        Values::Job => |draws| Title().fake_with_rng(draws),
        Values::Company => |draws| CompanyName().fake_with_rng(draws),
        Values::CardNumber => card_number,
        Values::Uuid => uuid,
        Values::Ipv4 => ipv4,
        Values::Word => |draws| Word().fake_with_rng(draws),
        Values::Sentence => |draws| Sentence(4..10).fake_with_rng(draws),
        _ => return None,
    })
}

/// So many words, with a space between two.
pub(super) fn words(draws: &mut Draws, count: u128) -> String {
    let mut text = String::new();
    for place in 0..count {
        if place > 0 {
            text.push(' ');
        }
        text.push_str(Word().fake_with_rng(draws));
    }
    text
}

fn street(draws: &mut Draws) -> String {
    let number: String = BuildingNumber().fake_with_rng(draws);
    let street: String = StreetName().fake_with_rng(draws);
    format!("{number} {street}")
}

fn address(draws: &mut Draws) -> String {
    let street = street(draws);
    let city: String = CityName().fake_with_rng(draws);
    let state: String = StateName().fake_with_rng(draws);
    let code: String = PostCode().fake_with_rng(draws);
    format!("{street}, {city}, {state}, {code}")
}

/// At a domain that is for examples (RFC 2606, section 3), so that a mail goes nowhere.
fn email(draws: &mut Draws) -> String {
    let (first, last): (&str, &str) = (FirstName().fake_with_rng(draws), LastName().fake_with_rng(draws));
    let plain = |name: &str| -> String {
        name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
    };
    let ending = ["com", "net", "org"][number(draws, 3) as usize];
    format!("{}.{}@example.{ending}", plain(first), plain(last))
}

/// Of North America, as E.164 writes it, with the exchange and the lines that are for fiction: 555-0100 to 555-0199.
fn phone(draws: &mut Draws) -> String {
    format!("+1{}55501{:02}", 200 + number(draws, 800), number(draws, 100))
}

/// Begins with 0, which is no industry that issues cards for payments (ISO/IEC 7812-1), and has a check digit that is right.
fn card_number(draws: &mut Draws) -> String {
    let mut digits = [0_u8; 16];
    digits[1..15].iter_mut().for_each(|digit| *digit = number(draws, 10) as u8);
    // By Luhn every other digit counts double, from the one before the last.
    let sum: u32 = digits[..15].iter().enumerate().map(|(place, digit)| luhn(place, *digit)).sum();
    digits[15] = ((10 - sum % 10) % 10) as u8;
    let mut text = String::with_capacity(19);
    for (place, digit) in digits.iter().enumerate() {
        if place > 0 && place % 4 == 0 {
            text.push('-');
        }
        text.push(char::from(b'0' + digit));
    }
    text
}

fn luhn(place: usize, digit: u8) -> u32 {
    match (place % 2, u32::from(digit)) {
        (0, digit @ 5..) => 2 * digit - 9,
        (0, digit) => 2 * digit,
        (_, digit) => digit,
    }
}

/// Of version 4 (RFC 9562, 5.4).
fn uuid(draws: &mut Draws) -> String {
    let mut bytes = (u128::from(draws.next()) << 64 | u128::from(draws.next())).to_be_bytes();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (place, byte) in bytes.iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        write!(text, "{byte:02x}").expect("a text takes everything");
    }
    text
}

/// Of the three networks that are for documentation (RFC 5737, section 3).
fn ipv4(draws: &mut Draws) -> String {
    let network = ["192.0.2", "198.51.100", "203.0.113"][number(draws, 3) as usize];
    format!("{network}.{}", 1 + number(draws, 254))
}

fn number(draws: &mut Draws, end: u128) -> u128 {
    below(draws.next(), end)
}
