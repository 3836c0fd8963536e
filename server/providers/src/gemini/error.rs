//! Google's errors: `{"error":{code,message,status,details}}`, also inside a list (google.rpc.Status).

use std::time::Duration;

use headworks_core::{Cause, Fault, Reason, Target, UpstreamError};
use serde_json::Value;

use crate::{Head, fault as shared};

/// The longest wait that is believed.
const LONGEST_WAIT: f64 = 30.0 * 86_400.0;
/// How much of an error that is no JSON is kept, characters.
const EXCERPT: usize = 300;

/// The fault of an answer whose status is no success.
pub(super) fn fault(target: &Target, head: &Head<'_>, body: &[u8]) -> Fault {
    let status = head.status.as_u16();
    let value = serde_json::from_slice::<Value>(body)
        .ok()
        .filter(|value| object(value).is_some())
        .unwrap_or_else(|| serde_json::json!({ "error": { "message": String::from_utf8_lossy(body).chars().take(EXCERPT).collect::<String>() } }));
    let fault = said(target, &value, Some(status));
    let wait = fault.retry_after.or_else(|| shared::retry_after(head.headers));
    fault.after(wait)
}

fn object(value: &Value) -> Option<&Value> {
    let value = value.as_array().map_or(Some(value), |list| list.first())?;
    value.get("error").filter(|error| error.is_object())
}

/// The fault of an error object. `status`: of the answer; `None` inside an answer that began well.
pub(crate) fn said(target: &Target, value: &Value, status: Option<u16>) -> Fault {
    let error = object(value).unwrap_or(&Value::Null);
    let text = |name: &str| error.get(name).and_then(Value::as_str).map(str::to_owned);
    let code = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    let details = || error.get("details").and_then(Value::as_array).into_iter().flatten();
    let message = text("message").unwrap_or_default();
    // RetryInfo is the only hint that Google gives: "26s". Where it is cut off, the message repeats it.
    let delay = details().find_map(|d| seconds(d.get("retryDelay")?.as_str()?));
    let delay = delay.or_else(|| seconds(message.split("retry in ").nth(1)?.split(char::is_whitespace).next()?.trim_end_matches('.')));
    let reason = details().find_map(|d| d.get("reason")?.as_str().map(str::to_owned));
    let upstream = UpstreamError {
        status: status.or(code).unwrap_or(0),
        message,
        kind: text("status"),
        code: reason.or_else(|| code.map(|c| c.to_string())),
        param: details().find_map(|d| d.get("fieldViolations")?.get(0)?.get("field")?.as_str().map(str::to_owned)),
    };
    let words = upstream.message.to_ascii_lowercase();
    let kind = upstream.kind.clone().unwrap_or_default();
    let mut fault = shared::fault(target, upstream, delay.map(Duration::from_secs_f64));
    let id = &target.id;
    // What these mean only Google's own words tell.
    if kind == "FAILED_PRECONDITION" && ["location", "billing", "free tier"].iter().any(|word| words.contains(word)) {
        fault.cause = Cause::Credentials;
        fault.reason = Reason::UpstreamCredentials;
        fault.message = format!("{id} does not serve the gateway's account from where it runs, or without billing; the operator must check the account");
    } else if (kind == "NOT_FOUND" && !words.contains("model")) || (kind == "PERMISSION_DENIED" && words.contains("access the file")) {
        // A file or cached content of the request, not the model or the key.
        fault.cause = Cause::Rejected;
        fault.reason = Reason::UpstreamRejected;
        fault.message = format!("{id} does not find something that the request refers to");
    }
    fault
}

