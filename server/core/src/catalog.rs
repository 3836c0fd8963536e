use std::{collections::HashMap, fmt, sync::Arc};

use crate::{Effort, Price};

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

/// The wire dialects, by the names used in configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DialectName {
    /// OpenAI chat completions: `openai`.
    #[serde(rename = "openai")]
    OpenAi,
    /// OpenAI responses: `openai-responses`.
    #[serde(rename = "openai-responses")]
    OpenAiResponses,
    /// Anthropic messages: `anthropic`.
    Anthropic,
    /// Gemini generateContent: `gemini`.
    Gemini,
    /// Google Vertex AI: `vertex`.
    Vertex,
    /// Amazon Bedrock Converse: `bedrock`.
    Bedrock,
    /// Azure OpenAI: `azure`.
    Azure,
    /// Cohere v2: `cohere`.
    Cohere,
    /// Voyage embeddings: `voyage`.
    Voyage,
}

impl DialectName {
    /// Every dialect that has a name.
    pub const ALL: [DialectName; 9] =
        [Self::OpenAi, Self::OpenAiResponses, Self::Anthropic, Self::Gemini, Self::Vertex, Self::Bedrock, Self::Azure, Self::Cohere, Self::Voyage];

    /// The name in configuration and catalogue.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::OpenAiResponses => "openai-responses",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Vertex => "vertex",
            Self::Bedrock => "bedrock",
            Self::Azure => "azure",
            Self::Cohere => "cohere",
            Self::Voyage => "voyage",
        }
    }

    /// A cloud's dialect puts other makers' dialects into its own paths: a model's dialect is then the one inside.
    pub const fn is_envelope(self) -> bool {
        matches!(self, Self::Vertex | Self::Azure)
    }

    /// The dialect with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.as_str() == name)
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

/// How a host wants to be shown its key. The key itself is not here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthScheme {
    /// No key needed.
    None,
    /// `authorization: Bearer KEY`.
    Bearer,
    /// `NAME: KEY`.
    Header(Arc<str>),
    /// Amazon: a bearer token where one is given, else AWS Signature Version 4 with what the credential chain finds.
    Aws,
    /// Google Cloud: a ready bearer token where one is given, else one from a service account or the metadata server.
    Google,
    /// Azure: `api-key: KEY` where a key is given, else a bearer token of Microsoft Entra ID.
    Azure,
    /// A scheme that this build does not speak, by its name.
    Unsupported(Arc<str>),
}

/// How a host is told how hard to think.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReasoningOption {
    /// `reasoning_effort`: a word.
    #[default]
    Effort,
    /// `reasoning`: an object of `effort` or `max_tokens` (OpenRouter).
    Object,
    /// `enable_thinking` and `thinking_budget` (Alibaba).
    EnableThinking,
    /// `thinking`: an object of `type` enabled or disabled (Z.ai).
    Thinking,
}

impl ReasoningOption {
    /// The option with this name: that of the parameter.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "reasoning_effort" => Self::Effort,
            "reasoning" => Self::Object,
            "enable_thinking" => Self::EnableThinking,
            "thinking" => Self::Thinking,
            _ => return None,
        })
    }
}

/// How a host takes requests for vectors, where that is not its dialect's standard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EmbedQuirks {
    /// Most inputs in a request; `None`: no limit known.
    pub inputs: Option<u32>,
    /// Most tokens in a request, over all inputs.
    pub tokens: Option<i64>,
    /// It takes no tokens, only text.
    pub text_only: bool,
    /// It takes `encoding_format`.
    pub base64: bool,
    /// Its base64 holds signed bytes, not floats (Perplexity).
    pub int8: bool,
    /// What it calls `dimensions`.
    pub dimensions_field: Option<Arc<str>>,
    /// Where it is told what vectors are for.
    pub purpose_field: Option<Arc<str>>,
    /// Its word for a text to be found; `None`: `document`.
    pub document_word: Option<Arc<str>>,
}

