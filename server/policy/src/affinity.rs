//! Which target holds the cache of a prompt: prefixes of a conversation as numbers.

use std::time::Duration;

use headworks_core::{CacheKind, CacheMark, ChatRequest, Message, MessageRole, Part, PartKind, Source, Target, Tool, Work};

use crate::mix::Mix;

/// Tokens below which no provider of the catalogue caches a prompt.
const LEAST_TOKENS: usize = 1_024;
/// Bytes of a token, near enough for where a prefix may begin to count.
const TOKEN_BYTES: usize = 4;
/// A long text counts at every so many bytes, so that prompts which differ in their tail share their head.
const STRIDE: usize = 8 * 1_024;
/// Most prefixes of one request: the first ones are what others share, the last ones what the next turn repeats.
const MOST: (usize, usize) = (16, 16);

/// The prefixes of a request that a provider may hold in its cache, shortest first; empty where it is too short.
/// Two requests share a number where they share all before it, in words, tools and order.
pub fn prefixes(request: &ChatRequest) -> Vec<u64> {
    let bytes: usize = request.messages.iter().flat_map(|m| &m.parts).map(|p| length(&p.kind)).sum();
    if bytes + request.tools.iter().map(tool_length).sum::<usize>() < LEAST_TOKENS * TOKEN_BYTES {
        return Vec::new();
    }
    let mut walk = Walk { mix: Mix::new(0), bytes: 0, found: Vec::new() };
    for tool in &request.tools {
        match tool {
            Tool::Function { name, description, parameters, .. } => {
                walk.take(name);
                walk.take(description.as_deref().unwrap_or_default());
                walk.take(parameters.as_ref().map_or("", |p| p.as_str()));
            }
            Tool::Hosted { json, .. } => walk.take(json.as_str()),
        }
    }
    for message in &request.messages {
        walk.message(message);
    }
    let (first, last) = MOST;
    if walk.found.len() > first + last {
        let end = walk.found.len() - last;
        walk.found.drain(first..end);
    }
    walk.found
}

/// How long a target keeps the cache of a prompt after its last use; zero: it caches none.
/// An hour where the client marked one; else 5 minutes, which Anthropic promises and OpenAI names as its least.
pub fn lifetime(target: &Target, work: &Work) -> Duration {
    let caching = target.model.as_deref().map_or(CacheKind::Unknown, |m| m.capabilities.caching);
    if caching == CacheKind::None {
        return Duration::ZERO;
    }
    let hour = |mark: CacheMark| mark == CacheMark::OneHour;
    let marked = work.chat().is_some_and(|chat| hour(chat.cache_ttl) || chat.messages.iter().flat_map(|m| &m.parts).any(|p| hour(p.cache)));
    if marked && caching == CacheKind::Explicit { Duration::from_secs(3600) } else { Duration::from_secs(300) }
}

struct Walk {
    mix: Mix,
    bytes: usize,
    found: Vec<u64>,
}

impl Walk {
    fn mark(&mut self) {
        if self.bytes >= LEAST_TOKENS * TOKEN_BYTES {
            let number = self.mix.finish();
            if self.found.last() != Some(&number) {
                self.found.push(number);
            }
        }
    }

    fn take(&mut self, text: &str) {
        let mut pieces = text.as_bytes().chunks(STRIDE).peekable();
        while let Some(piece) = pieces.next() {
            self.mix.raw(piece);
            self.bytes += piece.len();
            if pieces.peek().is_some() {
                self.mark();
            }
        }
        self.mix.word(text.len() as u64);
    }

    fn message(&mut self, message: &Message) {
        self.mix.word(match message.role {
            // Providers treat both alike.
            MessageRole::System | MessageRole::Developer => 1,
            MessageRole::User => 2,
            MessageRole::Assistant => 3,
            MessageRole::Tool => 4,
        });
        for part in &message.parts {
            self.part(part);
            self.mark();
        }
    }

