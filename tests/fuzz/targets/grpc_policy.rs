#![no_main]
//! Reads bytes as a policy.

libfuzzer_sys::fuzz_target!(|data: &[u8]| headworks_fuzz::edge::policy(data));
