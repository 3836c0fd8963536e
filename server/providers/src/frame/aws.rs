//! AWS event streams (`application/vnd.amazon.eventstream`): messages cut by a length prelude, each with two checksums.
//!
//! A message is `total length, headers length, CRC of these eight bytes, headers, payload, CRC of all before it`;
//! numbers are big-endian, checksums CRC-32 (Smithy, "Amazon Event Stream Specification").

use bytes::{Bytes, BytesMut};
use headworks_core::{Cause, Fault, Reason};

/// The largest message that is taken, bytes.
pub const LARGEST: usize = 64 << 20;
/// Lengths and their checksum.
const PRELUDE: usize = 12;
/// A message with neither headers nor payload.
const LEAST: usize = PRELUDE + 4;

/// One message, by what its headers say of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AwsMessage {
    /// `:message-type`: `event`, `exception` or `error`.
    pub kind: Bytes,
    /// `:event-type`, `:exception-type` or `:error-code`: what kind of event or exception.
    pub name: Bytes,
    /// `:error-message`, where the stream itself failed.
    pub error: Bytes,
    /// What it carries. Shares the upstream's buffer.
    pub payload: Bytes,
}

/// Cuts bytes into messages. Any split of the bytes gives the same messages.
#[derive(Debug, Default)]
pub struct AwsParser {
    /// What has come and is not yet a whole message.
    rest: BytesMut,
}

impl AwsParser {
    /// Takes more bytes and hands every complete message to `each`. A damaged message is a fault with `Cause::Garbled`.
    pub fn push(&mut self, chunk: &Bytes, mut each: impl FnMut(AwsMessage) -> Result<(), Fault>) -> Result<(), Fault> {
        let mut whole = if self.rest.is_empty() {
            chunk.clone()
        } else {
            self.rest.extend_from_slice(chunk);
            match length(&self.rest)? {
                // Not yet: the buffer grows in place, however many pieces a message comes in.
                Some(total) if self.rest.len() >= total => self.rest.split().freeze(),
                _ => return Ok(()),
            }
        };
        while let Some(total) = length(&whole)?.filter(|total| whole.len() >= *total) {
            each(read(whole.split_to(total))?)?;
        }
        self.rest.extend_from_slice(&whole);
        Ok(())
    }

    /// The body ended cleanly. Fails with `Cause::Broken` in the middle of a message.
    pub fn end(&self) -> Result<(), Fault> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(Fault::new(Reason::AllTargetsFailed, "the stream ended in the middle of a message").because(Cause::Broken))
    }
}

