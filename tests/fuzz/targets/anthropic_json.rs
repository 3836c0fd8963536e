#![no_main]
//! Reads bytes as an answer of `anthropic`, whole.

libfuzzer_sys::fuzz_target!(|data: &[u8]| headworks_fuzz::answer("anthropic/claude-sonnet-4-5", "application/json", data));
