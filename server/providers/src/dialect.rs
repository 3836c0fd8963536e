use std::{borrow::Cow, sync::Arc};

use bytes::{Bytes, BytesMut};
use headworks_core::{
    Batch, Capability, Cause, ChatRequest, DialectName, Effort, EmbedRequest, Fault, LossKind, MessageRole, Part, PartKind, Reason, Target, Tool, Violation,
    Work,
};

/// A request ready for the wire, without credentials.
#[derive(Debug)]
pub struct Encoded {
    /// Method, full URL, headers, body.
    pub request: http::Request<Bytes>,
    /// What was changed on the client's behalf (a parameter this target cannot
    /// express and that was left out, a `max_tokens` filled in), for the route.
    pub notes: Vec<Note>,
}

/// Status and headers of an upstream's answer.
#[derive(Debug)]
pub struct Head<'a> {
    /// HTTP status.
    pub status: http::StatusCode,
    /// Headers.
    pub headers: &'a http::HeaderMap,
}

/// What the caller should know of how the request was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// In words.
    pub text: Arc<str>,
    /// Something that was asked for is not in what was sent, or not as asked.
    pub lost: Option<Lost>,
}

/// What of a request is not in what was sent, or not as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// What it is.
    pub kind: LossKind,
    /// Parameters by OpenAI's names, keywords of a schema, or where a part stands.
    pub names: Vec<Arc<str>>,
    /// What the target does not take, in words.
    pub cause: Arc<str>,
}

impl Note {
    /// Something was filled in; nothing was lost.
    pub fn aside(text: String) -> Self {
        Self { text: text.into(), lost: None }
    }

