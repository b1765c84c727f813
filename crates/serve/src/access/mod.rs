//! Who may ask: the token of the pipeline, those that may only push, the browser's sign-in, and the guard around every route.

pub(crate) mod guard;
mod scope;
pub(crate) mod sign_in;
mod token;

pub(crate) use scope::PushScope;
pub(crate) use token::carries_token;
