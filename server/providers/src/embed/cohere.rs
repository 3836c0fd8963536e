//! Cohere's `/v2/embed` (docs.cohere.com/reference/embed).

use bytes::Bytes;
use headworks_core::{EmbedRequest, Fault, Target};
use http::{HeaderMap, Method, Request, header};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Answer, Purpose, left_out, openai::garbled, texts, vector};
use crate::{
    Encoded, Note, fault,
    spell::{Object, object},
    text::Text,
};

/// The request, to this URL.
pub(crate) fn encode(target: &Target, request: &EmbedRequest, url: &str) -> Result<Encoded, Fault> {
    let mut notes = Vec::new();
    let texts = texts(target, request)?;
    let mut out = Vec::with_capacity(256);
    object(&mut out, |o| {
        o.str("model", &target.upstream_name);
        members(o, target, request, &texts, &mut notes);
        o.raw("embedding_types", r#"["float"]"#);
    });
    left_out(target, request, &[("user", request.user.is_some())], &mut notes);
    let mut built = Request::builder().method(Method::POST).uri(url).header(header::CONTENT_TYPE, "application/json");
    for (name, value) in &target.host.quirks.headers {
        built = built.header(&**name, &**value);
    }
    let request = built.body(Bytes::from(out)).map_err(|error| Fault::internal(format!("{}: base_url: {error}", target.id)))?;
    Ok(Encoded { request, notes })
}

/// What the request holds wherever a Cohere model is hosted.
pub(super) fn members(o: &mut Object<'_>, target: &Target, request: &EmbedRequest, texts: &[&str], notes: &mut Vec<Note>) {
    o.arr("texts", |list| texts.iter().for_each(|text| list.str(text)));
    // Required from the third generation on.
    let purpose = request.purpose.as_deref().map_or_else(
        || {
            notes.push(Note::aside(format!("{} must be told what vectors are for; input_type search_document was filled in", target.id)));
            "search_document"
        },
        |word| Purpose::of(word).cohere(),
    );
    o.str("input_type", purpose);
    o.opt("output_dimension", request.dimensions);
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    embeddings: Option<&'a RawValue>,
    #[serde(default)]
    meta: Option<Meta>,
}

#[derive(Deserialize)]
struct ByType<'a> {
    #[serde(borrow, default)]
    float: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct Meta {
    billed_units: Option<Billed>,
}

#[derive(Deserialize)]
struct Billed {
    input_tokens: Option<f64>,
}

/// Reads the answer: vectors by type, or bare ones as older models on Bedrock give them.
pub(crate) fn read(target: &Target, _: &HeaderMap, body: &Bytes) -> Result<Answer, Fault> {
    let unreadable = |error: serde_json::Error| garbled(target, body, &error.to_string());
    let parsed: Body<'_> = serde_json::from_slice(body).map_err(unreadable)?;
    let Some(embeddings) = parsed.embeddings else { return Err(garbled(target, body, "the answer has no embeddings")) };
    let list: Vec<&RawValue> = if embeddings.get().starts_with('[') {
        serde_json::from_str(embeddings.get()).map_err(unreadable)?
    } else {
        let by_type: ByType<'_> = serde_json::from_str(embeddings.get()).map_err(unreadable)?;
        by_type.float.ok_or_else(|| fault::garbled(target, "the answer has no float vectors"))?
    };
    let one = |(at, json): (usize, &&RawValue)| match vector::read(json.get()) {
        Ok(vector) => Ok((u32::try_from(at).unwrap_or(u32::MAX), vector)),
        Err(bad) => Err(fault::garbled(target, &format!("embeddings[{at}]: {bad}"))),
    };
    Ok(Answer {
        id: parsed.id.map(|text| (&*text).into()),
        vectors: list.iter().enumerate().map(one).collect::<Result<_, _>>()?,
        input_tokens: parsed.meta.and_then(|meta| meta.billed_units?.input_tokens).map(|n| n as i64),
        ..Answer::default()
    })
}
