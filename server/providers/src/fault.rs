//! What a provider's error means, the same for every dialect.

use std::{sync::Arc, time::Duration};

use headworks_core::{Cause, Fault, Reason, Target, UpstreamError};
use http::HeaderMap;

/// The words that tell what lies underneath, where the status alone does not.
/// Checked in order against type, code and message in lower case.
const WORDS: &[(&str, Cause)] = &[
    ("insufficient_quota", Cause::Credentials),
    ("credit balance", Cause::Credentials),
    ("billing_hard_limit", Cause::Credentials),
    ("insufficient balance", Cause::Credentials),
    ("usage limit", Cause::Credentials),
    ("incorrect api key", Cause::Credentials),
    ("invalid api key", Cause::Credentials),
    ("invalid_api_key", Cause::Credentials),
    ("api key not valid", Cause::Credentials),
    ("api_key_invalid", Cause::Credentials),
    ("authentication_error", Cause::Credentials),
    ("context_length_exceeded", Cause::ContextTooLong),
    ("maximum context length", Cause::ContextTooLong),
    ("context length exceeded", Cause::ContextTooLong),
    ("prompt is too long", Cause::ContextTooLong),
    ("input token count", Cause::ContextTooLong),
    ("exceed_context_size", Cause::ContextTooLong),
    ("content_filter", Cause::ContentPolicy),
    ("content_policy", Cause::ContentPolicy),
    ("model_not_found", Cause::ModelMissing),
    ("not_found_error", Cause::ModelMissing),
    ("overloaded", Cause::Unavailable),
    ("rate_limit", Cause::RateLimited),
    ("resource_exhausted", Cause::RateLimited),
    ("too many requests", Cause::RateLimited),
];

/// What a 404 that is not about the model is about.
const ELSEWHERE: &[&str] = &["file", "previous response", "previous_response", "item with id", "cached content", "cachedcontent", "container", "conversation"];

/// Status first where it speaks for itself, then the provider's words.
pub fn cause(error: &UpstreamError) -> Cause {
    let text = format!("{} {} {}", error.kind.as_deref().unwrap_or_default(), error.code.as_deref().unwrap_or_default(), error.message).to_lowercase();
    let worded = WORDS.iter().find(|(word, _)| text.contains(word)).map(|(_, cause)| *cause);
    match error.status {
        401..=403 => Cause::Credentials,
        // A file, or an answer to go on from, that this provider does not have: the request's fault, not the model's.
        404 if !text.contains("model") && ELSEWHERE.iter().any(|word| text.contains(word)) => Cause::Rejected,
        404 => Cause::ModelMissing,
        // 410: withdrawn.
        410 => Cause::ModelMissing,
        429 => match worded {
            Some(Cause::Credentials) => Cause::Credentials,
            _ => Cause::RateLimited,
        },
        408 | 409 | 425 | 499 | 500..=599 => Cause::Unavailable,
        // An error inside a 200 stream has only words.
        0 | 200..=299 => match worded {
            Some(cause) => cause,
            None if text.contains("invalid_request") => Cause::Rejected,
            None => Cause::Unavailable,
        },
        _ => match worded {
            Some(cause @ (Cause::Credentials | Cause::ContextTooLong | Cause::ContentPolicy)) => cause,
            _ => Cause::Rejected,
        },
    }
}

/// The fault of an answer that was an error.
pub fn fault(target: &Target, mut error: UpstreamError, retry_after: Option<Duration>) -> Fault {
    error.message = scrub(&error.message);
    let cause = cause(&error);
    let id = &target.id;
    let status = if error.status == 0 { String::new() } else { format!(" with status {}", error.status) };
    let (reason, message) = match cause {
        Cause::RateLimited => (Reason::RateLimited, format!("{id} limits its rate{}", wait(retry_after))),
        Cause::Credentials => (
            Reason::UpstreamCredentials,
            format!("{id} refused the gateway's credentials or its credit is used up{status}; the operator must check {}", key_name(target)),
        ),
        Cause::ModelMissing => (Reason::UpstreamRejected, format!("{id} does not know the model")),
        Cause::ContextTooLong => (Reason::ContextTooLong, format!("the input is longer than {id} takes")),
        Cause::ContentPolicy => (Reason::UpstreamRejected, format!("{id} refused the content by its policy")),
        Cause::Rejected => (Reason::UpstreamRejected, format!("{id} refused the request")),
        _ => (Reason::AllTargetsFailed, format!("{id} failed{status}; try again later")),
    };
    let mut fault = Fault::new(reason, message).because(cause).after(retry_after).at(id);
    fault.upstream = Some(Arc::new(error));
    fault
}

fn wait(retry_after: Option<Duration>) -> String {
    retry_after.map_or_else(|| "; try again later".to_owned(), |d| format!("; try again in {} s", d.as_secs_f64().ceil()))
}

fn key_name(target: &Target) -> &str {
    target.host.key_env.first().map_or("its account", |env| env)
}

