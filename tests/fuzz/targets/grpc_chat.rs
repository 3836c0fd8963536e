#![no_main]
//! Reads bytes as a gRPC chat, and spells it for every host.

libfuzzer_sys::fuzz_target!(|data: &[u8]| headworks_fuzz::edge::chat(data));
