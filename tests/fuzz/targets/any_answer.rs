#![no_main]
//! Reads bytes as an answer of a host with ways of its own, inside a cloud's envelope, or as a count of tokens.

libfuzzer_sys::fuzz_target!(|data: &[u8]| headworks_fuzz::answers::any_host(data));
