//! OpenAI's embeddings, towards clients.

use std::{collections::BTreeMap, sync::Arc};

use bytes::{Bytes, BytesMut};
use headworks_core::{Batch, ChatRequest, DialectName, EmbedInput, EmbedRequest, EventKind, Fault, Json, Original, Receipt, Str, Vector, VectorForm};
use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};

use super::vector;
use crate::{
    Door, ErrorFace, Writer,
    extension::{self, Headworks, Provider},
    facts::facts,
    openai::OpenAiDoor,
    spell::object,
    text::Text,
};

/// `POST /v1/embeddings`.
#[derive(Debug)]
pub struct EmbedDoor;

/// Top-level members that have a word of ours.
const KNOWN: &[&str] = &[
    "model",
    "input",
    "encoding_format",
    "dimensions",
    "input_type",
    "user",
    "metadata",
    "headworks",
    "requesty",
    "models",
    "provider",
    "route",
    "transforms",
    "auto_cache",
];

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    model: Option<Text<'a>>,
    #[serde(borrow, default)]
    input: Option<Inputs<'a>>,
    #[serde(borrow, default)]
    encoding_format: Option<Text<'a>>,
    dimensions: Option<i64>,
    #[serde(borrow, default)]
    input_type: Option<Text<'a>>,
    #[serde(borrow, default)]
    user: Option<Text<'a>>,
    metadata: Option<BTreeMap<String, String>>,
    headworks: Option<Headworks>,
    requesty: Option<Headworks>,
    models: Option<Vec<Arc<str>>>,
    provider: Option<Provider>,
}

