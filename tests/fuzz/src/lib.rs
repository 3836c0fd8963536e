//! What the fuzz targets check: no panic, and the same reading however the bytes are cut.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use headworks_core::{Batch, Catalog, EventKind, Target};
use headworks_providers::{Door, Head, catalog, dialect, openai::OpenAiDoor};
use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};

/// The longest input, bytes: more finds nothing that less does not.
const LONGEST: usize = 16 << 10;
/// One target for each dialect and each host with ways of its own.
const TARGETS: [&str; 16] = [
    "openai/gpt-4o",
    "anthropic/claude-sonnet-4-5",
    "google/gemini-2.5-flash",
    "cohere/command-a-03-2025",
    "azure/gpt-4o",
    "vertex/gemini-2.5-flash",
    "vertex/claude-sonnet-4-5",
    "vertex/codestral-2",
    "vertex/openai/gpt-oss-120b-maas",
    "mistral/mistral-medium-latest",
    "deepseek/deepseek-v4-flash",
    "perplexity/sonar",
    "alibaba/qwq-plus",
    "xai/grok-4.6",
    "openrouter/any",
    "zai/any",
];

fn catalog() -> &'static Catalog {
    static ONCE: OnceLock<Catalog> = OnceLock::new();
    ONCE.get_or_init(|| {
        let env = |name: &str| matches!(name, "GOOGLE_VERTEX_PROJECT" | "AZURE_RESOURCE_NAME").then(|| "x".to_owned());
        catalog::load(&Default::default(), &env).expect("the catalogue")
    })
}

fn target(id: &str) -> Arc<Target> {
    catalog().target(id).expect("a target of the catalogue")
}

/// The events of a body in pieces of this size, and whether it ended well.
fn read(target: &Target, kind: &'static str, body: &[u8], size: usize) -> (Vec<EventKind>, bool) {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    let head = Head { status: StatusCode::OK, headers: &headers };
    let codec = target.dialect.and_then(dialect).expect("a codec");
    let mut decoder = codec.decoder(target, &head);
    let mut batch = Batch::default();
    let good = body.chunks(size).all(|piece| decoder.push(&Bytes::copy_from_slice(piece), &mut batch).is_ok()) && decoder.end(&mut batch).is_ok();
    (batch.events.into_iter().map(|event| event.kind).collect(), good)
}

/// Bytes as an answer. The first byte says in what pieces they come.
pub fn answer(id: &str, kind: &'static str, data: &[u8]) {
    let Some((first, body)) = data.split_first().filter(|_| data.len() <= LONGEST) else { return };
    let target = target(id);
    let whole = read(&target, kind, body, LONGEST);
    let cut = read(&target, kind, body, usize::from(*first) + 1);
    assert_eq!(whole, cut, "in pieces of {}", usize::from(*first) + 1);
    // The same bytes as an error.
    let head = Head { status: StatusCode::BAD_REQUEST, headers: &HeaderMap::new() };
    let fault = target.dialect.and_then(dialect).expect("a codec").fault(&target, &head, body);
    assert_eq!(fault.upstream.map(|said| said.status), Some(400));
}

/// Bytes as a client's request.
pub fn openai_request(data: &[u8]) {
    if data.len() > LONGEST {
        return;
    }
    let Ok(request) = OpenAiDoor.request(&HeaderMap::new(), &Bytes::copy_from_slice(data)) else { return };
    for id in TARGETS {
        let target = target(id);
        let Ok(encoded) = target.dialect.and_then(dialect).expect("a codec").encode(&target, &request) else { continue };
        assert!(headworks_providers::members(encoded.request.body()).is_ok(), "{id}: what is sent is a JSON object");
    }
    let _ = OpenAiDoor.writer(&request);
}
