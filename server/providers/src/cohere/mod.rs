//! The `cohere` dialect: chat of Cohere's API version 2, towards upstreams.

mod decode;
mod encode;
#[cfg(test)]
mod tests;
mod wire;

use headworks_core::{ChatRequest, DialectName, EmbedRequest, Fault, Target, UpstreamError};

use crate::{Decoder, Dialect, Encoded, Head, embed::Whole, fault as shared};

/// The codec.
#[derive(Debug)]
pub struct Cohere;

impl Dialect for Cohere {
    fn name(&self) -> DialectName {
        DialectName::Cohere
    }

    fn encode(&self, target: &Target, request: &ChatRequest) -> Result<Encoded, Fault> {
        encode::encode(target, request)
    }

    fn decoder(&self, target: &Target, head: &Head<'_>) -> Box<dyn Decoder> {
        Box::new(decode::CohereDecoder::new(target, head))
    }

    fn fault(&self, target: &Target, head: &Head<'_>, body: &[u8]) -> Fault {
        let mut error = serde_json::from_slice(body)
            .ok()
            .as_ref()
            .and_then(crate::openai::read_error)
            .unwrap_or_else(|| UpstreamError { message: String::from_utf8_lossy(body).chars().take(300).collect(), ..UpstreamError::default() });
        error.status = head.status.as_u16();
        shared::fault(target, error, shared::retry_after(head.headers))
    }

    fn encode_embed(&self, target: &Target, request: &EmbedRequest) -> Result<Encoded, Fault> {
        crate::embed::cohere::encode(target, request, &format!("{}/v2/embed", target.host.base_url))
    }

    fn embed_decoder(&self, target: &Target, head: &Head<'_>) -> Box<dyn Decoder> {
        Whole::decoder(target, head, crate::embed::cohere::read)
    }
}
