//! What OpenAI-like hosts send, read forgivingly: any field may be absent, null or new.

use std::borrow::Cow;

use headworks_core::{Json, Quirks, Tokens};
use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};

use crate::text::Text;
use serde_json::value::RawValue;

/// A value or its absence, whatever else stands in its place.
fn lenient<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).ok())
}

#[derive(Deserialize)]
pub(super) struct Chunk<'a> {
    #[serde(borrow, default)]
    pub id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub model: Option<Text<'a>>,
    #[serde(default, deserialize_with = "lenient")]
    pub created: Option<i64>,
    #[serde(borrow, default)]
    pub choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow, default)]
    pub usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub x_groq: Option<XGroq<'a>>,
    #[serde(borrow, default)]
    pub error: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub service_tier: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub object: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct XGroq<'a> {
    #[serde(borrow, default)]
    pub usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Choice<'a> {
    #[serde(default)]
    pub index: Option<u16>,
    #[serde(borrow, default)]
    pub delta: Option<Delta<'a>>,
    #[serde(borrow, default)]
    pub message: Option<Delta<'a>>,
    #[serde(borrow, default)]
    pub finish_reason: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub logprobs: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub usage: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
pub(super) struct Delta<'a> {
    #[serde(borrow, default)]
    pub content: Option<Content<'a>>,
    #[serde(borrow, default)]
    pub refusal: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub reasoning_content: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub reasoning: Option<Text<'a>>,
    /// MiniMax and OpenRouter: the same in pieces.
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub reasoning_details: Option<Vec<ReasoningDetail<'a>>>,
    #[serde(borrow, default)]
    pub tool_calls: Option<Vec<ToolCall<'a>>>,
    #[serde(borrow, default)]
    pub function_call: Option<Function<'a>>,
    #[serde(borrow, default)]
    pub annotations: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct ReasoningDetail<'a> {
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub text: Option<Text<'a>>,
}

/// Text, or a list of parts.
pub(super) enum Content<'a> {
    Text(Text<'a>),
    Parts(Vec<ContentPart<'a>>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Content<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string or a list of parts")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Content::Text(Text(Cow::Borrowed(text))))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Content::Text(Text(Cow::Owned(text.to_owned()))))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = seq.next_element()? {
                    parts.push(part);
                }
                Ok(Content::Parts(parts))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[derive(Deserialize)]
pub(super) struct ContentPart<'a> {
    #[serde(borrow, default, rename = "type")]
    pub kind: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub text: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub thinking: Option<Vec<ContentPart<'a>>>,
}

#[derive(Deserialize)]
pub(super) struct ToolCall<'a> {
    #[serde(default)]
    pub index: Option<u32>,
    #[serde(borrow, default)]
    pub id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub function: Option<Function<'a>>,
    #[serde(borrow, default)]
    pub extra_content: Option<ExtraContent<'a>>,
}

#[derive(Deserialize)]
pub(super) struct ExtraContent<'a> {
    #[serde(borrow, default)]
    pub google: Option<GoogleContent<'a>>,
}

#[derive(Deserialize)]
pub(super) struct GoogleContent<'a> {
    #[serde(borrow, default)]
    pub thought_signature: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Function<'a> {
    #[serde(borrow, default)]
    pub name: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub arguments: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Usage {
    #[serde(deserialize_with = "lenient")]
    prompt_tokens: Option<i64>,
    #[serde(deserialize_with = "lenient")]
    completion_tokens: Option<i64>,
    #[serde(deserialize_with = "lenient")]
    total_tokens: Option<i64>,
    #[serde(deserialize_with = "lenient")]
    cached_tokens: Option<i64>,
    #[serde(deserialize_with = "lenient")]
    num_cached_tokens: Option<i64>,
    #[serde(deserialize_with = "lenient")]
    prompt_cache_hit_tokens: Option<i64>,
    #[serde(deserialize_with = "lenient")]
    cache_creation_input_tokens: Option<i64>,
    #[serde(deserialize_with = "lenient", alias = "prompt_token_details")]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(deserialize_with = "lenient")]
    completion_tokens_details: Option<CompletionDetails>,
    #[serde(deserialize_with = "lenient")]
    reasoning_tokens: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PromptDetails {
    cached_tokens: Option<i64>,
    cache_write_tokens: Option<i64>,
    cache_creation_input_tokens: Option<i64>,
    audio_tokens: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CompletionDetails {
    reasoning_tokens: Option<i64>,
    audio_tokens: Option<i64>,
}

/// Tokens in disjoint kinds; `None` where the report counts nothing.
///
/// `prompt_tokens` includes what was read from and written to the cache
/// (OpenAI, "Prompt caching"); some hosts leave reasoning out of `completion_tokens`,
/// which shows in `total_tokens`.
pub(super) fn tokens(raw: &RawValue, quirks: &Quirks) -> Option<Tokens> {
    let usage: Usage = serde_json::from_str(raw.get()).ok()?;
    if usage.prompt_tokens.is_none() && usage.completion_tokens.is_none() {
        return None;
    }
    let prompt_details = usage.prompt_tokens_details.unwrap_or_default();
    let completion_details = usage.completion_tokens_details.unwrap_or_default();
    let prompt = Tokens::count(usage.prompt_tokens);
    let cached = Tokens::count(prompt_details.cached_tokens.or(usage.prompt_cache_hit_tokens).or(usage.cached_tokens).or(usage.num_cached_tokens)).min(prompt);
    let written = Tokens::count(prompt_details.cache_write_tokens.or(prompt_details.cache_creation_input_tokens).or(usage.cache_creation_input_tokens))
        .min(prompt - cached);
    let audio = Tokens::count(prompt_details.audio_tokens).min(prompt - cached - written);
    let mut completion = Tokens::count(usage.completion_tokens);
    let reasoning = Tokens::count(completion_details.reasoning_tokens.or(usage.reasoning_tokens));
    let beside =
        usage.total_tokens.is_some_and(|total| total == prompt + completion + reasoning) || (quirks.reasoning_beside_completion && reasoning > completion);
    if reasoning > 0 && beside {
        completion += reasoning;
    }
    let spoken = Tokens::count(completion_details.audio_tokens).min(completion);
    Some(Tokens {
        input: prompt - cached - written - audio,
        cache_read: cached,
        cache_write_5m: written,
        input_audio: audio,
        output: completion - spoken,
        reasoning: reasoning.min(completion - spoken),
        output_audio: spoken,
        ..Tokens::default()
    })
}

/// JSON of a raw value that is not null.
pub(super) fn json(raw: Option<&RawValue>) -> Option<Json> {
    raw.filter(|raw| raw.get() != "null").map(Json::from)
}
