#![no_main]
//! Reads bytes as an answer of `openai`, streamed.

libfuzzer_sys::fuzz_target!(|data: &[u8]| headworks_fuzz::answer("openai/gpt-4o", "text/event-stream", data));
