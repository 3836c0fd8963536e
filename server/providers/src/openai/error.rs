//! OpenAI-like errors, in every layout that hosts use.

use headworks_core::{Fault, Target, UpstreamError};
use serde_json::Value;

use crate::{Head, fault as shared};

/// The fault of an answer whose status is no success.
pub(crate) fn fault(target: &Target, head: &Head<'_>, body: &[u8]) -> Fault {
    let mut error = serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|value| read(&value))
        .unwrap_or_else(|| UpstreamError { message: String::from_utf8_lossy(body).chars().take(300).collect(), ..UpstreamError::default() });
    error.status = head.status.as_u16();
    shared::fault(target, error, shared::retry_after(head.headers))
}

/// Reads `{"error":{..}}`, `{"error":".."}`, `{"message":..}`, `{"detail":..}` and lists of them; `None` where it is none.
pub(crate) fn read(value: &Value) -> Option<UpstreamError> {
    let value = match value {
        Value::Array(items) => items.first()?,
        other => other,
    };
    let text = |value: &Value, name: &str| match value.get(name) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let of = |value: &Value| UpstreamError {
        status: 0,
        message: text(value, "message").or_else(|| text(value, "msg")).unwrap_or_default(),
        kind: text(value, "type").or_else(|| text(value, "status")),
        code: text(value, "code"),
        param: text(value, "param"),
    };
    match value.get("error") {
        Some(error @ Value::Object(_)) => Some(of(error)),
        Some(Value::String(message)) => Some(UpstreamError { message: message.clone(), code: text(value, "code"), ..UpstreamError::default() }),
        _ => match (value.get("message"), value.get("detail")) {
            (Some(Value::String(_)), _) if value.get("choices").is_none() => Some(of(value)),
            (Some(message @ Value::Object(_)), _) if value.get("choices").is_none() => Some(UpstreamError { message: message.to_string(), ..of(value) }),
            (_, Some(detail)) if value.get("choices").is_none() => {
                Some(UpstreamError { message: detail.as_str().map_or_else(|| detail.to_string(), str::to_owned), ..UpstreamError::default() })
            }
            _ => None,
        },
    }
}
