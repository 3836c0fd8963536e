#![no_main]
//! Cuts bytes into the messages of an AWS event stream.

libfuzzer_sys::fuzz_target!(|data: &[u8]| headworks_fuzz::frames::aws(data));
