//! Kinds of items, and whose reasoning may be shown to whom.

use headworks_core::Target;

/// Item types of calls that only a client of this very dialect can run; to others they are a sealed thing.
pub(super) const CLIENT_RUNS: &[&str] = &["custom_tool_call", "local_shell_call", "computer_call", "apply_patch_call"];

/// Whether encrypted reasoning may be shown to a target (T3).
///
/// OpenAI's and Azure's are Fernet tokens, whose first byte and the high half of whose time stamp spell `gAAAA`.
/// Anthropic's and Gemini's signatures are protocol buffers in base64, told by their first byte. xAI's are random
/// bytes, known only by being none of these (one in a hundred looks like one and is left out).
pub(super) fn ours(sealed: &str, target: &Target) -> bool {
    let fernet = sealed.starts_with("gAAAA");
    match &*target.id.provider {
        "openai" | "azure" => fernet,
        "xai" => !fernet && !protobuf(sealed),
        _ => fernet || !protobuf(sealed),
    }
}

/// What a Claude's or Gemini's signature looks like: its first byte is `0x0a`, `0x12` or `0x01`.
fn protobuf(sealed: &str) -> bool {
    let mut letters = sealed.bytes();
    let begins = matches!((letters.next(), letters.next()), (Some(b'C' | b'E'), Some(b'g'..=b'v')) | (Some(b'A'), Some(b'Q'..=b'Z' | b'a'..=b'f')));
    begins || sealed == "skip_thought_signature_validator"
}

/// The id of a call as OpenAI takes it: at most 64 characters. The end of a longer one, which is where ids differ.
pub(super) fn call_id(id: &str) -> &str {
    const MOST: usize = 64;
    let from = id.len().saturating_sub(MOST);
    (from..=id.len()).find_map(|at| id.get(at..)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::target;

    #[test]
    fn t3_sealed_reasoning_goes_back_to_its_issuer_alone() {
        let (fernet, random, claude, gemini) = ("gAAAAABqPVW8rALH", "kSPjPq9+0f3xQ2", "EqQBCkYIBxgCKkBz", "CpwDAR5ZnX0");
        for (provider, yes) in [
            ("openai", [true, false, false, false]),
            ("azure", [true, false, false, false]),
            ("xai", [false, true, false, false]),
            ("somebody", [true, true, false, false]),
        ] {
            let target = target(provider, "m", |_| ());
            assert_eq!([fernet, random, claude, gemini].map(|sealed| ours(sealed, &target)), yes, "{provider}");
        }
    }

    #[test]
    fn long_call_ids_keep_their_end() {
        assert_eq!(call_id("call_1"), "call_1");
        let long = format!("é{}", "x".repeat(63));
        assert_eq!(call_id(&long), "x".repeat(63));
    }
}
