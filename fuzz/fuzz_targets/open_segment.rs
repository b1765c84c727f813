//! A last segment as a crash, a bad disk or a stranger may leave it: see `lakehead_store::fuzzing::segment`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lakehead_store::fuzzing::segment(input));
