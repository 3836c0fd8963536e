//! The `anthropic` dialect: messages, towards upstreams and towards clients.

mod blocks;
mod cache;
mod decode;
mod door;
mod encode;
mod error;
mod incoming;
mod relay;
mod request;
mod signature;
mod stream;
#[cfg(test)]
mod tests;
mod writer;

pub use door::AnthropicDoor;

use headworks_core::{ChatRequest, DialectName, Fault, Target};

use crate::{Decoder, Dialect, Encoded, Head, count::CountDecoder, fault as shared};

/// The codec.
#[derive(Debug)]
pub struct Anthropic;

impl Dialect for Anthropic {
    fn name(&self) -> DialectName {
        DialectName::Anthropic
    }

    fn encode(&self, target: &Target, request: &ChatRequest) -> Result<Encoded, Fault> {
        encode::encode(target, request)
    }

    fn decoder(&self, target: &Target, head: &Head<'_>) -> Box<dyn Decoder> {
        Box::new(decode::AnthropicDecoder::new(target, head))
    }

    fn counts(&self, _: &Target) -> bool {
        true
    }

    fn encode_count(&self, target: &Target, request: &ChatRequest) -> Result<Encoded, Fault> {
        encode::encode_count(target, request)
    }

    fn count_decoder(&self, target: &Target, _: &Head<'_>) -> Box<dyn Decoder> {
        Box::new(CountDecoder::new(target, "input_tokens"))
    }

    fn fault(&self, target: &Target, head: &Head<'_>, body: &[u8]) -> Fault {
        let value = serde_json::from_slice(body).ok();
        let mut error = value
            .as_ref()
            .and_then(crate::openai::read_error)
            .unwrap_or_else(|| headworks_core::UpstreamError { message: String::from_utf8_lossy(body).chars().take(300).collect(), ..Default::default() });
        error.status = head.status.as_u16();
        shared::fault(target, error, shared::retry_after(head.headers))
    }
}
