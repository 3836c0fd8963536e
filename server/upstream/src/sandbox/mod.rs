//! A provider inside this process, for trying everything without a key: OpenAI's
//! chat dialect, spoken in real bytes at a real pace.
//!
//! | model | does |
//! | --- | --- |
//! | `echo` | answers with the last user text, word by word |
//! | `slow` | echo; 2 s to the first token, then one each 200 ms |
//! | `long` | N tokens: the first number of the last user text, else 1000; at most 100,000 |
//! | `reasoning` | thinks aloud, then echoes |
//! | `tools` | calls the first tool offered, two of them where that is allowed, and names the tool whose result it gets |
//! | `json` | a value valid against the schema asked for |
//! | `error-401` `error-429` `error-500` | that status, with OpenAI's error body; 429 says `retry-after: 1` |
//! | `timeout` | takes the request and never answers |
//! | `hang` | says a few words, then nothing more; not streamed: never answers |
//! | `embedding` | unit vectors: the same text always gives the same, texts that share words are near each other |
//! | `break-mid-stream` | says a few words, then its body ends; not streamed: half a body |
//!
//! A token is a word with the white space before it, cut after 16 bytes; a
//! picture is 85. A request may be 128,000 tokens, an answer 16,384 (`long`
//! 100,000). Nothing is cached. `max_tokens`, `stop`, `n` (up to 8),
//! `stream` and `include_usage` do what they do at OpenAI; the rest is accepted.

mod ask;
mod embed;
mod pattern;
mod play;
mod reply;
mod scalar;
mod schema;
mod tokens;
mod wire;

use std::sync::Arc;

use bytes::Bytes;
use headworks_core::{Host, Target};

use play::Playback;
use reply::Plan;

/// What the base URL of the sandbox begins with.
const SCHEME: &str = "sandbox:";

/// The host with this base URL is the sandbox.
pub(crate) fn is_at(base_url: &str) -> bool {
    base_url.starts_with(SCHEME)
}

/// The target under an address that a URL can hold, for the encoder.
pub(crate) fn addressed(target: &Target) -> Target {
    let host = Host { base_url: "http://sandbox.invalid".into(), ..Host::clone(&target.host) };
    Target { host: Arc::new(host), ..target.clone() }
}

/// Answers a request for vectors.
pub(crate) fn embed(body: &Bytes) -> http::Response<Playback> {
    match embed::answer(body) {
        Ok(body) => play::whole(body),
        Err(refusal) => play::refuse(&refusal),
    }
}

/// Answers one request. Waits as long as the model waits before its answer's head.
pub(crate) async fn answer(body: &Bytes) -> http::Response<Playback> {
    match ask::read(body).and_then(|ask| reply::plan(&ask)) {
        Ok(Plan::Silence) => std::future::pending().await,
        Ok(Plan::Answer(answer)) => play::begin(answer).await,
        Err(refusal) => play::refuse(&refusal),
    }
}
