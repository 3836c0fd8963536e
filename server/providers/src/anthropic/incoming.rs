//! What clients of Anthropic's messages send, as it stands in their JSON.

use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, Deserializer, de::Visitor};
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
    pub messages: Option<Vec<Msg<'a>>>,
    #[serde(borrow, default)]
    pub system: Option<Content<'a>>,
    pub max_tokens: Option<i64>,
    pub stream: Option<bool>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<i64>,
    #[serde(borrow, default)]
    pub stop_sequences: Option<Vec<Text<'a>>>,
    #[serde(borrow, default)]
    pub tools: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    pub tool_choice: Option<ChoiceIn<'a>>,
    #[serde(borrow, default)]
    pub thinking: Option<ThinkingIn<'a>>,
    #[serde(borrow, default)]
    pub output_config: Option<OutputConfig<'a>>,
    #[serde(borrow, default)]
    pub output_format: Option<FormatIn<'a>>,
    #[serde(borrow, default)]
    pub metadata: Option<Metadata<'a>>,
    #[serde(borrow, default)]
    pub service_tier: Option<Text<'a>>,
    pub headworks: Option<Headworks>,
    pub requesty: Option<Headworks>,
    pub models: Option<Vec<Arc<str>>>,
    pub provider: Option<Provider>,
    pub auto_cache: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct Msg<'a> {
    #[serde(borrow, default)]
    pub role: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub content: Option<Content<'a>>,
}

/// A string, or a list of blocks.
pub(super) enum Content<'a> {
    Text(Text<'a>),
    Blocks(Vec<&'a RawValue>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Content<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string or a list of content blocks")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Content::Text(Text(Cow::Borrowed(text))))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Content::Text(Text(Cow::Owned(text.to_owned()))))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(serde::de::value::SeqAccessDeserializer::new(seq)).map(Content::Blocks)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[derive(Deserialize)]
pub(super) struct BlockIn<'a> {
    #[serde(borrow, default, rename = "type")]
    pub kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub text: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub source: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub title: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub name: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub signature: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub tool_use_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub content: Option<Content<'a>>,
    pub is_error: Option<bool>,
    #[serde(borrow, default)]
    pub thinking: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub data: Option<Text<'a>>,
    pub cache_control: Option<CacheControl>,
}

/// `type` and mark of a block: all that is read of kinds we have no word for.
#[derive(Deserialize)]
pub(super) struct Kind<'a> {
    #[serde(borrow, default, rename = "type")]
    pub kind: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct SourceIn<'a> {
    #[serde(borrow, default, rename = "type")]
    pub kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub media_type: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub data: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub url: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub file_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub content: Option<Content<'a>>,
}

#[derive(Deserialize)]
pub(super) struct CacheControl {
    pub ttl: Option<String>,
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
    pub input_schema: Option<&'a RawValue>,
    pub strict: Option<bool>,
    pub cache_control: Option<CacheControl>,
}

#[derive(Deserialize)]
pub(super) struct ChoiceIn<'a> {
    #[serde(borrow, default, rename = "type")]
    pub kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub name: Option<Text<'a>>,
    pub disable_parallel_tool_use: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct ThinkingIn<'a> {
    #[serde(borrow, default, rename = "type")]
    pub kind: Option<Text<'a>>,
    pub budget_tokens: Option<i64>,
    #[serde(borrow, default)]
    pub display: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct OutputConfig<'a> {
    #[serde(borrow, default)]
    pub effort: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub format: Option<FormatIn<'a>>,
}

#[derive(Deserialize)]
pub(super) struct FormatIn<'a> {
    #[serde(borrow, default, rename = "type")]
    pub kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub schema: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Metadata<'a> {
    #[serde(borrow, default)]
    pub user_id: Option<Text<'a>>,
}
