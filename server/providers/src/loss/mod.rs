//! What a target would lose of a request: said by the encoder itself, without sending anything.

mod probe;

use std::sync::Arc;

use headworks_core::{Host, Loss, LossKind, Reason, Target, Work};

use crate::{Encoded, codec};

/// What `target` cannot express of what is asked. The request is spelled as for a call and thrown away, so what is told
/// here is what a call would lose. Empty where nothing is lost, or where the request itself is wrong: that is told by the call.
pub fn losses(target: &Target, work: &Work) -> Vec<Loss> {
    let Some(codec) = codec(target, work) else { return Vec::new() };
    // A request needs an address to be spelled for; nobody goes there.
    let addressed;
    let target = if target.host.base_url.starts_with("http") && !target.host.base_url.contains('{') {
        target
    } else {
        addressed = Target { host: Arc::new(Host { base_url: "http://nobody.invalid".into(), ..Host::clone(&target.host) }), ..target.clone() };
        &addressed
    };
    let encoded = match work {
        Work::Chat(request) => codec.encode(target, request),
        Work::Embed(request) => codec.encode_embed(target, request),
        Work::CountTokens(request) if codec.counts(target) => codec.encode_count(target, request).map(|encoded| Encoded { notes: Vec::new(), ..encoded }),
        Work::CountTokens(_) => return Vec::new(),
    };
    match encoded {
        Ok(encoded) => {
            let lost = encoded.notes.into_iter().filter_map(|note| note.lost);
            let each =
                |lost: crate::Lost| lost.names.into_iter().map(move |name| Loss { kind: lost.kind, name, message: lost.cause.clone(), essential: false });
            lost.flat_map(each).collect()
        }
        Err(fault) if fault.reason == Reason::CapabilityMissing => {
            let field = fault.field().unwrap_or_default();
            vec![Loss { kind: kind(field), name: field.into(), message: fault.message.as_str().into(), essential: true }]
        }
        Err(_) => Vec::new(),
    }
}

fn kind(field: &str) -> LossKind {
    match field {
        "tools" | "tool_choice" => LossKind::Tool,
        "response_format" => LossKind::Output,
        _ if field.starts_with("messages") => LossKind::Part,
        _ => LossKind::Parameter,
    }
}

/// The parameters that a target takes, by OpenAI's names: those of which a request that sets them loses nothing.
pub fn parameters(target: &Target) -> Vec<&'static str> {
    let model = target.model.as_deref();
    let known = |probes: Vec<(Work, Vec<&'static str>)>| -> Vec<&'static str> {
        let takes = |(work, names): (Work, Vec<&'static str>)| {
            let lost = losses(target, &work);
            let all = lost.iter().any(|loss| loss.essential);
            names.into_iter().filter(move |name| !all && !lost.iter().any(|loss| &*loss.name == *name))
        };
        probes.into_iter().flat_map(takes).collect()
    };
    match model.map_or("chat", |model| &*model.mode) {
        "chat" => known(probe::chats(model.map(|model| model.capabilities).unwrap_or_default())),
        "embedding" => known(probe::embeds(model.and_then(|model| model.dimensions))),
        _ => Vec::new(),
    }
}