    fn part(&mut self, part: &Part) {
        match &part.kind {
            PartKind::Text(text) | PartKind::Refusal(text) => self.take(text),
            PartKind::Image { source, .. } | PartKind::File { source, .. } => match source {
                Source::Url(text) | Source::FileId(text) => self.take(text),
                Source::Base64 { data, .. } => self.take(data),
            },
            PartKind::Audio { data, .. } => self.take(data),
            // Ids are made anew by some doors; name and arguments say what was called.
            PartKind::ToolCall { name, arguments, .. } => {
                self.take(name);
                self.take(arguments);
            }
            PartKind::ToolResult { parts, .. } => parts.iter().for_each(|p| self.part(p)),
            // Clients drop reasoning between turns; it is no part of what they repeat.
            PartKind::Reasoning { .. } => {}
            PartKind::Opaque(opaque) => self.take(opaque.json.as_str()),
        }
    }
}

fn tool_length(tool: &Tool) -> usize {
    match tool {
        Tool::Function { name, description, parameters, .. } => {
            name.len() + description.as_deref().map_or(0, str::len) + parameters.as_ref().map_or(0, |p| p.as_str().len())
        }
        Tool::Hosted { json, .. } => json.as_str().len(),
    }
}

fn length(kind: &PartKind) -> usize {
    match kind {
        PartKind::Text(text) | PartKind::Refusal(text) => text.len(),
        PartKind::Image { source, .. } | PartKind::File { source, .. } => match source {
            Source::Base64 { data, .. } => data.len(),
            Source::Url(_) | Source::FileId(_) => LEAST_TOKENS * TOKEN_BYTES,
        },
        PartKind::Audio { data, .. } => data.len(),
        PartKind::ToolCall { name, arguments, .. } => name.len() + arguments.len(),
        PartKind::ToolResult { parts, .. } => parts.iter().map(|p| length(&p.kind)).sum(),
        PartKind::Reasoning { .. } => 0,
        PartKind::Opaque(opaque) => opaque.json.as_str().len(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn ask(texts: &[(MessageRole, &str)]) -> ChatRequest {
        let turn = |(role, text): &(MessageRole, &str)| Message { role: *role, parts: vec![Part::text(*text)], name: None, extra: vec![] };
        ChatRequest { messages: texts.iter().map(turn).collect(), ..ChatRequest::default() }
    }

    #[test]
    fn turns_of_a_conversation_and_prompts_of_one_head_share_prefixes() {
        use MessageRole::{Assistant, System, User};
        let long = "words and words ".repeat(400);
        let first = prefixes(&ask(&[(System, &long), (User, "one")]));
        let next = prefixes(&ask(&[(System, &long), (User, "one"), (Assistant, "answer"), (User, "two")]));
        assert_eq!(first.len(), 2);
        assert_eq!(next[..2], first[..], "the next turn repeats the first");
        let other = prefixes(&ask(&[(System, &long), (User, "else")]));
        assert_eq!((other[0], other[1] == first[1]), (first[0], false), "another conversation shares the system prompt alone");
        let tail = |end: &str| prefixes(&ask(&[(User, &(long.repeat(4) + end))]));
        let (a, b) = (tail("a"), tail("b"));
        assert!(a.len() >= 3 && a[..a.len() - 1] == b[..b.len() - 1] && a.last() != b.last(), "{a:?} {b:?}");
        assert!(prefixes(&ask(&[(System, "short"), (User, "one")])).is_empty(), "what no provider caches has no home");
        let mut tooled = ask(&[(System, &long), (User, "one")]);
        tooled.tools.push(Tool::Function { name: "f".into(), description: None, parameters: None, strict: None, cache: CacheMark::None });
        assert!(prefixes(&tooled).iter().all(|p| !first.contains(p)), "other tools, another prompt");
    }

    #[test]
    fn so_many_prefixes_and_no_more() {
        let turns: Vec<_> = (0..200).map(|_| (MessageRole::User, "x".repeat(5000))).collect();
        let turns: Vec<_> = turns.iter().map(|(role, text)| (*role, text.as_str())).collect();
        assert_eq!(prefixes(&ask(&turns)).len(), 32);
    }
}
