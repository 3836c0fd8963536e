//! The `azure` dialect: Azure's paths around OpenAI's codecs, and around Anthropic's for Claude in Foundry.
//!
//! ("Azure OpenAI in Microsoft Foundry Models REST API reference", "API version lifecycle", "Deploy and use Claude models".)

#[cfg(test)]
mod tests;

use std::sync::Arc;

use headworks_core::{ChatRequest, DialectName, EmbedRequest, Fault, Target};

use crate::{Decoder, Dialect, Encoded, Head, envelope};

/// The codec.
#[derive(Debug)]
pub struct Azure;

impl Dialect for Azure {
    fn name(&self) -> DialectName {
        DialectName::Azure
    }

    fn encode(&self, target: &Target, request: &ChatRequest) -> Result<Encoded, Fault> {
        let name = spoken(target);
        let codec = envelope::inside(target, name)?;
        let deployment = deployment(target);
        let url = url(target, name, &deployment);
        let mut encoded = codec.encode(&Target { upstream_name: deployment, ..target.clone() }, request)?;
        envelope::readdress(target, &mut encoded, url)?;
        Ok(encoded)
    }

    fn encode_embed(&self, target: &Target, request: &EmbedRequest) -> Result<Encoded, Fault> {
        let deployment = deployment(target);
        let url = match target.host.options.api_version.as_deref() {
            Some(version) => format!("{}/deployments/{}/embeddings?api-version={version}", target.host.base_url, envelope::segment(&deployment)),
            None => format!("{}/v1/embeddings", target.host.base_url),
        };
        let codec = envelope::inside(target, DialectName::OpenAi)?;
        let mut encoded = codec.encode_embed(&Target { upstream_name: deployment, ..target.clone() }, request)?;
        envelope::readdress(target, &mut encoded, url)?;
        Ok(encoded)
    }

    fn embed_decoder(&self, target: &Target, head: &Head<'_>) -> Box<dyn Decoder> {
        crate::openai::OpenAi.embed_decoder(target, head)
    }

    fn embed_inputs(&self, target: &Target) -> usize {
        crate::openai::OpenAi.embed_inputs(target)
    }

    fn counts(&self, target: &Target) -> bool {
        spoken(target) == DialectName::Anthropic
    }

    fn encode_count(&self, target: &Target, request: &ChatRequest) -> Result<Encoded, Fault> {
        let name = spoken(target);
        let deployment = deployment(target);
        let url = format!("{}/count_tokens", url(target, name, &deployment));
        let mut encoded = envelope::inside(target, name)?.encode_count(&Target { upstream_name: deployment, ..target.clone() }, request)?;
        // Only Claude's own interface counts.
        if name == DialectName::Anthropic {
            envelope::readdress(target, &mut encoded, url)?;
        }
        Ok(encoded)
    }

    fn count_decoder(&self, target: &Target, head: &Head<'_>) -> Box<dyn Decoder> {
        inner(target).count_decoder(target, head)
    }

    fn decoder(&self, target: &Target, head: &Head<'_>) -> Box<dyn Decoder> {
        inner(target).decoder(target, head)
    }

    fn fault(&self, target: &Target, head: &Head<'_>, body: &[u8]) -> Fault {
        inner(target).fault(target, head, body)
    }
}

/// The dialect inside: that of the catalogue, else by the model's name.
fn spoken(target: &Target) -> DialectName {
    match target.model.as_ref().and_then(|m| m.dialect) {
        Some(dialect) if !dialect.is_envelope() => dialect,
        None if !target.known && target.upstream_name.starts_with("claude") => DialectName::Anthropic,
        _ => DialectName::OpenAi,
    }
}

fn inner(target: &Target) -> &'static dyn Dialect {
    crate::dialect(spoken(target)).unwrap_or(&crate::openai::OpenAi)
}

/// The deployment of a model: what the configuration says of it under its name here or at the maker, else the maker's name.
pub(crate) fn deployment(target: &Target) -> Arc<str> {
    let deployments = &target.host.options.deployments;
    deployments.get(&target.id.model).or_else(|| deployments.get(&target.upstream_name)).unwrap_or(&target.upstream_name).clone()
}

/// Where a resource serves this dialect.
pub(crate) fn url(target: &Target, dialect: DialectName, deployment: &str) -> String {
    let base = &*target.host.base_url;
    let version = target.host.options.api_version.as_deref();
    match (dialect, version) {
        (DialectName::Anthropic, _) => {
            let root = base.strip_suffix("/openai").unwrap_or(base);
            let root = root.strip_suffix("/anthropic").unwrap_or(root).replace(".openai.azure.com", ".services.ai.azure.com");
            format!("{root}/anthropic/v1/messages")
        }
        (DialectName::OpenAiResponses, Some(version)) => format!("{base}/responses?api-version={version}"),
        (DialectName::OpenAiResponses, None) => format!("{base}/v1/responses"),
        // Foundry's inference endpoint: one path, the model in the body.
        (_, Some(version)) if base.ends_with("/models") => format!("{base}/chat/completions?api-version={version}"),
        (_, Some(version)) => format!("{base}/deployments/{}/chat/completions?api-version={version}", envelope::segment(deployment)),
        (_, None) => format!("{base}/v1/chat/completions"),
    }
}
