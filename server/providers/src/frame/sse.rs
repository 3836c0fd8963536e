//! Server-sent events, as the HTML standard defines them, over bytes that may be cut anywhere.

use bytes::{Bytes, BytesMut};
use headworks_core::{Cause, Fault, Reason};

/// The largest event that is taken, bytes.
pub const LARGEST: usize = 64 << 20;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SseEvent {
    /// What `event:` said; empty where it said nothing.
    pub name: Bytes,
    /// The `data:` lines, joined by line feeds. Shares the upstream's buffer where there is one line.
    pub data: Bytes,
    /// The event's own bytes, up to and with its blank line.
    pub raw: Bytes,
}

/// Cuts bytes into events. Any split of the bytes gives the same events.
#[derive(Debug, Default)]
pub struct SseParser {
    /// What has come and is not yet a whole event.
    rest: BytesMut,
    /// How much of `rest` is known to hold no end of an event.
    scanned: usize,
    begun: bool,
}

impl SseParser {
    /// Takes more bytes and hands every complete event to `each`.
    pub fn push(&mut self, chunk: &Bytes, mut each: impl FnMut(SseEvent) -> Result<(), Fault>) -> Result<(), Fault> {
        let mut whole = if self.rest.is_empty() {
            chunk.clone()
        } else {
            self.rest.extend_from_slice(chunk);
            self.rest.split().freeze()
        };
        if !self.begun && !whole.is_empty() {
            // A byte order mark may stand before the first event, and may itself be cut.
            const BOM: &[u8] = b"\xEF\xBB\xBF";
            if whole.len() < BOM.len() && BOM.starts_with(&whole) {
                self.rest = BytesMut::from(&whole[..]);
                return Ok(());
            }
            if whole.starts_with(BOM) {
                whole = whole.slice(BOM.len()..);
            }
            self.begun = true;
        }
        let mut from = std::mem::take(&mut self.scanned);
        while let Some(end) = event_end(&whole, from) {
            let raw = whole.split_to(end);
            from = 0;
            if let Some(event) = read(raw) {
                each(event)?;
            }
        }
        if whole.len() > LARGEST {
            return Err(Fault::new(Reason::AllTargetsFailed, "an event of the stream is larger than 64 MiB").because(Cause::Garbled));
        }
        // The last three bytes may be the beginning of a blank line.
        self.scanned = whole.len().saturating_sub(3);
        self.rest = match whole.try_into_mut() {
            Ok(own) => own,
            Err(shared) => BytesMut::from(&shared[..]),
        };
        Ok(())
    }

    /// The body ended cleanly: an event that lacks only its blank line counts.
    pub fn end(&mut self, mut each: impl FnMut(SseEvent) -> Result<(), Fault>) -> Result<(), Fault> {
        let whole = self.rest.split().freeze();
        self.scanned = 0;
        match read(whole) {
            Some(event) => each(event),
            None => Ok(()),
        }
    }
}

/// Where the first event of `bytes` ends: behind its blank line. `from` is known to be free of ends before it.
fn event_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    // A blank line at the very beginning is an empty event.
    if at == 0
        && let Some(first @ (b'\n' | b'\r')) = bytes.first()
    {
        return match (first, bytes.get(1)) {
            (b'\r', Some(b'\n')) => Some(2),
            (b'\r', None) => None,
            _ => Some(1),
        };
    }
    loop {
        let line_end = at + memchr::memchr2(b'\n', b'\r', bytes.get(at..)?)?;
        let next = match (bytes.get(line_end), bytes.get(line_end + 1)) {
            (Some(b'\r'), Some(b'\n')) => line_end + 2,
            // A lone CR at the end may be half of a CRLF.
            (Some(b'\r'), None) => return None,
            _ => line_end + 1,
        };
        match (bytes.get(next), bytes.get(next + 1)) {
            (Some(b'\n'), _) => return Some(next + 1),
            (Some(b'\r'), Some(b'\n')) => return Some(next + 2),
            (Some(b'\r'), Some(_)) => return Some(next + 1),
            // The blank line is there if this CR is all of it; if LF follows, it is an empty line's start and harmless.
            (Some(b'\r'), None) => return None,
            (None, _) => return None,
            _ => at = next,
        }
    }
}

