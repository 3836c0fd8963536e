use std::{collections::BTreeMap, ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{CacheMark, DialectName, Json, Message, NanoUsd, OnLoss, Part, PartKind, Str};

/// What a client asks of a model: the one form between all doors and all dialects.
#[derive(Clone, Debug, Default)]
pub struct ChatRequest {
    /// `provider/model`, `policy/NAME` or a bare name.
    pub model: Arc<str>,
    /// The conversation, oldest first.
    pub messages: Vec<Message>,
    /// Tools the model may call.
    pub tools: Vec<Tool>,
    /// Which of them it must.
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may call several at once.
    pub parallel_tool_calls: Option<bool>,
    /// How the text is drawn.
    pub sampling: Sampling,
    /// The form of the answer.
    pub output: Output,
    /// How much the model may think first.
    pub reasoning: Reasoning,
    /// Let the gateway place cache breakpoints. `None`: the key's default.
    pub auto_cache: Option<bool>,
    /// Lifetime for breakpoints that `auto_cache` places.
    pub cache_ttl: CacheMark,
    /// The client asked for events as they come.
    pub stream: bool,
    /// The client asked for usage at the end of its stream (OpenAI's `stream_options.include_usage`).
    pub include_usage: bool,
    /// Kept with the record and sent to providers that take it.
    pub metadata: BTreeMap<String, String>,
    /// The provider's service tier: `auto`, `default`, `flex`, `priority`.
    pub service_tier: Option<Arc<str>>,
    /// The end user, for the provider's abuse checks and our records.
    pub user: Option<Arc<str>>,
    /// What the gateway should do with it.
    pub routing: Routing,
    /// Documents are to be cited by the answer (Anthropic: all of them, or none).
    pub citations: bool,
    /// Parameters we have no word for, by their names in the door's dialect; sent to targets of `extra_dialect` alone.
    pub extra: BTreeMap<Arc<str>, Json>,
    /// Features in trial that the client asked for by header (`anthropic-beta`), in order; for targets of `extra_dialect` alone.
    pub betas: Vec<Arc<str>>,
    /// The dialect that `extra` was written in.
    pub extra_dialect: Option<DialectName>,
    /// The client's own bytes, while nothing in the gateway has edited what they say.
    pub original: Option<Arc<Original>>,
}

/// A tool.
#[derive(Clone, Debug, PartialEq)]
pub enum Tool {
    /// One that the client runs.
    Function {
        /// Its name.
        name: Str,
        /// What it does.
        description: Option<Str>,
        /// JSON Schema of its arguments; absent: none.
        parameters: Option<Json>,
        /// Follow the schema exactly.
        strict: Option<bool>,
        /// The client's cache mark.
        cache: CacheMark,
    },
    /// One that the provider runs, in that provider's own words.
    Hosted {
        /// The dialect it was written in.
        dialect: DialectName,
        /// The definition.
        json: Json,
    },
}

/// Which tools the model must call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// As it sees fit.
    Auto,
    /// None.
    None,
    /// At least one.
    Required,
    /// This one.
    Named(Str),
}

/// How the text is drawn. Absent: the provider's default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampling {
    /// 0 to 2.
    pub temperature: Option<f64>,
    /// 0 to 1.
    pub top_p: Option<f64>,
    /// Candidates considered at each step.
    pub top_k: Option<i64>,
    /// 0 to 1.
    pub min_p: Option<f64>,
    /// -2 to 2.
    pub frequency_penalty: Option<f64>,
    /// -2 to 2.
    pub presence_penalty: Option<f64>,
    /// Above 0.
    pub repetition_penalty: Option<f64>,
    /// Repeats a draw where the provider can.
    pub seed: Option<i64>,
    /// Most tokens to write, reasoning included.
    pub max_tokens: Option<i64>,
    /// Texts that end the answer.
    pub stop: Vec<Str>,
    /// How many answers.
    pub n: Option<i64>,
    /// Return log probabilities.
    pub logprobs: Option<bool>,
    /// How many alternatives with each.
    pub top_logprobs: Option<i64>,
    /// Token id to bias.
    pub logit_bias: BTreeMap<String, f64>,
}

/// The form of the answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Output {
    /// Text.
    #[default]
    Text,
    /// Some JSON object.
    Json,
    /// JSON that follows a schema.
    Schema {
        /// A name for it.
        name: Str,
        /// What it is for.
        description: Option<Str>,
        /// JSON Schema.
        schema: Json,
        /// Follow it exactly.
        strict: Option<bool>,
    },
}

