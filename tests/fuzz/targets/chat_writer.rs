#![no_main]
//! Reads bytes as any host's answer, writes it for clients of chat completions, and reads it back.

libfuzzer_sys::fuzz_target!(|data: &[u8]| headworks_fuzz::written::chat(data));
