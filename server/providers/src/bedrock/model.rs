//! What a model's name says of it, and how each family is told to think.

use headworks_core::{Capability, ChatRequest, Effort, Target, ToolChoice};

use super::encode::Additional;
use crate::Note;

/// The least that Claude takes as a thinking budget, tokens.
const LEAST_THINKING: i64 = 1024;
/// Output beside thinking, where neither the client nor the catalogue names a limit.
const ROOM: i64 = 4096;

/// Whose model it is: Converse is one wire, but what goes into `additionalModelRequestFields` is each maker's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// Anthropic's Claude.
    Claude,
    /// Amazon's Nova.
    Nova,
    /// OpenAI's open models.
    Gpt,
    /// Mistral.
    Mistral,
    /// Cohere.
    Cohere,
    /// A maker with no words of its own here.
    Other,
    /// An ARN whose name does not say (an application's inference profile, an imported model).
    Unnamed,
}

/// The family by the name on the wire: `us.anthropic.claude-...`, or an ARN that ends in such a name.
pub(super) fn family(name: &str) -> Family {
    let short = name.rsplit('/').next().unwrap_or(name);
    for (word, family) in [
        ("claude", Family::Claude),
        ("anthropic.", Family::Claude),
        ("amazon.nova", Family::Nova),
        ("openai.", Family::Gpt),
        ("mistral.", Family::Mistral),
        ("cohere.", Family::Cohere),
    ] {
        if short.contains(word) {
            return family;
        }
    }
    if name.starts_with("arn:") && !short.contains('.') { Family::Unnamed } else { Family::Other }
}

/// Claude 4 and later refuse `temperature` and `top_p` together.
pub(super) fn one_of_temperature_and_top_p(name: &str) -> bool {
    family(name) == Family::Claude && !["claude-3", "claude-v2", "claude-instant"].iter().any(|old| name.contains(old))
}

/// Models that take no instructions apart from the conversation (Bedrock, "Supported models and model features").
pub(super) fn takes_system(name: &str) -> bool {
    !["amazon.titan-text", "mistral.mistral-7b", "mistral.mixtral-8x7b", "cohere.command-text", "cohere.command-light-text", "ai21.j2"]
        .iter()
        .any(|old| name.contains(old))
}

/// How a model was told to think.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Thinking {
    /// It thinks: Claude then takes no sampling.
    pub on: bool,
    /// Its budget, part of `maxTokens`.
    pub budget: Option<i64>,
}

impl Thinking {
    /// `maxTokens` that leaves room beside the budget, where the client gave none: Bedrock's own default may be less.
    pub(super) fn room(self, target: &Target) -> Option<i64> {
        let budget = self.budget?;
        Some(target.model.as_ref().and_then(|m| m.max_output_tokens).filter(|most| *most > budget).unwrap_or(budget + ROOM))
    }
}

