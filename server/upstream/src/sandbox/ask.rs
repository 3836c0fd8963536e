use serde::Deserialize;
use serde_json::Value;

use super::tokens;

/// Tokens that a picture counts as.
const IMAGE_TOKENS: u64 = 85;

/// What a request says, as far as the sandbox listens.
#[derive(Debug, Deserialize)]
pub(super) struct Ask {
    pub model: String,
    pub messages: Vec<Turn>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    stop: Option<OneOrMany>,
    pub n: Option<u64>,
    tools: Option<Vec<ToolEntry>>,
    pub tool_choice: Option<Value>,
    pub parallel_tool_calls: Option<bool>,
    pub response_format: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Turn {
    pub role: String,
    content: Option<Value>,
    tool_calls: Option<Vec<Value>>,
    pub tool_call_id: Option<String>,
}

#[derive(Debug, Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Debug, Deserialize)]
struct ToolEntry {
    function: Option<Function>,
}

/// A tool that is a function.
#[derive(Debug, Deserialize)]
pub(super) struct Function {
    pub name: String,
    pub description: Option<String>,
    pub parameters: Option<Value>,
}

/// A status other than 200, and why.
#[derive(Debug, PartialEq)]
pub(super) struct Refusal {
    pub status: u16,
    pub kind: &'static str,
    pub code: Option<&'static str>,
    pub param: Option<&'static str>,
    pub message: String,
    /// Seconds.
    pub retry_after: Option<u32>,
}

impl Refusal {
    /// The request is wrong in this parameter.
    pub(super) fn invalid(param: &'static str, message: impl Into<String>) -> Self {
        Self { status: 400, kind: "invalid_request_error", code: None, param: Some(param), message: message.into(), retry_after: None }
    }
}

/// Reads a request.
pub(super) fn read(body: &[u8]) -> Result<Ask, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal { param: None, ..Refusal::invalid("", format!("the sandbox cannot read the request: {error}")) })
}

impl Ask {
    pub(super) fn stream(&self) -> bool {
        self.stream.unwrap_or(false)
    }

    pub(super) fn include_usage(&self) -> bool {
        self.stream_options.as_ref().and_then(|options| options.include_usage).unwrap_or(false)
    }

    pub(super) fn max_tokens(&self) -> Option<u64> {
        self.max_completion_tokens.or(self.max_tokens)
    }

    pub(super) fn stops(&self) -> impl Iterator<Item = &str> {
        let stops = match &self.stop {
            None => &[],
            Some(OneOrMany::One(stop)) => std::slice::from_ref(stop),
            Some(OneOrMany::Many(stops)) => stops.as_slice(),
        };
        stops.iter().map(String::as_str).filter(|stop| !stop.is_empty())
    }

    pub(super) fn functions(&self) -> impl Iterator<Item = &Function> {
        self.tools.iter().flatten().filter_map(|tool| tool.function.as_ref())
    }

    /// The beginning of the answer, where the conversation ends in one.
    pub(super) fn begun(&self) -> Option<String> {
        self.messages.last().filter(|turn| turn.role == "assistant").map(Turn::text).filter(|text| !text.is_empty())
    }

    /// The last thing the user said.
    pub(super) fn asked(&self) -> String {
        let Some(turn) = self.messages.iter().rev().find(|turn| turn.role == "user") else {
            return "(nothing was asked)".to_owned();
        };
        match (turn.text(), turn.images()) {
            (text, 0) if text.is_empty() => "(nothing was asked)".to_owned(),
            (text, 1) if text.is_empty() => "(a picture)".to_owned(),
            (text, count) if text.is_empty() => format!("({count} pictures)"),
            (text, _) => text,
        }
    }

    /// The name of the tool that was called by this id.
    pub(super) fn tool_called(&self, id: &str) -> Option<&str> {
        let calls = || self.messages.iter().flat_map(|turn| turn.tool_calls.iter().flatten());
        calls().find(|call| call.get("id").and_then(Value::as_str) == Some(id)).and_then(|call| call.pointer("/function/name")).and_then(Value::as_str)
    }

    /// Tokens of everything that was sent; at least 1.
    pub(super) fn prompt_tokens(&self) -> u64 {
        let turns = self.messages.iter().map(Turn::tokens).sum::<u64>();
        let tools = self.functions().map(Function::tokens).sum::<u64>();
        let format = self.response_format.as_ref().map_or(0, |format| tokens::count(&format.to_string()));
        (turns + tools + format).max(1)
    }
}

impl Turn {
    /// The text of it.
    pub(super) fn text(&self) -> String {
        match &self.content {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(parts)) => {
                let texts = parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str));
                texts.collect::<Vec<_>>().join("\n")
            }
            _ => String::new(),
        }
    }

    fn images(&self) -> u64 {
        match &self.content {
            Some(Value::Array(parts)) => parts.iter().filter(|part| part.get("image_url").is_some()).count() as u64,
            _ => 0,
        }
    }

    fn tokens(&self) -> u64 {
        let calls = self.tool_calls.iter().flatten().filter_map(|call| call.get("function"));
        tokens::count(&self.text()) + self.images() * IMAGE_TOKENS + calls.map(|function| tokens::count(&function.to_string())).sum::<u64>()
    }
}

impl Function {
    fn tokens(&self) -> u64 {
        let schema = self.parameters.as_ref().map_or(0, |schema| tokens::count(&schema.to_string()));
        tokens::count(&self.name) + self.description.as_deref().map_or(0, tokens::count) + schema
    }
}
