//! What token endpoints answer, and how they are asked.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, header::CONTENT_TYPE};
use serde::Deserialize;

use super::{kept::Lease, secrets::Key};

/// How long a token serves where its endpoint does not say: as little as any does.
const SHORTEST: u64 = 300;

/// A form for a token endpoint (RFC 6749, "application/x-www-form-urlencoded").
pub(super) fn form(url: &str, fields: &[(&str, &str)]) -> Result<Request<Bytes>, String> {
    let body: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
    Request::builder()
        .method(Method::POST)
        .uri(url)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Bytes::from(body.join("&")))
        .map_err(|error| format!("{url} is no URL ({error})"))
}

/// A text inside a form or query.
pub(super) fn escape(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    expires_in: Option<Number>,
    /// Unix seconds: managed identities of App Service say this alone.
    #[serde(default)]
    expires_on: Option<Number>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    error_description: Option<String>,
}

/// Numbers stand in quotes in some answers.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Plain(u64),
    Text(String),
}

impl Number {
    fn read(&self) -> Option<u64> {
        match self {
            Self::Plain(n) => Some(*n),
            Self::Text(text) => text.trim().parse().ok(),
        }
    }
}

/// The token of an answer. `now`: Unix seconds.
pub(super) fn lease(place: &str, answer: &Response<Bytes>, now: u64) -> Result<Lease<Key>, String> {
    let status = answer.status().as_u16();
    let read: Option<Answer> = serde_json::from_slice(answer.body()).ok();
    let Some(read) = read.filter(|_| answer.status().is_success() || !answer.body().is_empty()) else {
        return Err(format!("{place} answered with status {status}"));
    };
    let Some(token) = read.access_token.filter(|token| !token.is_empty() && answer.status().is_success()) else {
        // Microsoft's description goes on with trace ids for lines; the first says what is wrong.
        let why = read.error_description.or(read.error).unwrap_or_default();
        let why: String = why.lines().next().unwrap_or_default().chars().take(200).collect();
        return Err(format!("{place} answered with status {status}{}{why}", if why.is_empty() { "" } else { ": " }));
    };
    let lasts = read.expires_in.as_ref().and_then(Number::read).or_else(|| read.expires_on.as_ref().and_then(Number::read).map(|at| at.saturating_sub(now)));
    // Google ends its tokens with dots, which some proxies strip; as it came is as it is sent.
    let value = Key::new(token.trim()).ok_or_else(|| format!("{place} gave a token that no header can carry"))?;
    Ok(Lease { value, lasts: Some(Duration::from_secs(lasts.unwrap_or(SHORTEST))) })
}

/// Unix seconds.
pub(super) fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn read(status: u16, body: &str) -> Result<Option<Duration>, String> {
        let answer = Response::builder().status(status).body(Bytes::from(body.to_owned())).unwrap();
        lease("endpoint", &answer, 1_000).map(|lease| lease.lasts)
    }

    #[test]
    fn the_end_of_a_token_is_read_in_every_form() {
        for (body, seconds) in [
            (r#"{"access_token":"t","expires_in":3599}"#, 3599),
            (r#"{"access_token":"t","expires_in":"3599"}"#, 3599),
            (r#"{"access_token":"t","expires_on":"1500"}"#, 500),
            (r#"{"access_token":"t","expires_on":500}"#, 0),
            (r#"{"access_token":"t"}"#, SHORTEST),
        ] {
            assert_eq!(read(200, body).unwrap(), Some(Duration::from_secs(seconds)), "{body}");
        }
    }

    #[test]
    fn a_refusal_is_told_in_one_line() {
        for (status, body, wanted) in [
            (400, r#"{"error":"invalid_grant","error_description":"bad secret\r\nTrace ID: x"}"#, "endpoint answered with status 400: bad secret"),
            (400, r#"{"error":"invalid_grant"}"#, "endpoint answered with status 400: invalid_grant"),
            (500, "oops", "endpoint answered with status 500"),
            (200, "{}", "endpoint answered with status 200"),
        ] {
            assert_eq!(read(status, body).unwrap_err(), wanted);
        }
    }

    #[test]
    fn a_form_escapes_what_it_carries() {
        let request = form("http://h/token", &[("a", "x y+z&="), ("b", "ä")]).unwrap();
        assert_eq!(&request.body()[..], b"a=x%20y%2Bz%26%3D&b=%C3%A4");
    }
}
