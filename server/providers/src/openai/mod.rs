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
use headworks_core::{ChatRequest, DialectName, Fault, Target};
pub(crate) use ways::effort_of;

use crate::{Decoder, Dialect, Encoded, Head};

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
}
