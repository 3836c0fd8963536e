//! Numbers on server-sent events, from 1, so that a client that lost its connection can say where it was.

use bytes::{BufMut, BytesMut};

/// Counts the events of a stream and leaves out those that the client has seen.
pub(crate) struct Ids {
    said: u64,
    after: u64,
    /// An event whose end has not come.
    open: BytesMut,
}

impl Ids {
    /// For a client that has seen the events up to this one.
    pub(crate) fn after(after: u64) -> Self {
        Self { said: 0, after, open: BytesMut::new() }
    }

    /// Writes whole events with their numbers. Those without data (comments) are no events and have none.
    pub(crate) fn write(&mut self, fresh: &[u8], out: &mut BytesMut) {
        self.open.extend_from_slice(fresh);
        while let Some(event) = first(&self.open) {
            let whole = self.open.split_to(event.end);
            let (said, blank) = whole.split_at(event.blank.min(whole.len()));
            if !event.data {
                if self.said >= self.after {
                    out.extend_from_slice(&whole);
                }
                continue;
            }
            self.said += 1;
            if self.said > self.after {
                out.extend_from_slice(said);
                // After whatever id an upstream gave: the last one counts.
                out.put_slice(format!("id: {}\n", self.said).as_bytes());
                out.extend_from_slice(blank);
            }
        }
    }
}

struct Event {
    /// Where its blank line begins.
    blank: usize,
    /// Where it ends.
    end: usize,
    /// It has a line of data.
    data: bool,
}

/// The first whole event. A line ends with LF, CRLF or CR.
fn first(bytes: &[u8]) -> Option<Event> {
    let (mut at, mut data) = (0, false);
    loop {
        let rest = bytes.get(at..)?;
        let length = memchr::memchr2(b'\n', b'\r', rest)?;
        let ending = if rest.get(length..length + 2) == Some(b"\r\n") { 2 } else { 1 };
        let end = at + length + ending;
        if length == 0 {
            return Some(Event { blank: at, end, data });
        }
        data |= rest.starts_with(b"data:") || rest.get(..length) == Some(b"data");
        at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(ids: &mut Ids, text: &str) -> String {
        let mut out = BytesMut::new();
        ids.write(text.as_bytes(), &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn events_are_numbered_and_those_seen_left_out() {
        let text = "data: a\n\nevent: x\nid: 77\ndata: b\n\n: beat\n\ndata:c\r\ndata: d\r\n\r\n";
        let whole = "data: a\nid: 1\n\nevent: x\nid: 77\ndata: b\nid: 2\n\n: beat\n\ndata:c\r\ndata: d\r\nid: 3\n\r\n";
        assert_eq!(write(&mut Ids::after(0), text), whole);
        assert_eq!(write(&mut Ids::after(2), text), ": beat\n\ndata:c\r\ndata: d\r\nid: 3\n\r\n");
        assert_eq!(write(&mut Ids::after(3), text), "");
    }

    #[test]
    fn an_event_may_come_in_pieces() {
        let text = "data: a\n\ndata: b\n\n";
        for cut in 0..text.len() {
            let mut ids = Ids::after(0);
            let both = write(&mut ids, &text[..cut]) + &write(&mut ids, &text[cut..]);
            assert_eq!(both, "data: a\nid: 1\n\ndata: b\nid: 2\n\n", "cut at {cut}");
        }
    }
}
