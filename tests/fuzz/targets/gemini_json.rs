#![no_main]
//! Reads bytes as an answer of `google`, whole.

libfuzzer_sys::fuzz_target!(|data: &[u8]| headworks_fuzz::answer("google/gemini-2.5-flash", "application/json", data));
