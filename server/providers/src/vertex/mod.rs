//! The `vertex` dialect: Google Cloud's paths around the codecs of the models' makers.
//!
//! Google's own models speak Gemini, Anthropic's speak messages with `rawPredict`, Mistral's and AI21's
//! speak chat completions with `rawPredict`, and the open models (model as a service) speak chat completions
//! at one endpoint for all. ("Vertex AI: Generative AI API reference", "Use Claude models", "Mistral AI models",
//! "Call MaaS APIs for open models".)

#[cfg(test)]
mod tests;

use std::sync::Arc;

use headworks_core::{ChatRequest, DialectName, EmbedRequest, Fault, Host, Quirks, Reason, Target};
use http::{HeaderName, HeaderValue};

use crate::{Decoder, Dialect, Encoded, Head, embed::Whole, envelope};

/// What a request to Claude says in place of the header `anthropic-version`.
const ANTHROPIC_VERSION: &str = "vertex-2023-10-16";
/// How Vertex is asked for a service tier; Gemini's own API has a field of the body for it.
const TIER: HeaderName = HeaderName::from_static("x-vertex-ai-llm-shared-request-type");

/// The codec.
#[derive(Debug)]
pub struct Vertex;

/// How a model is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// `publishers/google`: generateContent.
    Google,
    /// `publishers/anthropic`: rawPredict.
    Anthropic,
    /// Another publisher's chat completions: rawPredict.
    Raw(&'static str),
    /// `endpoints/openapi`: chat completions.
    OpenApi,
}

impl Way {
    /// By the catalogue's dialect where it has the model, else by its name.
    fn of(target: &Target) -> Self {
        let name = &*target.upstream_name;
        let (publisher, bare) = name.rsplit_once('/').unwrap_or(("", name));
        let raw = || match publisher {
            "mistralai" => Some(Self::Raw("mistralai")),
            "ai21" => Some(Self::Raw("ai21")),
            "" if bare.starts_with("jamba") => Some(Self::Raw("ai21")),
            "" if ["mistral", "codestral", "ministral", "magistral", "pixtral"].iter().any(|maker| bare.starts_with(maker)) => Some(Self::Raw("mistralai")),
            _ => None,
        };
        match target.model.as_ref().and_then(|m| m.dialect) {
            Some(DialectName::Anthropic) => Self::Anthropic,
            Some(DialectName::OpenAi) => raw().filter(|_| !bare.ends_with("-maas")).unwrap_or(Self::OpenApi),
            Some(_) => Self::Google,
            None if target.known => Self::Google,
            None if bare.starts_with("claude") => Self::Anthropic,
            None if bare.ends_with("-maas") => Self::OpenApi,
            None => raw().unwrap_or(match publisher {
                "" | "google" | "models" | "publishers/google/models" => Self::Google,
                _ => Self::OpenApi,
            }),
        }
    }

    const fn dialect(self) -> DialectName {
        match self {
            Self::Google => DialectName::Gemini,
            Self::Anthropic => DialectName::Anthropic,
            Self::Raw(_) | Self::OpenApi => DialectName::OpenAi,
        }
    }
}

impl Dialect for Vertex {
    fn name(&self) -> DialectName {
        DialectName::Vertex
    }

    fn encode(&self, target: &Target, request: &ChatRequest) -> Result<Encoded, Fault> {
        let way = Way::of(target);
        let place = place(target)?;
        let bare = target.upstream_name.rsplit('/').next().unwrap_or_default();
        let codec = envelope::inside(target, way.dialect())?;
        match way {
            Way::Google => google(codec, target, request, &place, bare),
            Way::Anthropic => {
                let mut encoded = codec.encode(target, request)?;
                let body = envelope::reshape(encoded.request.body(), Some(("anthropic_version", ANTHROPIC_VERSION)), &["model"]);
                *encoded.request.body_mut() = body;
                encoded.request.headers_mut().remove("anthropic-version");
                envelope::readdress(target, &mut encoded, raw(&place, "anthropic", bare, request.stream))?;
                Ok(encoded)
            }
            Way::Raw(publisher) => {
                // The version stands in the path alone.
                let name = bare.split('@').next().unwrap_or(bare);
                let mut inner = Target { upstream_name: name.into(), ..target.clone() };
                if publisher == "mistralai" {
                    inner.host = Arc::new(Host { quirks: mistral(&target.host.quirks), ..(*target.host).clone() });
                }
                let mut encoded = codec.encode(&inner, request)?;
                envelope::readdress(target, &mut encoded, raw(&place, publisher, bare, request.stream))?;
                Ok(encoded)
            }
            Way::OpenApi => {
                let mut encoded = codec.encode(target, request)?;
                envelope::readdress(target, &mut encoded, format!("{place}/endpoints/openapi/chat/completions"))?;
                Ok(encoded)
            }
        }
    }

    fn decoder(&self, target: &Target, head: &Head<'_>) -> Box<dyn Decoder> {
        inner(target).decoder(target, head)
    }

    fn counts(&self, target: &Target) -> bool {
        matches!(Way::of(target), Way::Google | Way::Anthropic)
    }

