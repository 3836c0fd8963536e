//! Vectors on Vertex AI: `predict` for the text models, `embedContent` for those of the second Gemini generation
//! (cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api).

use bytes::Bytes;
use headworks_core::{EmbedRequest, Fault, Target};
use http::{HeaderMap, Method, Request, header};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Answer, Purpose, gemini, lacks, left_out, texts, vector};
use crate::{Encoded, fault, spell::object};

/// How a model is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Many texts, `instances` and `parameters`.
    Predict,
    /// One text, Gemini's form.
    EmbedContent,
}

fn way(target: &Target) -> Way {
    let name = &*target.upstream_name;
    let second = name.strip_prefix("gemini-embedding-").is_some_and(|rest| !rest.starts_with("00"));
    if second { Way::EmbedContent } else { Way::Predict }
}

/// Most texts in a request: Google's Gemini models take one (quotas of the text embeddings API).
pub(crate) fn inputs(target: &Target) -> Option<usize> {
    target.upstream_name.starts_with("gemini-embedding").then_some(1)
}

/// The request; `model_url` ends with the model's name.
pub(crate) fn encode(target: &Target, request: &EmbedRequest, model_url: &str) -> Result<Encoded, Fault> {
    let mut notes = Vec::new();
    let texts = texts(target, request)?;
    if target.upstream_name.starts_with("multimodal") && texts.len() > 1 {
        return Err(lacks(target, "takes one text in a request"));
    }
    let mut out = Vec::with_capacity(256);
    let method = match way(target) {
        Way::EmbedContent => {
            object(&mut out, |o| gemini::content(o, request, texts.first().copied().unwrap_or_default()));
            "embedContent"
        }
        Way::Predict => {
            object(&mut out, |o| {
                o.arr("instances", |list| {
                    for text in &texts {
                        list.obj(|o| {
                            let multimodal = target.upstream_name.starts_with("multimodal");
                            o.str(if multimodal { "text" } else { "content" }, text);
                            if !multimodal {
                                o.opt_str("task_type", request.purpose.as_deref().map(|word| Purpose::of(word).google()));
                            }
                        });
                    }
                });
                if let Some(dimensions) = request.dimensions {
                    let multimodal = target.upstream_name.starts_with("multimodal");
                    o.obj("parameters", |p| p.val(if multimodal { "dimension" } else { "outputDimensionality" }, dimensions));
                }
            });
            "predict"
        }
    };
    left_out(target, request, &[("user", request.user.is_some())], &mut notes);
    let mut built = Request::builder().method(Method::POST).uri(format!("{model_url}:{method}")).header(header::CONTENT_TYPE, "application/json");
    for (name, value) in &target.host.quirks.headers {
        built = built.header(&**name, &**value);
    }
    let request = built.body(Bytes::from(out)).map_err(|error| Fault::internal(format!("{}: base_url: {error}", target.id)))?;
    Ok(Encoded { request, notes })
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    predictions: Option<Vec<Prediction<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Prediction<'a> {
    #[serde(borrow, default)]
    embeddings: Option<Vector<'a>>,
    #[serde(borrow, default)]
    text_embedding: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Vector<'a> {
    #[serde(borrow)]
    values: &'a RawValue,
    #[serde(default)]
    statistics: Option<Statistics>,
}

#[derive(Deserialize)]
struct Statistics {
    token_count: Option<f64>,
}

/// Reads the answer.
pub(crate) fn read(target: &Target, headers: &HeaderMap, body: &Bytes) -> Result<Answer, Fault> {
    if way(target) == Way::EmbedContent {
        return gemini::read(target, headers, body);
    }
    let parsed: Body<'_> = serde_json::from_slice(body).map_err(|error| gemini::garbled(target, body, &error.to_string()))?;
    let Some(list) = parsed.predictions else { return Err(gemini::garbled(target, body, "the answer has no predictions")) };
    let mut tokens = 0.0;
    let mut vectors = Vec::with_capacity(list.len());
    for (at, prediction) in list.iter().enumerate() {
        let json = prediction.embeddings.as_ref().map(|vector| vector.values).or(prediction.text_embedding);
        let json = json.ok_or_else(|| fault::garbled(target, &format!("predictions[{at}] has no vector")))?;
        let vector = vector::read(json.get()).map_err(|bad| fault::garbled(target, &format!("predictions[{at}]: {bad}")))?;
        tokens += prediction.embeddings.as_ref().and_then(|vector| vector.statistics.as_ref()?.token_count).unwrap_or(0.0);
        vectors.push((u32::try_from(at).unwrap_or(u32::MAX), vector));
    }
    Ok(Answer { vectors, input_tokens: Some(tokens as i64), ..Answer::default() })
}
