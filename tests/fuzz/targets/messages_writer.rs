#![no_main]
//! Reads bytes as any host's answer, writes it for Anthropic's clients, and reads it back.

libfuzzer_sys::fuzz_target!(|data: &[u8]| headworks_fuzz::written::messages(data));
