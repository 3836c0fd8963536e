use std::{collections::BTreeMap, sync::Arc};

use crate::{DialectName, Json, Original, Routing, Str};

/// What a client asks of an embedding model: the one form between all doors and all dialects.
#[derive(Clone, Debug, Default)]
pub struct EmbedRequest {
    /// `provider/model`, `policy/NAME` or a bare name.
    pub model: Arc<str>,
    /// What to embed, in order; never empty.
    pub inputs: Vec<EmbedInput>,
    /// The client gave one input, not a list of one.
    pub single: bool,
    /// Length of the vectors, where the model lets one choose.
    pub dimensions: Option<i64>,
    /// How the client wants numbers written. `None`: the door's default.
    pub encoding: Option<VectorForm>,
    /// What the vectors are for, in the provider's word, such as `search_query`.
    pub purpose: Option<Str>,
    /// Kept with the record and sent to providers that take it.
    pub metadata: BTreeMap<String, String>,
    /// The end user, for the provider's abuse checks and our records.
    pub user: Option<Arc<str>>,
    /// What the gateway should do with it.
    pub routing: Routing,
    /// Parameters we have no word for, by their names in the door's dialect; sent to targets of `extra_dialect` alone.
    pub extra: BTreeMap<Arc<str>, Json>,
    /// The dialect that `extra` was written in.
    pub extra_dialect: Option<DialectName>,
    /// The client's own bytes, while nothing in the gateway has edited what they say.
    pub original: Option<Arc<Original>>,
}

/// One thing to embed.
#[derive(Clone, Debug, PartialEq)]
pub enum EmbedInput {
    /// A text.
    Text(Str),
    /// Tokens of the model's own vocabulary.
    Tokens(Vec<i64>),
}

impl EmbedInput {
    /// Most tokens it can be: a token is at least one byte of UTF-8.
    pub fn most_tokens(&self) -> usize {
        match self {
            EmbedInput::Text(text) => text.len(),
            EmbedInput::Tokens(tokens) => tokens.len(),
        }
    }
}

/// How a vector's numbers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VectorForm {
    /// A JSON array of numbers.
    Float,
    /// The base64 of its 32-bit floats, little endian.
    Base64,
}

/// A vector as its provider wrote it, so that no digit is lost where the client wants the same form.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Vector {
    /// A JSON array of numbers.
    Float(Json),
    /// The base64 of its 32-bit floats, little endian.
    Base64(Str),
}
