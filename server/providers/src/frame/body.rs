//! A body that is one JSON value or a stream of events, told by its head, else by its first byte that is no white space.

use bytes::{Bytes, BytesMut};
use headworks_core::Fault;

use super::sse::{SseEvent, SseParser};
use crate::Head;

/// The body of an answer, as far as it came.
pub(crate) enum Body {
    /// Nothing came but white space.
    Unknown,
    /// One value, which is read at its end.
    Json(BytesMut),
    /// Events, each read as it comes.
    Sse(SseParser),
}

impl Body {
    /// A body under this head, before its first byte.
    pub(crate) fn new(head: &Head<'_>) -> Self {
        let kind = head.headers.get(http::header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        if kind.contains("event-stream") { Body::Sse(SseParser::default()) } else { Body::Unknown }
    }

    /// More of it; `each` is given the events that it ends.
    pub(crate) fn push(&mut self, chunk: &Bytes, each: impl FnMut(SseEvent) -> Result<(), Fault>) -> Result<(), Fault> {
        let begun;
        let chunk = if matches!(self, Body::Unknown) {
            let Some(at) = chunk.iter().position(|byte| !byte.is_ascii_whitespace()) else { return Ok(()) };
            begun = chunk.slice(at..);
            *self = if matches!(begun.first(), Some(b'{' | b'[')) { Body::Json(BytesMut::new()) } else { Body::Sse(SseParser::default()) };
            &begun
        } else {
            chunk
        };
        match self {
            Body::Unknown => Ok(()),
            Body::Json(body) => {
                body.extend_from_slice(chunk);
                Ok(())
            }
            Body::Sse(parser) => parser.push(chunk, each),
        }
    }

    /// No more comes: the whole value, empty where nothing came; `None` where it was events, the last of which `each` has now.
    pub(crate) fn end(&mut self, each: impl FnMut(SseEvent) -> Result<(), Fault>) -> Result<Option<Bytes>, Fault> {
        match self {
            Body::Unknown => Ok(Some(Bytes::new())),
            Body::Json(body) => Ok(Some(body.split().freeze())),
            Body::Sse(parser) => parser.end(each).map(|()| None),
        }
    }
}
