//! The bytes of a sealed segment's index, checksums made to hold: see `lakehead_store::fuzzing::index`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lakehead_store::fuzzing::index(input));
