//! How a body is cut into messages, below any dialect.

pub mod aws;
pub(crate) mod body;
pub mod sse;

use bytes::Bytes;

/// The first byte of a body that is no white space, which tells what form it has, and the bytes from there on.
/// `None` where there is none yet.
pub(crate) fn first(chunk: &Bytes) -> Option<(u8, Bytes)> {
    let at = chunk.iter().position(|byte| !byte.is_ascii_whitespace())?;
    Some((*chunk.get(at)?, chunk.slice(at..)))
}
