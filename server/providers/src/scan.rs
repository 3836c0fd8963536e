//! Finds the top-level members of a JSON object without building a tree, so
//! that a client's own body can be sent on with only the routing keys changed.

use std::{borrow::Cow, ops::Range};

use headworks_core::Member;
use serde::{
    Deserializer as _,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// Why a body has no members.
#[derive(Debug)]
pub struct ScanError(pub serde_json::Error);

/// The top-level members of the JSON object in `body`, in order, duplicates included.
pub fn members(body: &[u8]) -> Result<Vec<Member>, ScanError> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let found = deserializer.deserialize_map(Members(body)).map_err(ScanError)?;
    deserializer.end().map_err(ScanError)?;
    Ok(found)
}

struct Members<'a>(&'a [u8]);

impl<'de> Visitor<'de> for Members<'de> {
    type Value = Vec<Member>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = Vec::with_capacity(12);
        let mut from = 0;
        while let Some(key) = map.next_key::<Key<'de>>()? {
            let value: &'de RawValue = map.next_value()?;
            let value = place(self.0, value.get());
            // The key stands between the previous value and this one; its quotes frame it.
            let between = self.0.get(from..value.start).unwrap_or_default();
            let open = memchr::memchr(b'"', between).map_or(from, |at| from + at);
            let close = memchr::memrchr(b'"', between).map_or(from, |at| from + at + 1);
            from = value.end;
            found.push(Member { name: key.0.as_ref().into(), key: open..close, value });
        }
        Ok(found)
    }
}

/// A key that borrows where it can and copies where it holds escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Keys)
    }
}

fn place(whole: &[u8], part: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    start..start + part.len()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn members_stand_where_they_are_said_to() {
        let body = br#" { "model" :"a\"b" , "n": 1.50, "x":{"model":[1,"}"]} ,"\u006dodel":null}"#;
        let found = members(body).unwrap();
        let said: Vec<_> = found.iter().map(|m| (&*m.name, &body[m.key.clone()], &body[m.value.clone()])).collect();
        assert_eq!(
            said,
            [
                ("model", &br#""model""#[..], &br#""a\"b""#[..]),
                ("n", br#""n""#, b"1.50"),
                ("x", br#""x""#, br#"{"model":[1,"}"]}"#),
                ("model", br#""\u006dodel""#, b"null"),
            ]
        );
        for bad in ["", "[]", "{", "{\"a\":1}x", "{\"a\" 1}", "\"a\""] {
            assert!(members(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