/// How long the headers ask to wait: `retry-after-ms`, then `retry-after` in seconds, or as a date, which is measured
/// against the provider's own `date`.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
    let date = |name: &str| httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok();
    let until = || date("retry-after")?.duration_since(date("date")?).ok();
    let seconds = number("retry-after-ms").map(|ms| ms / 1000.0).or_else(|| number("retry-after"));
    seconds.map(|seconds| Duration::from_secs_f64(seconds.min(30.0 * 86_400.0))).or_else(until)
}

/// The answer broke off before it was complete.
pub fn broken(target: &Target, what: &str) -> Fault {
    Fault::new(Reason::AllTargetsFailed, format!("{}: {what}", target.id)).because(Cause::Broken).at(&target.id)
}

/// The bytes are not what the dialect promises.
pub fn garbled(target: &Target, what: &str) -> Fault {
    Fault::new(Reason::AllTargetsFailed, format!("{}: {what}", target.id)).because(Cause::Garbled).at(&target.id)
}

/// Fails where bytes that may be passed on as they came are none, or no text: JSON and server-sent events are UTF-8.
pub fn text(target: &Target, bytes: &[u8]) -> Result<(), Fault> {
    if bytes.is_empty() {
        return Err(broken(target, "the answer is empty"));
    }
    std::str::from_utf8(bytes)
        .map(|_| ())
        .map_err(|error| garbled(target, &format!("a piece of the answer is not UTF-8 (after {} bytes)", error.valid_up_to())))
}

/// Takes out what looks like a key: providers repeat them in their errors.
pub fn scrub(message: &str) -> String {
    let looks_secret = |word: &str| {
        let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_' && c != '*');
        let prefixed = ["sk-", "AIza", "gsk_", "xai-", "hf_", "AKIA", "ya29.", "hw_"].iter().any(|prefix| word.starts_with(prefix));
        (prefixed && word.len() >= 8)
            || (word.len() >= 32
                && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
                && word.bytes().any(|b| b.is_ascii_digit())
                && word.bytes().any(|b| b.is_ascii_uppercase()))
    };
    if !message.split_whitespace().any(looks_secret) {
        return message.to_owned();
    }
    message.split(' ').map(|word| if looks_secret(word) { "[redacted]" } else { word }).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r5_status_and_words_tell_the_cause() {
        let table = [
            (429, "rate_limit_exceeded", "slow down", Cause::RateLimited),
            (429, "insufficient_quota", "You exceeded your current quota", Cause::Credentials),
            (400, "", "Your credit balance is too low", Cause::Credentials),
            (400, "", "Incorrect API key provided: xx", Cause::Credentials),
            (400, "context_length_exceeded", "", Cause::ContextTooLong),
            (400, "", "temperature must be below 2", Cause::Rejected),
            (401, "", "", Cause::Credentials),
            (402, "", "", Cause::Credentials),
            (404, "", "", Cause::ModelMissing),
            (404, "", "The model `x` does not exist", Cause::ModelMissing),
            (404, "", "No such File object: file-abc", Cause::Rejected),
            (404, "previous_response_not_found", "Previous response with id 'resp_1' not found.", Cause::Rejected),
            (410, "", "withdrawn", Cause::ModelMissing),
            (408, "", "", Cause::Unavailable),
            (413, "", "", Cause::Rejected),
            (422, "", "", Cause::Rejected),
            (500, "", "", Cause::Unavailable),
            (529, "overloaded_error", "Overloaded", Cause::Unavailable),
            (0, "overloaded_error", "Overloaded", Cause::Unavailable),
            (0, "invalid_request_error", "bad", Cause::Rejected),
            (0, "", "???", Cause::Unavailable),
        ];
        for (status, code, message, wanted) in table {
            let error = UpstreamError { status, code: Some(code.into()), message: message.into(), ..UpstreamError::default() };
            assert_eq!(cause(&error), wanted, "{status} {code} {message}");
        }
    }

    #[test]
    fn r5_retry_after_in_every_form() {
        type Case = (&'static [(&'static str, &'static str)], Option<f64>);
        const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        let table: &[Case] = &[
            (&[("retry-after-ms", "1500"), ("retry-after", "9")], Some(1.5)),
            (&[("retry-after", "9")], Some(9.0)),
            (&[("retry-after", "0.5")], Some(0.5)),
            (&[("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT"), ("date", NOW)], Some(60.0)),
            (&[("retry-after", "Sun, 06 Nov 1994 08:40:37 GMT"), ("date", NOW)], None),
            (&[("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT")], None),
            (&[("retry-after", "-3")], None),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "1e99")], Some(30.0 * 86_400.0)),
            (&[], None),
        ];
        for (lines, wanted) in table {
            let mut headers = HeaderMap::new();
            for (name, value) in *lines {
                headers.insert(*name, http::HeaderValue::from_static(value));
            }
            assert_eq!(retry_after(&headers).map(|d| d.as_secs_f64()), *wanted, "{lines:?}");
        }
    }

    #[test]
    fn keys_are_taken_out_of_messages() {
        assert_eq!(scrub("Incorrect API key provided: sk-proj-abcdefgh1234. See docs"), "Incorrect API key provided: [redacted] See docs");
        assert_eq!(scrub("no secrets  here"), "no secrets  here");
    }
}
