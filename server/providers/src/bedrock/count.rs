//! Reads the answer of `count-tokens`.

use bytes::{Bytes, BytesMut};
use headworks_core::{Batch, EventKind, Fault, FinishReason, Target};
use serde::Deserialize;

use crate::{Decoder, fault};

/// Reads one count.
pub(super) struct CountDecoder {
    target: Target,
    body: BytesMut,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Count {
    input_tokens: i64,
}

impl CountDecoder {
    pub(super) fn new(target: &Target) -> Self {
        Self { target: target.clone(), body: BytesMut::new() }
    }
}

impl Decoder for CountDecoder {
    fn push(&mut self, chunk: &Bytes, _: &mut Batch) -> Result<(), Fault> {
        self.body.extend_from_slice(chunk);
        Ok(())
    }

    fn end(&mut self, out: &mut Batch) -> Result<(), Fault> {
        let count: Count = serde_json::from_slice(&self.body).map_err(|error| fault::garbled(&self.target, &format!("the count cannot be read ({error})")))?;
        out.push(EventKind::Counted { tokens: count.input_tokens, estimated: false });
        out.push(EventKind::Finished(FinishReason::Stop));
        Ok(())
    }

    fn is_done(&self) -> bool {
        false
    }
}
