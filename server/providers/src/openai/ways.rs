//! The hosts' own ways with the parameters of a chat completion.

use headworks_core::{Capability, ChatRequest, Effort, MessageRole, Original, PartKind, ReasoningOption, Target, ToolChoice};

use super::encode::effort_word;
use crate::spell::Object;

/// The host refuses this top-level parameter for this model.
pub(super) fn rejects(target: &Target, name: &str) -> bool {
    let quirks = &target.host.quirks;
    let is = |list: &[std::sync::Arc<str>]| list.iter().any(|rejected| &**rejected == name);
    let tools_known = matches!(name, "tools" | "tool_choice" | "parallel_tool_calls") && can(target).tools == Capability::Yes;
    (is(&quirks.rejects) && !tools_known) || (can(target).reasoning == Capability::Yes && is(&quirks.reasoning_rejects))
}

/// The model answers only in streams.
pub(super) fn stream_only(target: &Target) -> bool {
    target.host.quirks.stream_only.iter().any(|begin| target.upstream_name.starts_with(&**begin))
}

/// Whether the host needs the request in another form than the client wrote it, beyond names of parameters.
pub(super) fn rewrites(target: &Target, request: &ChatRequest, original: &Original) -> bool {
    let quirks = &target.host.quirks;
    let messages = &request.messages;
    let parts = || messages.iter().flat_map(|m| &m.parts);
    let is_call = |kind: &PartKind| matches!(kind, PartKind::ToolCall { .. } | PartKind::ToolResult { .. });
    let last = || messages.last().is_some_and(|m| m.role == MessageRole::Assistant);
    (quirks.plain_text_content && messages.iter().any(|m| m.parts.len() != 1))
        || (!quirks.developer_role && messages.iter().any(|m| m.role == MessageRole::Developer))
        || (quirks.no_names && messages.iter().any(|m| m.name.is_some()))
        || ((quirks.tool_names || quirks.assistant_after_tool) && parts().any(|p| is_call(&p.kind)))
        || (quirks.short_call_ids && parts().any(|p| matches!(&p.kind, PartKind::ToolCall { id, .. } | PartKind::ToolResult { id, .. } if !is_short(id))))
        || (quirks.assistant_prefix && last())
        || (quirks.alternate && messages.windows(2).any(|pair| matches!(pair, [a, b] if a.role == b.role)))
        || (request.tool_choice == Some(ToolChoice::Required) && quirks.required_word.as_deref() != Some("required"))
        || (!quirks.named_tool_choice && matches!(request.tool_choice, Some(ToolChoice::Named(_))))
        || (stream_only(target) && !request.stream)
        || (lacks_reasoning(target, request))
        || match quirks.reasoning_option {
            ReasoningOption::Object => false,
            ReasoningOption::Effort => original.members.iter().any(|m| &*m.name == "reasoning"),
            // Who writes the host's own word means it.
            ReasoningOption::EnableThinking | ReasoningOption::Thinking
                if original.members.iter().any(|m| matches!(&*m.name, "thinking" | "enable_thinking")) =>
            {
                false
            }
            ReasoningOption::EnableThinking | ReasoningOption::Thinking => request.reasoning.effort.is_some() || request.reasoning.budget_tokens.is_some(),
        }
}

/// An id of a call as Mistral's older models want it.
pub(super) fn is_short(id: &str) -> bool {
    id.len() == 9 && id.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// A call in the history came without the reasoning that the host wants to see with it.
fn lacks_reasoning(target: &Target, request: &ChatRequest) -> bool {
    wants_reasoning(target)
        && request.messages.iter().any(|m| {
            let has = |test: fn(&PartKind) -> bool| m.parts.iter().any(|p| test(&p.kind));
            has(|k| matches!(k, PartKind::ToolCall { .. })) && !has(|k| matches!(k, PartKind::Reasoning { text, .. } if !text.is_empty()))
        })
}

/// The model wants its reasoning back beside calls.
pub(super) fn wants_reasoning(target: &Target) -> bool {
    target.host.quirks.echo_reasoning && can(target).reasoning == Capability::Yes
}

fn can(target: &Target) -> headworks_core::Capabilities {
    target.model.as_ref().map(|m| m.capabilities).unwrap_or_default()
}

/// How hard to think, in the host's words. True: the model cannot, and what was asked is lost.
pub(super) fn reasoning(o: &mut Object<'_>, target: &Target, request: &ChatRequest) -> bool {
    let (effort, budget) = (request.reasoning.effort, request.reasoning.budget_tokens);
    if effort.is_none() && budget.is_none() {
        return false;
    }
    let on = effort != Some(Effort::None) && budget != Some(0);
    if can(target).reasoning == Capability::No {
        return on;
    }
    match target.host.quirks.reasoning_option {
        ReasoningOption::Effort => o.str("reasoning_effort", effort_word(effort.unwrap_or_else(|| effort_of(budget.unwrap_or(0))))),
        ReasoningOption::Object => o.obj("reasoning", |r| {
            match (effort, budget) {
                (Some(effort), _) => r.str("effort", effort_word(effort)),
                (None, budget) => r.opt("max_tokens", budget),
            }
            r.opt("exclude", request.reasoning.include.filter(|include| !include).map(|include| !include));
        }),
        ReasoningOption::EnableThinking => {
            o.val("enable_thinking", on);
            o.opt("thinking_budget", budget.filter(|n| *n > 0));
        }
        ReasoningOption::Thinking => o.obj("thinking", |t| t.str("type", if on { "enabled" } else { "disabled" })),
    }
    false
}

/// The nearest word for a budget of tokens: a quarter, half and all of what large models commonly take.
pub(crate) const fn effort_of(budget: i64) -> Effort {
    match budget {
        i64::MIN..=0 => Effort::None,
        1..=4096 => Effort::Low,
        4097..=16384 => Effort::Medium,
        _ => Effort::High,
    }
}
