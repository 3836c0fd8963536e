//! What Responses hosts send, read forgivingly: any field may be absent, null or new.

use headworks_core::{Json, Quirks, Tokens};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::text::Text;

/// A value or its absence, whatever else stands in its place.
fn lenient<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).ok())
}

/// One event of a stream.
#[derive(Deserialize)]
pub(super) struct Event<'a> {
    #[serde(borrow, default, rename = "type")]
    pub kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub response: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub item: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "lenient")]
    pub output_index: Option<u32>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub delta: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub arguments: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub logprobs: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub annotation: Option<&'a RawValue>,
}

/// The answer as an object.
#[derive(Deserialize)]
pub(super) struct Response<'a> {
    #[serde(borrow, default)]
    pub object: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub model: Option<Text<'a>>,
    #[serde(default, deserialize_with = "lenient")]
    pub created_at: Option<f64>,
    #[serde(borrow, default)]
    pub status: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub error: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "lenient")]
    pub incomplete_details: Option<Incomplete>,
    #[serde(borrow, default)]
    pub output: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    pub usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub service_tier: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Incomplete {
    #[serde(default)]
    pub reason: Option<String>,
}

/// One item of the output.
#[derive(Deserialize)]
pub(super) struct Item<'a> {
    #[serde(borrow, default, rename = "type")]
    pub kind: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub id: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub call_id: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub name: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub arguments: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub content: Option<Vec<Piece<'a>>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub summary: Option<Vec<Piece<'a>>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub encrypted_content: Option<Text<'a>>,
}

/// A piece of an item's content.
#[derive(Deserialize)]
pub(super) struct Piece<'a> {
    #[serde(borrow, default, rename = "type")]
    pub kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub text: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub refusal: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub logprobs: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub annotations: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Usage {
    #[serde(alias = "prompt_tokens")]
    input_tokens: Option<i64>,
    #[serde(alias = "completion_tokens")]
    output_tokens: Option<i64>,
    total_tokens: Option<i64>,
    #[serde(deserialize_with = "lenient")]
    input_tokens_details: Option<InputDetails>,
    #[serde(deserialize_with = "lenient")]
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct InputDetails {
    cached_tokens: Option<i64>,
    cache_write_tokens: Option<i64>,
    audio_tokens: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct OutputDetails {
    reasoning_tokens: Option<i64>,
    audio_tokens: Option<i64>,
}

/// Tokens in disjoint kinds; `None` where the report counts nothing. `input_tokens` includes what was read
/// from and written to the cache, `output_tokens` the reasoning (OpenAI, "Responses: usage").
pub(super) fn tokens(raw: &RawValue, quirks: &Quirks) -> Option<Tokens> {
    let usage: Usage = serde_json::from_str(raw.get()).ok()?;
    if usage.input_tokens.is_none() && usage.output_tokens.is_none() {
        return None;
    }
    let (read, wrote) = (usage.input_tokens_details.unwrap_or_default(), usage.output_tokens_details.unwrap_or_default());
    let input = Tokens::count(usage.input_tokens);
    let cached = Tokens::count(read.cached_tokens).min(input);
    let written = Tokens::count(read.cache_write_tokens).min(input - cached);
    let audio = Tokens::count(read.audio_tokens).min(input - cached - written);
    let mut output = Tokens::count(usage.output_tokens);
    let reasoning = Tokens::count(wrote.reasoning_tokens);
    let beside = usage.total_tokens.is_some_and(|total| total == input.saturating_add(output).saturating_add(reasoning));
    if reasoning > 0 && (beside || (quirks.reasoning_beside_completion && reasoning > output)) {
        output = output.saturating_add(reasoning);
    }
    let spoken = Tokens::count(wrote.audio_tokens).min(output);
    Some(Tokens {
        input: input - cached - written - audio,
        cache_read: cached,
        cache_write_5m: written,
        input_audio: audio,
        output: output - spoken,
        reasoning: reasoning.min(output - spoken),
        output_audio: spoken,
        ..Tokens::default()
    })
}

/// Log probabilities of one delta or part as chat completions hold them; `None` where there are none.
pub(super) fn logprobs(raw: Option<&RawValue>) -> Option<Json> {
    let list = raw.map(RawValue::get).filter(|list| list.starts_with('[') && *list != "[]")?;
    Json::parse(format!("{{\"content\":{list}}}")).ok()
}
