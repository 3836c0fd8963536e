//! Sends a client's own body on, with only what must be changed changed: everything else stays byte for byte (T12).

use headworks_core::{CacheMark, ChatRequest, GATEWAY_MEMBERS, Original, Target};
use serde_json::value::RawValue;

use super::{
    encode::{max_tokens, unfinished_round},
    incoming::{BlockIn, Kind},
    request::control,
    signature,
};
use crate::{
    Note,
    cache::{self, Places},
    dialect::refused,
    spell::string,
};

/// The body for a target of the same dialect. `counting`: the body asks for a count, which takes no limit and no stream.
pub(super) fn relay(target: &Target, request: &ChatRequest, original: &Original, counting: bool, notes: &mut Vec<Note>) -> Vec<u8> {
    let body = &original.body;
    let value = |name: &str| {
        let member = original.members.iter().rev().find(|m| &*m.name == name)?;
        body.get(member.value.clone()).and_then(|v| std::str::from_utf8(v).ok())
    };
    let parts = Parts { tools: value("tools"), system: value("system"), messages: value("messages").unwrap_or("[]") };
    let edits = Edits::of(target, request, &parts, value("cache_control").is_some_and(|v| v != "null"), notes);
    let pauses = signature::round_without_reasoning(request);
    let limit = if counting { None } else { Some(max_tokens(target, request, notes)) };
    let mut out = Vec::with_capacity(body.len() + 256);
    out.push(b'{');
    for member in &original.members {
        let name = &*member.name;
        let said = body.get(member.value.clone()).and_then(|v| std::str::from_utf8(v).ok()).unwrap_or("null");
        let mut put = |value: &str| {
            if out.len() > 1 {
                out.push(b',');
            }
            string(&mut out, name);
            out.push(b':');
            out.extend_from_slice(value.as_bytes());
        };
        match name {
            "model" => {
                let mut model = Vec::with_capacity(target.upstream_name.len() + 2);
                string(&mut model, &target.upstream_name);
                put(std::str::from_utf8(&model).unwrap_or("\"\""));
            }
            name if GATEWAY_MEMBERS.contains(&name) => {}
            "max_tokens" if counting => {}
            "max_tokens" => match limit {
                // As the client wrote it, unless it was lowered: to what the model writes here, by the gateway before.
                Some(limit) if said.parse() != Ok(limit) => put(&limit.to_string()),
                _ => put(said),
            },
            "stream" if counting => {}
            "thinking" if pauses && request.reasoning.budget_tokens.is_some() => {
                notes.push(unfinished_round(target));
            }
            name if matches!(name, "temperature" | "top_p" | "top_k") && refused(target, request, name, said.as_bytes(), notes) => {}
            name if target.host.quirks.rejects.iter().any(|rejected| &**rejected == name) => {
                notes.push(Note::not_taken(target, name));
            }
            "tools" => put(&edits.tools(said)),
            "system" => put(&edits.system(said)),
            "messages" => put(&edits.messages(said)),
            _ => put(said),
        }
    }
    if let Some(limit) = limit.filter(|_| value("max_tokens").is_none()) {
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(format!("\"max_tokens\":{limit}").as_bytes());
    }
    out.push(b'}');
    out
}

/// The members that hold blocks, as the client wrote them.
struct Parts<'a> {
    tools: Option<&'a str>,
    system: Option<&'a str>,
    messages: &'a str,
}

/// What has to be changed inside them.
struct Edits {
    places: Places,
    mark: &'static str,
    /// How many of the client's marks are too many, and where they stand: in tools, system, messages.
    drop: [usize; 3],
    /// Some reasoning is another maker's, or nobody's.
    foreign: bool,
}

fn items(json: &str) -> Vec<&RawValue> {
    serde_json::from_str(json).unwrap_or_default()
}

/// `content` of a message, and the message's members.
fn content(message: &str) -> Option<&str> {
    let member = crate::members(message.as_bytes()).ok()?.into_iter().rev().find(|m| &*m.name == "content")?;
    message.get(member.value)
}

fn has_mark(block: &str) -> bool {
    // A quick look first: most blocks hold no such word.
    block.contains("cache_control") && serde_json::from_str::<BlockIn<'_>>(block).is_ok_and(|b| b.cache_control.is_some())
}

fn marks(blocks: &str) -> usize {
    items(blocks).iter().filter(|block| has_mark(block.get())).count()
}

impl Edits {
    fn of(target: &Target, request: &ChatRequest, parts: &Parts<'_>, whole: bool, notes: &mut Vec<Note>) -> Self {
        let messages = items(parts.messages);
        let said: Vec<&str> = messages.iter().map(|m| content(m.get()).unwrap_or("\"\"")).collect();
        let counts = [parts.tools.map_or(0, marks), parts.system.map_or(0, marks), said.iter().map(|content| marks(content)).sum()];
        // A mark on the whole request takes one place of four.
        let given = counts.iter().sum::<usize>() + usize::from(whole);
        let mut over = given.saturating_sub(cache::MOST);
        if over > 0 {
            notes.push(crate::dialect::overmarked(target));
        }
        let drop = counts.map(|count| {
            let here = over.min(count);
            over -= here;
            here
        });
        let places = if given == 0 && request.auto_cache == Some(true) {
            let sizes: Vec<usize> = said.iter().map(|content| content.len()).collect();
            cache::places(target, parts.tools.map_or(0, str::len), parts.system.map_or(0, str::len), &sizes)
        } else {
            Places::default()
        };
        let ttl = if request.cache_ttl == CacheMark::None { CacheMark::Default } else { request.cache_ttl };
        let foreign = request.messages.iter().flat_map(|m| &m.parts).any(|part| match &part.kind {
            headworks_core::PartKind::Reasoning { .. } => !signature::replayable(part),
            headworks_core::PartKind::ToolCall { signature, .. } => signature.is_some(),
            _ => false,
        });
        Self { places, mark: control(ttl).unwrap_or("null"), drop, foreign }
    }

