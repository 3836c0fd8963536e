//! What an answer repeats of its request, and the object that holds both.

use std::sync::Arc;

use headworks_core::{ChatRequest, EventKind, FinishReason, Receipt, Str};

use crate::{
    facts::{counted, facts},
    spell::{Object, object},
};

/// Members repeated as they were asked, and what stands there where they were not; empty: nothing.
const REPEATED: &[(&str, &str)] = &[
    ("background", "false"),
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("previous_response_id", "null"),
    ("prompt_cache_key", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("safety_identifier", "null"),
    ("store", "true"),
    ("temperature", "1"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
    ("top_logprobs", "0"),
    ("top_p", "1"),
    ("truncation", "\"disabled\""),
    ("user", ""),
];

/// OpenAI's service tiers.
const TIERS: &[&str] = &["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"];

/// How an answer stands.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Standing<'a> {
    /// Under way.
    InProgress,
    /// Ended as the model wanted, or at a limit.
    Ended(FinishReason),
    /// Failed: a code and a message.
    Failed(&'a str, &'a str),
}

/// What the answer calls itself and what it repeats.
pub(super) struct Echo {
    asked: Arc<str>,
    id: String,
    model: Str,
    created: i64,
    tier: Option<Str>,
    /// Names and JSON.
    repeated: Vec<(&'static str, String)>,
    /// The client wants it kept.
    pub(super) store: bool,
}

impl Echo {
    pub(super) fn new(request: &ChatRequest) -> Self {
        let original = request.original.as_deref();
        let asked = |name: &str| {
            let member = original?.members.iter().rfind(|member| &*member.name == name)?;
            let text = std::str::from_utf8(original?.body.get(member.value.clone())?).ok()?;
            (text != "null").then_some(text)
        };
        let repeated: Vec<(&'static str, String)> = REPEATED
            .iter()
            .map(|(name, absent)| {
                let said = asked(name).unwrap_or(absent);
                let said = match *name {
                    "tools" => whole_tools(said),
                    "text" => whole_text(said),
                    _ => said.to_owned(),
                };
                (*name, said)
            })
            .collect();
        let store = asked("store") != Some("false");
        Self { asked: request.model.clone(), id: "resp_headworks".to_owned(), model: Str::default(), created: 0, tier: None, repeated, store }
    }

    /// The gateway's id of the call: its time is the answer's, unless the host says otherwise.
    pub(super) fn begin(&mut self, request_id: &str) {
        let bare = request_id.trim_start_matches("req_");
        self.id = format!("resp_{bare}");
        self.created = millis(bare) / 1000;
    }

    pub(super) fn learn(&mut self, kind: &EventKind) {
        match kind {
            EventKind::Started { model, created, .. } => {
                // Copied: a piece of the upstream's first read would keep all of it in memory for as long as the stream lasts.
                self.model = model.as_deref().map(Str::from).unwrap_or_default();
                self.created = created.filter(|at| *at > 0).unwrap_or(self.created);
            }
            EventKind::Usage { service_tier: Some(tier), .. } => self.tier = Some(Str::from(&**tier)),
            _ => {}
        }
    }

    /// What begins the ids of items.
    pub(super) fn stem(&self) -> &str {
        self.id.trim_start_matches("resp_")
    }

    /// What this answer says of itself where the upstream kept it from its own client.
    pub(super) fn own(&self, name: &str) -> Option<&str> {
        let ours = matches!(name, "store" | "previous_response_id");
        self.repeated.iter().find(|(known, _)| ours && *known == name).map(|(_, json)| json.as_str())
    }

    /// The response object.
    pub(super) fn write(&self, out: &mut Vec<u8>, standing: Standing<'_>, output: &str, receipt: Option<&Receipt>) {
        object(out, |o| {
            o.str("id", &self.id);
            o.str("object", "response");
            o.val("created_at", self.created);
            let (status, why) = match standing {
                Standing::InProgress => ("in_progress", None),
                Standing::Failed(..) | Standing::Ended(FinishReason::Error) => ("failed", None),
                Standing::Ended(FinishReason::Length) => ("incomplete", Some("max_output_tokens")),
                Standing::Ended(FinishReason::ContentFilter) => ("incomplete", Some("content_filter")),
                Standing::Ended(_) => ("completed", None),
            };
            o.str("status", status);
            match standing {
                Standing::Failed(code, message) => o.obj("error", |e| {
                    e.str("code", code);
                    e.str("message", message);
                }),
                Standing::Ended(FinishReason::Error) => o.raw("error", r#"{"code":"server_error","message":"the provider says the answer failed"}"#),
                _ => o.raw("error", "null"),
            }
            match why {
                Some(why) => o.obj("incomplete_details", |d| d.str("reason", why)),
                None => o.raw("incomplete_details", "null"),
            }
            o.str("model", if self.model.is_empty() { &self.asked } else { &self.model });
            o.raw("output", output);
            // Clients check the word against OpenAI's; the record has the host's own.
            o.str("service_tier", self.tier.as_deref().filter(|tier| TIERS.contains(tier)).unwrap_or("default"));
            for (name, json) in self.repeated.iter().filter(|(_, json)| !json.is_empty()) {
                o.raw(name, json);
            }
            if let Some(receipt) = receipt.filter(|receipt| counted(receipt)) {
                o.obj("usage", |u| usage(u, receipt));
            }
            if let Some(receipt) = receipt {
                o.obj("headworks", |h| facts(h, receipt));
            }
        });
    }
}

/// `usage` in this dialect's words, with the cost.
pub(super) fn usage(o: &mut Object<'_>, receipt: &Receipt) {
    let t = &receipt.tokens;
    o.val("input_tokens", t.prompt());
    o.obj("input_tokens_details", |d| {
        d.val("cached_tokens", t.cache_read + t.cache_read_audio);
        d.val("cache_write_tokens", t.cache_write());
    });
    o.val("output_tokens", t.completion());
    o.obj("output_tokens_details", |d| d.val("reasoning_tokens", t.reasoning));
    o.val("total_tokens", t.prompt() + t.completion());
    if receipt.cost_known {
        o.raw("cost", &receipt.cost.to_string());
    }
}

/// The time in an id: its first ten digits of base 32 hold 48 bits of milliseconds and two more.
fn millis(id: &str) -> i64 {
    const DIGITS: &[u8] = b"0123456789abcdefghjkmnpqrstvwxyz";
    if id.len() != 24 {
        return 0;
    }
    let value = id.bytes().take(10).try_fold(0i64, |sum, byte| {
        let digit = DIGITS.iter().position(|known| *known == byte)?;
        Some((sum << 5) | i64::try_from(digit).ok()?)
    });
    value.map_or(0, |value| value >> 2)
}

/// `text` with the format that absent means.
fn whole_text(said: &str) -> String {
    match crate::members(said.as_bytes()) {
        Ok(members) if !members.iter().any(|m| &*m.name == "format") => {
            let rest = said.trim().trim_start_matches('{');
            let comma = if members.is_empty() { "" } else { "," };
            format!("{{\"format\":{{\"type\":\"text\"}}{comma}{rest}")
        }
        _ => said.to_owned(),
    }
}

/// Function tools with the members that clients may leave out and answers always have.
fn whole_tools(said: &str) -> String {
    let Ok(tools) = serde_json::from_str::<Vec<&serde_json::value::RawValue>>(said) else { return said.to_owned() };
    let filled: Vec<String> = tools
        .into_iter()
        .map(|raw| {
            let text = raw.get().trim();
            let Ok(members) = crate::members(text.as_bytes()) else { return text.to_owned() };
            let function = members.iter().any(|m| &*m.name == "type" && text.get(m.value.clone()) == Some("\"function\""));
            let lacks = |name: &str| !members.iter().any(|m| &*m.name == name);
            let mut more = String::new();
            for name in ["parameters", "strict"].into_iter().filter(|name| function && lacks(name)) {
                more.push_str(&format!(",\"{name}\":null"));
            }
            match text.strip_suffix('}') {
                Some(open) if !more.is_empty() => format!("{open}{more}}}"),
                _ => text.to_owned(),
            }
        })
        .collect();
    format!("[{}]", filled.join(","))
}