    fn encode_count(&self, target: &Target, request: &ChatRequest) -> Result<Encoded, Fault> {
        let (way, place) = (Way::of(target), place(target)?);
        if way == Way::Anthropic {
            let mut encoded = inner(target).encode_count(target, request)?;
            let body = envelope::reshape(encoded.request.body(), Some(("anthropic_version", ANTHROPIC_VERSION)), &[]);
            *encoded.request.body_mut() = body;
            encoded.request.headers_mut().remove("anthropic-version");
            envelope::readdress(target, &mut encoded, format!("{place}/publishers/anthropic/models/count-tokens:rawPredict"))?;
            return Ok(encoded);
        }
        // Vertex takes the parts of the request themselves, and fewer of them (`CountTokensRequest`).
        let mut encoded = inner(target).encode(target, &ChatRequest { service_tier: None, ..request.clone() })?;
        let body = envelope::reshape(encoded.request.body(), None, &["toolConfig", "safetySettings", "cachedContent"]);
        *encoded.request.body_mut() = body;
        let bare = target.upstream_name.rsplit('/').next().unwrap_or_default();
        envelope::readdress(target, &mut encoded, format!("{place}/publishers/google/models/{}:countTokens", envelope::segment(bare)))?;
        Ok(encoded)
    }

    fn count_decoder(&self, target: &Target, head: &Head<'_>) -> Box<dyn Decoder> {
        inner(target).count_decoder(target, head)
    }

    fn fault(&self, target: &Target, head: &Head<'_>, body: &[u8]) -> Fault {
        // Google answers in its own form wherever the request did not reach the model.
        let googles = serde_json::from_slice::<serde_json::Value>(body).is_ok_and(|value| {
            let error = value.get(0).unwrap_or(&value).get("error");
            error.is_some_and(|error| error.get("status").is_some() || error.get("details").is_some())
        });
        if googles { crate::gemini::Gemini.fault(target, head, body) } else { inner(target).fault(target, head, body) }
    }

    fn encode_embed(&self, target: &Target, request: &EmbedRequest) -> Result<Encoded, Fault> {
        let bare = target.upstream_name.rsplit('/').next().unwrap_or_default();
        let url = format!("{}/publishers/google/models/{}", place(target)?, envelope::segment(bare));
        crate::embed::vertex::encode(target, request, &url)
    }

    fn embed_decoder(&self, target: &Target, head: &Head<'_>) -> Box<dyn Decoder> {
        Whole::decoder(target, head, crate::embed::vertex::read)
    }

    fn embed_inputs(&self, target: &Target) -> usize {
        let host = target.host.quirks.embed.inputs.map_or(usize::MAX, |most| most as usize);
        crate::embed::vertex::inputs(target).unwrap_or(host)
    }
}

fn inner(target: &Target) -> &'static dyn Dialect {
    crate::dialect(Way::of(target).dialect()).unwrap_or(&crate::gemini::Gemini)
}

fn google(codec: &dyn Dialect, target: &Target, request: &ChatRequest, place: &str, bare: &str) -> Result<Encoded, Fault> {
    let tier = request.service_tier.as_deref().filter(|tier| matches!(*tier, "flex" | "priority"));
    let mut encoded = match tier {
        None => codec.encode(target, request)?,
        Some(tier) => {
            let mut encoded = codec.encode(target, &ChatRequest { service_tier: None, ..request.clone() })?;
            let tier = HeaderValue::from_str(tier).map_err(|error| Fault::internal(error.to_string()))?;
            encoded.request.headers_mut().insert(TIER, tier);
            encoded
        }
    };
    let method = if request.stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    envelope::readdress(target, &mut encoded, format!("{place}/publishers/google/models/{}:{method}", envelope::segment(bare)))?;
    Ok(encoded)
}

fn raw(place: &str, publisher: &str, model: &str, stream: bool) -> String {
    let method = if stream { "streamRawPredict" } else { "rawPredict" };
    format!("{place}/publishers/{publisher}/models/{}:{method}", envelope::segment(model))
}

/// What stands before `/publishers` and `/endpoints`.
fn place(target: &Target) -> Result<String, Fault> {
    let Host { base_url, options, id, .. } = &*target.host;
    let Some(project) = &options.project else {
        let message = format!("{}: no project is set; set GOOGLE_VERTEX_PROJECT, or project in [providers.{id}]", target.id);
        return Err(Fault::new(Reason::UpstreamCredentials, message).because(headworks_core::Cause::Credentials).at(&target.id));
    };
    let location = options.location.as_deref().unwrap_or("global");
    Ok(format!("{base_url}/projects/{}/locations/{}", envelope::segment(project), envelope::segment(location)))
}

/// Mistral's own ways. What is served here is older than what Mistral serves itself, and stricter.
fn mistral(host: &Quirks) -> Quirks {
    Quirks {
        seed_field: "random_seed".into(),
        stream_usage_option: false,
        required_word: Some("any".into()),
        named_tool_choice: false,
        short_call_ids: true,
        tool_names: true,
        assistant_after_tool: true,
        assistant_prefix: true,
        thinking_parts: true,
        document_parts: true,
        rejects: vec!["logit_bias".into(), "user".into()],
        headers: host.headers.clone(),
        ..Quirks::default()
    }
}