/// A text, texts, the tokens of one text or of many.
enum Inputs<'a> {
    Text(Text<'a>),
    Many(Vec<One<'a>>),
}

enum One<'a> {
    Text(Text<'a>),
    Token(i64),
    Tokens(Vec<i64>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Inputs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Inputs<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string, a list of strings, a list of tokens or a list of lists of tokens")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Inputs::Text(Text(text.into())))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Inputs::Text(Text(text.to_owned().into())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(serde::de::value::SeqAccessDeserializer::new(seq)).map(Inputs::Many)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for One<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = One<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string, a token or a list of tokens")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(One::Text(Text(text.into())))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(One::Text(Text(text.to_owned().into())))
            }
            fn visit_i64<E>(self, token: i64) -> Result<Self::Value, E> {
                Ok(One::Token(token))
            }
            fn visit_u64<E: serde::de::Error>(self, token: u64) -> Result<Self::Value, E> {
                i64::try_from(token).map(One::Token).map_err(|_| E::custom("a token's number is below 2^63"))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(serde::de::value::SeqAccessDeserializer::new(seq)).map(One::Tokens)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl EmbedDoor {
    /// Reads a request body. Errors name the field and say what would be right.
    pub fn request(&self, body: &Bytes) -> Result<EmbedRequest, Fault> {
        let parsed: Body<'_> = serde_json::from_slice(body).map_err(|error| unreadable(body, &error))?;
        let members = crate::members(body).map_err(|error| unreadable(body, &error.0))?;
        let mut request = build(parsed, body)?;
        for member in &members {
            if !KNOWN.contains(&&*member.name)
                && let Some(Ok(text)) = body.get(member.value.clone()).map(std::str::from_utf8)
                && let Ok(json) = Json::parse(text)
            {
                request.extra.insert(member.name.clone(), json);
            }
        }
        request.extra_dialect = Some(DialectName::OpenAi);
        request.original = Some(Arc::new(Original { dialect: DialectName::OpenAi, body: body.clone(), members }));
        Ok(request)
    }

    /// A writer for the answer: one JSON body.
    pub fn writer(&self, request: &EmbedRequest) -> Box<dyn Writer> {
        let model = request.model.rsplit('/').next().unwrap_or_default().into();
        Box::new(EmbedWriter { form: request.encoding.unwrap_or(VectorForm::Float), model, vectors: Vec::new() })
    }
}

/// What is wrong with a body, and where.
fn unreadable(body: &Bytes, error: &serde_json::Error) -> Fault {
    if body.is_empty() {
        return Fault::invalid("", "the request body is empty; send a JSON object with model and input");
    }
    if error.classify() == serde_json::error::Category::Data {
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        if let Err(found) = serde_path_to_error::deserialize::<_, Body<'_>>(&mut deserializer) {
            let path = found.path().to_string();
            let said = found.into_inner().to_string();
            let said = said.split(" at line ").next().unwrap_or_default().to_owned();
            return Fault::invalid(if path == "." { String::new() } else { path }, said);
        }
    }
    Fault::invalid("", format!("the request body is not valid JSON: {error}"))
}

fn build(body: Body<'_>, bytes: &Bytes) -> Result<EmbedRequest, Fault> {
    let models = body.models.unwrap_or_default();
    let model: Arc<str> = match (body.model.filter(|name| !name.is_empty()), models.first()) {
        (Some(name), _) => Arc::from(&*name),
        (None, Some(first)) => first.clone(),
        (None, None) => {
            return Err(Fault::invalid("model", "is missing; name one as provider/model, such as openai/text-embedding-3-small or sandbox/embedding"));
        }
    };
    let input = body.input.ok_or_else(|| Fault::invalid("input", "is missing; send a string, a list of strings, or tokens"))?;
    let (inputs, single) = inputs(input, bytes)?;
    if body.dimensions.is_some_and(|length| length < 1) {
        return Err(Fault::invalid("dimensions", "must be 1 or more"));
    }
    let encoding = match body.encoding_format.as_deref() {
        None => None,
        Some("float") => Some(VectorForm::Float),
        Some("base64") => Some(VectorForm::Base64),
        Some(other) => return Err(Fault::invalid("encoding_format", format!("\"{other}\" is neither \"float\" nor \"base64\""))),
    };
    // The gateway's own words are the same at every door.
    let mut carrier = ChatRequest::default();
    extension::gateway(&mut carrier, models, body.provider, body.headworks, body.requesty)?;
    Ok(EmbedRequest {
        model,
        inputs,
        single,
        dimensions: body.dimensions,
        encoding,
        purpose: body.input_type.map(|word| Str::from_cow(bytes, word)),
        metadata: body.metadata.unwrap_or_default(),
        user: body.user.map(|user| Arc::from(&*user)),
        routing: carrier.routing,
        ..EmbedRequest::default()
    })
}

fn inputs(input: Inputs<'_>, bytes: &Bytes) -> Result<(Vec<EmbedInput>, bool), Fault> {
    let whole = |tokens: Vec<i64>, field: &str| match tokens.iter().any(|token| *token < 0) {
        true => Err(Fault::invalid(field, "holds a number below 0; a token is 0 or more")),
        false if tokens.is_empty() => Err(Fault::invalid(field, "is empty; send at least one token")),
        false => Ok(EmbedInput::Tokens(tokens)),
    };
    let list = match input {
        Inputs::Text(text) => return Ok((vec![EmbedInput::Text(Str::from_cow(bytes, text))], true)),
        Inputs::Many(list) if list.is_empty() => return Err(Fault::invalid("input", "is empty; send at least one text")),
        Inputs::Many(list) => list,
    };
    if matches!(list.first(), Some(One::Token(_))) {
        let mut tokens = Vec::with_capacity(list.len());
        for (at, one) in list.into_iter().enumerate() {
            let One::Token(token) = one else {
                return Err(Fault::invalid(format!("input[{at}]"), "stands among tokens; send texts or tokens, not both"));
            };
            tokens.push(token);
        }
        return Ok((vec![whole(tokens, "input")?], true));
    }
    let mut inputs = Vec::with_capacity(list.len());
    for (at, one) in list.into_iter().enumerate() {
        inputs.push(match one {
            One::Text(text) => EmbedInput::Text(Str::from_cow(bytes, text)),
            One::Tokens(tokens) => whole(tokens, &format!("input[{at}]"))?,
            One::Token(_) => return Err(Fault::invalid(format!("input[{at}]"), "is a token by itself; put the tokens of each text in a list")),
        });
        if let [first, .., last] = inputs.as_slice()
            && std::mem::discriminant(first) != std::mem::discriminant(last)
        {
            return Err(Fault::invalid(format!("input[{at}]"), "is of another kind than input[0]; send texts or tokens, not both"));
        }
    }
    Ok((inputs, false))
}

/// Writes one JSON body at the end.
struct EmbedWriter {
    form: VectorForm,
    model: Str,
    vectors: Vec<(u32, Vector)>,
}

impl EmbedWriter {
    fn body(&mut self, receipt: &Receipt) -> Result<Vec<u8>, Fault> {
        self.vectors.sort_by_key(|(index, _)| *index);
        let mut out = Vec::with_capacity(1024 + self.vectors.len() * 8192);
        out.extend_from_slice(br#"{"object":"list","data":["#);
        for (at, (index, vector)) in self.vectors.iter().enumerate() {
            let written = match self.form {
                VectorForm::Float => vector::float_json(vector),
                VectorForm::Base64 => vector::base64(vector),
            };
            let written = written.map_err(|bad| Fault::internal(format!("input {index}: {bad}")))?;
            out.extend_from_slice(if at == 0 { b"" } else { b"," });
            let quote: &[u8] = if self.form == VectorForm::Base64 { b"\"" } else { b"" };
            out.extend_from_slice(format!(r#"{{"object":"embedding","index":{index},"embedding":"#).as_bytes());
            out.extend_from_slice(quote);
            out.extend_from_slice(written.as_bytes());
            out.extend_from_slice(quote);
            out.push(b'}');
        }
        out.extend_from_slice(b"]");
        let mut rest = Vec::with_capacity(256);
        object(&mut rest, |o| {
            o.str("model", &self.model);
            o.obj("usage", |usage| {
                usage.val("prompt_tokens", receipt.tokens.prompt());
                usage.val("total_tokens", receipt.tokens.prompt());
                if receipt.cost_known {
                    usage.raw("cost", &receipt.cost.to_string());
                }
            });
            o.obj("headworks", |o| facts(o, receipt));
        });
        out.push(b',');
        out.extend_from_slice(rest.get(1..).unwrap_or_default());
        Ok(out)
    }
}

impl Writer for EmbedWriter {
    fn push(&mut self, batch: &Batch, out: &mut BytesMut) -> Result<(), Fault> {
        for event in &batch.events {
            match &event.kind {
                EventKind::Started { model: Some(model), .. } => self.model = model.clone(),
                EventKind::Embedded { index, vector } => self.vectors.push((*index, vector.clone())),
                EventKind::Receipt(receipt) => out.extend_from_slice(&self.body(receipt)?),
                _ => {}
            }
        }
        Ok(())
    }

    fn fault(&mut self, fault: &Fault, face: &ErrorFace, out: &mut BytesMut) {
        out.extend_from_slice(&OpenAiDoor.fault(fault, face));
    }

    fn keep_alive(&self) -> Bytes {
        Bytes::new()
    }
}
