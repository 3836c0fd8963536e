//! Bedrock's errors: the type in a header, `{"message"}` in the body; inside a stream, messages of their own.

use std::sync::Arc;

use headworks_core::{Cause, Fault, Reason, Target, UpstreamError};
use serde_json::Value;

use crate::{Head, fault as shared, frame::aws::AwsMessage};

/// How much of an error that is no JSON is kept, characters.
const EXCERPT: usize = 300;

/// The status that each type of error has (Bedrock, "Converse", errors), for those that come inside a stream, and for
/// those whose own status does not say whether trying elsewhere helps: the model's own failures come as 424.
const STATUS: &[(&str, u16)] = &[
    ("throttling", 429),
    ("toomanyrequests", 429),
    ("servicequotaexceeded", 429),
    ("modelnotready", 503),
    ("modeltimeout", 503),
    ("modelerror", 503),
    ("modelstreamerror", 503),
    ("internalserver", 500),
    ("internalfailure", 500),
    ("serviceunavailable", 503),
    ("resourcenotfound", 404),
    ("accessdenied", 403),
    ("unrecognizedclient", 403),
    ("invalidsignature", 403),
    ("expiredtoken", 403),
    ("missingauthenticationtoken", 403),
    ("incompletesignature", 403),
    ("validation", 400),
];

/// What a refusal of the request itself really means, by Bedrock's own words.
const WORDS: &[(&str, Cause)] = &[
    ("model identifier is invalid", Cause::ModelMissing),
    ("on-demand throughput", Cause::ModelMissing),
    ("end of its life", Cause::ModelMissing),
    ("input is too long", Cause::ContextTooLong),
    ("input tokens exceeded", Cause::ContextTooLong),
    ("exceeds the maximum number of tokens", Cause::ContextTooLong),
    ("too many input tokens", Cause::ContextTooLong),
    ("exceed context limit", Cause::ContextTooLong),
];

/// The fault of an answer whose status is no success.
pub(super) fn fault(target: &Target, head: &Head<'_>, body: &[u8]) -> Fault {
    let header = head.headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok());
    let wait = shared::retry_after(head.headers);
    said(target, header, body, head.status.as_u16()).after(wait)
}

/// The fault of a body that is an error. `status` 0: it came inside an answer that began well.
pub(super) fn said(target: &Target, kind: Option<&str>, body: &[u8], status: u16) -> Fault {
    let value = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let text = |names: &[&str]| names.iter().find_map(|name| value.get(name)?.as_str()).map(str::to_owned);
    let kind = kind.map(str::to_owned).or_else(|| text(&["__type", "code"])).map(|kind| plain(&kind).to_owned());
    let message = text(&["message", "Message", "originalMessage"]).unwrap_or_else(|| String::from_utf8_lossy(body).chars().take(EXCERPT).collect());
    build(target, kind, message, status)
}

/// The fault of a message in the stream that is an exception or error.
pub(super) fn in_stream(target: &Target, message: &AwsMessage) -> Fault {
    let name = String::from_utf8_lossy(&message.name).into_owned();
    if message.error.is_empty() {
        return said(target, Some(&name), &message.payload, 0);
    }
    build(target, Some(plain(&name).to_owned()), String::from_utf8_lossy(&message.error).into_owned(), 0)
}

fn build(target: &Target, kind: Option<String>, message: String, status: u16) -> Fault {
    let lower = kind.as_deref().unwrap_or_default().to_ascii_lowercase();
    let known = STATUS.iter().find(|(name, _)| lower.starts_with(name)).map(|(_, status)| *status);
    let words = message.to_ascii_lowercase();
    let means = match (status, known) {
        (0, Some(known)) => known,
        // 424 is the model's failure, and a quota's 400 is a limit like 429.
        (400 | 408 | 424 | 429, Some(known)) if known != 400 => known,
        (424, None) => 503,
        (status, _) => status,
    };
    let rejected = (400..500).contains(&means) && !matches!(means, 401..=403 | 408 | 429);
    let worded = WORDS.iter().find(|(word, _)| rejected && words.contains(word)).map(|(_, cause)| *cause);
    let upstream =
        UpstreamError { status: if worded == Some(Cause::ModelMissing) { 404 } else { means }, message, kind: kind.clone(), code: kind, param: None };
    let mut fault = shared::fault(target, upstream, None);
    if worded == Some(Cause::ContextTooLong) {
        fault.cause = Cause::ContextTooLong;
        fault.reason = Reason::ContextTooLong;
        fault.message = format!("the input is longer than {} takes", target.id);
    }
    if words.contains("on-demand throughput") {
        fault.message =
            format!("{} is served through an inference profile alone; ask for it by a profile such as us.{} or its ARN", target.id, target.upstream_name);
    }
    if let Some(said) = &mut fault.upstream {
        // The status as it was, whatever it means.
        Arc::make_mut(said).status = status;
    }
    fault
}

