//! One whole answer of `converse`, and the shape of its blocks.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use headworks_core::{Batch, DialectName, EventKind, Fault, Json, Str, Target};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    decode::State,
    error,
    usage::{ServiceTier, Usage},
};
use crate::{fault, text::Text};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    #[serde(borrow, default)]
    output: Option<Output<'a>>,
    #[serde(borrow, default)]
    stop_reason: Option<Text<'a>>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    service_tier: Option<ServiceTier>,
    #[serde(borrow, default)]
    trace: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block<'a> {
    #[serde(borrow, default)]
    text: Option<Text<'a>>,
    #[serde(borrow, default)]
    tool_use: Option<ToolUse<'a>>,
    #[serde(borrow, default)]
    reasoning_content: Option<Reasoning<'a>>,
    #[serde(borrow, default)]
    citations_content: Option<Cited<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolUse<'a> {
    #[serde(borrow, default)]
    tool_use_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reasoning<'a> {
    #[serde(borrow, default)]
    reasoning_text: Option<ReasoningText<'a>>,
    #[serde(borrow, default)]
    redacted_content: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct ReasoningText<'a> {
    #[serde(borrow, default)]
    text: Option<Text<'a>>,
    #[serde(borrow, default)]
    signature: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Cited<'a> {
    #[serde(borrow, default)]
    content: Option<Vec<CitedText<'a>>>,
    #[serde(borrow, default)]
    citations: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct CitedText<'a> {
    #[serde(borrow, default)]
    text: Option<Text<'a>>,
}

/// Reads a whole answer.
pub(super) fn read(target: &Target, state: &mut State, body: &Bytes, out: &mut Batch) -> Result<(), Fault> {
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|error| fault::garbled(target, &format!("the answer cannot be read ({error})")))?;
    if answer.output.is_none() && answer.stop_reason.is_none() {
        #[derive(Deserialize)]
        struct Said {
            #[serde(alias = "Message")]
            message: Option<String>,
        }
        // Some errors come with status 200.
        if serde_json::from_slice::<Said>(body).is_ok_and(|said| said.message.is_some()) {
            return Err(error::said(target, None, body, 0));
        }
        return Err(fault::garbled(target, "the answer holds no output"));
    }
    state.started(out);
    for raw in answer.output.and_then(|o| o.message).and_then(|m| m.content).unwrap_or_default() {
        block(target, state, raw, body, out)?;
    }
    if let Some(trace) = answer.trace {
        out.push(EventKind::Opaque { dialect: DialectName::Bedrock, name: Str::from_static("trace"), json: Json::from(trace) });
    }
    out.events.extend(answer.usage.and_then(|usage| usage.event(answer.service_tier.as_ref())).map(|kind| headworks_core::Event { choice: 0, kind }));
    state.finish(answer.stop_reason.as_deref().unwrap_or_default(), out);
    Ok(())
}

fn block(target: &Target, state: &mut State, raw: &RawValue, body: &Bytes, out: &mut Batch) -> Result<(), Fault> {
    let block: Block<'_> =
        serde_json::from_str(raw.get()).map_err(|error| fault::garbled(target, &format!("a block of the answer cannot be read ({error})")))?;
    let own = |text: &Text<'_>| Str::within(body, text);
    let mut known = false;
    if let Some(text) = &block.text {
        known = true;
        if !text.is_empty() {
            out.push(EventKind::Text(own(text)));
        }
    }
    if let Some(cited) = block.citations_content {
        known = true;
        for text in cited.content.iter().flatten().filter_map(|c| c.text.as_ref()).filter(|t| !t.is_empty()) {
            out.push(EventKind::Text(own(text)));
        }
        if let Some(citations) = cited.citations.filter(|c| !matches!(c.get(), "null" | "[]")) {
            out.push(EventKind::Opaque { dialect: DialectName::Bedrock, name: Str::from_static("citations"), json: Json::from(citations) });
        }
    }
    if let Some(reasoning) = block.reasoning_content {
        known = true;
        if let Some(thought) = &reasoning.reasoning_text {
            if let Some(text) = thought.text.as_ref().filter(|t| !t.is_empty()) {
                out.push(EventKind::Reasoning(own(text)));
            }
            if let Some(signature) = thought.signature.as_ref().filter(|t| !t.is_empty()) {
                out.push(EventKind::ReasoningSignature(own(signature)));
            }
        }
        if let Some(blob) = &reasoning.redacted_content {
            out.push(EventKind::RedactedReasoning(redacted(blob)));
        }
    }
    match &block.tool_use {
        Some(call) if !hosted(call.kind.as_deref()) => {
            known = true;
            let index = state.call(call.tool_use_id.as_ref().map(own), call.name.as_ref().map(own), out);
            let input = call.input.map(RawValue::get).filter(|text| *text != "null").unwrap_or("{}");
            out.push(EventKind::ToolCallArguments { index, piece: Str::within(body, input) });
            out.push(EventKind::ToolCallEnd { index });
        }
        _ => {}
    }
    if !known {
        // A tool that the provider ran, what it gave back, and whatever comes to be.
        out.push(EventKind::Hosted(Json::from(raw)));
    }
    Ok(())
}

/// A call that Bedrock itself runs (F1).
pub(super) fn hosted(kind: Option<&str>) -> bool {
    kind == Some("server_tool_use")
}

/// Redacted reasoning as its issuer wrote it: Anthropic's own text where the bytes are that, else the base64 as it came.
pub(super) fn redacted(blob: &str) -> Str {
    let inner = STANDARD.decode(blob).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    inner.filter(|text| crate::gemini::is_anthropic(text)).map_or_else(|| blob.into(), Str::from)
}
