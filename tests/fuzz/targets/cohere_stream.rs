#![no_main]
//! Reads bytes as an answer of `cohere`, streamed.

libfuzzer_sys::fuzz_target!(|data: &[u8]| headworks_fuzz::answer("cohere/command-a-03-2025", "text/event-stream", data));
