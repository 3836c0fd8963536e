//! What the fuzz targets check: no panic, and the same reading however the bytes are cut.

use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};
use headworks_core::{Batch, Catalog, ChatRequest, DialectName, EventKind, Target};
use headworks_providers::{Door, Head, anthropic::AnthropicDoor, catalog, dialect, openai::OpenAiDoor};
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
    request(&OpenAiDoor, data);
}

/// Bytes as a client's request to Anthropic's door: as it came, with marks for a cache put in, and in our own words.
pub fn messages_request(data: &[u8]) {
    request(&AnthropicDoor, data);
}

fn request(door: &dyn Door, data: &[u8]) {
    if data.len() > LONGEST {
        return;
    }
    let Ok(mut request) = door.request(&HeaderMap::new(), &Bytes::copy_from_slice(data)) else { return };
    for auto_cache in [None, Some(true)] {
        request.auto_cache = auto_cache;
        sent(&request);
    }
    request.edited();
    sent(&request);
    let _ = door.writer(&request);
}

/// Whatever is sent is a JSON object.
fn sent(request: &ChatRequest) {
    for id in TARGETS {
        let target = target(id);
        let codec = target.dialect.and_then(dialect).expect("a codec");
        for encoded in [codec.encode(&target, request), codec.encode_count(&target, request)].into_iter().flatten() {
            assert!(headworks_providers::members(encoded.request.body()).is_ok(), "{id}: {}", String::from_utf8_lossy(encoded.request.body()));
        }
    }
}

/// Bytes as an answer of Anthropic's, for clients of its own door and of the chat door. The first byte says in what
/// pieces they come, and after how many of them the frames are forgotten.
pub fn messages_answer(data: &[u8]) {
    let Some((first, body)) = data.split_first().filter(|_| data.len() <= LONGEST) else { return };
    let target = target("anthropic/claude-sonnet-4-5");
    let doors: [&dyn Door; 2] = [&AnthropicDoor, &OpenAiDoor];
    for (door, stream) in doors.into_iter().flat_map(|door| [(door, true), (door, false)]) {
        let ask = format!(r#"{{"model":"m","stream":{stream},"messages":[{{"role":"user","content":"x"}}]}}"#);
        let mut writer = door.writer(&door.request(&HeaderMap::new(), &Bytes::from(ask)).expect("a request"));
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(if stream { "text/event-stream" } else { "application/json" }));
        let head = Head { status: StatusCode::OK, headers: &headers };
        let mut decoder = dialect(DialectName::Anthropic).expect("a codec").decoder(&target, &head);
        let mut out = BytesMut::new();
        for (at, piece) in body.chunks(usize::from(*first) + 1).enumerate() {
            let mut batch = Batch::default();
            if decoder.push(&Bytes::copy_from_slice(piece), &mut batch).is_err() {
                break;
            }
            if at >= usize::from(*first % 16) {
                batch.edited();
            }
            writer.push(&batch, &mut out).expect("only an end can fail");
        }
        let mut batch = Batch::default();
        if decoder.end(&mut batch).is_ok() {
            let _ = writer.push(&batch, &mut out);
        }
    }
}
