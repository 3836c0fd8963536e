//! AWS Signature Version 4 in the `authorization` header ("Create a signed AWS API request").

use std::fmt::Write as _;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header::AUTHORIZATION, request::Parts};
use ring::{digest, hmac};

use super::{Credentials, time::Moment};
use crate::auth::secrets::sensitive;

/// Signs a request whose headers and body are complete. `parts.uri` is the full URL, as it will be sent.
///
/// What is signed: `host`, `content-type`, and every `x-amz-` header. Fails where a header cannot carry a credential.
pub(super) fn sign(credentials: &Credentials, region: &str, service: &str, at: Moment, parts: &mut Parts, body: &Bytes) -> Result<(), String> {
    let stamp = at.stamp();
    let date = stamp.get(..8).unwrap_or_default().to_owned();
    let header = |text: &str| HeaderValue::from_str(text).map_err(|_| "a credential holds characters that no header can carry".to_owned());
    parts.headers.remove(AUTHORIZATION);
    parts.headers.insert(HeaderName::from_static("x-amz-date"), header(&stamp)?);
    if let Some(token) = &credentials.session_token {
        let token = sensitive(token).ok_or("the session token holds characters that no header can carry")?;
        parts.headers.insert(HeaderName::from_static("x-amz-security-token"), token);
    }
    let (names, request) = canonical(parts, body)?;
    let scope = format!("{date}/{region}/{service}/aws4_request");
    let told = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hex(digest::digest(&digest::SHA256, request.as_bytes()).as_ref()));
    let mut key = mac(format!("AWS4{}", credentials.secret_access_key).as_bytes(), date.as_bytes());
    for step in [region, service, "aws4_request"] {
        key = mac(key.as_ref(), step.as_bytes());
    }
    let signature = hex(mac(key.as_ref(), told.as_bytes()).as_ref());
    let text = format!("AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}", credentials.access_key_id);
    let value = sensitive(&text).ok_or("the access key id holds characters that no header can carry")?;
    parts.headers.insert(AUTHORIZATION, value);
    Ok(())
}

