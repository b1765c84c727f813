//! What Lakehead adds to SQL: the window functions, access to fields of the JSON text, and `top_k`.
//!
//! A query over history and a view are planned with the same functions, so the same text means the same. `tumble` is an
//! ordinary function of a row. `hop` and `session` are not: one event lies in several hops, and where a session begins
//! depends on other events. They are names that stand in GROUP BY; [`rewrite`](crate::rewrite) makes a query of them
//! that runs, and a view reads them with [`window_call`].

mod arguments;
mod hop;
mod json;
mod placeholder;
mod registry;
mod session;
mod time;
mod top_k;
mod tumble;
mod window_call;

pub(crate) use self::{
    arguments::time_type,
    hop::{HOP, most as hop_most, start as hop_start},
    placeholder::NOWHERE_ELSE,
    registry::{config, register},
    session::{SESSION, first as session_first, slice as session_slice},
    top_k::check_call as check_top_k,
    tumble::{TUMBLE, function as tumble},
    window_call::window_call,
};
