//! A vector in either form, from either form. What is already in the form wanted is not touched.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};
use headworks_core::{Json, Str, Vector};

/// A vector that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadVector {
    /// Something other than numbers in a list.
    NotNumbers,
    /// The base64 is broken, or its bytes are no 32-bit floats.
    NotFloats,
}

impl std::fmt::Display for BadVector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            BadVector::NotNumbers => "the vector is no list of numbers",
            BadVector::NotFloats => "the vector is no base64 of finite 32-bit floats",
        })
    }
}

impl std::error::Error for BadVector {}

/// The vector behind a JSON value: a list of numbers or a base64 string.
pub(crate) fn read(json: &str) -> Result<Vector, BadVector> {
    if json.starts_with('"') {
        let text: Cow<'_, str> = serde_json::from_str(json).map_err(|_| BadVector::NotFloats)?;
        decode(&text)?;
        return Ok(Vector::Base64(Str::from(&*text)));
    }
    let inner = json.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).ok_or(BadVector::NotNumbers)?;
    let numeric = |b: u8| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E' | b',' | b' ' | b'\n' | b'\r' | b'\t');
    if !inner.bytes().all(numeric) {
        return Err(BadVector::NotNumbers);
    }
    Json::parse(json).map(Vector::Float).map_err(|_| BadVector::NotNumbers)
}

/// The signed bytes behind a base64 string, as a list of whole numbers.
pub(crate) fn read_int8(json: &str) -> Result<Vector, BadVector> {
    let text: Cow<'_, str> = serde_json::from_str(json).map_err(|_| BadVector::NotFloats)?;
    let bytes = STANDARD.decode(text.as_bytes()).map_err(|_| BadVector::NotFloats)?;
    let numbers: Vec<i8> = bytes.into_iter().map(|byte| byte as i8).collect();
    Json::of(&numbers).map(Vector::Float).map_err(|_| BadVector::NotNumbers)
}

fn decode(text: &str) -> Result<Vec<u8>, BadVector> {
    let bytes = STANDARD.decode(text).map_err(|_| BadVector::NotFloats)?;
    if bytes.len().is_multiple_of(4) { Ok(bytes) } else { Err(BadVector::NotFloats) }
}

/// The numbers.
pub fn floats(vector: &Vector) -> Result<Vec<f32>, BadVector> {
    match vector {
        // Read as 64 bits and then rounded: the nearest 32-bit float, as every client would make of it.
        Vector::Float(json) => Ok(json.read::<Vec<f64>>().map_err(|_| BadVector::NotNumbers)?.into_iter().map(|number| number as f32).collect()),
        Vector::Base64(text) => {
            let bytes = decode(text)?;
            Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap_or_default())).collect())
        }
    }
}

/// The JSON list: as the provider wrote it, or the shortest text that reads back as the same floats.
pub fn float_json(vector: &Vector) -> Result<Cow<'_, str>, BadVector> {
    match vector {
        Vector::Float(json) => Ok(json.as_str().into()),
        Vector::Base64(_) => {
            let numbers = floats(vector)?;
            // JSON has no word for what is not finite.
            if numbers.iter().any(|number| !number.is_finite()) {
                return Err(BadVector::NotFloats);
            }
            serde_json::to_string(&numbers).map(Cow::Owned).map_err(|_| BadVector::NotFloats)
        }
    }
}

/// The base64 of the 32-bit floats, little endian.
pub fn base64(vector: &Vector) -> Result<Cow<'_, str>, BadVector> {
    match vector {
        Vector::Base64(text) => Ok(text.as_str().into()),
        Vector::Float(_) => {
            let bytes: Vec<u8> = floats(vector)?.into_iter().flat_map(f32::to_le_bytes).collect();
            Ok(STANDARD.encode(bytes).into())
        }
    }
}
