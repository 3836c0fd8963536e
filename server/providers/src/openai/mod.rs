//! The `openai` dialect: chat completions, towards upstreams and towards clients.

mod decode;
mod door;
mod encode;
mod error;
mod incoming;
mod turns;
mod ways;
mod wire;
mod writer;

pub use door::OpenAiDoor;
pub(crate) use door::{base64, effort, error_body, source, unreadable};
pub(crate) use encode::effort_word;
pub(crate) use error::{fault as upstream_fault, read as read_error};
use headworks_core::{ChatRequest, DialectName, EmbedRequest, Fault, Target};
pub(crate) use ways::effort_of;

use crate::{
    Decoder, Dialect, Encoded, Head,
    embed::{self, Whole},
};

/// The codec towards upstreams.
#[derive(Debug)]
pub struct OpenAi;

impl Dialect for OpenAi {
    fn name(&self) -> DialectName {
        DialectName::OpenAi
    }

    fn encode(&self, target: &Target, request: &ChatRequest) -> Result<Encoded, Fault> {
        encode::encode(target, request)
    }

    fn decoder(&self, target: &Target, head: &Head<'_>) -> Box<dyn Decoder> {
        Box::new(decode::OpenAiDecoder::new(target, head))
    }

    fn fault(&self, target: &Target, head: &Head<'_>, body: &[u8]) -> Fault {
        error::fault(target, head, body)
    }

    fn encode_embed(&self, target: &Target, request: &EmbedRequest) -> Result<Encoded, Fault> {
        embed::openai::encode(target, request, &format!("{}/embeddings", target.host.base_url))
    }

    fn embed_decoder(&self, target: &Target, head: &Head<'_>) -> Box<dyn Decoder> {
        Whole::decoder(target, head, embed::openai::read)
    }
}
