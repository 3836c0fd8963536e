#![no_main]
//! Reads bytes as an answer of Gemini.

libfuzzer_sys::fuzz_target!(|data: &[u8]| headworks_fuzz::answers::answer("google/gemini-2.5-flash", data));
