//! How large a request is, by estimate: for choosing among targets, never for money.

use headworks_core::{ChatRequest, EmbedInput, Output, PartKind, Tool, Work};

/// Estimated tokens of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// What the model reads.
    pub input: i64,
    /// What it will likely write.
    pub output: i64,
}

/// Speed is learned apart for small and large requests: reading a long prompt takes its own time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SizeClass {
    /// Below [`LARGE`] tokens of input.
    Small,
    /// From there on.
    Large,
}

/// Tokens of input from which a request is large.
pub const LARGE: i64 = 4_000;
/// What an answer is expected to have where the request sets no limit, and the most that is expected where it does.
const ANSWER: (i64, i64) = (512, 1_024);
/// A picture's tokens at most providers, near enough.
const PICTURE: i64 = 1_000;

impl Size {
    /// The class of a request of this size.
    pub fn class(&self) -> SizeClass {
        if self.input < LARGE { SizeClass::Small } else { SizeClass::Large }
    }

    /// Of what is asked: four bytes a token.
    pub fn of(work: &Work) -> Size {
        match work {
            Work::Chat(request) | Work::CountTokens(request) => Self::of_chat(request),
            Work::Embed(request) => {
                let tokens = |input: &EmbedInput| match input {
                    EmbedInput::Text(t) => text(t.len()),
                    EmbedInput::Tokens(tokens) => i64::try_from(tokens.len()).unwrap_or(i64::MAX),
                };
                Size { input: request.inputs.iter().map(tokens).fold(0, i64::saturating_add), output: 0 }
            }
        }
    }

    fn of_chat(request: &ChatRequest) -> Size {
        let parts: i64 = request.messages.iter().flat_map(|m| &m.parts).map(|p| part(&p.kind)).sum();
        let tools: usize = request
            .tools
            .iter()
            .map(|tool| match tool {
                Tool::Function { name, description, parameters, .. } => {
                    name.len() + description.as_deref().map_or(0, str::len) + parameters.as_ref().map_or(0, |p| p.as_str().len())
                }
                Tool::Hosted { json, .. } => json.as_str().len(),
            })
            .sum();
        let schema = if let Output::Schema { schema, .. } = &request.output { schema.as_str().len() } else { 0 };
        let messages = i64::try_from(request.messages.len()).unwrap_or(i64::MAX).saturating_mul(4);
        let answers = request.sampling.n.unwrap_or(1).max(1);
        Size {
            input: parts.saturating_add(text(tools + schema)).saturating_add(messages),
            output: request.sampling.max_tokens.map_or(ANSWER.0, |most| most.clamp(1, ANSWER.1)).saturating_mul(answers),
        }
    }
}

fn text(bytes: usize) -> i64 {
    i64::try_from(bytes.div_ceil(4)).unwrap_or(i64::MAX)
}

fn part(kind: &PartKind) -> i64 {
    match kind {
        PartKind::Text(t) | PartKind::Refusal(t) => text(t.len()),
        PartKind::Reasoning { text: t, .. } => text(t.len()),
        PartKind::ToolCall { name, arguments, .. } => text(name.len() + arguments.len()),
        PartKind::ToolResult { parts, .. } => parts.iter().map(|p| part(&p.kind)).sum(),
        PartKind::Image { .. } => PICTURE,
        PartKind::File { .. } | PartKind::Audio { .. } => 3 * PICTURE,
        PartKind::Opaque(opaque) => text(opaque.json.as_str().len()),
    }
}
