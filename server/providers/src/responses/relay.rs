//! The client's own body towards an upstream of the same dialect: only the routing keys are changed.

use headworks_core::{Capability, ChatRequest, GATEWAY_MEMBERS, Original, Target};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::item;
use crate::{
    Note,
    dialect::{limit, refused},
    spell::{Array, array, string},
    text::Text,
};

/// What asks a provider for reasoning that can be given back to it.
pub(super) const SEALED: &str = "reasoning.encrypted_content";

/// The body with its routing keys changed. The gateway keeps conversations itself, so upstreams keep none.
pub(super) fn relay(target: &Target, request: &ChatRequest, original: &Original, notes: &mut Vec<Note>) -> Vec<u8> {
    let body = &original.body;
    let quirks = &target.host.quirks;
    let seal = wants_sealed(target, request);
    let mut out = Vec::with_capacity(body.len() + target.upstream_name.len() + 96);
    out.push(b'{');
    let mut asked = false;
    for member in &original.members {
        let value = body.get(member.value.clone()).unwrap_or_default();
        let name = &*member.name;
        let mut put = |value: &[u8]| {
            if out.len() > 1 {
                out.push(b',');
            }
            string(&mut out, name);
            out.push(b':');
            out.extend_from_slice(value);
        };
        match name {
            "model" => {
                let mut model = Vec::with_capacity(target.upstream_name.len() + 2);
                string(&mut model, &target.upstream_name);
                put(&model);
            }
            // Answered by the gateway; a host that routes itself is given its own object.
            "provider" | "models" | "route" if &*target.id.provider == "openrouter" => put(value),
            name if GATEWAY_MEMBERS.contains(&name) => {}
            "store" | "previous_response_id" => {}
            "input" => match without_foreign(value, target) {
                Some(kept) => put(&kept),
                None => put(value),
            },
            "include" if seal => {
                asked = true;
                put(&with_sealed(value));
            }
            "max_output_tokens" => put(&limit(request, value)),
            name if refused(target, request, name, value, notes) => {}
            name if quirks.rejects.iter().any(|rejected| &**rejected == name) => {
                notes.push(Note::not_taken(target, name));
            }
            _ => put(value),
        }
    }
    // A limit that the client did not set, and the gateway did.
    if let Some(limit) = request.sampling.max_tokens.filter(|_| !original.members.iter().any(|m| &*m.name == "max_output_tokens")) {
        let comma = if out.len() > 1 { "," } else { "" };
        out.extend_from_slice(format!("{comma}\"max_output_tokens\":{limit}").as_bytes());
    }
    out.extend_from_slice(if out.len() > 1 { b",\"store\":false" } else { b"\"store\":false" });
    if seal && !asked {
        out.extend_from_slice(b",\"include\":[\"reasoning.encrypted_content\"]");
    }
    out.push(b'}');
    out
}

/// Whether reasoning must come sealed: the conversation goes on from what the gateway keeps, not the provider.
pub(super) fn wants_sealed(target: &Target, request: &ChatRequest) -> bool {
    let thinks = target.model.as_ref().is_some_and(|model| model.capabilities.reasoning == Capability::Yes);
    thinks && request.extra.get("store").is_none_or(|store| store.as_str() != "false")
}

/// `include` with sealed reasoning, whatever else the client put there.
fn with_sealed(value: &[u8]) -> Vec<u8> {
    let Ok(asked) = serde_json::from_slice::<Option<Vec<String>>>(value) else { return value.to_vec() };
    let mut asked = asked.unwrap_or_default();
    if asked.iter().any(|word| word == SEALED) {
        return value.to_vec();
    }
    asked.push(SEALED.to_owned());
    let mut out = Vec::new();
    array(&mut out, |list| asked.iter().for_each(|word| list.str(word)));
    out
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    encrypted_content: Option<Text<'a>>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

/// The input without reasoning that this provider cannot read (T3): what another one sealed, and bare ids of what
/// a provider was to keep. `None` where there is none of it.
fn without_foreign(value: &[u8], target: &Target) -> Option<Vec<u8>> {
    memchr::memmem::find(value, b"\"reasoning\"")?;
    let items: Vec<&RawValue> = serde_json::from_slice(value).ok()?;
    let readable = |raw: &RawValue| match serde_json::from_str::<Head<'_>>(raw.get()) {
        Ok(head) if head.kind.as_deref() == Some("reasoning") => match head.encrypted_content.as_deref() {
            Some(sealed) => item::ours(sealed, target),
            None => head.content.is_some_and(|content| !matches!(content.get(), "null" | "[]")),
        },
        _ => true,
    };
    if items.iter().all(|raw| readable(raw)) {
        return None;
    }
    let mut out = Vec::with_capacity(value.len());
    array(&mut out, |list: &mut Array<'_>| items.iter().filter(|raw| readable(raw)).for_each(|raw| list.raw(raw.get())));
    Some(out)
}