/// Reads the lines of one event; `None` where it holds no data.
fn read(raw: Bytes) -> Option<SseEvent> {
    let mut name = Bytes::new();
    let mut first: Option<Bytes> = None;
    let mut joined: Option<BytesMut> = None;
    let mut at = 0;
    while at < raw.len() {
        let end = memchr::memchr2(b'\n', b'\r', &raw[at..]).map_or(raw.len(), |n| at + n);
        let line = raw.slice(at..end);
        at = end + if raw[end..].starts_with(b"\r\n") { 2 } else { 1 };
        let (field, value) = match memchr::memchr(b':', &line) {
            Some(0) => continue,
            Some(colon) => {
                let skip = if line.get(colon + 1) == Some(&b' ') { 2 } else { 1 };
                (line.slice(..colon), line.slice(colon + skip..))
            }
            None => (line, Bytes::new()),
        };
        match &field[..] {
            b"data" => match (&first, &mut joined) {
                (None, _) => first = Some(value),
                (Some(_), Some(joined)) => {
                    joined.extend_from_slice(b"\n");
                    joined.extend_from_slice(&value);
                }
                (Some(one), None) => {
                    let mut both = BytesMut::from(&one[..]);
                    both.extend_from_slice(b"\n");
                    both.extend_from_slice(&value);
                    joined = Some(both);
                }
            },
            b"event" => name = value,
            _ => {}
        }
    }
    let data = joined.map(BytesMut::freeze).or(first)?;
    Some(SseEvent { name, data, raw })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    fn all(parts: &[&[u8]]) -> Vec<(String, String)> {
        let mut parser = SseParser::default();
        let mut out = Vec::new();
        let mut keep = |e: SseEvent| {
            out.push((String::from_utf8(e.name.to_vec()).unwrap(), String::from_utf8(e.data.to_vec()).unwrap()));
            Ok(())
        };
        for part in parts {
            parser.push(&Bytes::copy_from_slice(part), &mut keep).unwrap();
        }
        parser.end(&mut keep).unwrap();
        out
    }

    #[test]
    fn f2_every_line_ending_comment_and_missing_space() {
        for (text, wanted) in [
            ("data: a\n\ndata: b\n\n", vec![("", "a"), ("", "b")]),
            ("data: a\r\n\r\ndata: b\r\n\r\n", vec![("", "a"), ("", "b")]),
            ("data: a\r\rdata: b\r\r", vec![("", "a"), ("", "b")]),
            (": hello\n\nevent: x\ndata:a\n\n", vec![("x", "a")]),
            ("data: a\ndata: b\n\n", vec![("", "a\nb")]),
            ("\u{feff}data: a\n\n", vec![("", "a")]),
            ("data: a\n\ndata: last", vec![("", "a"), ("", "last")]),
            ("\n\n\ndata: é→😀\n\n\n\n", vec![("", "é→😀")]),
            ("data:  two spaces\n\n", vec![("", " two spaces")]),
            ("event: e\n\n", vec![]),
        ] {
            let wanted: Vec<_> = wanted.into_iter().map(|(n, d)| (n.to_owned(), d.to_owned())).collect();
            assert_eq!(all(&[text.as_bytes()]), wanted, "{text:?}");
            let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            assert_eq!(all(&bytes), wanted, "byte by byte: {text:?}");
            for cut in 0..text.len() {
                assert_eq!(all(&[&text.as_bytes()[..cut], &text.as_bytes()[cut..]]), wanted, "{text:?} at {cut}");
            }
        }
    }

    proptest! {
        #[test]
        fn s1_any_split_gives_the_same_events(
            events in proptest::collection::vec("[a-zé\u{1F600} :]{0,12}", 0..8),
            ending in prop_oneof![Just("\n"), Just("\r\n"), Just("\r")],
            cuts in proptest::collection::vec(1usize..9, 0..64),
        ) {
            let text: String = events.iter().map(|e| format!("data: {e}{ending}{ending}")).collect();
            let whole = all(&[text.as_bytes()]);
            let mut parts = Vec::new();
            let mut rest = text.as_bytes();
            for cut in cuts {
                let (head, tail) = rest.split_at(cut.min(rest.len()));
                parts.push(head);
                rest = tail;
            }
            parts.push(rest);
            prop_assert_eq!(all(&parts), whole.clone());
            prop_assert_eq!(whole.len(), events.len());
        }
    }
}
