#![no_main]
//! Reads bytes as an answer of Anthropic's.

libfuzzer_sys::fuzz_target!(|data: &[u8]| headworks_fuzz::answers::answer("anthropic/claude-sonnet-4-5", data));