fn damaged(what: &str) -> Fault {
    Fault::new(Reason::AllTargetsFailed, format!("the event stream is damaged: {what}")).because(Cause::Garbled)
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The length of the message that `bytes` begins with, once its prelude is there and sound.
fn length(bytes: &[u8]) -> Result<Option<usize>, Fault> {
    let (Some(total), Some(headers), Some(sum)) = (number(bytes, 0), number(bytes, 4), number(bytes, 8)) else { return Ok(None) };
    if crc32fast::hash(bytes.get(..8).unwrap_or_default()) != sum {
        return Err(damaged("the checksum of a prelude is wrong"));
    }
    let (total, headers) = (total as usize, headers as usize);
    if total < LEAST || headers > total - LEAST {
        return Err(damaged("a message is shorter than its headers"));
    }
    if total > LARGEST {
        return Err(damaged("a message is larger than 64 MiB"));
    }
    Ok(Some(total))
}

/// Reads one whole message.
fn read(message: Bytes) -> Result<AwsMessage, Fault> {
    let end = message.len().saturating_sub(4);
    let sum = number(&message, end).ok_or_else(|| damaged("a message is cut"))?;
    if crc32fast::hash(message.get(..end).unwrap_or_default()) != sum {
        return Err(damaged("the checksum of a message is wrong"));
    }
    let headers = number(&message, 4).map_or(0, |n| n as usize);
    let mut out = AwsMessage { payload: message.slice(PRELUDE + headers..end), ..AwsMessage::default() };
    let mut rest = message.slice(PRELUDE..PRELUDE + headers);
    while !rest.is_empty() {
        let (name, value) = header(&mut rest).ok_or_else(|| damaged("a header cannot be read"))?;
        match &name[..] {
            b":message-type" => out.kind = value,
            b":event-type" | b":exception-type" | b":error-code" => out.name = value,
            b":error-message" => out.error = value,
            _ => {}
        }
    }
    Ok(out)
}

/// Takes one header off the front: its name, and its value where it is text or bytes.
fn header(rest: &mut Bytes) -> Option<(Bytes, Bytes)> {
    let mut take = |count: usize| (rest.len() >= count).then(|| rest.split_to(count));
    let length = usize::from(*take(1)?.first()?);
    let name = take(length)?;
    let kind = *take(1)?.first()?;
    let size = match kind {
        // true, false
        0 | 1 => 0,
        2 => 1,
        3 => 2,
        4 => 4,
        // A long, a timestamp.
        5 | 8 => 8,
        // Bytes, text.
        6 | 7 => usize::from(u16::from_be_bytes(take(2)?.as_ref().try_into().ok()?)),
        // A UUID.
        9 => 16,
        _ => return None,
    };
    let value = take(size)?;
    Some((name, if matches!(kind, 6 | 7) { value } else { Bytes::new() }))
}

/// Writes one event: for tests, and for hosts of our own that speak this framing.
pub fn message(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        head.extend_from_slice(name.as_bytes());
        head.push(7);
        head.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        head.extend_from_slice(value.as_bytes());
    }
    let be = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes();
    let mut out = Vec::with_capacity(LEAST + head.len() + payload.len());
    out.extend_from_slice(&be(LEAST + head.len() + payload.len()));
    out.extend_from_slice(&be(head.len()));
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out.extend_from_slice(&head);
    out.extend_from_slice(payload);
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    fn event(name: &str, payload: &str) -> Vec<u8> {
        message(&[(":event-type", name), (":content-type", "application/json"), (":message-type", "event")], payload.as_bytes())
    }

    fn all(parts: &[&[u8]]) -> Result<Vec<(String, String)>, Fault> {
        let (mut parser, mut out) = (AwsParser::default(), Vec::new());
        for part in parts {
            parser.push(&Bytes::copy_from_slice(part), |m| {
                out.push((String::from_utf8(m.name.to_vec()).unwrap(), String::from_utf8(m.payload.to_vec()).unwrap()));
                Ok(())
            })?;
        }
        parser.end()?;
        Ok(out)
    }

    #[test]
    fn f2_cut_anywhere_it_is_the_same() {
        let bytes = [event("a", "{\"é\":1}"), event("b", ""), event("", "x")].concat();
        let whole = all(&[&bytes]).unwrap();
        assert_eq!(whole, [("a".to_owned(), "{\"é\":1}".to_owned()), ("b".to_owned(), String::new()), (String::new(), "x".to_owned())]);
        assert_eq!(all(&bytes.chunks(1).collect::<Vec<_>>()).unwrap(), whole);
        for cut in 0..bytes.len() {
            assert_eq!(all(&[&bytes[..cut], &bytes[cut..]]).unwrap(), whole, "at {cut}");
        }
    }

    #[test]
    fn f3_any_flipped_bit_is_told() {
        let bytes = event("contentBlockDelta", "{\"a\":1}");
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let fault = all(&[&bad]).expect_err("a damaged message");
            assert_eq!(fault.cause, Cause::Garbled, "bit {bit}");
        }
    }

    #[test]
    fn f3_an_end_inside_a_message_is_told() {
        let bytes = event("a", "{}");
        for cut in 1..bytes.len() {
            assert_eq!(all(&[&bytes[..cut]]).expect_err("cut").cause, Cause::Broken, "at {cut}");
        }
        assert!(all(&[&bytes[..0]]).unwrap().is_empty());
    }

    #[test]
    fn every_kind_of_header_is_passed_over() {
        let mut head = Vec::new();
        for (kind, value) in [(0u8, &[][..]), (1, &[]), (2, &[1]), (3, &[1, 2]), (4, &[0; 4]), (5, &[0; 8]), (6, &[0, 2, 9, 9]), (8, &[0; 8]), (9, &[0; 16])] {
            head.extend_from_slice(&[1, b'x', kind]);
            head.extend_from_slice(value);
        }
        head.extend_from_slice(b"\x0d:message-type\x07\x00\x05event");
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&u32::try_from(LEAST + head.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(&u32::try_from(head.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
        bytes.extend_from_slice(&head);
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
        assert_eq!(&read(Bytes::from(bytes)).unwrap().kind[..], b"event");
    }

    proptest! {
        #[test]
        fn s1_any_split_gives_the_same_messages(
            payloads in proptest::collection::vec("[a-zé]{0,40}", 0..6),
            cuts in proptest::collection::vec(1usize..30, 0..64),
        ) {
            let bytes: Vec<u8> = payloads.iter().flat_map(|p| event("e", p)).collect();
            let whole = all(&[&bytes]).unwrap();
            let (mut parts, mut rest) = (Vec::new(), &bytes[..]);
            for cut in cuts {
                let (head, tail) = rest.split_at(cut.min(rest.len()));
                parts.push(head);
                rest = tail;
            }
            parts.push(rest);
            prop_assert_eq!(all(&parts).unwrap(), whole.clone());
            prop_assert_eq!(whole.len(), payloads.len());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = all(&[&bytes]);
        }
    }
}