    /// The list with a mark on its last item, or without its first marks; as it was where there is nothing to do.
    fn list(&self, said: &str, place: bool, drop: usize) -> String {
        if !place && drop == 0 {
            return said.to_owned();
        }
        if said.starts_with('"') {
            return text_block(said, self.mark);
        }
        let mut left = drop;
        let mut list: Vec<String> = items(said).iter().map(|item| unmarked(item.get(), &mut left)).collect();
        if let (Some(last), true) = (list.iter_mut().rev().find(|item| markable(item)), place) {
            *last = with_mark(last, self.mark);
        }
        format!("[{}]", list.join(","))
    }

    fn tools(&self, said: &str) -> String {
        self.list(said, self.places.tools, self.drop[0])
    }

    fn system(&self, said: &str) -> String {
        self.list(said, self.places.system, self.drop[1])
    }

    fn messages(&self, said: &str) -> String {
        if self.places.turns.is_empty() && self.drop[2] == 0 && !self.foreign {
            return said.to_owned();
        }
        let mut left = self.drop[2];
        let mut out = Vec::new();
        for (at, message) in items(said).into_iter().enumerate() {
            let (message, place) = (message.get(), self.places.turns.contains(&at));
            let Some(old) = content(message) else {
                out.push(message.to_owned());
                continue;
            };
            let dropped = left.min(marks(old));
            left -= dropped;
            let kept = if self.foreign && old.starts_with('[') { own_reasoning(old) } else { old.to_owned() };
            if kept == "[]" && old != "[]" {
                // Nothing was left of the turn; Anthropic takes none without content.
                continue;
            }
            let new = self.list(&kept, place, dropped);
            let from = old.as_ptr() as usize - message.as_ptr() as usize;
            let (head, tail) = (message.get(..from).unwrap_or_default(), message.get(from + old.len()..).unwrap_or_default());
            out.push(format!("{head}{new}{tail}"));
        }
        format!("[{}]", out.join(","))
    }
}

/// The blocks without reasoning that Anthropic did not sign, and without signatures on calls, which it does not know.
fn own_reasoning(content: &str) -> String {
    let kept: Vec<String> = items(content)
        .iter()
        .filter_map(|raw| {
            let text = raw.get();
            let Ok(block) = serde_json::from_str::<BlockIn<'_>>(text) else { return Some(text.to_owned()) };
            match block.kind.as_deref() {
                Some("thinking") => block.signature.is_some_and(|s| signature::ours(&s)).then(|| text.to_owned()),
                Some("redacted_thinking") => block.data.is_some_and(|d| signature::ours(&d)).then(|| text.to_owned()),
                Some("tool_use") if block.signature.is_some() => Some(without(text, "signature")),
                _ => Some(text.to_owned()),
            }
        })
        .collect();
    format!("[{}]", kept.join(","))
}

/// The object without one of its members.
fn without(object: &str, name: &str) -> String {
    let members = crate::members(object.as_bytes()).unwrap_or_default();
    let kept: Vec<String> = members
        .into_iter()
        .filter(|m| &*m.name != name)
        .map(|m| format!("{}:{}", object.get(m.key).unwrap_or_default(), object.get(m.value).unwrap_or_default()))
        .collect();
    format!("{{{}}}", kept.join(","))
}

/// The block without its mark, while there are marks to take away.
fn unmarked(block: &str, left: &mut usize) -> String {
    if *left > 0 && has_mark(block) {
        *left -= 1;
        return without(block, "cache_control");
    }
    block.to_owned()
}

/// Whether a mark may stand on it: reasoning, empty text and tools that are loaded later take none.
fn markable(block: &str) -> bool {
    if block.contains("defer_loading") {
        return false;
    }
    match serde_json::from_str::<Kind<'_>>(block).ok().and_then(|k| k.kind).as_deref() {
        Some("thinking" | "redacted_thinking") => false,
        Some("text") => serde_json::from_str::<BlockIn<'_>>(block).is_ok_and(|b| b.text.is_some_and(|t| !t.trim().is_empty())),
        _ => true,
    }
}

fn with_mark(block: &str, mark: &str) -> String {
    match block.trim_end().strip_suffix('}') {
        Some(open) => {
            // `cache_control: null` would stand twice.
            let open = if block.contains("cache_control") { without(block, "cache_control") } else { format!("{open}}}") };
            let open = open.strip_suffix('}').unwrap_or(&open);
            let comma = if open.trim_end().ends_with('{') { "" } else { "," };
            format!("{open}{comma}\"cache_control\":{mark}}}")
        }
        None => block.to_owned(),
    }
}

/// A content that is one string, as a block that can carry a mark.
fn text_block(text: &str, mark: &str) -> String {
    if serde_json::from_str::<String>(text).is_ok_and(|said| said.trim().is_empty()) {
        return text.to_owned();
    }
    format!("[{{\"type\":\"text\",\"text\":{text},\"cache_control\":{mark}}}]")
}