    /// Something was lost: what the target does not take, and what was done instead.
    pub(crate) fn lost<'a>(kind: LossKind, names: impl IntoIterator<Item = &'a str>, cause: String, deed: &str) -> Self {
        let names = names.into_iter().map(Arc::from).collect();
        Self { text: format!("{cause}; {deed}").into(), lost: Some(Lost { kind, names, cause: cause.into() }) }
    }

    /// A parameter is not in what was sent, or not as asked.
    pub(crate) fn parameter(name: &str, cause: String, deed: &str) -> Self {
        Self::lost(LossKind::Parameter, [name], cause, deed)
    }

    /// A parameter that the target does not take was left out.
    pub(crate) fn not_taken(target: &Target, name: &str) -> Self {
        Self::parameter(name, format!("{} does not take {name}", target.id), "it was left out")
    }

    /// A parameter that the target's dialect has no word for was left out.
    pub(crate) fn unknown(target: &Target, name: &str) -> Self {
        Self::parameter(name, format!("{} has no parameter {name}", target.id), "it was left out")
    }
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// A wire dialect towards upstreams.
pub trait Dialect: Send + Sync + 'static {
    /// Its name.
    fn name(&self) -> DialectName;

    /// Spells a request for a target. Fails with `CAPABILITY_MISSING` or
    /// `INVALID_REQUEST` where the target cannot express it and leaving it out would change what it means.
    fn encode(&self, target: &Target, request: &ChatRequest) -> Result<Encoded, Fault>;

    /// A decoder for one successful answer; the content type says whether it is JSON or a stream.
    fn decoder(&self, target: &Target, head: &Head<'_>) -> Box<dyn Decoder>;

    /// Reads an answer that is not a success. Carries the cause for routing, the
    /// provider's own error, and how long it asks to wait.
    fn fault(&self, target: &Target, head: &Head<'_>, body: &[u8]) -> Fault;

    /// Spells a request for vectors. Its inputs are no more than [`Dialect::embed_inputs`].
    fn encode_embed(&self, target: &Target, request: &EmbedRequest) -> Result<Encoded, Fault> {
        let _ = request;
        Err(lacks(target, self.name(), "embeddings"))
    }

    /// A decoder for vectors: `Embedded` for each input, `Usage` where the host tells, `Finished`.
    fn embed_decoder(&self, target: &Target, head: &Head<'_>) -> Box<dyn Decoder> {
        let _ = head;
        Box::new(Unspoken(lacks(target, self.name(), "embeddings")))
    }

    /// Most inputs that one request for vectors may hold at this target.
    fn embed_inputs(&self, target: &Target) -> usize {
        target.host.quirks.embed.inputs.map_or(usize::MAX, |most| most as usize)
    }

    /// Whether a target can be asked how many tokens a chat is. Where it cannot, the gateway guesses.
    fn counts(&self, target: &Target) -> bool {
        let _ = target;
        false
    }

    /// Spells a request that counts the tokens of a chat.
    fn encode_count(&self, target: &Target, request: &ChatRequest) -> Result<Encoded, Fault> {
        let _ = request;
        Err(lacks(target, self.name(), "a count of tokens"))
    }

    /// A decoder for a count: `Counted`, then `Finished`.
    fn count_decoder(&self, target: &Target, head: &Head<'_>) -> Box<dyn Decoder> {
        let _ = head;
        Box::new(Unspoken(lacks(target, self.name(), "a count of tokens")))
    }
}

/// What a request holds that only another dialect understands: noted as lost, or refused where leaving it out would
/// change what the request means. Marks for a cache are lost in silence.
pub(crate) fn foreign(target: &Target, request: &ChatRequest, own: DialectName, notes: &mut Vec<Note>) -> Result<(), Fault> {
    if request.extra_dialect == Some(own) {
        return Ok(());
    }
    let wanted = |json: &headworks_core::Json| !matches!(json.as_str(), "null" | "[]" | "{}");
    for name in request.extra.iter().filter(|(_, json)| wanted(json)).map(|(name, _)| &**name) {
        match name {
            "mcp_servers" => return Err(missing(target, name, "MCP servers that a provider calls cannot be used here")),
            "cache_control" => {}
            "extra_body" if own == DialectName::Gemini && crate::gemini::cached_content(request).is_some() => {}
            _ => notes.push(Note::unknown(target, name)),
        }
    }
    Ok(())
}

/// Fails where a user's or the application's message holds a part that only another dialect understands: left out, it would
/// be missed without a word. (In an assistant's message such parts are notes to its own maker, and go nowhere else: T3.)
pub(crate) fn all_understood(target: &Target, request: &ChatRequest, name: DialectName) -> Result<(), Fault> {
    for (at, message) in request.messages.iter().enumerate().filter(|(_, m)| m.role != MessageRole::Assistant) {
        for (i, part) in message.parts.iter().enumerate() {
            if let PartKind::Opaque(opaque) = &part.kind
                && opaque.dialect != name
            {
                let kind = opaque.json.read::<serde_json::Value>().ok().and_then(|v| v.get("type")?.as_str().map(str::to_owned)).unwrap_or_default();
                let what = format!("a part \"{kind}\" of the dialect \"{}\" cannot be used here", opaque.dialect.as_str());
                return Err(missing(target, &format!("messages[{at}].content[{i}]"), &what));
            }
        }
    }
    Ok(())
}

/// The fault of a target that cannot take what `field` says, where leaving it out would change what the request means:
/// nothing is sent to it, and another target's turn comes.
pub(crate) fn missing(target: &Target, field: &str, what: &str) -> Fault {
    let mut fault = Fault::new(Reason::CapabilityMissing, format!("{}: {what}", target.id)).because(Cause::Unfit).at(&target.id);
    fault.violations = Box::new([Violation { field: field.to_owned(), description: what.to_owned() }]);
    fault
}

/// What is sampled by was left out: `names` in words, `why` after them.
/// Nothing where they say what holds without them: 1 is every such model's own temperature.
pub(crate) fn unsampled(target: &Target, request: &ChatRequest, names: &str, why: &str) -> Option<Note> {
    let s = &request.sampling;
    let other = |value: Option<f64>| value.is_some_and(|value| value != 1.0);
    let set = [("temperature", other(s.temperature)), ("top_p", other(s.top_p)), ("top_k", s.top_k.is_some() && names.contains("top_k"))];
    let set: Vec<&str> = set.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect();
    let cause = || format!("{} does not take {names}{why}", target.id);
    (!set.is_empty()).then(|| Note::lost(LossKind::Parameter, set, cause(), "they were left out"))
}

/// The model draws text as it will. Newer ones of OpenAI's can be told how where they are told not to think.
pub(crate) fn fixed(target: &Target, request: &ChatRequest) -> bool {
    let told = target.model.as_ref().is_some_and(|model| model.capabilities.sampling == Capability::No);
    told && request.reasoning.effort != Some(Effort::None)
}

/// A member of the client's own body that this model is known to refuse: how text is drawn where it is not asked, how hard to
/// think where it does not. It is left out, with a note where it says something. A temperature of 1 every model takes.
pub(crate) fn refused(target: &Target, request: &ChatRequest, name: &str, value: &[u8], notes: &mut Vec<Note>) -> bool {
    let Some(can) = target.model.as_ref().map(|model| model.capabilities) else { return false };
    let plain = || value == b"null" || std::str::from_utf8(value).is_ok_and(|v| v.parse() == Ok(1.0_f64));
    let unsaid = match name {
        "temperature" | "top_p" | "top_k" if fixed(target, request) && !plain() => false,
        "reasoning_effort" | "reasoning" if can.reasoning == Capability::No => matches!(value, b"null" | b"\"none\""),
        _ => return false,
    };
    if !unsaid {
        notes.push(Note::not_taken(target, name));
    }
    true
}

/// The limit of the output as the client wrote it, or as the gateway has lowered it since: its own body says it wrongly then.
pub(crate) fn limit<'a>(request: &ChatRequest, said: &'a [u8]) -> Cow<'a, [u8]> {
    match request.sampling.max_tokens {
        #[allow(clippy::cast_precision_loss)]
        Some(limit) if serde_json::from_slice::<f64>(said).ok() != Some(limit as f64) => limit.to_string().into_bytes().into(),
        _ => said.into(),
    }
}

