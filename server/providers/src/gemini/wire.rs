//! What Gemini answers, read forgivingly: any field may be absent, null or new (F5).

use headworks_core::{FinishReason, Json, Tokens};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, value::RawValue};

use crate::{
    spell::{self, Object},
    text::Text,
};

/// A value, or its absence where something else stands in its place.
fn lenient<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).ok())
}

/// One `GenerateContentResponse`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer<'a> {
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub candidates: Option<Vec<Candidate<'a>>>,
    #[serde(default, deserialize_with = "lenient")]
    pub usage_metadata: Option<Usage>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub model_version: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub response_id: Option<Text<'a>>,
    #[serde(default, deserialize_with = "lenient")]
    pub prompt_feedback: Option<Feedback>,
    #[serde(borrow, default)]
    pub error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Feedback {
    #[serde(default)]
    block_reason: Option<Value>,
    #[serde(default)]
    block_reason_message: Option<Value>,
}

impl Feedback {
    /// The prompt was refused.
    pub(super) fn blocked(&self) -> bool {
        let said = |value: &Option<Value>| value.as_ref().is_some_and(|v| !matches!(v, Value::Null) && v.as_i64() != Some(0) && v.as_str() != Some(""));
        said(&self.block_reason) || said(&self.block_reason_message)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate<'a> {
    #[serde(default, deserialize_with = "lenient")]
    pub index: Option<u16>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub content: Option<Content<'a>>,
    /// A word, or its number where the caller asked for numbers (`$alt=json;enum-encoding=int`).
    #[serde(borrow, default)]
    pub finish_reason: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub grounding_metadata: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub citation_metadata: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub url_context_metadata: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "lenient")]
    pub logprobs_result: Option<Logprobs>,
}

#[derive(Deserialize)]
pub(super) struct Content<'a> {
    #[serde(borrow, default)]
    pub parts: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PartIn<'a> {
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub text: Option<Text<'a>>,
    #[serde(default, deserialize_with = "lenient")]
    pub thought: Option<bool>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub thought_signature: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub function_call: Option<Call<'a>>,
    #[serde(borrow, default)]
    pub executable_code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub code_execution_result: Option<&'a RawValue>,
    /// A call of a tool that Google runs, and what it gave.
    #[serde(borrow, default)]
    pub tool_call: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub tool_response: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub inline_data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub file_data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Call<'a> {
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub id: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub name: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub args: Option<&'a RawValue>,
}

