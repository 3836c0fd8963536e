//! The `bedrock` dialect: Amazon Bedrock's Converse, towards upstreams.

mod cache;
mod count;
mod decode;
mod encode;
mod error;
mod media;
mod model;
mod tools;
mod turns;
mod usage;
mod whole;

#[cfg(test)]
mod tests;

use headworks_core::{ChatRequest, DialectName, EmbedRequest, Fault, Target};

use crate::{Decoder, Dialect, Encoded, Head, embed::Whole};

/// The codec.
#[derive(Debug)]
pub struct Bedrock;

impl Dialect for Bedrock {
    fn name(&self) -> DialectName {
        DialectName::Bedrock
    }

    fn encode(&self, target: &Target, request: &ChatRequest) -> Result<Encoded, Fault> {
        encode::encode(target, request)
    }

    fn decoder(&self, target: &Target, head: &Head<'_>) -> Box<dyn Decoder> {
        Box::new(decode::BedrockDecoder::new(target, head))
    }

    fn fault(&self, target: &Target, head: &Head<'_>, body: &[u8]) -> Fault {
        error::fault(target, head, body)
    }

    fn counts(&self, target: &Target) -> bool {
        // Amazon counts for Anthropic's models alone ("CountTokens").
        target.upstream_name.contains("anthropic.")
    }

    fn encode_count(&self, target: &Target, request: &ChatRequest) -> Result<Encoded, Fault> {
        encode::count(target, request)
    }

    fn count_decoder(&self, target: &Target, _head: &Head<'_>) -> Box<dyn Decoder> {
        Box::new(count::CountDecoder::new(target))
    }

    fn encode_embed(&self, target: &Target, request: &EmbedRequest) -> Result<Encoded, Fault> {
        let url = format!("{}/model/{}", target.host.base_url, encode::segment(&target.upstream_name));
        crate::embed::bedrock::encode(target, request, &url)
    }

    fn embed_decoder(&self, target: &Target, head: &Head<'_>) -> Box<dyn Decoder> {
        Whole::decoder(target, head, crate::embed::bedrock::read)
    }

    fn embed_inputs(&self, target: &Target) -> usize {
        crate::embed::bedrock::inputs(target)
    }
}
