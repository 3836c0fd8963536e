//! The `openai-responses` dialect: OpenAI's Responses, towards upstreams and towards clients.

mod decode;
mod door;
mod echo;
mod encode;
mod incoming;
mod item;
mod output;
mod relay;
#[cfg(test)]
mod tests;
mod wire;
mod writer;

pub use door::ResponsesDoor;

use headworks_core::{ChatRequest, DialectName, Fault, Target};

use crate::{Decoder, Dialect, Encoded, Head};

/// The codec towards upstreams.
#[derive(Debug)]
pub struct Responses;

impl Dialect for Responses {
    fn name(&self) -> DialectName {
        DialectName::OpenAiResponses
    }

    fn encode(&self, target: &Target, request: &ChatRequest) -> Result<Encoded, Fault> {
        encode::encode(target, request)
    }

    fn decoder(&self, target: &Target, head: &Head<'_>) -> Box<dyn Decoder> {
        Box::new(decode::ResponsesDecoder::new(target, head))
    }

    fn fault(&self, target: &Target, head: &Head<'_>, body: &[u8]) -> Fault {
        crate::openai::upstream_fault(target, head, body)
    }
}
