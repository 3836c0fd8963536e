//! Wire dialects as pure codecs, and the catalogue of hosts and models.
//!
//! Bytes go in, events come out, and the other way round. Nothing here waits,
//! opens a socket, reads a clock or sees a secret.

pub mod anthropic;
pub mod azure;
pub mod bedrock;
pub mod cache;
pub mod catalog;
pub mod cohere;
pub mod embed;
pub mod fault;
pub mod frame;
pub mod gemini;
pub mod openai;
pub mod responses;
pub mod spell;
pub mod text;
pub mod vertex;

mod calls;
mod count;
mod dialect;
mod envelope;
mod estimate;
mod extension;
mod facts;
mod loss;
mod scan;
#[cfg(test)]
mod testing;

pub use dialect::{Decoder, Dialect, Door, Encoded, ErrorFace, Head, Lost, Note, Writer, codec, dialect};
pub use estimate::input_tokens as estimated_input_tokens;
pub use extension::{on_loss, seconds};
pub use loss::{losses, parameters};
pub use scan::{ScanError, members};
