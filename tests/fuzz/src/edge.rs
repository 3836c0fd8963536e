//! Bytes as gRPC's messages.

use headworks_api::v1;
use headworks_edge::{read_chat, read_embed, read_policy};
use prost::Message;

use crate::{LONGEST, doors, vectors};

/// Bytes as a chat, spelled for every host. The fields are read before protobuf's own checks have anything to do.
pub fn chat(data: &[u8]) {
    let Some(Ok(chat)) = (data.len() <= LONGEST).then(|| v1::Chat::decode(data)) else { return };
    let Ok(mut request) = read_chat(Some(chat), false) else { return };
    for auto_cache in [None, Some(true)] {
        request.auto_cache = auto_cache;
        doors::sent(&request);
    }
}

/// Bytes as a request for vectors.
pub fn embed(data: &[u8]) {
    let Some(Ok(asked)) = (data.len() <= LONGEST).then(|| v1::EmbedRequest::decode(data)) else { return };
    if let Ok(request) = read_embed(asked) {
        vectors::sent(&request);
    }
}

/// Bytes as a policy: read or refused with the field that is wrong.
pub fn policy(data: &[u8]) {
    let Some(Ok(policy)) = (data.len() <= LONGEST).then(|| v1::Policy::decode(data)) else { return };
    match read_policy(&policy) {
        Ok(policy) => drop(policy.targets()),
        Err(fault) => assert!(!fault.message.is_empty() && fault.violations.len() <= 1),
    }
}
