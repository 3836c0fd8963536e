#![no_main]
//! Reads bytes as an answer of `google`, streamed.

libfuzzer_sys::fuzz_target!(|data: &[u8]| headworks_fuzz::answer("google/gemini-2.5-flash", "text/event-stream", data));
