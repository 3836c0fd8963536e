use std::time::Duration;

use serde_json::{Value, json};

use super::{
    ask::{Ask, Function, Refusal},
    schema, tokens,
};

/// The most tokens that `long` writes.
const LONGEST: u64 = 100_000;
/// The most tokens that the others write.
const LONG: u64 = 16_384;
/// More than anybody writes: the rest of a text need not be cut into tokens.
const ENOUGH: usize = LONGEST as usize + 1;
/// The most tokens that a request may be.
const CONTEXT: u64 = 128_000;
/// The most answers to one request.
const MOST_CHOICES: u64 = 8;
/// How much `hang` and `break-mid-stream` say first, in tokens.
const FEW: usize = 4;

/// One thing the model says; each is one token, but for a call's beginning.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    Text(Box<str>),
    Reasoning(Box<str>),
    Call { index: u32, name: Box<str> },
    Arguments { index: u32, piece: Box<str> },
}

/// How fast tokens come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pace {
    pub first: Duration,
    pub gap: Duration,
}

/// How an answer ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Ending {
    /// Well.
    Whole,
    /// Its body ends after so many pieces.
    Cut(usize),
    /// Nothing comes after so many pieces.
    Hang(usize),
}

/// An answer before its bytes.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    /// The name it goes by: `sandbox-echo`.
    pub model: String,
    /// The same for each choice.
    pub pieces: Vec<Piece>,
    pub finish: &'static str,
    pub choices: u64,
    pub prompt_tokens: u64,
    /// Of all choices.
    pub completion_tokens: u64,
    /// Of all choices.
    pub reasoning_tokens: u64,
    pub stream: bool,
    pub include_usage: bool,
    pub pace: Pace,
    pub ending: Ending,
}

/// What becomes of a request.
#[derive(Debug, PartialEq)]
pub(super) enum Plan {
    Answer(Answer),
    /// No answer, ever.
    Silence,
}

const BRISK: Pace = Pace { first: Duration::from_millis(5), gap: Duration::from_millis(1) };
const SLOW: Pace = Pace { first: Duration::from_secs(2), gap: Duration::from_millis(200) };
const FAST: Pace = Pace { first: Duration::from_millis(5), gap: Duration::from_micros(200) };

/// The models, for the error message.
const MODELS: &str = "echo, slow, long, reasoning, tools, json, error-401, error-429, error-500, timeout, hang, break-mid-stream";

fn breaks(ask: &Ask) -> String {
    format!("This answer breaks off before its end: {}", ask.asked())
}

/// What is left to write of a text, where the conversation ends in the beginning of the answer: that of the same model,
/// or of the one that broke off.
fn rest(ask: &Ask, whole: String) -> String {
    let Some(said) = ask.begun() else { return whole };
    let broken = breaks(ask);
    let rest = [&whole, &broken].into_iter().find_map(|text| text.strip_prefix(said.as_str()));
    rest.map(str::to_owned).unwrap_or(whole)
}

/// Decides what to answer. Reads no clock and throws no dice.
pub(super) fn plan(ask: &Ask) -> Result<Plan, Refusal> {
    let mut draft = Draft::default();
    let (mut pace, mut ending) = (BRISK, Ending::Whole);
    match ask.model.as_str() {
        "echo" => draft.say(ask, &rest(ask, ask.asked())),
        "slow" => {
            pace = SLOW;
            draft.say(ask, &rest(ask, ask.asked()));
        }
        "long" => {
            pace = FAST;
            draft.say(ask, &long(&ask.asked()));
        }
        "reasoning" => {
            draft.think(&format!("I was asked: {}. I can answer with the same words.", ask.asked()));
            draft.say(ask, &ask.asked());
        }
        "tools" => draft.use_tools(ask)?,
        "json" => draft.say(ask, &structured(ask)?),
        "hang" => {
            ending = Ending::Hang(FEW);
            draft.say(ask, &format!("This answer falls silent before its end: {}", ask.asked()));
        }
        "break-mid-stream" => {
            ending = Ending::Cut(FEW);
            draft.say(ask, &rest(ask, breaks(ask)));
        }
        "timeout" => return Ok(Plan::Silence),
        "error-401" => {
            return Err(refusal(401, "authentication_error", "invalid_api_key", "the sandbox refuses its key, as asked"));
        }
        "error-429" => {
            let refusal = refusal(429, "rate_limit_error", "rate_limit_exceeded", "the sandbox has too many requests, as asked");
            return Err(Refusal { retry_after: Some(1), ..refusal });
        }
        "error-500" => {
            return Err(refusal(500, "server_error", "server_error", "the sandbox fails, as asked"));
        }
        other => {
            let message = format!("the sandbox has no model \"{other}\"; it has {MODELS}");
            let refusal = refusal(404, "invalid_request_error", "model_not_found", &message);
            return Err(Refusal { param: Some("model"), ..refusal });
        }
    }
    let choices = ask.n.unwrap_or(1);
    if !(1..=MOST_CHOICES).contains(&choices) {
        return Err(Refusal::invalid("n", format!("n is {choices}; the sandbox gives 1 to {MOST_CHOICES} answers")));
    }
    if ask.max_tokens() == Some(0) {
        return Err(Refusal::invalid("max_tokens", "max_tokens is 0; it must be 1 or more"));
    }
    let prompt_tokens = ask.prompt_tokens();
    if prompt_tokens > CONTEXT {
        let message = format!("the sandbox's maximum context length is {CONTEXT} tokens, but the messages are {prompt_tokens} tokens");
        let refusal = refusal(400, "invalid_request_error", "context_length_exceeded", &message);
        return Err(Refusal { param: Some("messages"), ..refusal });
    }
    let most = if ask.model == "long" { LONGEST } else { LONG };
    draft.cut(ask.max_tokens().unwrap_or(most).min(most));
    if ending == Ending::Hang(FEW) && !ask.stream() {
        return Ok(Plan::Silence);
    }
    let written = draft.pieces.iter().filter(|piece| piece.is_token()).count() as u64;
    let thought = draft.pieces.iter().filter(|piece| matches!(piece, Piece::Reasoning(_))).count() as u64;
    Ok(Plan::Answer(Answer {
        model: format!("sandbox-{}", ask.model),
        pieces: draft.pieces,
        finish: draft.finish,
        choices,
        prompt_tokens,
        completion_tokens: written * choices,
        reasoning_tokens: thought * choices,
        stream: ask.stream(),
        include_usage: ask.include_usage(),
        pace,
        ending,
    }))
}

