//! JSON lines in files: plain, gzip, zstd or bzip2, told by their content, read in runs of whole lines. A byte order mark is
//! skipped, zeros behind compressed data end a file, and a file that is one JSON array is its elements (`array.rs`). A file that is
//! one document of any layout is read by `document.rs`.
//!
//! Bytes in, runs of lines out, each with the [`LinePosition`] after it, from which reading resumes exactly. What a
//! line means, and whether it is JSON at all, is for the caller. Memory is bounded by the size of a run and by
//! [`LINE_BYTES_MAX`], whatever the file holds: of a longer line only the beginning is kept, so a file that swells when
//! it is decompressed costs time and nothing else.

mod array;
mod checksum;
mod compression;
mod counted;
mod document;
mod file_id;
mod folder;
mod limited;
mod lines;
mod members;
mod text;

pub use compression::Compression;
pub use counted::Counted;
pub use document::{DocumentText, begins_an_array};
pub use file_id::{FileId, head_checksum};
pub(crate) use folder::JSON_ENDINGS;
pub use folder::{files, json_ending};
pub use limited::TextTooLong;
pub use lines::{LinePosition, Lines, LinesForm, Run};
pub use text::LINE_BYTES_MAX;
