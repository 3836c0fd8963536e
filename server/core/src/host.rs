//! A host: how it is spoken to, and what it does its own way.

use std::sync::Arc;

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
