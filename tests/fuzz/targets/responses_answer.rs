#![no_main]
//! Reads bytes as an answer of OpenAI's Responses.

libfuzzer_sys::fuzz_target!(|data: &[u8]| headworks_fuzz::answers::responses(data));
