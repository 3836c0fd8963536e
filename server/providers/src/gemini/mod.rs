//! The `gemini` dialect: generateContent, towards upstreams.

mod array;
mod decode;
mod encode;
mod error;
mod media;
mod node;
mod schema;
mod signature;
#[cfg(test)]
mod tests;
mod think;
mod turns;
mod wire;

pub(crate) use encode::{cached_content, resource};
pub(crate) use error::said;
use headworks_core::{ChatRequest, DialectName, EmbedRequest, Fault, Target};
pub(crate) use signature::is_anthropic;

use crate::{Decoder, Dialect, Encoded, Head, count::CountDecoder, embed::Whole};

/// The codec.
#[derive(Debug)]
pub struct Gemini;

impl Dialect for Gemini {
    fn name(&self) -> DialectName {
        DialectName::Gemini
    }

    fn encode(&self, target: &Target, request: &ChatRequest) -> Result<Encoded, Fault> {
        encode::encode(target, request)
    }

    fn decoder(&self, target: &Target, head: &Head<'_>) -> Box<dyn Decoder> {
        Box::new(decode::GeminiDecoder::new(target, head))
    }

    fn counts(&self, _: &Target) -> bool {
        true
    }

    fn encode_count(&self, target: &Target, request: &ChatRequest) -> Result<Encoded, Fault> {
        encode::encode_count(target, request)
    }

    fn count_decoder(&self, target: &Target, _: &Head<'_>) -> Box<dyn Decoder> {
        Box::new(CountDecoder::new(target, "totalTokens"))
    }

    fn fault(&self, target: &Target, head: &Head<'_>, body: &[u8]) -> Fault {
        error::fault(target, head, body)
    }

    fn encode_embed(&self, target: &Target, request: &EmbedRequest) -> Result<Encoded, Fault> {
        crate::embed::gemini::encode(target, request)
    }

    fn embed_decoder(&self, target: &Target, head: &Head<'_>) -> Box<dyn Decoder> {
        Whole::decoder(target, head, crate::embed::gemini::read)
    }
}
