//! What each upstream issues: event N is a function of N, so that the oracle needs no record of it.

/// Events that the feed issues a second.
pub(super) const PACE: u64 = 300;
/// Lines of the great file.
pub(super) const LINES: u64 = 200_000;
/// Events that are made up.
pub(super) const FAKES: u64 = 6_000;
/// Whom the API knows.
pub(super) const CITIES: [&str; 3] = ["Athens", "Reykjavík", "São Paulo"];

/// Letters of one to four bytes, so that a cut falls into one.
const LETTERS: &str = "aé漢🦀";

/// When event N happened, by its number: ten a second.
fn time(n: u64) -> String {
    let (second, tenth) = (n / 10, n % 10);
    let (hour, minute) = (second / 3_600 % 24, second / 60 % 60);
    format!("2026-11-{:02}T{hour:02}:{minute:02}:{:02}.{tenth}Z", 1 + second / 86_400 % 28, second % 60)
}

/// Event N of the feed.
pub(super) fn tick(n: u64) -> Vec<u8> {
    let letters = LETTERS.repeat(1 + usize::try_from(n % 40).unwrap_or(0));
    format!(r#"{{"n":{n},"dt":"{}","text":"{letters}"}}"#, time(n)).into_bytes()
}

/// Line N of the great file.
pub(super) fn line(n: u64) -> Vec<u8> {
    format!(r#"{{"n":{n},"dt":"{}","line":true}}"#, time(n)).into_bytes()
}

/// The great file.
pub(super) fn lines() -> Vec<u8> {
    (0..LINES).flat_map(|n| [line(n), b"\n".to_vec()].concat()).collect()
}

/// Event N of the files.
pub(super) fn spooled(n: u64) -> Vec<u8> {
    format!(r#"{{"n":{n},"dt":"{}","file":"é{n}"}}"#, time(n)).into_bytes()
}

/// What the API says of the city of this number in its state N.
pub(super) fn answer(city: usize, n: u64) -> Vec<u8> {
    format!(r#"{{"n":{n},"dt":"{}","city":"{}"}}"#, time(n), CITIES[city]).into_bytes()
}
