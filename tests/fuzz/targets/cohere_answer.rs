#![no_main]
//! Reads bytes as an answer of Cohere's.

libfuzzer_sys::fuzz_target!(|data: &[u8]| headworks_fuzz::answers::answer("cohere/command-a-03-2025", data));
