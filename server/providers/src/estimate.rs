//! A guess at how many tokens a request is, where nobody can be asked.

use headworks_core::{ChatRequest, Json, Output, Part, PartKind, Source, Tool};

/// Bytes a token, which is near the truth for English and JSON and too many for most other scripts.
const BYTES: usize = 4;
/// What a message costs beside its text, tokens.
const MESSAGE: i64 = 4;
/// What a picture counts as where its size is not known, tokens (Anthropic, "Vision": at most about 1,600).
const PICTURE: i64 = 1_600;
/// What a page of a file is taken for, bytes of base64, and the tokens it counts as.
const PAGE: (usize, i64) = (64 << 10, 2_000);

/// Tokens of the input by a plain rule: a token for every four bytes of text, flat figures for pictures and pages. Always at least 1.
pub fn input_tokens(request: &ChatRequest) -> i64 {
    let messages: i64 = request.messages.iter().map(|m| MESSAGE + m.parts.iter().map(part).sum::<i64>()).sum();
    let tools: i64 = request.tools.iter().map(tool).sum();
    let schema = if let Output::Schema { schema, .. } = &request.output { text(schema.as_str()) } else { 0 };
    (messages + tools + schema).max(1)
}

fn text(text: &str) -> i64 {
    i64::try_from(text.len().div_ceil(BYTES)).unwrap_or(i64::MAX / 4)
}

fn tool(tool: &Tool) -> i64 {
    match tool {
        Tool::Function { name, description, parameters, .. } => {
            MESSAGE + text(name) + description.as_deref().map_or(0, text) + parameters.as_ref().map_or(0, |p: &Json| text(p.as_str()))
        }
        Tool::Hosted { json, .. } => MESSAGE + text(json.as_str()),
    }
}

fn part(part: &Part) -> i64 {
    match &part.kind {
        PartKind::Text(said) | PartKind::Refusal(said) => text(said),
        PartKind::Image { .. } => PICTURE,
        PartKind::File { source: Source::Base64 { data, .. }, .. } => i64::try_from(data.len().div_ceil(PAGE.0)).unwrap_or(1) * PAGE.1,
        PartKind::File { .. } => PAGE.1,
        PartKind::Audio { data, .. } => text(data) / 16,
        PartKind::ToolCall { name, arguments, .. } => text(name) + text(arguments),
        PartKind::ToolResult { parts, .. } => MESSAGE + parts.iter().map(self::part).sum::<i64>(),
        PartKind::Reasoning { text: said, redacted, .. } => text(said) + redacted.as_deref().map_or(0, text),
        PartKind::Opaque(opaque) => text(opaque.json.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use headworks_core::{Message, MessageRole};

    use super::*;

    #[test]
    fn longer_requests_count_for_more() {
        let of = |said: &str| {
            let message = Message { role: MessageRole::User, parts: vec![Part::text(said)], name: None, extra: Vec::new() };
            input_tokens(&ChatRequest { messages: vec![message], ..ChatRequest::default() })
        };
        assert_eq!((of(""), of("four"), of(&"x".repeat(400))), (4, 5, 104));
        assert_eq!(input_tokens(&ChatRequest::default()), 1);
    }
}
