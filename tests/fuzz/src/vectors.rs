//! Bytes as a request for vectors, and as an answer of them.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use headworks_core::{Batch, EmbedRequest, EventKind, Receipt, VectorForm};
use headworks_providers::{embed::EmbedDoor, members};
use serde_json::Value;

use crate::{
    LONGEST, chosen,
    hosts::{codec, open, read, target},
    written::receipt,
};

/// One for each form of `/embeddings`.
const TARGETS: [&str; 14] = [
    "openai/text-embedding-3-small",
    "azure/text-embedding-3-small",
    "mistral/mistral-embed",
    "cohere/embed-v4.0",
    "voyage/voyage-4",
    "google/gemini-embedding-001",
    "vertex/text-embedding-005",
    "vertex/gemini-embedding-2",
    "bedrock/amazon.titan-embed-text-v2:0",
    "bedrock/amazon.titan-embed-g1-text-02",
    "bedrock/cohere.embed-v4:0",
    "bedrock/amazon.nova-2-multimodal-embeddings-v1:0",
    "bedrock/twelvelabs.marengo-embed-3-0-v1:0",
    "openai-compatible/any",
];

/// Bytes as a client's request for vectors, spelled for every host.
pub fn door(data: &[u8]) {
    if data.len() > LONGEST {
        return;
    }
    let Ok(mut request) = EmbedDoor.request(&Bytes::copy_from_slice(data)) else { return };
    sent(&request);
    request.original = None;
    sent(&request);
}

/// Whatever is sent is a JSON object, in pieces as large as a host takes.
pub fn sent(request: &EmbedRequest) {
    for id in TARGETS {
        let target = target(id);
        let codec = codec(&target);
        let mut piece = request.clone();
        let most = codec.embed_inputs(&target).max(1);
        if piece.inputs.len() > most {
            piece.inputs.truncate(most);
            piece.original = None;
        }
        if let Ok(encoded) = codec.encode_embed(&target, &piece) {
            let body = encoded.request.body();
            assert!(members(body).is_ok() && serde_json::from_slice::<&serde_json::value::RawValue>(body).is_ok(), "{id}: {}", body.escape_ascii());
        }
    }
}

/// Bytes as a host's vectors, written for a client in both forms. The second byte chooses the host.
pub fn answer(data: &[u8]) {
    let Some((size, choice, bytes)) = chosen(data) else { return };
    let target = target(TARGETS[choice % TARGETS.len()]);
    let read = |size: usize| read(open("application/json", |head| codec(&target).embed_decoder(&target, head)), bytes, size);
    let whole = read(LONGEST);
    assert_eq!(whole, read(size + 1), "in pieces of {}", size + 1);
    let vectors = whole.events().filter(|event| matches!(event.kind, EventKind::Embedded { .. })).count();
    if whole.fault.is_some() {
        return;
    }
    for form in ["float", "base64"] {
        let ask = format!(r#"{{"model":"m","input":"x","encoding_format":"{form}"}}"#);
        let request = EmbedDoor.request(&Bytes::from(ask)).expect("a request");
        assert_eq!(request.encoding == Some(VectorForm::Base64), form == "base64");
        let (mut writer, mut out) = (EmbedDoor.writer(&request), BytesMut::new());
        let mut last = Batch::default();
        last.push(EventKind::Receipt(Arc::<Receipt>::new(receipt(&target))));
        // A vector that is none in the other form is told, not written.
        if whole.batches.iter().chain([&last]).all(|batch| writer.push(batch, &mut out).is_ok()) {
            let body: Value = serde_json::from_slice(&out).unwrap_or_else(|error| panic!("{error}: {}", out.escape_ascii()));
            assert_eq!(body["data"].as_array().map(Vec::len), Some(vectors));
            for vector in body["data"].as_array().into_iter().flatten() {
                assert!(if form == "base64" { vector["embedding"].is_string() } else { vector["embedding"].is_array() }, "{body}");
            }
        }
    }
}
