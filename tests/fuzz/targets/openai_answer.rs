#![no_main]
//! Reads bytes as an answer of OpenAI's.

libfuzzer_sys::fuzz_target!(|data: &[u8]| headworks_fuzz::answers::answer("openai/gpt-4o", data));
