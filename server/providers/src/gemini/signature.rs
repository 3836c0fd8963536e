//! Thought signatures: whose they are, and which models insist on them.

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use headworks_core::{Capability, Target};

/// What Google documents to send where a signature was lost (Gemini API, "Thought signatures"). Not base64.
pub(super) const LOST: &str = "skip_thought_signature_validator";

const FORGIVING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true);
const PLAIN: GeneralPurpose = GeneralPurpose::new(&STANDARD, FORGIVING);
const URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, FORGIVING);

/// Whether `signature` may be shown to Gemini (T3): base64, and not Anthropic's.
///
/// Both makers send protocol buffers. Anthropic's are field 2 around field 1, a short header that begins
/// with field 1 and goes on with field 2 or 3, all of them numbers (in every recorded answer of its own
/// API and of Bedrock's); Gemini's header never does.
pub(super) fn ours(signature: &str) -> bool {
    if signature == LOST {
        return true;
    }
    let Ok(bytes) = PLAIN.decode(signature).or_else(|_| URL.decode(signature)) else { return false };
    !bytes.is_empty() && !anthropic(&bytes).unwrap_or(false)
}

/// Whether `signature` is one of Anthropic's, by its shape: whoever serves its models passes them on as they are.
pub(crate) fn is_anthropic(signature: &str) -> bool {
    PLAIN.decode(signature).is_ok_and(|bytes| anthropic(&bytes).unwrap_or(false))
}

fn anthropic(bytes: &[u8]) -> Option<bool> {
    let rest = length(bytes.strip_prefix(&[0x12])?)?;
    let header = length(rest.strip_prefix(&[0x0a])?)?;
    Some(header.first() == Some(&0x08) && matches!(header.get(2), Some(0x10 | 0x18)))
}

/// What follows the length that `bytes` begins with.
fn length(bytes: &[u8]) -> Option<&[u8]> {
    let digits = bytes.iter().take(5).position(|byte| byte & 0x80 == 0)?;
    bytes.get(digits + 1..)
}

/// Whether the model refuses calls in its history that lack their signature: Gemini 3 and later.
pub(super) fn required(target: &Target) -> bool {
    if target.model.as_ref().is_some_and(|m| m.capabilities.reasoning == Capability::No) {
        return false;
    }
    generation(target).is_some_and(|n| n >= 3)
}

/// The generation of a Gemini model by its name: 3 of `gemini-3.1-pro`. The moving names (`gemini-flash-latest`)
/// stand for the newest, so they count as 3. `None`: not a Gemini, or its name does not say.
pub(super) fn generation(target: &Target) -> Option<u32> {
    let name = target.upstream_name.rsplit('/').next().unwrap_or_default();
    let rest = name.strip_prefix("gemini-")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    match digits.parse() {
        Ok(n) => Some(n),
        Err(_) if rest.ends_with("-latest") => Some(3),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::target;

    #[test]
    fn t3_signatures_are_told_apart() {
        // Made up; the beginnings are what the makers' own look like.
        for (bytes, yes) in [
            (&[0x12, 0xb3, 0x04, 0x0a, 0xb0, 0x04, 0x08, 0x02, 0x12, 0xab, 0x04, 1, 2][..], true),
            (&[0x12, 0x06, 0x0a, 0x04, 0x01, 0x0c, 0x39, 0xd6], true),
            (&[0x0a, 0xbc, 0x03, 0x01, 0x11, 0x4d], true),
            (&[0x01, 0x8f, 0x3d, 0x6b, 0x5f], true),
            (&[0x12, 0x8a, 0x02, 0x0a, 0x46, 0x08, 0x0b, 0x18, 0x02, 0x2a, 0x40], false),
            (&[0x12, 0xff, 0x01, 0x0a, 0x48, 0x08, 0x0d, 0x10, 0x01, 0x18, 0x02], false),
        ] {
            assert_eq!(ours(&PLAIN.encode(bytes)), yes, "{bytes:x?}");
            assert_eq!(ours(&URL.encode(bytes)), yes, "{bytes:x?}");
        }
        assert!(ours(LOST));
        assert!(!ours("not base64 at all!"));
        assert!(!ours(""));
    }

    #[test]
    fn t1_models_that_insist_on_signatures() {
        for (name, yes) in [
            ("gemini-3-pro-preview", true),
            ("gemini-3.1-flash-lite", true),
            ("gemini-flash-latest", true),
            ("gemini-10-pro", true),
            ("gemini-2.5-pro", false),
            ("gemini-2.0-flash", false),
            ("gemini-1.5-flash-latest", false),
            ("gemma-3-27b-it", false),
        ] {
            assert_eq!(required(&target("gemini", name, |_| ())), yes, "{name}");
        }
    }
}
