//! What clients send, as it stands in their JSON.

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    extension::{Headworks, Provider},
    text::Text,
};

#[derive(Deserialize)]
pub(super) struct Body<'a> {
    #[serde(borrow, default)]
    pub model: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub instructions: Option<&'a RawValue>,
    pub stream: Option<bool>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub max_output_tokens: Option<i64>,
    pub top_logprobs: Option<i64>,
    #[serde(borrow, default)]
    pub tools: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    pub tool_choice: Option<&'a RawValue>,
    pub parallel_tool_calls: Option<bool>,
    #[serde(borrow, default)]
    pub text: Option<TextOptions<'a>>,
    #[serde(borrow, default)]
    pub reasoning: Option<ReasoningOptions<'a>>,
    pub metadata: Option<BTreeMap<String, String>>,
    #[serde(borrow, default)]
    pub service_tier: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub user: Option<Text<'a>>,
    pub store: Option<bool>,
    pub background: Option<bool>,
    #[serde(borrow, default)]
    pub conversation: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub prompt: Option<&'a RawValue>,
    pub headworks: Option<Headworks>,
    pub requesty: Option<Headworks>,
    pub models: Option<Vec<Arc<str>>>,
    pub provider: Option<Provider>,
    pub auto_cache: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct TextOptions<'a> {
    #[serde(borrow, default)]
    pub format: Option<Format<'a>>,
    #[serde(borrow, default)]
    pub verbosity: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Format<'a> {
    #[serde(borrow, default, rename = "type")]
    pub kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub name: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub description: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub schema: Option<&'a RawValue>,
    pub strict: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct ReasoningOptions<'a> {
    #[serde(borrow, default)]
    pub effort: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub summary: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub generate_summary: Option<Text<'a>>,
}

/// One item of the input.
#[derive(Deserialize)]
pub(super) struct ItemIn<'a> {
    #[serde(borrow, default, rename = "type")]
    pub kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub role: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub call_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub name: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub arguments: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub output: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub summary: Option<Vec<PartIn<'a>>>,
    #[serde(borrow, default)]
    pub encrypted_content: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub id: Option<Text<'a>>,
}

/// A part of an item's content.
#[derive(Deserialize)]
pub(super) struct PartIn<'a> {
    #[serde(borrow, default, rename = "type")]
    pub kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub text: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub refusal: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub image_url: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub detail: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub file_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub file_url: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub file_data: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub filename: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub input_audio: Option<AudioIn<'a>>,
}

#[derive(Deserialize)]
pub(super) struct AudioIn<'a> {
    #[serde(borrow)]
    pub data: Text<'a>,
    #[serde(borrow)]
    pub format: Text<'a>,
}

#[derive(Deserialize)]
pub(super) struct ToolIn<'a> {
    #[serde(borrow, default, rename = "type")]
    pub kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub name: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub description: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub parameters: Option<&'a RawValue>,
    pub strict: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct ChoiceIn<'a> {
    #[serde(borrow, default, rename = "type")]
    pub kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub name: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub mode: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub tools: Option<Vec<ToolIn<'a>>>,
}
