#![no_main]
//! Reads bytes as a client's chat completion, and spells what was read for every host.

libfuzzer_sys::fuzz_target!(|data: &[u8]| headworks_fuzz::doors::chat(data));