/// Asks for thinking in the words of the model's maker; what it has no words for is noted.
pub(super) fn think(target: &Target, request: &ChatRequest, max_tokens: Option<i64>, fields: &mut Additional, notes: &mut Vec<Note>) -> Thinking {
    let asked = &request.reasoning;
    let wanted = match (asked.budget_tokens, asked.effort) {
        (Some(budget), _) => budget > 0,
        (None, Some(effort)) => effort != Effort::None,
        (None, None) => false,
    };
    if !wanted {
        return Thinking::default();
    }
    let id = &target.id;
    let facts = target.model.as_deref();
    if facts.is_some_and(|m| m.capabilities.reasoning == Capability::No) {
        notes.push(Note::parameter("reasoning", format!("{id} does not think"), "the request to was left out"));
        return Thinking::default();
    }
    let efforts = facts.map(|m| m.reasoning.efforts.as_slice()).unwrap_or_default();
    let budgeted = facts.and_then(|m| m.reasoning.budget);
    match family(&target.upstream_name) {
        Family::Claude => {
            if matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_))) && !request.tools.is_empty() {
                notes.push(Note::parameter("reasoning", format!("{id} does not think where a tool is forced"), "thinking was left out"));
                return Thinking::default();
            }
            // Newer ones decide for themselves and take an effort; the others take a budget.
            if budgeted.is_none() && !efforts.is_empty() {
                let display = if asked.include == Some(false) { "omitted" } else { "summarized" };
                fields.put("thinking", format!(r#"{{"type":"adaptive","display":"{display}"}}"#));
                fields.put("output_config", format!(r#"{{"effort":"{}"}}"#, word(nearest(effort(request), efforts))));
                return Thinking { on: true, budget: None };
            }
            let most = budgeted.map(|(_, most)| most).filter(|most| *most > 0).unwrap_or(i64::MAX);
            let below = [max_tokens, facts.and_then(|m| m.max_output_tokens)].into_iter().flatten().min().unwrap_or(i64::MAX);
            let budget = tokens(request).min(most).min(below.saturating_sub(1)).max(0);
            if budget < LEAST_THINKING {
                let cause = format!("{id} thinks with {LEAST_THINKING} tokens or more, which max_tokens leaves no room for");
                notes.push(Note::parameter("reasoning", cause, "thinking was left out"));
                return Thinking::default();
            }
            fields.put("thinking", format!(r#"{{"type":"enabled","budget_tokens":{budget}}}"#));
            Thinking { on: true, budget: Some(budget) }
        }
        Family::Nova if facts.is_none_or(|m| m.capabilities.reasoning == Capability::Yes) => {
            let known = [Effort::Low, Effort::Medium, Effort::High];
            let mut level = nearest(effort(request), if efforts.is_empty() { &known } else { efforts });
            if level == Effort::High && max_tokens.is_some() {
                // At high effort Nova refuses maxTokens, and a limit that was asked for is worth more.
                notes.push(Note::parameter("reasoning", format!("{id} takes no max_tokens at high effort"), "medium was asked for"));
                level = Effort::Medium;
            }
            fields.put("reasoningConfig", format!(r#"{{"type":"enabled","maxReasoningEffort":"{}"}}"#, word(level)));
            Thinking { on: level == Effort::High, budget: None }
        }
        Family::Gpt => {
            let known = [Effort::Low, Effort::Medium, Effort::High];
            fields.put("reasoning_effort", format!("\"{}\"", word(nearest(effort(request), if efforts.is_empty() { &known } else { efforts }))));
            Thinking::default()
        }
        _ => {
            notes.push(Note::parameter("reasoning", format!("{id} cannot be told how hard to think"), "reasoning was left to it"));
            Thinking::default()
        }
    }
}

fn effort(request: &ChatRequest) -> Effort {
    match (request.reasoning.effort, request.reasoning.budget_tokens) {
        (Some(effort), _) => effort,
        (None, Some(..=2048)) => Effort::Low,
        (None, Some(..=12_000)) | (None, None) => Effort::Medium,
        (None, Some(_)) => Effort::High,
    }
}

/// The budget of an effort, as with Anthropic's own API.
fn tokens(request: &ChatRequest) -> i64 {
    match (request.reasoning.budget_tokens, request.reasoning.effort) {
        (Some(budget), _) => budget,
        (None, Some(Effort::None)) | (None, None) => 0,
        (None, Some(Effort::Minimal)) => 1024,
        (None, Some(Effort::Low)) => 2048,
        (None, Some(Effort::Medium)) => 8192,
        (None, Some(Effort::High)) => 16_384,
        (None, Some(Effort::XHigh | Effort::Max)) => 32_768,
    }
}

/// The hardest effort of `known` that is not above `asked`, else the least.
fn nearest(asked: Effort, known: &[Effort]) -> Effort {
    let real = || known.iter().copied().filter(|e| *e != Effort::None);
    real().filter(|e| *e <= asked).max().or_else(|| real().min()).unwrap_or(asked)
}

fn word(effort: Effort) -> &'static str {
    match effort {
        Effort::None => "none",
        Effort::Minimal => "minimal",
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::XHigh => "xhigh",
        Effort::Max => "max",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_whose_they_are() {
        for (name, wanted) in [
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", Family::Claude),
            ("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0", Family::Claude),
            ("arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.amazon.nova-pro-v1:0", Family::Nova),
            ("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123def456", Family::Unnamed),
            ("openai.gpt-oss-120b-1:0", Family::Gpt),
            ("us.deepseek.r1-v1:0", Family::Other),
            ("mistral.mistral-large-2402-v1:0", Family::Mistral),
        ] {
            assert_eq!(family(name), wanted, "{name}");
        }
    }

    #[test]
    fn efforts_go_to_the_nearest_below() {
        use Effort::{High, Low, Max, Medium, Minimal, XHigh};
        for (asked, known, wanted) in
            [(XHigh, &[Low, Medium, High][..], High), (Minimal, &[Low, High], Low), (Medium, &[Low, High], Low), (Max, &[Low, Max], Max), (High, &[], High)]
        {
            assert_eq!(nearest(asked, known), wanted, "{asked:?} {known:?}");
        }
    }
}
