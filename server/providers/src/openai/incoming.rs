//! What clients send, as it stands in their JSON.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

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
    pub stream: Option<bool>,
    pub stream_options: Option<StreamOptions>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<i64>,
    pub min_p: Option<f64>,
    pub frequency_penalty: Option<f64>,
    pub presence_penalty: Option<f64>,
    pub repetition_penalty: Option<f64>,
    pub seed: Option<i64>,
    pub max_tokens: Option<i64>,
    pub max_completion_tokens: Option<i64>,
    #[serde(borrow, default)]
    pub stop: Option<OneOrMany<'a>>,
    pub n: Option<i64>,
    pub logprobs: Option<bool>,
    pub top_logprobs: Option<i64>,
    pub logit_bias: Option<BTreeMap<String, f64>>,
    #[serde(borrow, default)]
    pub tools: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    pub functions: Option<Vec<FunctionDef<'a>>>,
    #[serde(borrow, default)]
    pub tool_choice: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub function_call: Option<&'a RawValue>,
    pub parallel_tool_calls: Option<bool>,
    #[serde(borrow, default)]
    pub response_format: Option<ResponseFormat<'a>>,
    #[serde(borrow, default)]
    pub reasoning_effort: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub reasoning: Option<ReasoningOptions<'a>>,
    pub metadata: Option<BTreeMap<String, String>>,
    #[serde(borrow, default)]
    pub service_tier: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub user: Option<Text<'a>>,
    pub headworks: Option<Headworks>,
    pub requesty: Option<Headworks>,
    pub models: Option<Vec<Arc<str>>>,
    pub provider: Option<Provider>,
    pub auto_cache: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct StreamOptions {
    pub include_usage: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct ReasoningOptions<'a> {
    #[serde(borrow, default)]
    pub effort: Option<Text<'a>>,
    pub max_tokens: Option<i64>,
    pub exclude: Option<bool>,
    pub enabled: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct Msg<'a> {
    #[serde(borrow, default)]
    pub role: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub content: Option<Content<'a>>,
    #[serde(borrow, default)]
    pub name: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub tool_calls: Option<Vec<CallIn<'a>>>,
    #[serde(borrow, default)]
    pub tool_call_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub function_call: Option<FunctionIn<'a>>,
    #[serde(borrow, default)]
    pub refusal: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub reasoning_content: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub thinking_blocks: Option<Vec<PartIn<'a>>>,
    pub cache_control: Option<CacheControl>,
}

pub(super) enum Content<'a> {
    Text(Text<'a>),
    Parts(Vec<PartIn<'a>>),
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
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(serde::de::value::SeqAccessDeserializer::new(seq)).map(Content::Parts)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

pub(super) struct OneOrMany<'a>(pub Vec<Text<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for OneOrMany<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = OneOrMany<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string or a list of strings")
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(OneOrMany(vec![Text(Cow::Owned(text.to_owned()))]))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(serde::de::value::SeqAccessDeserializer::new(seq)).map(OneOrMany)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[derive(Deserialize)]
pub(super) struct PartIn<'a> {
    #[serde(borrow, default, rename = "type")]
    pub kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub text: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub image_url: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub input_audio: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub file: Option<FileIn<'a>>,
    /// Mistral: a file by its URL.
    #[serde(borrow, default)]
    pub document_url: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub document_name: Option<Text<'a>>,
    /// Perplexity: a file by its URL.
    #[serde(borrow, default)]
    pub file_url: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub file_name: Option<Text<'a>>,
    /// OpenRouter: a film.
    #[serde(borrow, default)]
    pub video_url: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub refusal: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub thinking: Option<ThinkingIn<'a>>,
    #[serde(borrow, default)]
    pub signature: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub data: Option<Text<'a>>,
    pub cache_control: Option<CacheControl>,
}

/// Text (Anthropic), or a list of texts (Mistral).
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum ThinkingIn<'a> {
    #[serde(borrow)]
    Text(Text<'a>),
    Parts(Vec<ThoughtIn>),
}

#[derive(Deserialize)]
pub(super) struct ThoughtIn {
    #[serde(default)]
    text: String,
}

impl<'a> ThinkingIn<'a> {
    pub(super) fn text(self) -> Text<'a> {
        match self {
            Self::Text(text) => text,
            Self::Parts(parts) => Text(Cow::Owned(parts.into_iter().map(|part| part.text).collect())),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct ImageIn<'a> {
    #[serde(borrow)]
    pub url: Text<'a>,
    #[serde(borrow, default)]
    pub detail: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct AudioIn<'a> {
    #[serde(borrow)]
    pub data: Text<'a>,
    #[serde(borrow)]
    pub format: Text<'a>,
}

#[derive(Deserialize)]
pub(super) struct FileIn<'a> {
    #[serde(borrow, default)]
    pub file_data: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub file_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub filename: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct CacheControl {
    pub ttl: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct CallIn<'a> {
    #[serde(borrow, default)]
    pub id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub function: Option<FunctionIn<'a>>,
    #[serde(borrow, default)]
    pub extra_content: Option<ExtraContent<'a>>,
}

#[derive(Deserialize)]
pub(super) struct ExtraContent<'a> {
    #[serde(borrow, default)]
    pub google: Option<Google<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Google<'a> {
    #[serde(borrow, default)]
    pub thought_signature: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct FunctionIn<'a> {
    #[serde(borrow, default)]
    pub name: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub arguments: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct ToolIn<'a> {
    #[serde(borrow, default, rename = "type")]
    pub kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub function: Option<FunctionDef<'a>>,
    pub cache_control: Option<CacheControl>,
}

#[derive(Deserialize, Default)]
pub(super) struct FunctionDef<'a> {
    #[serde(borrow, default)]
    pub name: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub description: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub parameters: Option<&'a RawValue>,
    pub strict: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct ResponseFormat<'a> {
    #[serde(borrow, default, rename = "type")]
    pub kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub json_schema: Option<SchemaIn<'a>>,
}

#[derive(Deserialize)]
pub(super) struct SchemaIn<'a> {
    #[serde(borrow, default)]
    pub name: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub description: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub schema: Option<&'a RawValue>,
    pub strict: Option<bool>,
}
