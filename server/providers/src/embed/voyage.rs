use headworks_core::{Cause, ChatRequest, DialectName, EmbedRequest, Fault, Reason, Target};

use super::{Whole, openai};
use crate::{Decoder, Dialect, Encoded, Head};

/// The `voyage` dialect: vectors only, in OpenAI's shape with words of its own (docs.voyageai.com/reference/embeddings-api).
#[derive(Debug)]
pub struct Voyage;

impl Dialect for Voyage {
    fn name(&self) -> DialectName {
        DialectName::Voyage
    }

    fn encode(&self, target: &Target, _: &ChatRequest) -> Result<Encoded, Fault> {
        let message = format!("{} makes vectors; it does not chat", target.id);
        Err(Fault::new(Reason::CapabilityMissing, message).because(Cause::Unfit).at(&target.id))
    }

    fn decoder(&self, target: &Target, head: &Head<'_>) -> Box<dyn Decoder> {
        Whole::decoder(target, head, openai::read)
    }

    fn fault(&self, target: &Target, head: &Head<'_>, body: &[u8]) -> Fault {
        crate::openai::upstream_fault(target, head, body)
    }

    fn encode_embed(&self, target: &Target, request: &EmbedRequest) -> Result<Encoded, Fault> {
        openai::encode(target, request, &format!("{}/embeddings", target.host.base_url))
    }

    fn embed_decoder(&self, target: &Target, head: &Head<'_>) -> Box<dyn Decoder> {
        Whole::decoder(target, head, openai::read)
    }
}