/// Small words beside a message or a part that a dialect has none for: they are left out.
pub(crate) fn unsaid(target: &Target, request: &ChatRequest, own: DialectName, notes: &mut Vec<Note>) {
    fn detailed(part: &Part) -> bool {
        match &part.kind {
            PartKind::Image { detail, .. } => detail.as_deref().is_some_and(|detail| detail != "auto"),
            PartKind::ToolResult { parts, .. } => parts.iter().any(detailed),
            _ => false,
        }
    }
    let mut unknown = |name: &str| notes.push(Note::unknown(target, name));
    let detail = matches!(own, DialectName::OpenAi | DialectName::OpenAiResponses | DialectName::Cohere);
    if !detail && request.messages.iter().flat_map(|message| &message.parts).any(detailed) {
        unknown("detail");
    }
    if (own != DialectName::OpenAi || target.host.quirks.no_names) && request.messages.iter().any(|message| message.name.is_some()) {
        unknown("name");
    }
    if request.citations && !matches!(own, DialectName::Anthropic | DialectName::Bedrock) {
        unknown("citations");
    }
}

/// `max_tokens` was lowered to what the model writes.
pub(crate) fn shortened(target: &Target, most: i64) -> Note {
    Note::parameter("max_tokens", format!("{} writes at most {most} tokens", target.id), "max_tokens was lowered to that")
}

/// Only the last of the client's cache marks were kept.
pub(crate) fn overmarked(target: &Target) -> Note {
    Note::parameter("cache_control", format!("{} takes {} cache marks", target.id, crate::cache::MOST), "the last ones were kept")
}

fn lacks(target: &Target, dialect: DialectName, what: &str) -> Fault {
    let message = format!("{}: the dialect \"{}\" has no way to ask for {what} in this build; choose another target", target.id, dialect.as_str());
    Fault::new(Reason::CapabilityMissing, message).because(Cause::Unfit).at(&target.id)
}

/// The decoder of what cannot be asked.
struct Unspoken(Fault);

impl Decoder for Unspoken {
    fn push(&mut self, _: &Bytes, _: &mut Batch) -> Result<(), Fault> {
        Err(self.0.clone())
    }

    fn end(&mut self, _: &mut Batch) -> Result<(), Fault> {
        Err(self.0.clone())
    }

    fn is_done(&self) -> bool {
        false
    }
}

/// Turns an upstream's bytes into events. Any split of the bytes gives the same events.
pub trait Decoder: Send {
    /// Reads the next bytes. After an error the decoder is not used again.
    fn push(&mut self, chunk: &Bytes, out: &mut Batch) -> Result<(), Fault>;

