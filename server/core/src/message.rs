use std::sync::Arc;

use crate::{DialectName, Json, Str};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Instructions of the application.
    System,
    /// Instructions of the application, in OpenAI's newer word.
    Developer,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// A tool's result.
    Tool,
}

/// One turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<Part>,
    /// A name for the speaker.
    pub name: Option<Arc<str>>,
    /// Fields of the message that we have no word for, by their names in the door's dialect.
    pub extra: Vec<(Arc<str>, Json)>,
}

/// A client's own mark: everything up to here is to be cached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheMark {
    /// No mark.
    #[default]
    None,
    /// The provider's default lifetime, 5 minutes at Anthropic.
    Default,
    /// 5 minutes, said explicitly.
    FiveMinutes,
    /// One hour.
    OneHour,
}

/// Where bytes come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A URL that the provider fetches.
    Url(Str),
    /// The bytes themselves, in base64 as they travel in every dialect's JSON.
    Base64 {
        /// Media type, such as `image/png`.
        mime: Arc<str>,
        /// Standard base64 with padding.
        data: Str,
    },
    /// The provider's own id of an uploaded file.
    FileId(Str),
}

/// One piece of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// The client's cache mark on it.
    pub cache: CacheMark,
}

/// Something only one dialect understands, replayed to that dialect alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Opaque {
    /// The dialect that issued it.
    pub dialect: DialectName,
    /// The provider that issued it, empty where unknown.
    pub issuer: Arc<str>,
    /// The value.
    pub json: Json,
}

/// The kinds of pieces.
#[derive(Clone, Debug, PartialEq)]
pub enum PartKind {
    /// Text.
    Text(Str),
    /// A picture.
    Image {
        /// Where it is.
        source: Source,
        /// `low`, `high`, `auto`: how closely to look.
        detail: Option<Arc<str>>,
    },
    /// A file such as a PDF.
    File {
        /// Where it is.
        source: Source,
        /// Its name.
        name: Option<Str>,
    },
    /// Sound.
    Audio {
        /// Base64.
        data: Str,
        /// `wav`, `mp3`, ...
        format: Arc<str>,
    },
    /// A call the model made.
    ToolCall {
        /// Identifies the call towards its result.
        id: Str,
        /// The tool.
        name: Str,
        /// A JSON object, as text. Checked to be one at the door.
        arguments: Str,
        /// The issuer's opaque signature on the call (Gemini's `thoughtSignature`), base64 text as it travelled.
        signature: Option<Str>,
    },
    /// What a tool gave back.
    ToolResult {
        /// The call it answers.
        id: Str,
        /// The tool, where the client says.
        name: Option<Str>,
        /// Text and pictures.
        parts: Vec<Part>,
        /// The tool failed.
        is_error: bool,
    },
    /// The model's reasoning, to be replayed to whoever issued it.
    Reasoning {
        /// What can be read of it; may be empty while `signature` is not.
        text: Str,
        /// The issuer's signature over it.
        signature: Option<Str>,
        /// Encrypted reasoning instead of text (Anthropic's `redacted_thinking.data`).
        redacted: Option<Str>,
    },
    /// A refusal in the model's words.
    Refusal(Str),
    /// A block of another dialect, kept as it was.
    Opaque(Opaque),
}

impl Part {
    /// A part without a cache mark.
    pub fn new(kind: PartKind) -> Self {
        Self { kind, cache: CacheMark::None }
    }

    /// Plain text.
    pub fn text(text: impl Into<Str>) -> Self {
        Self::new(PartKind::Text(text.into()))
    }
}

impl Source {
    /// The bytes behind base64, where they are here and well formed per `decode`.
    pub fn inline(&self) -> Option<(&str, &str)> {
        match self {
            Source::Base64 { mime, data } => Some((mime, data)),
            Source::Url(_) | Source::FileId(_) => None,
        }
    }
}
