//! The `gemini` dialect.

use headworks_core::{ChatRequest, DialectName, Fault, Reason, Target};

use crate::{Decoder, Dialect, Encoded, Head};

/// The codec.
#[derive(Debug)]
pub struct Gemini;

impl Dialect for Gemini {
    fn name(&self) -> DialectName {
        DialectName::Gemini
    }
    fn encode(&self, _: &Target, _: &ChatRequest) -> Result<Encoded, Fault> {
        Err(Fault::new(Reason::NotImplemented, "being written"))
    }
    fn decoder(&self, _: &Target, _: &Head<'_>) -> Box<dyn Decoder> {
        todo!()
    }
    fn fault(&self, _: &Target, _: &Head<'_>, _: &[u8]) -> Fault {
        Fault::internal("being written")
    }
}
