use bytes::{Bytes, BytesMut};
use headworks_core::{Batch, EventKind, Fault, FinishReason, Str, Target, Tokens, Vector};
use http::HeaderMap;

use crate::{Decoder, Head, fault};

/// What an answer of vectors says.
#[derive(Default)]
pub(crate) struct Answer {
    /// The provider's id of it.
    pub id: Option<Str>,
    /// The host's own name for the model.
    pub model: Option<Str>,
    /// Unix seconds.
    pub created: Option<i64>,
    /// By place in the input.
    pub vectors: Vec<(u32, Vector)>,
    /// Tokens of the input, where the host tells.
    pub input_tokens: Option<i64>,
}

/// Reads a body.
type Read = fn(&Target, &HeaderMap, &Bytes) -> Result<Answer, Fault>;

/// Reads an answer that comes as one JSON body.
pub(crate) struct Whole {
    target: Target,
    headers: HeaderMap,
    body: BytesMut,
    read: Read,
}

impl Whole {
    /// A decoder that `read`s the body at its end.
    pub(crate) fn decoder(target: &Target, head: &Head<'_>, read: Read) -> Box<dyn Decoder> {
        Box::new(Self { target: target.clone(), headers: head.headers.clone(), body: BytesMut::new(), read })
    }
}

impl Decoder for Whole {
    fn push(&mut self, chunk: &Bytes, _: &mut Batch) -> Result<(), Fault> {
        self.body.extend_from_slice(chunk);
        Ok(())
    }

    fn end(&mut self, out: &mut Batch) -> Result<(), Fault> {
        let body = std::mem::take(&mut self.body).freeze();
        if body.iter().all(u8::is_ascii_whitespace) {
            return Err(fault::broken(&self.target, "the answer has no body"));
        }
        let answer = (self.read)(&self.target, &self.headers, &body)?;
        out.push(EventKind::Started { id: answer.id, model: answer.model, created: answer.created });
        for (index, vector) in answer.vectors {
            out.push(EventKind::Embedded { index, vector });
        }
        // A host that says 0 of what cannot be nothing has not counted.
        if let Some(input) = answer.input_tokens.map(|told| Tokens::count(Some(told))).filter(|tokens| *tokens > 0) {
            out.push(EventKind::Usage { tokens: Tokens { input, ..Tokens::default() }, service_tier: None });
        }
        out.push(EventKind::Finished(FinishReason::Stop));
        Ok(())
    }

    fn is_done(&self) -> bool {
        false
    }
}