/// The names of the signed headers, and the canonical request.
fn canonical(parts: &Parts, body: &Bytes) -> Result<(String, String), String> {
    let mut headers = vec![("host".to_owned(), host(parts)?)];
    for (name, value) in &parts.headers {
        if name == "content-type" || name.as_str().starts_with("x-amz-") {
            let text = value.to_str().map_err(|_| format!("the header {name} is no plain text"))?;
            // Runs of spaces count as one.
            headers.push((name.as_str().to_owned(), text.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
    }
    headers.sort();
    let names = headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
    let mut out = format!("{}\n{}\n{}\n", parts.method, path(parts.uri.path()), query(parts.uri.query().unwrap_or_default()));
    for (name, value) in &headers {
        let _ = writeln!(out, "{name}:{value}");
    }
    let _ = write!(out, "\n{names}\n{}", hex(digest::digest(&digest::SHA256, body).as_ref()));
    Ok((names, out))
}

/// `Host` as the HTTP client sends it: without the scheme's own port.
fn host(parts: &Parts) -> Result<String, String> {
    let authority = parts.uri.authority().ok_or("the URL has no host")?;
    let own = matches!((parts.uri.scheme_str(), authority.port_u16()), (Some("https"), Some(443)) | (Some("http"), Some(80)));
    let name = authority.host().to_ascii_lowercase();
    Ok(match authority.port_u16() {
        Some(port) if !own => format!("{name}:{port}"),
        _ => name,
    })
}

/// The path as it is sent, encoded once more: only S3 signs it as it is.
fn path(path: &str) -> String {
    if path.is_empty() { "/".to_owned() } else { encode(path, true) }
}

fn query(query: &str) -> String {
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encode(&decode(name), false), encode(&decode(value), false)))
        .collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

fn encode(text: &str, path: bool) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') || (path && byte == b'/') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        let code = (*byte == b'%').then(|| tail.get(..2)).flatten();
        match code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok()) {
            Some(code) => {
                out.push(code);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn mac(key: &[u8], text: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn signed(method: &str, url: &str, headers: &[(&str, &str)], body: &str, token: Option<&str>) -> Parts {
        let mut request = http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        let credentials = Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token);
        // The moment of Amazon's own examples: 2015-08-30, 12:36:00 UTC.
        sign(&credentials, "us-east-1", "service", Moment(1_440_938_160), &mut parts, &Bytes::from(body.to_owned())).unwrap();
        parts
    }

    fn signature(parts: &Parts) -> &str {
        parts.headers["authorization"].to_str().unwrap().rsplit_once("Signature=").unwrap().1
    }

    /// Published cases of Amazon's Signature Version 4 test suite (get-vanilla, get-vanilla-query-order-key-case, post-vanilla).
    #[test]
    fn amazons_own_cases() {
        for (method, url, wanted) in [
            ("GET", "https://example.amazonaws.com/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            ("GET", "https://example.amazonaws.com/?Param2=value2&Param1=value1", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
            ("POST", "https://example.amazonaws.com/", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        ] {
            assert_eq!(signature(&signed(method, url, &[], "", None)), wanted, "{method} {url}");
        }
    }

    /// Requests that botocore signed, made by `tests/python/test_aws.py`.
    #[test]
    fn signatures_agree_with_botocore() {
        let Some(file) = std::env::var_os("HEADWORKS_SIGV4_VECTORS") else {
            println!("SKIPPED: HEADWORKS_SIGV4_VECTORS names no file; tests/python/test_aws.py makes one");
            return;
        };
        let all: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let cases = all["cases"].as_array().unwrap();
        for case in cases {
            let text = |name: &str| case[name].as_str().unwrap();
            let mut request = http::Request::builder().method("POST").uri(text("url"));
            for (name, value) in case["headers"].as_object().unwrap() {
                request = request.header(name, value.as_str().unwrap());
            }
            let (mut parts, ()) = request.body(()).unwrap().into_parts();
            let credentials = Credentials::new(all["id"].as_str().unwrap(), all["secret"].as_str().unwrap(), case["token"].as_str());
            let at = Moment(case["unix"].as_u64().unwrap());
            sign(&credentials, text("region"), text("service"), at, &mut parts, &Bytes::from(text("body").to_owned())).unwrap();
            assert_eq!(signature(&parts), text("signature"), "{case}");
        }
        println!("{} signatures agree", cases.len());
    }

    #[test]
    fn what_is_signed() {
        let parts = signed("POST", "http://127.0.0.1:8080/model/a%3A0/converse", &[("content-type", "application/json"), ("accept", "x")], "{}", Some("tok"));
        let text = parts.headers["authorization"].to_str().unwrap();
        assert!(text.contains("SignedHeaders=content-type;host;x-amz-date;x-amz-security-token,"), "{text}");
        assert!(text.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request,"), "{text}");
        assert_eq!(parts.headers["x-amz-security-token"], "tok");
        assert!(parts.headers["authorization"].is_sensitive() && parts.headers["x-amz-security-token"].is_sensitive());
        let (_, canonical) = canonical(&parts, &Bytes::from_static(b"{}")).unwrap();
        assert!(canonical.starts_with("POST\n/model/a%253A0/converse\n\ncontent-type:application/json\nhost:127.0.0.1:8080\n"), "{canonical}");
    }

    #[test]
    fn the_host_is_what_the_client_sends() {
        for (url, wanted) in
            [("https://H.com:443/a", "h.com"), ("http://h.com:80/", "h.com"), ("https://h.com:80/", "h.com:80"), ("http://[::1]:9/", "[::1]:9")]
        {
            let (parts, ()) = http::Request::builder().uri(url).body(()).unwrap().into_parts();
            assert_eq!(host(&parts).unwrap(), wanted, "{url}");
        }
    }
}