/// How hard to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Not at all.
    None,
    /// As little as possible.
    Minimal,
    /// A little.
    Low,
    /// Somewhat.
    Medium,
    /// Hard.
    High,
    /// Harder.
    XHigh,
    /// As hard as the model can.
    Max,
}

/// How much the model may think first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reasoning {
    /// By word.
    pub effort: Option<Effort>,
    /// By tokens. 0 turns reasoning off.
    pub budget_tokens: Option<i64>,
    /// Whether to show what was thought, where the provider lets one choose.
    pub include: Option<bool>,
}

/// What the gateway should do with a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Routing {
    /// Models to try in order, after `model` unless `model` is the first of them.
    pub models: Vec<Arc<str>>,
    /// Providers allowed; empty: all.
    pub only: Vec<Arc<str>>,
    /// Providers left out.
    pub ignore: Vec<Arc<str>>,
    /// Providers preferred, in order.
    pub order: Vec<Arc<str>>,
    /// May targets after the first be tried? Absent: yes.
    pub allow_fallbacks: Option<bool>,
    /// Only targets known to take every parameter.
    pub require_parameters: bool,
    /// What becomes of it where a target cannot express all of it. `None`: the key's default.
    pub on_loss: Option<OnLoss>,
    /// Regions allowed; empty: all.
    pub regions: Vec<Arc<str>>,
    /// How targets are sorted. `None`: as the policy, or the list, says.
    pub sort: Option<Sort>,
    /// Most that plain input and output may cost per million tokens.
    pub max_price: Option<(NanoUsd, NanoUsd)>,
    /// Free labels for analytics.
    pub tags: Vec<Arc<str>>,
    /// What clients said in headers (`X-Title`, `X-Headworks-*`): kept with the record, not sent on.
    pub labels: BTreeMap<String, String>,
    /// The application's user.
    pub user_id: Option<Arc<str>>,
    /// The application's trace.
    pub trace_id: Option<Arc<str>>,
    /// Idempotency key, unique per key for 24 hours.
    pub request_id: Option<Arc<str>>,
    /// Keep the stream resumable this long after its client is gone.
    pub resume_window: Option<Duration>,
    /// An answer given before to the same call may be given again if it is not older than this; this one is kept as long.
    pub response_cache: Option<Duration>,
    /// Whole-call time limit asked for in the request.
    pub timeout: Option<Duration>,
}

/// How a request wants its targets sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// The cheapest first.
    Price,
    /// The fastest to begin first.
    Latency,
    /// The fastest to write first.
    Throughput,
}

impl Sort {
    /// The word for it, as clients write it.
    pub const fn name(self) -> &'static str {
        match self {
            Sort::Price => "price",
            Sort::Latency => "latency",
            Sort::Throughput => "throughput",
        }
    }

    /// The sort of this word.
    pub fn from_name(name: &str) -> Option<Self> {
        [Sort::Price, Sort::Latency, Sort::Throughput].into_iter().find(|sort| sort.name() == name)
    }
}

/// A JSON body as it came in, with the places of its top-level members, so that
/// a target of the same dialect can be sent the client's own bytes.
#[derive(Clone, Debug)]
pub struct Original {
    /// The dialect of the door.
    pub dialect: DialectName,
    /// The body.
    pub body: Bytes,
    /// Its top-level members in order.
    pub members: Vec<Member>,
}

/// Top-level members of a body that are for the gateway and never sent on.
pub const GATEWAY_MEMBERS: &[&str] = &["headworks", "requesty", "models", "provider", "route", "transforms", "auto_cache"];

/// One top-level member of a JSON object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The name, unescaped.
    pub name: Arc<str>,
    /// Where `"name"` stands, quotes included.
    pub key: Range<usize>,
    /// Where the value stands.
    pub value: Range<usize>,
}

impl ChatRequest {
    /// Whether pictures are among its parts, those of tools' results included.
    pub fn has_images(&self) -> bool {
        fn pictured(part: &Part) -> bool {
            match &part.kind {
                PartKind::Image { .. } => true,
                PartKind::ToolResult { parts, .. } => parts.iter().any(pictured),
                _ => false,
            }
        }
        self.messages.iter().flat_map(|message| &message.parts).any(pictured)
    }

    /// Forgets the client's bytes: something was edited.
    pub fn edited(&mut self) {
        self.original = None;
    }
}

impl Routing {
    /// Keeps something the client said beside the body, without sending it to a provider.
    pub fn label(&mut self, name: &str, said: &str) {
        self.labels.entry(name.to_owned()).or_insert_with(|| said.to_owned());
    }
}
