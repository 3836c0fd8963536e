//! Signed messages to a webhook of the operator's, after the Standard Webhooks specification:
//! `webhook-id`, `webhook-timestamp`, and `webhook-signature: v1,BASE64` of
//! HMAC-SHA256 over `id.timestamp.body`.

use std::{fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::hmac;

use crate::SetupError;

/// How long one delivery may take.
const TIME: Duration = Duration::from_secs(10);
/// How many characters of a refusal are kept.
const WORDS: usize = 200;

/// A webhook. Its secret is never printed.
#[derive(Clone)]
pub struct Webhook {
    client: reqwest::Client,
    url: reqwest::Url,
    secret: Option<Box<[u8]>>,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("signed", &self.secret.is_some()).finish_non_exhaustive()
    }
}

/// Why a webhook cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The text is no http or https URL.
    #[error("\"{0}\" is no http or https URL")]
    Url(String),
    /// `whsec_` is followed by what is no base64.
    #[error("the secret begins with whsec_ and what follows is no base64")]
    Secret,
    /// The HTTP client cannot be made.
    #[error(transparent)]
    Client(#[from] SetupError),
}

impl Webhook {
    /// A webhook at a URL. A secret that begins with `whsec_` is base64 after that; any other is taken as it is.
    pub fn new(url: &str, secret: Option<&str>) -> Result<Self, WebhookError> {
        let bad = || WebhookError::Url(url.to_owned());
        let parsed: reqwest::Url = url.parse().map_err(|_| bad())?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(bad());
        }
        let secret = match secret {
            None => None,
            Some(text) => Some(match text.strip_prefix("whsec_") {
                Some(encoded) => STANDARD.decode(encoded).map_err(|_| WebhookError::Secret)?.into(),
                None => text.as_bytes().into(),
            }),
        };
        crate::pool::provider();
        let client = reqwest::Client::builder()
            .user_agent(concat!("headworks/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIME)
            .build()
            .map_err(SetupError::from)?;
        Ok(Self { client, url: parsed, secret })
    }

    /// Sends one message. `timestamp`: Unix seconds. An error says what went wrong, without the URL, which may hold a secret.
    pub async fn send(&self, id: &str, timestamp: i64, body: String) -> Result<(), String> {
        let mut request = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp.to_string());
        if let Some(secret) = &self.secret {
            request = request.header("webhook-signature", signature(secret, id, timestamp, &body));
        }
        let answer = request.body(body).send().await.map_err(|error| crate::events::root(&error.without_url()))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let words: String = answer.text().await.unwrap_or_default().chars().filter(|c| !c.is_control()).take(WORDS).collect();
        Err(format!("it answered {status}: {words}"))
    }
}

fn signature(secret: &[u8], id: &str, timestamp: i64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let tag = hmac::sign(&key, format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(tag))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn signed_as_the_specification_says() {
        // The example of the Standard Webhooks specification.
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = r#"{"test": 2432232314}"#;
        assert_eq!(signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_cannot_be_a_webhook_is_refused() {
        for url in ["", "example.org/hook", "ftp://example.org"] {
            assert!(matches!(Webhook::new(url, None), Err(WebhookError::Url(_))), "{url}");
        }
        assert!(matches!(Webhook::new("http://127.0.0.1:1", Some("whsec_!")), Err(WebhookError::Secret)));
        assert!(!format!("{:?}", Webhook::new("http://127.0.0.1:1/secret", Some("hidden")).unwrap()).contains("hidden"));
    }
}
