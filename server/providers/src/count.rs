//! Reads an answer to a question for a number of tokens.

use bytes::{Bytes, BytesMut};
use headworks_core::{Batch, EventKind, Fault, FinishReason, Target};

use crate::{Decoder, fault};

/// Reads one number from a JSON object.
pub(crate) struct CountDecoder {
    target: Target,
    field: &'static str,
    body: BytesMut,
    done: bool,
}

impl CountDecoder {
    /// A decoder that reads the number of this name.
    pub(crate) fn new(target: &Target, field: &'static str) -> Self {
        Self { target: target.clone(), field, body: BytesMut::new(), done: false }
    }
}

impl Decoder for CountDecoder {
    fn push(&mut self, chunk: &Bytes, _: &mut Batch) -> Result<(), Fault> {
        self.body.extend_from_slice(chunk);
        Ok(())
    }

    fn end(&mut self, out: &mut Batch) -> Result<(), Fault> {
        let value: serde_json::Value =
            serde_json::from_slice(&self.body).map_err(|error| fault::garbled(&self.target, &format!("the count cannot be read ({error})")))?;
        let tokens = value.get(self.field).and_then(serde_json::Value::as_i64).filter(|tokens| *tokens >= 0);
        let tokens = tokens.ok_or_else(|| fault::garbled(&self.target, &format!("the count holds no {}", self.field)))?;
        out.push(EventKind::Counted { tokens, estimated: false });
        out.push(EventKind::Finished(FinishReason::Stop));
        self.done = true;
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.done
    }
}
