//! Bytes as a stream of frames.

use bytes::Bytes;
use headworks_providers::frame::{
    aws::{self, AwsParser},
    sse::{SseEvent, SseParser},
};

use crate::chosen;

/// Server-sent events against a plain reading of the standard; the first byte says in what pieces they come.
pub fn sse(data: &[u8]) {
    let Some((size, _, bytes)) = chosen(data) else { return };
    let read = |size: usize| {
        let (mut parser, mut events) = (SseParser::default(), Vec::new());
        let mut each = |event: SseEvent| {
            events.push((event.name.to_vec(), event.data.to_vec()));
            Ok(())
        };
        for piece in bytes.chunks(size) {
            parser.push(&Bytes::copy_from_slice(piece), &mut each).expect("small events");
        }
        parser.end(&mut each).expect("small events");
        events
    };
    let whole = read(bytes.len().max(1));
    assert_eq!(whole, read(size + 1), "in pieces of {}", size + 1);
    assert_eq!(whole, plainly(bytes));
}

/// The standard, word by word; and an event that lacks only its blank line counts.
fn plainly(bytes: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rest = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let (mut events, mut name, mut data) = (Vec::new(), Vec::new(), None::<Vec<u8>>);
    while !rest.is_empty() {
        let end = rest.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end..).map_or(&[][..], |rest| rest.strip_prefix(b"\r\n").or_else(|| rest.get(1..)).unwrap_or_default());
        if line.is_empty() {
            let name = std::mem::take(&mut name);
            events.extend(data.take().map(|data| (name, data)));
            continue;
        }
        let colon = line.iter().position(|b| *b == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"event" => name = value.to_vec(),
            b"data" => match &mut data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                None => data = Some(value.to_vec()),
            },
            _ => {}
        }
    }
    events.extend(data.map(|data| (name, data)));
    events
}

/// Amazon's event streams: as they are, and as the payloads of sound messages.
pub fn aws(data: &[u8]) {
    let Some((size, flip, bytes)) = chosen(data) else { return };
    let read = |bytes: &[u8], size: usize| {
        let (mut parser, mut messages) = (AwsParser::default(), Vec::new());
        for piece in bytes.chunks(size) {
            let each = |message| {
                messages.push(message);
                Ok(())
            };
            if parser.push(&Bytes::copy_from_slice(piece), each).is_err() {
                return (messages, false);
            }
        }
        let good = parser.end().is_ok();
        (messages, good)
    };
    let same = |bytes: &[u8]| {
        let whole = read(bytes, bytes.len().max(1));
        assert_eq!(whole, read(bytes, size + 1), "in pieces of {}", size + 1);
        whole
    };
    same(bytes);
    let pieces: Vec<&[u8]> = bytes.split(|b| *b == b'\n').collect();
    let mut sound: Vec<u8> = pieces.iter().flat_map(|piece| aws::message(&[(":message-type", "event"), (":event-type", "e")], piece)).collect();
    let (messages, good) = same(&sound);
    assert!(good && messages.iter().map(|m| &m.payload[..]).eq(pieces));
    // A byte that was changed on the way is noticed.
    let at = flip * 61 % sound.len();
    sound[at] ^= 1 << (size % 8);
    assert!(!same(&sound).1, "damage at {at} went unnoticed");
}