/// In what a host differs from its dialect's standard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quirks {
    /// `max_tokens` or `max_completion_tokens`.
    pub max_tokens_field: Arc<str>,
    /// `seed`, or `random_seed` (Mistral).
    pub seed_field: Arc<str>,
    /// Streams report usage only when asked by `stream_options.include_usage`, and take that option.
    pub stream_usage_option: bool,
    /// Models whose names begin so answer only in streams.
    pub stream_only: Vec<Arc<str>>,
    /// `completion_tokens` leaves reasoning out (xAI).
    pub reasoning_beside_completion: bool,
    /// Where assistant messages carry their reasoning: `reasoning_content` or `reasoning`.
    pub reasoning_field: Arc<str>,
    /// Assistant turns with tool calls must carry their reasoning back.
    pub echo_reasoning: bool,
    /// Reasoning goes back as a content part of type `thinking` (Mistral).
    pub thinking_parts: bool,
    /// A file by URL is a part of type `document_url` (Mistral).
    pub document_parts: bool,
    /// How it is told how hard to think.
    pub reasoning_option: ReasoningOption,
    /// Message content must be a string where it is only text.
    pub plain_text_content: bool,
    /// Takes the role `developer`.
    pub developer_role: bool,
    /// Messages must not carry a speaker's `name`.
    pub no_names: bool,
    /// A tool's message must carry the tool's `name`.
    pub tool_names: bool,
    /// Ids of tool calls must be nine letters and digits (Mistral).
    pub short_call_ids: bool,
    /// After a tool's message must come the assistant, not the user.
    pub assistant_after_tool: bool,
    /// An assistant's message at the end must say `prefix: true`.
    pub assistant_prefix: bool,
    /// Goes on with an assistant's message at the end of the conversation, instead of answering it.
    pub prefill: bool,
    /// User and assistant must take turns: neighbours of one role become one message.
    pub alternate: bool,
    /// The word of `tool_choice` for "at least one": `required` or `any`; `None`: cannot be asked.
    pub required_word: Option<Arc<str>>,
    /// `tool_choice` may name a tool.
    pub named_tool_choice: bool,
    /// Tools and a form of the answer exclude each other.
    pub tools_or_format: bool,
    /// It serves OpenAI's Responses beside its own dialect; used for clients that speak them.
    pub responses: bool,
    /// How it takes requests for vectors.
    pub embed: EmbedQuirks,
    /// Top-level parameters this host rejects.
    pub rejects: Vec<Arc<str>>,
    /// Those that its reasoning models reject beside.
    pub reasoning_rejects: Vec<Arc<str>>,
    /// Sent in every body: name and JSON.
    pub always: Vec<(Arc<str>, Arc<str>)>,
    /// Sent with every request: name and value.
    pub headers: Vec<(Arc<str>, Arc<str>)>,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            max_tokens_field: "max_tokens".into(),
            seed_field: "seed".into(),
            stream_usage_option: true,
            stream_only: Vec::new(),
            reasoning_beside_completion: false,
            reasoning_field: "reasoning_content".into(),
            echo_reasoning: false,
            thinking_parts: false,
            document_parts: false,
            reasoning_option: ReasoningOption::default(),
            plain_text_content: false,
            developer_role: false,
            no_names: false,
            tool_names: false,
            short_call_ids: false,
            assistant_after_tool: false,
            assistant_prefix: false,
            prefill: false,
            alternate: false,
            required_word: Some("required".into()),
            named_tool_choice: true,
            tools_or_format: false,
            responses: false,
            embed: EmbedQuirks::default(),
            rejects: Vec::new(),
            reasoning_rejects: Vec::new(),
            always: Vec::new(),
            headers: Vec::new(),
        }
    }
}

/// What some clouds need to know beside a URL. Configuration first, then the cloud's usual environment variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostOptions {
    /// Bedrock: the AWS region.
    pub region: Option<Arc<str>>,
    /// Vertex: the project.
    pub project: Option<Arc<str>>,
    /// Vertex: the location.
    pub location: Option<Arc<str>>,
    /// Where the provider is made to process, where that multiplies its prices: `eu`, `us`, `regional`.
    pub residency: Option<Arc<str>>,
    /// Azure: the API version; `None`: the v1 path.
    pub api_version: Option<Arc<str>>,
    /// Azure: the deployment of a model, where it is not called by the model's name.
    pub deployments: std::collections::BTreeMap<Arc<str>, Arc<str>>,
    /// Other base URLs of the host, by the dialect that is spoken there instead of its own.
    pub endpoints: Vec<(DialectName, Arc<str>)>,
    /// What the operator must do before the host can be used; `None` where it is configured, or nothing but its key is missing.
    pub missing: Option<Arc<str>>,
}

