//! JSON text, checked once and from then on walked only as far as it is asked.
//!
//! An event enters through [`validate`]; behind that door its bytes are known to be one JSON document, and everything
//! else here relies on it: [`Paths`] finds the values at a few paths in one forward walk and skips the rest, [`Raw`]
//! reads one value and goes over what is in an array or an object, [`EventTimes`] finds when the event happened,
//! [`compact`] takes out raw newlines. What may enter a stream at all is said by [`check_event`], and for whole lines of a file by
//! [`EventLines`].
//!
//! It works on bytes and knows no columns and no tables; `decode` turns what is found here into Arrow. On a document
//! that is not valid nothing here panics or runs on for ever, but what it answers means nothing.

mod compact;
mod date_text;
mod error;
mod event;
mod event_lines;
mod event_times;
mod items;
mod marks;
mod paths;
mod raw;
mod rfc3339;
mod scan;
mod time_reader;
mod validate;
mod word;

pub use compact::compact;
pub use error::Error;
pub use event::{Refusal, check_event, on_one_line};
pub use event_lines::{CheckedLines, EventLines};
pub use event_times::{EventTimes, NoTime};
pub use paths::Paths;
pub use raw::Raw;
pub use rfc3339::parse_rfc3339;
pub use time_reader::{NotATime, TimeReader};
pub use validate::{NESTING_MAX, validate};
