//! The `gemini` dialect: generateContent, towards upstreams.

mod array;
mod decode;
mod encode;
mod media;
mod node;
mod schema;
mod signature;
mod think;
mod turns;
mod wire;

use std::time::Duration;

use headworks_core::{ChatRequest, DialectName, Fault, Target, UpstreamError};
use serde_json::Value;

use crate::{Decoder, Dialect, Encoded, Head, fault as shared};

/// The codec.
#[derive(Debug)]
pub struct Gemini;

impl Dialect for Gemini {
    fn name(&self) -> DialectName {
        DialectName::Gemini
    }

    fn encode(&self, target: &Target, request: &ChatRequest) -> Result<Encoded, Fault> {
        encode::encode(target, request)
    }

    fn decoder(&self, target: &Target, head: &Head<'_>) -> Box<dyn Decoder> {
        Box::new(decode::GeminiDecoder::new(target, head))
    }

    fn fault(&self, target: &Target, head: &Head<'_>, body: &[u8]) -> Fault {
        let value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let mut fault = said(target, &value, Some(head.status.as_u16()));
        fault.retry_after = fault.retry_after.or(shared::retry_after(head.headers));
        fault
    }
}

/// The fault of `{"error":{code,message,status,details}}`, also inside a list.
fn said(target: &Target, value: &Value, status: Option<u16>) -> Fault {
    let value = value.as_array().and_then(|list| list.first()).unwrap_or(value);
    let error = value.get("error").unwrap_or(&Value::Null);
    let text = |name: &str| error.get(name).and_then(Value::as_str).map(str::to_owned);
    let code = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    let reasons = error.get("details").and_then(Value::as_array).into_iter().flatten();
    // RetryInfo is the only hint that Google gives: "26s".
    let delay = reasons.clone().find_map(|d| d.get("retryDelay")?.as_str()?.strip_suffix('s')?.parse::<f64>().ok());
    let reason = reasons.clone().find_map(|d| d.get("reason")?.as_str().map(str::to_owned));
    let upstream = UpstreamError {
        status: status.or(code).unwrap_or(0),
        message: text("message").unwrap_or_default(),
        kind: text("status"),
        code: reason.or_else(|| code.map(|c| c.to_string())),
        param: None,
    };
    let wait = delay.filter(|d| d.is_finite() && *d >= 0.0).map(|d| Duration::from_secs_f64(d.min(86_400.0 * 30.0)));
    shared::fault(target, upstream, wait)
}
