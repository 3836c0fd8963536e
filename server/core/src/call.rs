use std::{sync::Arc, time::Instant};

use crate::{Catalog, ChatRequest, NanoUsd, Skipped, Target};

/// Through which door a call came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Native gRPC or gRPC-Web.
    Grpc,
    /// OpenAI's chat completions.
    RestChat,
    /// OpenAI's responses.
    RestResponses,
    /// Anthropic's messages.
    RestMessages,
    /// OpenAI's embeddings.
    RestEmbeddings,
}

/// A call as it came in.
pub struct Inbound {
    /// Identifies it in records, answers and logs.
    pub id: Arc<str>,
    /// What stood after `Bearer`; never logged.
    pub credential: Arc<str>,
    /// What is asked.
    pub request: ChatRequest,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
    /// The door.
    pub origin: Origin,
    /// W3C trace context of the caller.
    pub traceparent: Option<Arc<str>>,
}

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Everything, calling models included.
    Admin,
    /// Calls models, reads itself.
    Caller,
}

/// A key's facts that the hot path needs; never its secret.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// Public id.
    pub id: Arc<str>,
    /// For people.
    pub name: Arc<str>,
    /// What it may do.
    pub roles: Vec<Role>,
    /// Patterns of `provider/model` (`*` matches any run); empty: all.
    pub allowed_models: Vec<Arc<str>>,
    /// Applied to whatever model is asked for.
    pub default_policy: Option<Arc<str>>,
    /// What an absent `auto_cache` means.
    pub auto_cache: bool,
    /// Regions allowed; empty: all.
    pub regions: Vec<Arc<str>>,
    /// Most that may be spent, in all.
    pub budget: Option<NanoUsd>,
}

impl Key {
    /// Whether the key holds this role; an admin holds every role.
    pub fn is(&self, role: Role) -> bool {
        self.roles.iter().any(|held| *held == role || *held == Role::Admin)
    }

    /// Whether the key may use `provider/model` or `policy/NAME`.
    pub fn may_use(&self, id: &str) -> bool {
        self.allowed_models.is_empty() || self.allowed_models.iter().any(|pattern| matches(pattern, id))
    }
}

/// Whether `text` is what `pattern` says, where `*` stands for any run of characters.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut left) = text.strip_prefix(head) else {
        return false;
    };
    let mut pieces = rest.split('*').peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return left.len() >= piece.len() && left.ends_with(piece);
        }
        match left.find(piece) {
            Some(at) => left = left.get(at + piece.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    true
}

/// Who pays.
pub type Tenant = Key;

/// Every billable kind of work takes the same way.
#[derive(Clone, Debug)]
pub enum Work {
    /// A chat, unary or streamed.
    Chat(Arc<ChatRequest>),
}

impl Work {
    /// The chat.
    pub fn chat(&self) -> &Arc<ChatRequest> {
        match self {
            Work::Chat(request) => request,
        }
    }
}

/// A call whose payer is known.
#[derive(Clone)]
pub struct Call {
    /// Identifies it in records.
    pub id: Arc<str>,
    /// Who pays.
    pub tenant: Arc<Tenant>,
    /// What is asked.
    pub work: Work,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
    /// Unix nanoseconds of its arrival.
    pub arrived_unix_nanos: i64,
    /// The door.
    pub origin: Origin,
    /// The catalogue in force when it arrived.
    pub catalog: Arc<Catalog>,
    /// W3C trace context of the caller.
    pub traceparent: Option<Arc<str>>,
}

/// A call with its targets in order.
#[derive(Clone)]
pub struct Planned {
    /// The call.
    pub call: Call,
    /// What to try, in order; never empty.
    pub targets: Vec<Arc<Target>>,
    /// What was left out.
    pub skipped: Vec<Skipped>,
    /// The policy applied.
    pub policy: Option<Arc<str>>,
    /// Things to tell the client about the plan.
    pub notes: Vec<Arc<str>>,
}

/// One try at one target.
#[derive(Clone)]
pub struct Attempt {
    /// The call.
    pub call: Call,
    /// Where.
    pub target: Arc<Target>,
    /// From 1.
    pub ordinal: u32,
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_said() {
        for (pattern, text, holds) in [
            ("openai/gpt-5", "openai/gpt-5", true),
            ("openai/gpt-5", "openai/gpt-5-mini", false),
            ("openai/*", "openai/gpt-5", true),
            ("openai/*", "groq/openai/gpt-5", false),
            ("*", "a/b", true),
            ("*/gpt-*-mini", "openai/gpt-5-mini", true),
            ("*/gpt-*-mini", "openai/gpt-5-minix", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches(pattern, text), holds, "{pattern} {text}");
        }
    }
}
