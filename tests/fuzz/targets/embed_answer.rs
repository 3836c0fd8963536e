#![no_main]
//! Reads bytes as vectors in the form of any host, and writes them for a client.

libfuzzer_sys::fuzz_target!(|data: &[u8]| headworks_fuzz::vectors::answer(data));