    /// The body ended cleanly. Fails with `Cause::Broken` where the answer is not complete.
    fn end(&mut self, out: &mut Batch) -> Result<(), Fault>;

    /// True once the answer is complete whatever else the body may hold.
    fn is_done(&self) -> bool;

    /// True once everything that a reader would see is there, and only accounts may follow: a connection that is
    /// lost from here on loses no answer.
    fn is_told(&self) -> bool {
        self.is_done()
    }
}

/// A wire dialect towards clients: a dialect read backwards.
pub trait Door: Send + Sync + 'static {
    /// Its name.
    fn name(&self) -> DialectName;

    /// Reads a request body. Errors name the field and say what would be right.
    fn request(&self, headers: &http::HeaderMap, body: &Bytes) -> Result<ChatRequest, Fault>;

    /// A writer for the answer to `request`, streamed or as one JSON body.
    fn writer(&self, request: &ChatRequest) -> Box<dyn Writer>;

    /// One error body.
    fn fault(&self, fault: &Fault, face: &ErrorFace) -> Bytes;

    /// The HTTP status of an error, where the dialect has one that the table has not.
    fn status(&self, fault: &Fault, face: &ErrorFace) -> u16 {
        let _ = fault;
        face.status
    }

    /// The header in which the dialect's clients look for the request's id.
    fn id_header(&self) -> &'static str {
        "x-request-id"
    }
}

/// How a reason looks in REST, from the edge's one table.
#[derive(Clone, Debug)]
pub struct ErrorFace {
    /// HTTP status.
    pub status: u16,
    /// OpenAI's `error.type`.
    pub kind: &'static str,
    /// OpenAI's `error.code`, if any.
    pub code: Option<&'static str>,
    /// Whether trying again may help.
    pub retryable: bool,
    /// The request's id in our records, where it has one.
    pub request_id: Option<Arc<str>>,
}

/// Turns events into bytes for a client.
pub trait Writer: Send {
    /// The call's id in our records, before anything is written.
    fn begin(&mut self, _request_id: &str) {}

    /// Writes what a batch gives. A unary writer writes only at the `Receipt`.
    fn push(&mut self, batch: &Batch, out: &mut BytesMut) -> Result<(), Fault>;

    /// Ends a stream that failed after it had begun: an error in the dialect's own form, and no good end.
    fn fault(&mut self, fault: &Fault, face: &ErrorFace, out: &mut BytesMut);

    /// A sign of life while nothing happens; empty for unary.
    fn keep_alive(&self) -> Bytes;

    /// The whole answer as one object, once, where the client wants it kept and it is complete.
    fn kept(&mut self) -> Option<Bytes> {
        None
    }
}

/// The codec of a dialect; `None` where this build does not speak it.
pub fn dialect(name: DialectName) -> Option<&'static dyn Dialect> {
    match name {
        DialectName::OpenAi => Some(&crate::openai::OpenAi),
        DialectName::Anthropic => Some(&crate::anthropic::Anthropic),
        DialectName::Gemini => Some(&crate::gemini::Gemini),
        DialectName::Vertex => Some(&crate::vertex::Vertex),
        DialectName::Azure => Some(&crate::azure::Azure),
        DialectName::Cohere => Some(&crate::cohere::Cohere),
        DialectName::OpenAiResponses => Some(&crate::responses::Responses),
        DialectName::Bedrock => Some(&crate::bedrock::Bedrock),
        DialectName::Voyage => Some(&crate::embed::Voyage),
    }
}

/// The codec that an attempt at `target` uses: its own, or Responses where the client speaks them and the host serves
/// them beside its own dialect. `None` where this build does not speak it.
pub fn codec(target: &Target, work: &Work) -> Option<&'static dyn Dialect> {
    let own = target.dialect?;
    let Work::Chat(request) = work else { return dialect(own) };
    let theirs = DialectName::OpenAiResponses;
    let beside = target.host.quirks.responses && matches!(own, DialectName::OpenAi | DialectName::Azure);
    let hosted = |tool: &Tool| matches!(tool, Tool::Hosted { dialect, .. } if *dialect == theirs);
    let asked = request.extra_dialect == Some(theirs) || request.tools.iter().any(hosted);
    dialect(if beside && asked { theirs } else { own })
}
