//! Whose a signature is: only its issuer takes it back (T3).

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use headworks_core::{ChatRequest, MessageRole, Part, PartKind};

const FORGIVING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true);
const PLAIN: GeneralPurpose = GeneralPurpose::new(&STANDARD, FORGIVING);
const URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, FORGIVING);

/// Whether a signature, or encrypted reasoning, may be shown to Anthropic. What another maker is known to have
/// written is not: Gemini's (told by how their header begins, in every recorded answer), its word for a lost
/// one, OpenAI's encrypted reasoning (a Fernet token). Whatever else there is passes, since Anthropic's own has
/// changed its form before.
pub(super) fn ours(signature: &str) -> bool {
    if signature.is_empty() || signature == "skip_thought_signature_validator" || signature.starts_with("gAAAAA") {
        return false;
    }
    let head: String = signature.chars().take(64).collect();
    // Cut at a whole group of four, so that the rest decodes.
    let head = head.get(..head.len() / 4 * 4).filter(|cut| !cut.is_empty()).unwrap_or(&head);
    match PLAIN.decode(head).or_else(|_| URL.decode(head)) {
        // Long and no protocol buffer, as Anthropic's are: another maker's sealed reasoning (xAI's looks random).
        Ok(bytes) if signature.len() >= 64 && !matches!(bytes.first(), Some(0x12 | 0x0a)) => false,
        Ok(bytes) => !geminis(&bytes).unwrap_or(false),
        Err(_) => true,
    }
}

fn geminis(bytes: &[u8]) -> Option<bool> {
    let inner = match bytes {
        [0x12, rest @ ..] => length(length(rest)?.strip_prefix(&[0x0a])?)?,
        [0x0a, rest @ ..] => length(rest)?,
        other => other,
    };
    Some(inner.first() == Some(&0x01) || (inner.first() == Some(&0x08) && inner.get(2) == Some(&0x12)))
}

/// What follows the length that `bytes` begins with.
fn length(bytes: &[u8]) -> Option<&[u8]> {
    let digits = bytes.iter().take(5).position(|byte| byte & 0x80 == 0)?;
    bytes.get(digits + 1..)
}

/// Whether a part of the history is reasoning that Anthropic takes back.
pub(super) fn replayable(part: &Part) -> bool {
    match &part.kind {
        PartKind::Reasoning { redacted: Some(data), .. } => ours(data),
        PartKind::Reasoning { signature: Some(signature), .. } => ours(signature),
        _ => false,
    }
}

/// Whether the last turn of the model called tools, has its results, and lacks the reasoning that led to the
/// calls: Anthropic then refuses to think by budget in the same turn, so after a change of provider in the middle of a
/// tool round the request succeeds only without.
pub(super) fn round_without_reasoning(request: &ChatRequest) -> bool {
    let Some(at) = request.messages.iter().rposition(|m| m.role == MessageRole::Assistant) else { return false };
    let parts = || request.messages.get(at).into_iter().flat_map(|m| &m.parts);
    let answered = request.messages.iter().skip(at + 1).any(|m| m.parts.iter().any(|p| matches!(p.kind, PartKind::ToolResult { .. })));
    answered && parts().any(|p| matches!(p.kind, PartKind::ToolCall { .. })) && !parts().any(replayable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t3_signatures_of_other_makers_are_known() {
        // Made up; the beginnings are what the makers' own look like.
        for (bytes, yes) in [
            (&[0x12, 0xb3, 0x04, 0x0a, 0xb0, 0x04, 0x08, 0x02, 0x12, 0xab, 0x04, 1, 2][..], false),
            (&[0x12, 0x06, 0x0a, 0x04, 0x01, 0x0c, 0x39, 0xd6], false),
            (&[0x0a, 0xbc, 0x03, 0x01, 0x11, 0x4d], false),
            (&[0x01, 0x8f, 0x3d, 0x6b, 0x5f], false),
            (&[0x12, 0x8a, 0x02, 0x0a, 0x46, 0x08, 0x0b, 0x18, 0x02, 0x2a, 0x40], true),
        ] {
            assert_eq!(ours(&PLAIN.encode(bytes)), yes, "{bytes:x?}");
            assert_eq!(ours(&URL.encode(bytes)), yes, "{bytes:x?}");
        }
        assert!(!ours(&PLAIN.encode([0x7f; 60])), "long and no protocol buffer");
        for (text, yes) in [("", false), ("gAAAAABo", false), ("skip_thought_signature_validator", false), ("EqQB", true), ("sig!", true), ("é", true)] {
            assert_eq!(ours(text), yes, "{text}");
        }
    }
}
