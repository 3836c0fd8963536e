//! Gemini's `batchEmbedContents` (ai.google.dev/api/embeddings).

use bytes::Bytes;
use headworks_core::{EmbedRequest, Fault, Target};
use http::{HeaderMap, Method, Request, header};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Answer, Purpose, left_out, texts, vector};
use crate::{
    Encoded, fault,
    gemini::{resource, said},
    spell::{Object, object},
};

/// The request for a target.
pub(crate) fn encode(target: &Target, request: &EmbedRequest) -> Result<Encoded, Fault> {
    let mut notes = Vec::new();
    let texts = texts(target, request)?;
    let model = resource(&target.upstream_name);
    let mut out = Vec::with_capacity(256);
    object(&mut out, |o| {
        o.arr("requests", |list| {
            for text in &texts {
                list.obj(|o| {
                    o.str("model", &model);
                    content(o, request, text);
                });
            }
        });
    });
    left_out(target, request, &[("user", request.user.is_some())], &mut notes);
    let url = format!("{}/v1beta/{model}:batchEmbedContents", target.host.base_url);
    let mut built = Request::builder().method(Method::POST).uri(url).header(header::CONTENT_TYPE, "application/json");
    for (name, value) in &target.host.quirks.headers {
        built = built.header(&**name, &**value);
    }
    let request = built.body(Bytes::from(out)).map_err(|error| Fault::internal(format!("{}: base_url: {error}", target.id)))?;
    Ok(Encoded { request, notes })
}

/// One text with what is asked of its vector: an `EmbedContentRequest`.
pub(super) fn content(o: &mut Object<'_>, request: &EmbedRequest, text: &str) {
    o.obj("content", |c| c.arr("parts", |parts| parts.obj(|part| part.str("text", text))));
    o.opt_str("taskType", request.purpose.as_deref().map(|word| Purpose::of(word).google()));
    o.opt("outputDimensionality", request.dimensions);
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body<'a> {
    #[serde(borrow, default)]
    embeddings: Option<Vec<Item<'a>>>,
    #[serde(borrow, default)]
    embedding: Option<Item<'a>>,
    #[serde(default)]
    usage_metadata: Option<Usage>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    values: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Usage {
    prompt_token_count: Option<i64>,
}

/// Reads the answer of `batchEmbedContents`, and of `embedContent`, which has one vector.
pub(crate) fn read(target: &Target, _: &HeaderMap, body: &Bytes) -> Result<Answer, Fault> {
    let parsed: Body<'_> = serde_json::from_slice(body).map_err(|error| garbled(target, body, &error.to_string()))?;
    let list = match (parsed.embeddings, parsed.embedding) {
        (Some(list), _) => list,
        (None, Some(one)) => vec![one],
        (None, None) => return Err(garbled(target, body, "the answer has no embeddings")),
    };
    let one = |(at, item): (usize, &Item<'_>)| match vector::read(item.values.get()) {
        Ok(vector) => Ok((u32::try_from(at).unwrap_or(u32::MAX), vector)),
        Err(bad) => Err(fault::garbled(target, &format!("embeddings[{at}]: {bad}"))),
    };
    Ok(Answer {
        vectors: list.iter().enumerate().map(one).collect::<Result<_, _>>()?,
        input_tokens: parsed.usage_metadata.and_then(|usage| usage.prompt_token_count),
        ..Answer::default()
    })
}

/// A body that is no answer: Google's error inside a success, or nothing we know.
pub(super) fn garbled(target: &Target, body: &Bytes, what: &str) -> Fault {
    match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(value) if value.get("error").is_some() || value.is_array() => said(target, &value, None),
        _ => fault::garbled(target, &format!("the answer cannot be read: {what}")),
    }
}
