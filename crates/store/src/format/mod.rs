//! The bytes of docs/formats/segment.md: encoding and decoding, without a file.

pub(crate) mod boundary;
pub(crate) mod checksum;
pub(crate) mod data_frame;
pub(crate) mod envelope;
pub(crate) mod fields;
pub(crate) mod footer;
pub(crate) mod index;
pub(crate) mod key;
