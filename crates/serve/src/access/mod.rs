//! Who may ask: the token of the pipeline, the browser's sign-in, and the guard around every route.

pub(crate) mod guard;
pub(crate) mod sign_in;
mod token;

pub(crate) use token::carries_token;