/// A protobuf duration: `26s`, `48.9s`.
fn seconds(text: &str) -> Option<f64> {
    text.strip_suffix('s')?.parse::<f64>().ok().filter(|s| s.is_finite() && *s >= 0.0).map(|s| s.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use http::{HeaderMap, StatusCode};
    use serde_json::json;

    use super::*;
    use crate::testing::target;

    fn of(status: u16, body: &str) -> Fault {
        let headers = HeaderMap::new();
        fault(&target("gemini", "gemini-3-pro", |_| ()), &Head { status: StatusCode::from_u16(status).unwrap(), headers: &headers }, body.as_bytes())
    }

    #[test]
    fn r5_every_kind_of_error_has_its_cause() {
        let said = |code: u16, status: &str, message: &str| json!({"error": {"code": code, "status": status, "message": message}}).to_string();
        let table = [
            (400, said(400, "INVALID_ARGUMENT", "Request contains an invalid argument."), Cause::Rejected, Reason::UpstreamRejected),
            (400, said(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."), Cause::Credentials, Reason::UpstreamCredentials),
            (
                400,
                said(400, "INVALID_ARGUMENT", "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."),
                Cause::ContextTooLong,
                Reason::ContextTooLong,
            ),
            (400, said(400, "FAILED_PRECONDITION", "User location is not supported for the API use."), Cause::Credentials, Reason::UpstreamCredentials),
            (400, said(400, "FAILED_PRECONDITION", "Please enable billing on the project."), Cause::Credentials, Reason::UpstreamCredentials),
            (400, said(400, "FAILED_PRECONDITION", "The file is not in an ACTIVE state."), Cause::Rejected, Reason::UpstreamRejected),
            (403, said(403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers."), Cause::Credentials, Reason::UpstreamCredentials),
            (
                403,
                said(403, "PERMISSION_DENIED", "You do not have permission to access the File x or it may not exist."),
                Cause::Rejected,
                Reason::UpstreamRejected,
            ),
            (404, said(404, "NOT_FOUND", "models/x is not found for API version v1beta"), Cause::ModelMissing, Reason::UpstreamRejected),
            (404, said(404, "NOT_FOUND", "File x not found"), Cause::Rejected, Reason::UpstreamRejected),
            (429, said(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota"), Cause::RateLimited, Reason::RateLimited),
            (500, said(500, "INTERNAL", "An internal error has occurred."), Cause::Unavailable, Reason::AllTargetsFailed),
            (503, said(503, "UNAVAILABLE", "The model is overloaded. Please try again later."), Cause::Unavailable, Reason::AllTargetsFailed),
            (502, "<html>Bad Gateway</html>".to_owned(), Cause::Unavailable, Reason::AllTargetsFailed),
            (503, "[{\"error\":{\"code\":503,\"status\":\"UNAVAILABLE\",\"message\":\"busy\"}}]".to_owned(), Cause::Unavailable, Reason::AllTargetsFailed),
            (400, String::new(), Cause::Rejected, Reason::UpstreamRejected),
        ];
        for (status, body, cause, reason) in table {
            let fault = of(status, &body);
            assert_eq!((fault.cause, fault.reason), (cause, reason), "{body}");
            assert_eq!(fault.upstream.as_ref().unwrap().status, status, "{body}");
        }
        assert_eq!(of(502, "<html>").upstream.unwrap().message, "<html>", "what was said is kept");
    }

    #[test]
    fn f13_the_wait_is_found_in_retry_info_and_in_words() {
        let info = r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"m","details":[{"@type":"x/QuotaFailure"},{"@type":"x/google.rpc.RetryInfo","retryDelay":"34.4s"}]}}"#;
        assert_eq!(of(429, info).retry_after, Some(Duration::from_secs_f64(34.4)));
        let words = r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"quota.\nPlease retry in 48.939935699s."}}"#;
        assert_eq!(of(429, words).retry_after, Some(Duration::from_secs_f64(48.939_935_699)));
        for none in ["x", "-1s", "NaNs", "s"] {
            let body = json!({"error": {"code": 429, "message": "m", "details": [{"retryDelay": none}]}}).to_string();
            assert_eq!(of(429, &body).retry_after, None, "{none}");
        }
    }
}
