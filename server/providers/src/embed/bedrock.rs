//! Vectors on Amazon Bedrock: `InvokeModel`, whose body is the model maker's own
//! (docs.aws.amazon.com/bedrock, "Inference request parameters": Titan, Cohere, Nova).

use bytes::Bytes;
use headworks_core::{EmbedRequest, Fault, Target};
use http::{HeaderMap, Method, Request, header};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Answer, Purpose, cohere, lacks, left_out, openai, texts, vector};
use crate::{Encoded, fault, spell::object};

/// The makers whose bodies are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Maker {
    /// The first text model: no choice of anything.
    TitanV1,
    TitanV2,
    TitanImage,
    CohereV3,
    CohereV4,
    Nova,
}

fn maker(name: &str) -> Option<Maker> {
    // Inference profiles put a place before the name.
    let bare = ["global.", "us.", "eu.", "apac.", "us-gov."].iter().find_map(|place| name.strip_prefix(place)).unwrap_or(name);
    Some(match bare {
        _ if bare.starts_with("amazon.titan-embed-image") => Maker::TitanImage,
        _ if bare.starts_with("amazon.titan-embed-text-v2") => Maker::TitanV2,
        _ if bare.starts_with("amazon.titan-embed") => Maker::TitanV1,
        _ if bare.starts_with("cohere.embed-v4") => Maker::CohereV4,
        _ if bare.starts_with("cohere.embed") => Maker::CohereV3,
        _ if bare.starts_with("amazon.nova") => Maker::Nova,
        _ => return None,
    })
}

/// Most texts in a request.
pub(crate) fn inputs(target: &Target) -> usize {
    match maker(&target.upstream_name) {
        Some(Maker::CohereV3 | Maker::CohereV4) => 96,
        _ => 1,
    }
}

/// The request; `model_url` ends with the model's name, escaped.
pub(crate) fn encode(target: &Target, request: &EmbedRequest, model_url: &str) -> Result<Encoded, Fault> {
    let maker = maker(&target.upstream_name).ok_or_else(|| lacks(target, "this build does not know the form of this model's vectors on Bedrock"))?;
    let texts = texts(target, request)?;
    let text = texts.first().copied().unwrap_or_default();
    let mut notes = Vec::new();
    if matches!(maker, Maker::TitanV1 | Maker::CohereV3) {
        openai::fixed(target, request)?;
    }
    let mut unsaid = request.purpose.is_some();
    let mut out = Vec::with_capacity(256);
    object(&mut out, |o| match maker {
        Maker::TitanV1 => o.str("inputText", text),
        Maker::TitanV2 => {
            o.str("inputText", text);
            o.opt("dimensions", request.dimensions);
        }
        Maker::TitanImage => {
            o.str("inputText", text);
            if let Some(length) = request.dimensions {
                o.obj("embeddingConfig", |c| c.val("outputEmbeddingLength", length));
            }
        }
        Maker::CohereV3 | Maker::CohereV4 => {
            unsaid = false;
            let plain = EmbedRequest { dimensions: request.dimensions.filter(|_| maker == Maker::CohereV4), ..request.clone() };
            cohere::members(o, target, &plain, &texts, &mut notes);
            if maker == Maker::CohereV4 {
                o.raw("embedding_types", r#"["float"]"#);
            }
        }
        Maker::Nova => {
            unsaid = false;
            o.str("taskType", "SINGLE_EMBEDDING");
            o.obj("singleEmbeddingParams", |p| {
                p.str("embeddingPurpose", request.purpose.as_deref().map_or("GENERIC_INDEX", |word| Purpose::of(word).nova()));
                p.opt("embeddingDimension", request.dimensions);
                p.obj("text", |t| {
                    // Too long a text is an error, not cut in silence.
                    t.str("truncationMode", "NONE");
                    t.str("value", text);
                });
            });
        }
    });
    left_out(target, request, &[("user", request.user.is_some()), ("input_type", unsaid)], &mut notes);
    let built = Request::builder()
        .method(Method::POST)
        .uri(format!("{model_url}/invoke"))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json");
    let request = built.body(Bytes::from(out)).map_err(|error| Fault::internal(format!("{}: base_url: {error}", target.id)))?;
    Ok(Encoded { request, notes })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Titan<'a> {
    #[serde(borrow, default)]
    embedding: Option<&'a RawValue>,
    input_text_token_count: Option<i64>,
}

#[derive(Deserialize)]
struct Nova<'a> {
    #[serde(borrow, default)]
    embeddings: Option<Vec<NovaItem<'a>>>,
}

#[derive(Deserialize)]
struct NovaItem<'a> {
    #[serde(borrow)]
    embedding: &'a RawValue,
}

/// Reads the answer. Tokens stand in a header where the body has none.
pub(crate) fn read(target: &Target, headers: &HeaderMap, body: &Bytes) -> Result<Answer, Fault> {
    let unreadable = |error: serde_json::Error| openai::garbled(target, body, &error.to_string());
    let counted = headers.get("x-amzn-bedrock-input-token-count").and_then(|value| value.to_str().ok()?.parse::<i64>().ok());
    let (json, tokens) = match maker(&target.upstream_name) {
        Some(Maker::CohereV3 | Maker::CohereV4) => {
            let answer = cohere::read(target, headers, body)?;
            return Ok(Answer { input_tokens: answer.input_tokens.or(counted), ..answer });
        }
        Some(Maker::Nova) => {
            let parsed: Nova<'_> = serde_json::from_slice(body).map_err(unreadable)?;
            (parsed.embeddings.and_then(|list| list.first().map(|item| item.embedding)), None)
        }
        _ => {
            let parsed: Titan<'_> = serde_json::from_slice(body).map_err(unreadable)?;
            (parsed.embedding, parsed.input_text_token_count)
        }
    };
    let json = json.ok_or_else(|| openai::garbled(target, body, "the answer has no vector"))?;
    let vector = vector::read(json.get()).map_err(|bad| fault::garbled(target, &bad.to_string()))?;
    Ok(Answer { vectors: vec![(0, vector)], input_tokens: tokens.or(counted), ..Answer::default() })
}