/// A provider: data, with what configuration changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    /// Id in names: `groq`.
    pub id: Arc<str>,
    /// For people.
    pub name: Arc<str>,
    /// The dialect of its models unless they say otherwise; `None`: one this build has no name for.
    pub dialect: Option<DialectName>,
    /// The catalogue's own word for the dialect.
    pub dialect_word: Arc<str>,
    /// What stands before the dialect's own path; no slash at the end.
    pub base_url: Arc<str>,
    /// How it is shown its key.
    pub auth: AuthScheme,
    /// Environment variables that may hold the key, the usual one first.
    pub key_env: Vec<Arc<str>>,
    /// Where it processes; empty: not said.
    pub regions: Vec<Arc<str>>,
    /// It sells other makers' models: bare names never resolve to it.
    pub reseller: bool,
    /// In what it differs.
    pub quirks: Quirks,
    /// What its cloud needs to know.
    pub options: HostOptions,
    /// A key is there, or none is needed.
    pub configured: bool,
}

/// A place an attempt can go: a host and a model there.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// `provider/model`.
    pub id: ModelId,
    /// The host.
    pub host: Arc<Host>,
    /// The model's facts; `None`: the catalogue does not know it.
    pub model: Option<Arc<Model>>,
    /// The name on the wire.
    pub upstream_name: Arc<str>,
    /// The dialect on the wire; `None`: not spoken by this build.
    pub dialect: Option<DialectName>,
    /// The catalogue knows it: its name may be a metric label.
    pub known: bool,
}

/// Every host and model the gateway knows: immutable, replaced as a whole.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    hosts: HashMap<Arc<str>, Arc<Host>>,
    targets: HashMap<Arc<str>, Arc<Target>>,
    bare: HashMap<Arc<str>, Vec<Arc<str>>>,
}

impl Catalog {
    /// Indexes hosts and models. A later entry with the same id replaces an earlier one.
    /// Models whose host is missing are left out.
    pub fn new(hosts: impl IntoIterator<Item = Arc<Host>>, models: impl IntoIterator<Item = Arc<Model>>) -> Self {
        let hosts: HashMap<_, _> = hosts.into_iter().map(|host| (host.id.clone(), host)).collect();
        let mut catalog = Self { hosts, ..Self::default() };
        let mut placed = HashMap::new();
        for model in models {
            let Some(host) = catalog.hosts.get(&model.id.provider).cloned() else {
                continue;
            };
            let full: Arc<str> = model.id.to_string().into();
            let target = Arc::new(Target {
                id: model.id.clone(),
                upstream_name: model.upstream_name.clone(),
                dialect: match (host.dialect, &model.foreign_dialect) {
                    (Some(cloud), _) if cloud.is_envelope() => Some(cloud),
                    (_, Some(_)) => None,
                    (own, None) => model.dialect.or(own),
                },
                known: true,
                model: Some(model.clone()),
                host: place(&host, &model, &mut placed),
            });
            if !host.reseller {
                catalog.bare.entry(model.id.model.clone()).or_default().push(full.clone());
            }
            for alias in &model.aliases {
                catalog.targets.entry(alias.clone()).or_insert_with(|| target.clone());
                if let (false, Some((_, bare))) = (host.reseller, alias.split_once('/')) {
                    let ids = catalog.bare.entry(bare.into()).or_default();
                    if !ids.contains(&full) {
                        ids.push(full.clone());
                    }
                }
            }
            catalog.targets.insert(full, target);
        }
        for ids in catalog.bare.values_mut() {
            ids.sort();
        }
        catalog
    }

    /// All hosts, in no order.
    pub fn hosts(&self) -> impl Iterator<Item = &Arc<Host>> {
        self.hosts.values()
    }

    /// The host with this id.
    pub fn host(&self, id: &str) -> Option<&Arc<Host>> {
        self.hosts.get(id)
    }

    /// All targets the catalogue knows, once each, in no order.
    pub fn targets(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.targets.iter().filter(|(name, target)| is_id(name, &target.id)).map(|(_, target)| target)
    }

