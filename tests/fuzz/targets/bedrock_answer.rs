#![no_main]
//! Reads bytes as an answer of Bedrock's Converse.

libfuzzer_sys::fuzz_target!(|data: &[u8]| headworks_fuzz::answers::answer("bedrock/anthropic.claude-3-5-sonnet-20241022-v2:0", data));
