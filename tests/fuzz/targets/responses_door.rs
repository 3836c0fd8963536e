#![no_main]
//! Reads bytes as a client's request of Responses, and spells what was read for every host.

libfuzzer_sys::fuzz_target!(|data: &[u8]| headworks_fuzz::doors::responses(data));
