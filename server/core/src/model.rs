//! A model: its name, what it can do, what is known of it.

use std::{fmt, sync::Arc};

use crate::{DialectName, Effort, Price};

/// A provider and one of its models: `anthropic/claude-sonnet-4-5`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct ModelId {
    /// The host's id in the catalogue.
    pub provider: Arc<str>,
    /// The model's name there; may hold slashes.
    pub model: Arc<str>,
}

impl ModelId {
    /// An id from its two names.
    pub fn new(provider: impl Into<Arc<str>>, model: impl Into<Arc<str>>) -> Self {
        Self { provider: provider.into(), model: model.into() }
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

impl fmt::Debug for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Known to be so, known not to be so, or unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Capability {
    /// The model has it.
    Yes,
    /// It has not: refuse or skip.
    No,
    /// No source says: pass on.
    #[default]
    Unknown,
}

/// How a model caches prompts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CacheKind {
    /// Not at all.
    None,
    /// By itself.
    Automatic,
    /// Where the request marks it.
    Explicit,
    /// No source says.
    #[default]
    Unknown,
}

/// What a model can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Call tools.
    pub tools: Capability,
    /// Call several tools at once.
    pub parallel_tools: Capability,
    /// See pictures.
    pub vision: Capability,
    /// Read PDF files.
    pub pdf: Capability,
    /// Hear.
    pub audio: Capability,
    /// Follow a JSON Schema.
    pub structured_output: Capability,
    /// Think first.
    pub reasoning: Capability,
    /// Answer in a stream.
    pub streaming: Capability,
    /// Take `temperature` and `top_p`.
    pub sampling: Capability,
    /// Cache prompts.
    pub caching: CacheKind,
}

/// How a model is told to think.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EffortRange {
    /// The words it takes; empty: none or unknown.
    pub efforts: Vec<Effort>,
    /// It takes a token budget, at least and at most this much (0: no bound known).
    pub budget: Option<(i64, i64)>,
    /// It can be turned on and off.
    pub toggle: bool,
}

/// A model's standing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Status {
    /// In use.
    #[default]
    Active,
    /// Early.
    Preview,
    /// To be withdrawn.
    Deprecated,
    /// Withdrawn, no longer listed or never confirmed: for pricing and explicit use.
    Hidden,
}

/// Where what is said of a model comes from. Later ones stand above earlier ones, field by field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ModelOrigin {
    /// The catalogue that is built in, alone.
    #[default]
    BuiltIn,
    /// The configuration says something of it.
    Config,
    /// An admin said something of it.
    Api,
}

impl Capabilities {
    /// Each by its name in the catalogue's files.
    pub const fn named(&self) -> [(&'static str, Capability); 9] {
        [
            ("tools", self.tools),
            ("parallel_tools", self.parallel_tools),
            ("vision", self.vision),
            ("pdf", self.pdf),
            ("audio", self.audio),
            ("structured_output", self.structured_output),
            ("reasoning", self.reasoning),
            ("streaming", self.streaming),
            ("sampling", self.sampling),
        ]
    }
}

/// A model at a host: facts.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// `provider/name`.
    pub id: ModelId,
    /// What the host calls it on the wire.
    pub upstream_name: Arc<str>,
    /// `chat`, `embedding`, `image`, `audio`, `rerank`.
    pub mode: Arc<str>,
    /// The dialect it is spoken to in; the host's unless it differs.
    pub dialect: Option<DialectName>,
    /// The catalogue's word for that dialect, where we have no name for it.
    pub foreign_dialect: Option<Arc<str>>,
    /// Tokens of input and output together; `None`: unknown.
    pub context_window: Option<i64>,
    /// Most tokens of input.
    pub max_input_tokens: Option<i64>,
    /// Most tokens of output.
    pub max_output_tokens: Option<i64>,
    /// What it costs; `None`: unknown, never free.
    pub price: Option<Arc<Price>>,
    /// What it can do.
    pub capabilities: Capabilities,
    /// How it is told to think.
    pub reasoning: EffortRange,
    /// Fewest tokens worth a cache breakpoint; `None`: unknown.
    pub cache_min_tokens: Option<i64>,
    /// Where it runs; empty: where its host does.
    pub regions: Vec<Arc<str>>,
    /// Its standing.
    pub status: Status,
    /// `YYYY-MM-DD` after which it may be gone.
    pub deprecation_date: Option<Arc<str>>,
    /// `YYYY-MM-DD` of its release, or `YYYY-MM`.
    pub release_date: Option<Arc<str>>,
    /// Other full ids that mean the same.
    pub aliases: Vec<Arc<str>>,
    /// The full id of the model this host resells.
    pub canonical: Option<Arc<str>>,
    /// Length of its vectors, where it makes some.
    pub dimensions: Option<i64>,
    /// Prices by units other than tokens, as decimals of US dollars (`per_image_input`, `per_character_input`): for people, except where a request
    /// has a price of its own.
    pub unit_prices: std::collections::BTreeMap<Arc<str>, Arc<str>>,
    /// Where this comes from.
    pub origin: ModelOrigin,
}
