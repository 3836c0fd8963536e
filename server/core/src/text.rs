use std::{borrow::Cow, fmt, ops::Deref};

use bytes::Bytes;

/// Immutable UTF-8 text that may share the buffer it was read from.
///
/// Cloning never copies. A decoder that finds unescaped text in an upstream's
/// bytes makes a `Str` that points into them; everything else owns its bytes.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Str(Bytes);

impl Str {
    /// Text known at compile time.
    pub const fn from_static(text: &'static str) -> Self {
        Self(Bytes::from_static(text.as_bytes()))
    }

    /// The text `part`, sharing `whole`'s buffer where `part` lies inside it, else a copy.
    pub fn within(whole: &Bytes, part: &str) -> Self {
        let (start, end) = (whole.as_ptr() as usize, whole.as_ptr() as usize + whole.len());
        let at = part.as_ptr() as usize;
        if !part.is_empty() && at >= start && at + part.len() <= end {
            Self(whole.slice(at - start..at - start + part.len()))
        } else {
            Self(Bytes::copy_from_slice(part.as_bytes()))
        }
    }

    /// As [`Str::within`], taking over the text if the parser had to build it.
    pub fn from_cow<'a>(whole: &Bytes, part: impl Into<Cow<'a, str>>) -> Self {
        match part.into() {
            Cow::Borrowed(part) => Self::within(whole, part),
            Cow::Owned(part) => part.into(),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // Every constructor takes `str`, so this holds; the check costs less than `unsafe` would.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The bytes behind the text.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

impl Deref for Str {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Str {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl From<&str> for Str {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Str {
    fn from(text: String) -> Self {
        Self(Bytes::from(text.into_bytes()))
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for Str {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Str {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}