/// How an answer ended; `None`: it has not.
pub(super) fn finish(reason: &RawValue) -> Option<FinishReason> {
    Some(match reason.get().trim_matches('"') {
        "" | "null" | "0" | "FINISH_REASON_UNSPECIFIED" => return None,
        // Some that speak for Google say FUNCTION_CALL where it says STOP.
        "STOP" | "1" | "FUNCTION_CALL" => FinishReason::Stop,
        "MAX_TOKENS" | "2" => FinishReason::Length,
        // 3 SAFETY, 4 RECITATION, 6 LANGUAGE, 7 BLOCKLIST, 8 PROHIBITED_CONTENT, 9 SPII, 11 IMAGE_SAFETY,
        // 14 IMAGE_PROHIBITED_CONTENT (`Candidate.FinishReason`).
        "3" | "4" | "6" | "7" | "8" | "9" | "11" | "14" => FinishReason::ContentFilter,
        "SAFETY" | "RECITATION" | "LANGUAGE" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" => FinishReason::ContentFilter,
        "IMAGE_SAFETY" | "IMAGE_PROHIBITED_CONTENT" | "IMAGE_RECITATION" | "MODEL_ARMOR" => FinishReason::ContentFilter,
        // OTHER, MALFORMED_FUNCTION_CALL, UNEXPECTED_TOOL_CALL, ...: the answer failed.
        _ => FinishReason::Error,
    })
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Usage {
    #[serde(deserialize_with = "lenient")]
    prompt_token_count: Option<i64>,
    #[serde(deserialize_with = "lenient")]
    candidates_token_count: Option<i64>,
    #[serde(deserialize_with = "lenient")]
    thoughts_token_count: Option<i64>,
    #[serde(deserialize_with = "lenient")]
    cached_content_token_count: Option<i64>,
    #[serde(deserialize_with = "lenient")]
    tool_use_prompt_token_count: Option<i64>,
    #[serde(deserialize_with = "lenient")]
    prompt_tokens_details: Option<Vec<Modality>>,
    #[serde(deserialize_with = "lenient")]
    cache_tokens_details: Option<Vec<Modality>>,
    #[serde(deserialize_with = "lenient")]
    candidates_tokens_details: Option<Vec<Modality>>,
    #[serde(deserialize_with = "lenient")]
    service_tier: Option<String>,
    #[serde(deserialize_with = "lenient")]
    traffic_type: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Modality {
    /// A word or its number.
    modality: Option<Value>,
    #[serde(deserialize_with = "lenient")]
    token_count: Option<i64>,
}

/// Tokens of one modality: `IMAGE` is 2 and `AUDIO` 4 where numbers are sent.
fn of(list: &Option<Vec<Modality>>, word: &str, number: i64) -> i64 {
    let is = |value: &Value| value.as_str() == Some(word) || value.as_i64() == Some(number);
    list.iter().flatten().filter(|m| m.modality.as_ref().is_some_and(is)).map(|m| Tokens::count(m.token_count)).fold(0, i64::saturating_add)
}

impl Usage {
    /// Tokens in disjoint kinds; `None` where nothing is counted.
    ///
    /// `promptTokenCount` holds what came from the cache and leaves out what Google's own tools put
    /// in; `candidatesTokenCount` leaves out thoughts (`UsageMetadata`; A3, A5).
    pub(super) fn tokens(&self) -> Option<Tokens> {
        if self.prompt_token_count.is_none() && self.candidates_token_count.is_none() && self.thoughts_token_count.is_none() {
            return None;
        }
        let count = Tokens::count;
        let prompt = count(self.prompt_token_count) + count(self.tool_use_prompt_token_count);
        let cached = count(self.cached_content_token_count).min(prompt);
        let cached_audio = of(&self.cache_tokens_details, "AUDIO", 4).min(cached);
        let cached_image = of(&self.cache_tokens_details, "IMAGE", 2).min(cached - cached_audio);
        let plain = prompt - cached;
        let audio = (of(&self.prompt_tokens_details, "AUDIO", 4) - cached_audio).clamp(0, plain);
        let image = (of(&self.prompt_tokens_details, "IMAGE", 2) - cached_image).clamp(0, plain - audio);
        let candidates = count(self.candidates_token_count);
        let thoughts = count(self.thoughts_token_count);
        let spoken = of(&self.candidates_tokens_details, "AUDIO", 4).min(candidates);
        let drawn = of(&self.candidates_tokens_details, "IMAGE", 2).min(candidates - spoken);
        Some(Tokens {
            input: plain - audio - image,
            cache_read: cached - cached_audio,
            cache_read_audio: cached_audio,
            input_audio: audio,
            input_image: image,
            output: candidates - spoken - drawn + thoughts,
            reasoning: thoughts,
            output_audio: spoken,
            output_image: drawn,
            ..Tokens::default()
        })
    }

    /// The tier that served, in the words that prices know: `default`, `flex`, `priority`.
    pub(super) fn tier(&self) -> Option<&'static str> {
        self.service_tier.as_deref().or(self.traffic_type.as_deref()).and_then(tier)
    }
}

/// Google's word for a tier (`serviceTier`, `trafficType`, the header `x-gemini-service-tier`) in ours.
pub(super) fn tier(word: &str) -> Option<&'static str> {
    let word = word.to_ascii_lowercase();
    match word.as_str() {
        "flex" | "on_demand_flex" => Some("flex"),
        "priority" | "on_demand_priority" => Some("priority"),
        "standard" | "on_demand" => Some("default"),
        _ => None,
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Logprobs {
    chosen_candidates: Vec<Token>,
    top_candidates: Vec<Top>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Top {
    candidates: Vec<Token>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Token {
    token: String,
    /// Absent: 0, as protocol buffers leave zeros out.
    log_probability: f64,
}

impl Token {
    fn write(&self, o: &mut Object<'_>) {
        o.str("token", &self.token);
        o.val("logprob", self.log_probability);
        o.val("bytes", self.token.as_bytes());
    }
}

impl Logprobs {
    /// The same in OpenAI's form; `None` where there are none.
    pub(super) fn openai(&self) -> Option<Json> {
        if self.chosen_candidates.is_empty() {
            return None;
        }
        let mut out = Vec::new();
        spell::object(&mut out, |o| {
            o.arr("content", |a| {
                for (at, token) in self.chosen_candidates.iter().enumerate() {
                    a.obj(|o| {
                        token.write(o);
                        o.arr("top_logprobs", |a| {
                            for other in self.top_candidates.get(at).map(|top| &top.candidates[..]).unwrap_or_default() {
                                a.obj(|o| other.write(o));
                            }
                        });
                    });
                }
            });
            o.raw("refusal", "null");
        });
        Json::parse(String::from_utf8(out).ok()?).ok()
    }
}
