use std::{any::Any, collections::BTreeMap, sync::Arc, time::Instant};

use crate::{Catalog, ChatRequest, EmbedRequest, Key, ModelId, Original, Routing, Skipped, Target};

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

/// Whatever a door needs to write an answer again, for a client that comes back to its stream.
pub type Memo = Arc<dyn Any + Send + Sync>;

/// A call as it came in.
pub struct Inbound {
    /// Identifies it in records, answers and logs.
    pub id: Arc<str>,
    /// What stood after `Bearer`; never logged.
    pub credential: Arc<str>,
    /// What is asked.
    pub work: Work,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
    /// The door.
    pub origin: Origin,
    /// W3C trace context of the caller.
    pub traceparent: Option<Arc<str>>,
    /// Kept with a stream that can be resumed.
    pub memo: Option<Memo>,
}

/// Who pays.
pub type Tenant = Key;

/// Every billable kind of work takes the same way.
#[derive(Clone, Debug)]
pub enum Work {
    /// A chat, unary or streamed.
    Chat(Arc<ChatRequest>),
    /// Texts to vectors.
    Embed(Arc<EmbedRequest>),
    /// How many tokens a chat would be. Nobody bills it.
    CountTokens(Arc<ChatRequest>),
}

/// The kinds of [`Work`], without what is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WorkKind {
    /// A chat.
    Chat,
    /// Vectors.
    Embed,
    /// A count of tokens.
    CountTokens,
}

impl WorkKind {
    /// The name in records, and the catalogue's `mode` of models that do it.
    pub const fn as_str(self) -> &'static str {
        match self {
            WorkKind::Chat => "chat",
            WorkKind::Embed => "embedding",
            WorkKind::CountTokens => "count_tokens",
        }
    }

    /// The catalogue's `mode` of models that do it.
    pub const fn mode(self) -> &'static str {
        match self {
            WorkKind::Chat | WorkKind::CountTokens => "chat",
            WorkKind::Embed => "embedding",
        }
    }
}

impl From<ChatRequest> for Work {
    fn from(request: ChatRequest) -> Self {
        Work::Chat(Arc::new(request))
    }
}

impl From<EmbedRequest> for Work {
    fn from(request: EmbedRequest) -> Self {
        Work::Embed(Arc::new(request))
    }
}

impl Work {
    /// Of which kind it is.
    pub const fn kind(&self) -> WorkKind {
        match self {
            Work::Chat(_) => WorkKind::Chat,
            Work::Embed(_) => WorkKind::Embed,
            Work::CountTokens(_) => WorkKind::CountTokens,
        }
    }

    /// The chat that is asked, or whose tokens are counted.
    pub const fn chat(&self) -> Option<&Arc<ChatRequest>> {
        match self {
            Work::Chat(request) | Work::CountTokens(request) => Some(request),
            Work::Embed(_) => None,
        }
    }

    /// The chat, to be edited; shared ones are copied first.
    pub fn chat_mut(&mut self) -> Option<&mut ChatRequest> {
        match self {
            Work::Chat(request) | Work::CountTokens(request) => Some(Arc::make_mut(request)),
            Work::Embed(_) => None,
        }
    }

    /// The model asked for.
    pub fn model(&self) -> &Arc<str> {
        match self {
            Work::Chat(request) | Work::CountTokens(request) => &request.model,
            Work::Embed(request) => &request.model,
        }
    }

    /// What the gateway should do with it.
    pub fn routing(&self) -> &Routing {
        match self {
            Work::Chat(request) | Work::CountTokens(request) => &request.routing,
            Work::Embed(request) => &request.routing,
        }
    }

    /// Labels from the body.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        match self {
            Work::Chat(request) | Work::CountTokens(request) => &request.metadata,
            Work::Embed(request) => &request.metadata,
        }
    }

    /// The end user.
    pub fn user(&self) -> Option<&Arc<str>> {
        match self {
            Work::Chat(request) | Work::CountTokens(request) => request.user.as_ref(),
            Work::Embed(request) => request.user.as_ref(),
        }
    }

    /// The client wants events as they come.
    pub fn is_streamed(&self) -> bool {
        matches!(self, Work::Chat(request) if request.stream)
    }

    /// The client's own bytes.
    pub fn original(&self) -> Option<&Arc<Original>> {
        match self {
            Work::Chat(request) | Work::CountTokens(request) => request.original.as_ref(),
            Work::Embed(request) => request.original.as_ref(),
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
    /// Kept with a stream that can be resumed; taken from the call where that begins.
    pub memo: Option<Memo>,
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
    /// What the client should be warned of where one of these targets serves it.
    pub warnings: Vec<(ModelId, Arc<str>)>,
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
