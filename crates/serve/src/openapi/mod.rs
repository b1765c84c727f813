//! The routes as an OpenAPI document, made of the table of routes and of the types that are answered.

mod contents;
mod document;

pub(crate) use document::document;
