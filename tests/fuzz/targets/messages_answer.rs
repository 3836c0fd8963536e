#![no_main]
//! Reads bytes as Anthropic's answer, and writes it for clients of its own door and of the chat door.

libfuzzer_sys::fuzz_target!(|data: &[u8]| headworks_fuzz::messages_answer(data));
