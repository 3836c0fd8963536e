//! What Cohere sends, read forgivingly: any field may be absent, null or new.

use headworks_core::Tokens;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::text::Text;

/// A value or its absence, whatever else stands in its place.
fn lenient<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).ok())
}

/// A whole answer, or one event of a stream.
#[derive(Deserialize)]
pub(super) struct Answer<'a> {
    #[serde(borrow, default, rename = "type", deserialize_with = "lenient")]
    pub kind: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub id: Option<Text<'a>>,
    #[serde(default, deserialize_with = "lenient")]
    pub index: Option<u32>,
    /// A whole answer's message; an error's words.
    #[serde(borrow, default)]
    pub message: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub delta: Option<Delta<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub finish_reason: Option<Text<'a>>,
    #[serde(default, deserialize_with = "lenient")]
    pub usage: Option<Usage>,
    #[serde(borrow, default)]
    pub logprobs: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Delta<'a> {
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub message: Option<Piece<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub finish_reason: Option<Text<'a>>,
    #[serde(default, deserialize_with = "lenient")]
    pub usage: Option<Usage>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub error: Option<Text<'a>>,
}

/// A piece of a streamed message: one of each where a whole message has a list.
#[derive(Deserialize)]
pub(super) struct Piece<'a> {
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub content: Option<Content<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub tool_plan: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub tool_calls: Option<Call<'a>>,
    #[serde(borrow, default)]
    pub citations: Option<&'a RawValue>,
}

/// A whole message.
#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub content: Option<Vec<Content<'a>>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub tool_plan: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub tool_calls: Option<Vec<Call<'a>>>,
    #[serde(borrow, default)]
    pub citations: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Content<'a> {
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub text: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub thinking: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Call<'a> {
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub id: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub function: Option<Function<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Function<'a> {
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub name: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub arguments: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Usage {
    #[serde(default, deserialize_with = "lenient")]
    billed_units: Option<Counts>,
    #[serde(default, deserialize_with = "lenient")]
    tokens: Option<Counts>,
}

#[derive(Deserialize, Clone, Copy)]
struct Counts {
    // Numbers with a fraction in some answers.
    #[serde(default, deserialize_with = "lenient")]
    input_tokens: Option<f64>,
    #[serde(default, deserialize_with = "lenient")]
    output_tokens: Option<f64>,
    #[serde(default, deserialize_with = "lenient")]
    reasoning_tokens: Option<f64>,
}

impl Usage {
    /// What is billed; where that is not said, what was read and written. `None`: nothing is counted.
    ///
    /// `tokens` counts Cohere's own preamble too, which is free ("How does Cohere's pricing work?"), and so does
    /// `cached_tokens`, which therefore says nothing of what is billed.
    pub(super) fn tokens(&self) -> Option<Tokens> {
        let said = |counts: &Option<Counts>| counts.filter(|c| c.input_tokens.is_some() || c.output_tokens.is_some());
        let counts = said(&self.billed_units).or_else(|| said(&self.tokens))?;
        let whole = |n: Option<f64>| Tokens::count(n.filter(|n| n.is_finite()).map(|n| n as i64));
        let output = whole(counts.output_tokens);
        let reasoning = counts.reasoning_tokens.or(self.tokens.and_then(|t| t.reasoning_tokens));
        Some(Tokens { input: whole(counts.input_tokens), output, reasoning: whole(reasoning).min(output), ..Tokens::default() })
    }
}
