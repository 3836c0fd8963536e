//! OpenAI's `/embeddings`, which most hosts speak.

use bytes::Bytes;
use headworks_core::{DialectName, EmbedInput, EmbedRequest, Fault, Target, VectorForm};
use http::{HeaderMap, Method, Request, header};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Answer, Purpose, lacks, texts, vector};
use crate::{
    Encoded, Note, fault, openai,
    spell::{Object, object},
    text::Text,
};

/// The request, to this URL.
pub(crate) fn encode(target: &Target, request: &EmbedRequest, url: &str) -> Result<Encoded, Fault> {
    let quirks = &target.host.quirks;
    let facts = &quirks.embed;
    let rejects = |name: &str| quirks.rejects.iter().any(|rejected| &**rejected == name);
    if facts.text_only {
        texts(target, request)?;
    }
    let mut notes: Vec<Note> = Vec::new();
    let mut out = Vec::with_capacity(256 + request.inputs.iter().map(|input| input.most_tokens() + 4).sum::<usize>());
    object(&mut out, |o| {
        o.str("model", &target.upstream_name);
        input(o, request);
        if facts.base64
            && let Some(form) = request.encoding
            && (form == VectorForm::Base64 || target.dialect != Some(DialectName::Voyage))
        {
            o.str("encoding_format", if form == VectorForm::Base64 { "base64" } else { "float" });
        }
        o.opt(facts.dimensions_field.as_deref().unwrap_or("dimensions"), request.dimensions);
        if let Some(word) = request.purpose.as_deref() {
            let said = match facts.purpose_field.as_deref() {
                Some(field) => Purpose::of(word).search(facts.document_word.as_deref().unwrap_or("document")).map(|said| (field, said)),
                None => None,
            };
            match said {
                Some((field, said)) => o.str(field, said),
                None => notes.push(Note::parameter("input_type", format!("{} does not take input_type {word}", target.id), "it was left out")),
            }
        }
        if let Some(user) = request.user.as_deref() {
            if rejects("user") {
                notes.push(Note::not_taken(target, "user"));
            } else {
                o.str("user", user);
            }
        }
        for (name, value) in &request.extra {
            if request.extra_dialect != Some(DialectName::OpenAi) || rejects(name) {
                notes.push(Note::not_taken(target, name));
            } else {
                o.raw(name, value.as_str());
            }
        }
    });
    let mut built = Request::builder().method(Method::POST).uri(url).header(header::CONTENT_TYPE, "application/json");
    for (name, value) in &quirks.headers {
        built = built.header(&**name, &**value);
    }
    let request = built.body(Bytes::from(out)).map_err(|error| Fault::internal(format!("{}: base_url: {error}", target.id)))?;
    Ok(Encoded { request, notes })
}

fn input(o: &mut Object<'_>, request: &EmbedRequest) {
    match (request.single, request.inputs.as_slice()) {
        (true, [EmbedInput::Text(text)]) => o.str("input", text),
        (true, [EmbedInput::Tokens(tokens)]) => o.val("input", tokens),
        (_, inputs) => o.arr("input", |list| {
            for input in inputs {
                match input {
                    EmbedInput::Text(text) => list.str(text),
                    EmbedInput::Tokens(tokens) => list.raw(&serde_json::to_string(tokens).unwrap_or_default()),
                }
            }
        }),
    }
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    model: Option<Text<'a>>,
    created: Option<i64>,
    #[serde(borrow, default)]
    data: Option<Vec<Item<'a>>>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Item<'a> {
    index: Option<u32>,
    #[serde(borrow)]
    embedding: &'a RawValue,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: Option<i64>,
    total_tokens: Option<i64>,
}

/// Reads the answer.
pub(crate) fn read(target: &Target, _: &HeaderMap, body: &Bytes) -> Result<Answer, Fault> {
    let parsed: Body<'_> = serde_json::from_slice(body).map_err(|error| garbled(target, body, &error.to_string()))?;
    let Some(data) = parsed.data else { return Err(garbled(target, body, "the answer has no data")) };
    let int8 = target.host.quirks.embed.int8;
    let one = |(at, item): (usize, &Item<'_>)| {
        let json = item.embedding.get();
        let vector = if int8 && json.starts_with('"') { vector::read_int8(json) } else { vector::read(json) };
        let index = item.index.unwrap_or_else(|| u32::try_from(at).unwrap_or(u32::MAX));
        vector.map(|vector| (index, vector)).map_err(|bad| fault::garbled(target, &format!("data[{at}]: {bad}")))
    };
    Ok(Answer {
        id: parsed.id.map(|text| (&*text).into()),
        model: parsed.model.map(|text| (&*text).into()),
        created: parsed.created,
        vectors: data.iter().enumerate().map(one).collect::<Result<_, _>>()?,
        input_tokens: parsed.usage.and_then(|usage| usage.prompt_tokens.filter(|n| *n > 0).or(usage.total_tokens)),
    })
}

/// A body that is no answer: an error that came as a success, or nothing we know.
pub(super) fn garbled(target: &Target, body: &Bytes, what: &str) -> Fault {
    match serde_json::from_slice::<serde_json::Value>(body).ok().and_then(|value| openai::read_error(&value)) {
        Some(error) => fault::fault(target, error, None),
        None => fault::garbled(target, &format!("the answer cannot be read: {what}")),
    }
}

/// Refuses a length of vectors at a model that has one length only.
pub(super) fn fixed(target: &Target, request: &EmbedRequest) -> Result<(), Fault> {
    match request.dimensions {
        Some(asked) if target.model.as_deref().and_then(|m| m.dimensions) != Some(asked) => {
            Err(lacks(target, "dimensions: the length of this model's vectors cannot be chosen; leave it out"))
        }
        _ => Ok(()),
    }
}