/// `ThrottlingException:http://internal.amazon.com/...` and `com.amazon.coral.service#ThrottlingException` without what stands around the name.
fn plain(kind: &str) -> &str {
    let kind = kind.split(':').next().unwrap_or(kind);
    kind.rsplit('#').next().unwrap_or(kind).trim()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::time::Duration;

    use http::{HeaderMap, HeaderValue, StatusCode};

    use super::*;
    use crate::testing::target;

    fn of(status: u16, kind: &str, body: &str) -> Fault {
        let mut headers = HeaderMap::new();
        if !kind.is_empty() {
            headers.insert("x-amzn-errortype", HeaderValue::from_str(kind).unwrap());
        }
        headers.insert("retry-after", HeaderValue::from_static("3"));
        let target = target("bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0", |_| ());
        fault(&target, &Head { status: StatusCode::from_u16(status).unwrap(), headers: &headers }, body.as_bytes())
    }

    #[test]
    fn r5_every_kind_of_error_has_its_cause() {
        const URL: &str = ":http://internal.amazon.com/coral/com.amazon.bedrock/";
        for (status, kind, message, cause) in [
            (429, "ThrottlingException", "Too many tokens, please wait before trying again.", Cause::RateLimited),
            (400, "ServiceQuotaExceededException", "Your request exceeds the service quota", Cause::RateLimited),
            (429, "ModelNotReadyException", "not ready", Cause::Unavailable),
            (408, "ModelTimeoutException", "took too long", Cause::Unavailable),
            (424, "ModelErrorException", "the model failed", Cause::Unavailable),
            (503, "ServiceUnavailableException", "busy", Cause::Unavailable),
            (500, "InternalServerException", "oh", Cause::Unavailable),
            (403, "AccessDeniedException", "You don't have access to the model with the specified model ID.", Cause::Credentials),
            (403, "ExpiredTokenException", "The security token included in the request is expired", Cause::Credentials),
            (404, "ResourceNotFoundException", "This model version has reached the end of its life.", Cause::ModelMissing),
            (400, "ValidationException", "The provided model identifier is invalid.", Cause::ModelMissing),
            (400, "ValidationException", "Invocation of model ID x with on-demand throughput isn't supported.", Cause::ModelMissing),
            (400, "ValidationException", "Input is too long for requested model.", Cause::ContextTooLong),
            (400, "ValidationException", "Input Tokens Exceeded: Number of input tokens exceeds maximum length.", Cause::ContextTooLong),
            (400, "ValidationException", "The text field in the ContentBlock object at messages.0.content.0 is blank.", Cause::Rejected),
            (400, "", "Malformed input request", Cause::Rejected),
        ] {
            for (kind, field) in [(kind.to_owned(), "message"), (format!("{kind}{URL}"), "Message")] {
                let kind = if kind.starts_with(':') { String::new() } else { kind };
                let fault = of(status, &kind, &serde_json::json!({ field: message }).to_string());
                assert_eq!(fault.cause, cause, "{kind} {message}");
                assert_eq!(fault.retry_after, Some(Duration::from_secs(3)));
                let said = fault.upstream.unwrap();
                assert_eq!((said.status, said.message.as_str()), (status, message));
                assert!(said.kind.as_deref().is_none_or(|kind| kind.ends_with("Exception")), "{kind}");
            }
        }
    }

    #[test]
    fn f3_exceptions_in_a_stream_are_told_by_their_type() {
        let target = target("bedrock", "m", |_| ());
        for (name, cause) in [
            ("throttlingException", Cause::RateLimited),
            ("modelStreamErrorException", Cause::Unavailable),
            ("validationException", Cause::Rejected),
            ("serviceUnavailableException", Cause::Unavailable),
            ("somethingNew", Cause::Unavailable),
        ] {
            let message = AwsMessage { kind: "exception".into(), name: name.into(), payload: r#"{"message":"said"}"#.into(), ..AwsMessage::default() };
            let fault = in_stream(&target, &message);
            assert_eq!(fault.cause, cause, "{name}");
            let said = fault.upstream.unwrap();
            assert_eq!((said.status, said.message.as_str(), said.kind.as_deref()), (0, "said", Some(name)));
        }
        let message = AwsMessage { kind: "error".into(), name: "InternalFailure".into(), error: "broken pipe".into(), ..AwsMessage::default() };
        assert_eq!(in_stream(&target, &message).upstream.unwrap().message, "broken pipe");
    }
}
