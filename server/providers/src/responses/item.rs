//! Kinds of items, and whose reasoning may be shown to whom.

use headworks_core::{Json, Target};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use crate::text::Text;

/// Item types of calls that only a client of this very dialect can run; to others they are a sealed thing.
pub(super) const CLIENT_RUNS: &[&str] = &["custom_tool_call", "local_shell_call", "computer_call", "apply_patch_call"];

/// Whether encrypted reasoning may be shown to a target (T3).
///
/// OpenAI's and Azure's are Fernet tokens, whose first byte and the high half of whose time stamp spell `gAAAA`.
/// Anthropic's and Gemini's signatures are protocol buffers in base64, told by their first byte. xAI's are random
/// bytes, known only by being none of these (one in a hundred looks like one and is left out).
pub(super) fn ours(sealed: &str, target: &Target) -> bool {
    if sealed.starts_with(OWN) {
        return false;
    }
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

/// What the gateway's own seals begin with: things of other dialects that clients carry back as sealed reasoning.
const OWN: &str = "hw-";

/// Encrypted reasoning of another dialect.
pub(super) fn seal_redacted(data: &str) -> String {
    format!("{OWN}redacted:{data}")
}

/// The data behind such a seal.
pub(super) fn redacted(sealed: &str) -> Option<&str> {
    sealed.strip_prefix(OWN)?.strip_prefix("redacted:")
}

/// A signature on a call (Gemini's).
pub(super) fn seal_call(call: &str, signature: &str) -> String {
    format!("{OWN}call:{}:{call}:{signature}", call.len())
}

/// The call's id and the signature behind such a seal.
pub(super) fn call_signature(sealed: &str) -> Option<(&str, &str)> {
    let (length, rest) = sealed.strip_prefix(OWN)?.strip_prefix("call:")?.split_once(':')?;
    let (call, rest) = rest.split_at_checked(length.parse().ok()?)?;
    Some((call, rest.strip_prefix(':')?))
}

#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
}

/// Whether something hosted is an item of this dialect, not another's block.
pub(super) fn is_item(json: &str) -> bool {
    let Ok(typed) = serde_json::from_str::<Typed<'_>>(json) else { return false };
    let kind = &*typed.kind;
    kind.ends_with("_call")
        || kind.ends_with("_call_output")
        || matches!(kind, "mcp_list_tools" | "mcp_approval_request" | "tool_search_output" | "program" | "program_output")
        // Anthropic has a block of this name, without an id.
        || (kind == "compaction" && json.contains("\"id\""))
}

/// Chat's annotations as this dialect writes them: without the object named as their type.
pub(super) fn flat_annotations(json: &Json) -> Vec<String> {
    let list: Vec<serde_json::Map<String, Value>> = json.read().unwrap_or_default();
    let flat = |mut annotation: serde_json::Map<String, Value>| {
        let kind = annotation.get("type")?.as_str()?.to_owned();
        if let Some(Value::Object(inner)) = annotation.remove(&kind) {
            annotation.extend(inner);
        }
        serde_json::to_string(&annotation).ok()
    };
    list.into_iter().filter_map(flat).collect()
}

#[derive(Deserialize)]
struct Logprobs<'a> {
    #[serde(borrow)]
    content: Vec<&'a RawValue>,
}

/// The items of chat's `logprobs`, joined by commas.
pub(super) fn logprob_items(json: &Json) -> Option<String> {
    let said: Logprobs<'_> = json.read().ok()?;
    Some(said.content.iter().map(|raw| raw.get()).collect::<Vec<_>>().join(","))
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
    fn t1_t2_what_others_sealed_comes_back_as_it_went() {
        assert_eq!(redacted(&seal_redacted("abc")), Some("abc"));
        assert_eq!(call_signature(&seal_call("call:1", "c2ln")), Some(("call:1", "c2ln")));
        for broken in ["", "hw-", "hw-call:", "hw-call:9:x:y", "hw-call:x:y:z", "gAAAA", "hw-call:1:éx"] {
            assert_eq!((call_signature(broken), redacted(broken)), (None, None), "{broken}");
        }
        assert!(!ours(&seal_redacted("abc"), &target("somebody", "m", |_| ())));
    }

    #[test]
    fn long_call_ids_keep_their_end() {
        assert_eq!(call_id("call_1"), "call_1");
        let long = format!("é{}", "x".repeat(63));
        assert_eq!(call_id(&long), "x".repeat(63));
    }
}
