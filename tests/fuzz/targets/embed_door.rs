#![no_main]
//! Reads bytes as a client's request for vectors, and spells what was read for every host.

libfuzzer_sys::fuzz_target!(|data: &[u8]| headworks_fuzz::vectors::door(data));
