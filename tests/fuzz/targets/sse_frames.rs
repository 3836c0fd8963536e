#![no_main]
//! Cuts bytes into server-sent events.

libfuzzer_sys::fuzz_target!(|data: &[u8]| headworks_fuzz::frames::sse(data));