    /// The target of `provider/model` (aliases included). A model the catalogue
    /// does not know is made up on the spot where its provider is known.
    pub fn target(&self, id: &str) -> Option<Arc<Target>> {
        if let Some(target) = self.targets.get(id) {
            return Some(target.clone());
        }
        let (provider, name) = id.split_once('/')?;
        let host = self.hosts.get(provider)?;
        if name.is_empty() {
            return None;
        }
        let name: Arc<str> = name.into();
        Some(Arc::new(Target {
            id: ModelId { provider: host.id.clone(), model: name.clone() },
            host: host.clone(),
            model: None,
            upstream_name: name,
            dialect: host.dialect,
            known: false,
        }))
    }

    /// The target of a bare name: of the hosts that make the model themselves, a configured one first.
    pub fn bare(&self, name: &str) -> Option<Arc<Target>> {
        let ids = self.bare.get(name)?;
        let targets = || ids.iter().filter_map(|id| self.targets.get(id));
        targets().find(|target| target.host.configured).or_else(|| targets().next()).cloned()
    }

    /// Known ids closest to `name`, for an error message; at most three.
    pub fn nearest(&self, name: &str) -> Vec<Arc<str>> {
        let (provider, wanted) = name.split_once('/').map_or((None, name), |(p, m)| (Some(p), m));
        let mut scored: Vec<(usize, &Arc<str>)> = self
            .targets
            .iter()
            .filter(|(id, target)| provider.is_none_or(|p| p == &*target.id.provider) && is_id(id, &target.id))
            .filter(|(_, target)| target.model.as_ref().is_none_or(|m| m.status != Status::Hidden))
            .map(|(id, target)| (distance(wanted, &target.id.model), id))
            .filter(|(score, _)| *score <= wanted.len() / 2)
            .collect();
        scored.sort();
        scored.into_iter().take(3).map(|(_, id)| id.clone()).collect()
    }
}

type Placed = HashMap<(Arc<str>, Option<DialectName>, Option<Arc<str>>), Arc<Host>>;

/// The host as one of its models is reached: at the endpoint of the model's own dialect, in the region that the
/// model's name begins with. Models reached alike share it.
fn place(host: &Arc<Host>, model: &Model, placed: &mut Placed) -> Arc<Host> {
    let dialect = model.dialect.filter(|dialect| Some(*dialect) != host.dialect);
    let endpoint = host.options.endpoints.iter().find(|(spoken, _)| Some(*spoken) == dialect);
    let region = model.id.model.split_once('/').map(|(region, _)| region).filter(|region| host.auth == AuthScheme::Aws && is_region(region));
    if endpoint.is_none() && region.is_none() {
        return host.clone();
    }
    let key = (host.id.clone(), endpoint.map(|(dialect, _)| *dialect), region.map(Arc::from));
    let made = placed.entry(key).or_insert_with(|| {
        let mut other = Host::clone(host);
        if let Some((dialect, url)) = endpoint {
            (other.dialect, other.base_url) = (Some(*dialect), url.clone());
        }
        if let Some(region) = region {
            let own = host.options.region.as_deref().unwrap_or("{region}");
            other.base_url = other.base_url.replace(own, region).into();
            other.options.region = Some(region.into());
        }
        Arc::new(other)
    });
    made.clone()
}

/// `us-gov-west-1`: words and a digit at the end.
fn is_region(text: &str) -> bool {
    text.matches('-').count() >= 2 && text.ends_with(|c: char| c.is_ascii_digit()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn is_id(name: &str, id: &ModelId) -> bool {
    name.split_once('/').is_some_and(|(provider, model)| provider == &*id.provider && model == &*id.model)
}

/// Levenshtein distance by bytes; long names are cut, since only close ones matter.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate().take(128) {
        let mut previous = i;
        let mut first = i + 1;
        std::mem::swap(&mut row[0], &mut first);
        for (j, y) in b.iter().enumerate() {
            let here = row[j + 1];
            row[j + 1] = (previous + usize::from(x != y)).min(here + 1).min(row[j] + 1);
            previous = here;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        for (a, b, d) in [("", "", 0), ("kitten", "sitting", 3), ("gpt-5", "gpt-5", 0), ("gpt5", "gpt-5", 1)] {
            assert_eq!(distance(a, b), d, "{a} {b}");
        }
    }
}