fn refusal(status: u16, kind: &'static str, code: &'static str, message: &str) -> Refusal {
    Refusal { status, kind, code: Some(code), param: None, message: message.to_owned(), retry_after: None }
}

impl Piece {
    fn is_token(&self) -> bool {
        !matches!(self, Piece::Call { .. })
    }
}

struct Draft {
    pieces: Vec<Piece>,
    finish: &'static str,
}

impl Default for Draft {
    fn default() -> Self {
        Self { pieces: Vec::new(), finish: "stop" }
    }
}

impl Draft {
    /// Text, up to the first stop text.
    fn say(&mut self, ask: &Ask, text: &str) {
        let end = ask.stops().filter_map(|stop| text.find(stop)).min().unwrap_or(text.len());
        let text = text.get(..end).unwrap_or(text);
        self.pieces.extend(tokens::split(text).take(ENOUGH).map(|token| Piece::Text(token.into())));
    }

    fn think(&mut self, text: &str) {
        self.pieces.extend(tokens::split(text).take(ENOUGH).map(|token| Piece::Reasoning(token.into())));
    }

    fn use_tools(&mut self, ask: &Ask) -> Result<(), Refusal> {
        if let Some(result) = ask.messages.last().filter(|turn| turn.role == "tool") {
            let id = result.tool_call_id.as_deref().unwrap_or_default();
            let name = ask.tool_called(id).unwrap_or(id);
            self.say(ask, &format!("The tool {name} answered: {}", result.text()));
            return Ok(());
        }
        let chosen = chosen(ask)?;
        if chosen.is_empty() {
            self.say(ask, "There is no tool that I may call.");
            return Ok(());
        }
        for (function, index) in chosen.into_iter().zip(0..) {
            let arguments = match &function.parameters {
                Some(schema) => schema::instance(schema)
                    .map_err(|problem| Refusal::invalid("tools", format!("the sandbox cannot call \"{}\": {problem}", function.name)))?,
                None => json!({}),
            };
            self.pieces.push(Piece::Call { index, name: function.name.as_str().into() });
            let text = arguments.to_string();
            let pieces = tokens::split(&text);
            self.pieces.extend(pieces.map(|piece| Piece::Arguments { index, piece: piece.into() }));
        }
        self.finish = "tool_calls";
        Ok(())
    }

    /// Keeps as many tokens as are allowed.
    fn cut(&mut self, most: u64) {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let mut seen = 0;
        let end = self.pieces.iter().position(|piece| {
            let over = piece.is_token() && seen == most;
            seen += usize::from(piece.is_token());
            over
        });
        if let Some(end) = end {
            self.pieces.truncate(end);
            // A call without a token of its own was not written.
            if matches!(self.pieces.last(), Some(Piece::Call { .. })) {
                self.pieces.pop();
            }
            self.finish = "length";
        }
    }
}

/// The tools to call.
fn chosen(ask: &Ask) -> Result<Vec<&Function>, Refusal> {
    let most = if ask.parallel_tool_calls.unwrap_or(true) { 2 } else { 1 };
    match &ask.tool_choice {
        Some(Value::String(choice)) if choice == "none" => Ok(Vec::new()),
        Some(choice @ Value::Object(_)) => {
            let name = choice.pointer("/function/name").and_then(Value::as_str).unwrap_or_default();
            match ask.functions().find(|function| function.name == name) {
                Some(function) => Ok(vec![function]),
                None => Err(Refusal::invalid("tool_choice", format!("tool_choice names \"{name}\", which is not among the tools"))),
            }
        }
        _ => Ok(ask.functions().take(most).collect()),
    }
}

/// JSON of the form asked for.
fn structured(ask: &Ask) -> Result<String, Refusal> {
    let schema = ask.response_format.as_ref().and_then(|format| format.pointer("/json_schema/schema"));
    let value = match schema {
        Some(schema) => {
            schema::instance(schema).map_err(|problem| Refusal::invalid("response_format", format!("the sandbox cannot follow the schema: {problem}")))?
        }
        None => json!({ "asked": ask.asked() }),
    };
    Ok(value.to_string())
}

/// As many words as the text's first number says.
fn long(text: &str) -> String {
    let digits = text.split(|char: char| !char.is_ascii_digit()).find(|run| !run.is_empty());
    let count = digits.map_or(1_000, |digits| digits.parse().unwrap_or(LONGEST)).clamp(1, LONGEST);
    let words = (1..=count).map(|number| format!("word{number}"));
    words.collect::<Vec<_>>().join(" ")
}
