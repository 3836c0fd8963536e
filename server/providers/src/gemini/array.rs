//! Cuts a JSON array of objects, as Google answers streams without `alt=sse`, into its items.

use bytes::{Buf, Bytes, BytesMut};

/// Cuts bytes into the objects of one array, or the one object that stands alone.
#[derive(Debug, Default)]
pub(super) struct ArrayParser {
    rest: BytesMut,
    at: usize,
    depth: usize,
    text: bool,
    escape: bool,
}

impl ArrayParser {
    /// Takes more bytes; hands out complete objects.
    pub(super) fn push(&mut self, chunk: &[u8]) -> Vec<Bytes> {
        self.rest.extend_from_slice(chunk);
        let mut found = Vec::new();
        while let Some(byte) = self.rest.get(self.at).copied() {
            if self.text && !self.escape {
                // Most bytes are text, some of it megabytes of base64.
                let rest = self.rest.get(self.at..).unwrap_or_default();
                match memchr::memchr2(b'"', b'\\', rest) {
                    Some(0) => {}
                    Some(skip) => {
                        self.at += skip;
                        continue;
                    }
                    None => {
                        self.at = self.rest.len();
                        continue;
                    }
                }
            }
            self.at += 1;
            if self.depth == 0 {
                if byte == b'{' {
                    // What stands between objects is not kept.
                    self.rest.advance(self.at - 1);
                    self.at = 1;
                    self.depth = 1;
                }
                continue;
            }
            match byte {
                _ if self.escape => self.escape = false,
                b'\\' if self.text => self.escape = true,
                b'"' => self.text = !self.text,
                b'{' if !self.text => self.depth += 1,
                b'}' if !self.text => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        found.push(self.rest.split_to(self.at).freeze());
                        self.at = 0;
                    }
                }
                _ => {}
            }
        }
        if self.depth == 0 {
            self.rest.clear();
            self.at = 0;
        }
        found
    }

    /// True where an object is not complete.
    pub(super) fn open(&self) -> bool {
        self.depth > 0
    }

    /// Bytes of the object that is not complete.
    pub(super) fn held(&self) -> usize {
        self.rest.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f12_objects_are_found_however_the_bytes_are_cut() {
        let text = "\n[{\"a\":\"}\\\"{é\\\\\"},\r\n {\"b\":{\"c\":[1,{}]}} ] ";
        let wanted = ["{\"a\":\"}\\\"{é\\\\\"}", "{\"b\":{\"c\":[1,{}]}}"];
        for size in 1..text.len() {
            let mut parser = ArrayParser::default();
            let found: Vec<Bytes> = text.as_bytes().chunks(size).flat_map(|c| parser.push(c)).collect();
            assert_eq!(found, wanted, "in pieces of {size}");
            assert!(!parser.open());
            assert_eq!(parser.held(), 0);
        }
    }
}
