//! The bytes of a footer, checksums made to hold: see `lakehead_store::fuzzing::footer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lakehead_store::fuzzing::footer(input));
