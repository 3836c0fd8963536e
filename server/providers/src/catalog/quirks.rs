//! In what a host differs, as files and configuration write it.

use std::{collections::BTreeMap, sync::Arc};

use headworks_core::{Quirks, ReasoningOption};
use serde::Deserialize;

/// How a host takes requests for vectors. What is absent stays as it is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawEmbed {
    /// Most inputs in a request.
    pub inputs: Option<u32>,
    /// Most tokens in a request.
    pub tokens: Option<i64>,
    /// Takes text only, no tokens.
    pub text_only: Option<bool>,
    /// Takes `encoding_format`.
    pub base64: Option<bool>,
    /// Its base64 holds signed bytes.
    pub int8: Option<bool>,
    /// What it calls `dimensions`.
    pub dimensions_field: Option<String>,
    /// Where it is told what vectors are for, such as `input_type`.
    pub purpose_field: Option<String>,
    /// Its word for a text to be found, if not `document`.
    pub document_word: Option<String>,
}

/// What a host does otherwise than its dialect. What is absent stays as it is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawQuirks {
    /// `max_tokens` or `max_completion_tokens`.
    pub max_tokens_field: Option<String>,
    /// `seed` or `random_seed`.
    pub seed_field: Option<String>,
    /// Takes `stream_options.include_usage`, and reports usage in streams only when asked so.
    pub stream_usage_option: Option<bool>,
    /// Beginnings of the names of models that answer only in streams.
    pub stream_only: Option<Vec<String>>,
    /// Leaves reasoning out of `completion_tokens`.
    pub reasoning_beside_completion: Option<bool>,
    /// `reasoning_content` or `reasoning`.
    pub reasoning_field: Option<String>,
    /// Wants reasoning back on assistant turns with tool calls.
    pub echo_reasoning: Option<bool>,
    /// Takes reasoning back as content parts of type `thinking`.
    pub thinking_parts: Option<bool>,
    /// Takes a file by URL as a part of type `document_url`.
    pub document_parts: Option<bool>,
    /// `reasoning_effort`, `reasoning`, `enable_thinking` or `thinking`.
    pub reasoning_option: Option<String>,
    /// Takes text as a string only.
    pub plain_text_content: Option<bool>,
    /// Takes the role `developer`.
    pub developer_role: Option<bool>,
    /// Refuses `name` in messages.
    pub no_names: Option<bool>,
    /// Wants `name` in a tool's message.
    pub tool_names: Option<bool>,
    /// Wants ids of tool calls of nine letters and digits.
    pub short_call_ids: Option<bool>,
    /// Refuses the user right after a tool.
    pub assistant_after_tool: Option<bool>,
    /// Wants `prefix: true` on an assistant's message at the end.
    pub assistant_prefix: Option<bool>,
    /// Goes on with an assistant's message at the end of the conversation.
    pub prefill: Option<bool>,
    /// Wants user and assistant to take turns.
    pub alternate: Option<bool>,
    /// The word for "at least one tool"; empty: there is none.
    pub required_word: Option<String>,
    /// Takes a tool's name in `tool_choice`.
    pub named_tool_choice: Option<bool>,
    /// Refuses tools together with `response_format`.
    pub tools_or_format: Option<bool>,
    /// Serves OpenAI's Responses (`/responses`) beside its own dialect.
    pub responses: Option<bool>,
    /// How it takes requests for vectors.
    pub embed: RawEmbed,
    /// Parameters it rejects.
    pub rejects: Option<Vec<String>>,
    /// Parameters its reasoning models reject beside.
    pub reasoning_rejects: Option<Vec<String>>,
    /// Sent in every body: name and JSON.
    pub always: BTreeMap<String, String>,
    /// Sent with every request.
    pub headers: BTreeMap<String, String>,
}

impl RawQuirks {
    /// `base` with what is said here. Fails with the field and what is wrong with it.
    pub(super) fn over(&self, mut base: Quirks) -> Result<Quirks, String> {
        let text = |to: &mut Arc<str>, from: &Option<String>| {
            if let Some(from) = from {
                *to = from.as_str().into();
            }
        };
        let flag = |to: &mut bool, from: Option<bool>| *to = from.unwrap_or(*to);
        let list = |to: &mut Vec<Arc<str>>, from: &Option<Vec<String>>| {
            if let Some(from) = from {
                *to = from.iter().map(|text| text.as_str().into()).collect();
            }
        };
        text(&mut base.max_tokens_field, &self.max_tokens_field);
        text(&mut base.seed_field, &self.seed_field);
        text(&mut base.reasoning_field, &self.reasoning_field);
        flag(&mut base.stream_usage_option, self.stream_usage_option);
        flag(&mut base.reasoning_beside_completion, self.reasoning_beside_completion);
        flag(&mut base.echo_reasoning, self.echo_reasoning);
        flag(&mut base.thinking_parts, self.thinking_parts);
        flag(&mut base.document_parts, self.document_parts);
        flag(&mut base.plain_text_content, self.plain_text_content);
        flag(&mut base.developer_role, self.developer_role);
        flag(&mut base.no_names, self.no_names);
        flag(&mut base.tool_names, self.tool_names);
        flag(&mut base.short_call_ids, self.short_call_ids);
        flag(&mut base.assistant_after_tool, self.assistant_after_tool);
        flag(&mut base.assistant_prefix, self.assistant_prefix);
        flag(&mut base.prefill, self.prefill);
        flag(&mut base.alternate, self.alternate);
        flag(&mut base.named_tool_choice, self.named_tool_choice);
        flag(&mut base.tools_or_format, self.tools_or_format);
        flag(&mut base.responses, self.responses);
        list(&mut base.stream_only, &self.stream_only);
        list(&mut base.rejects, &self.rejects);
        list(&mut base.reasoning_rejects, &self.reasoning_rejects);
        let said = |to: &mut Option<Arc<str>>, from: &Option<String>| {
            if let Some(from) = from {
                *to = Some(from.as_str().into());
            }
        };
        let (to, from) = (&mut base.embed, &self.embed);
        if from.inputs == Some(0) || from.tokens.is_some_and(|most| most < 1) {
            return Err("embed: inputs and tokens must be above 0".to_owned());
        }
        (to.inputs, to.tokens) = (from.inputs.or(to.inputs), from.tokens.or(to.tokens));
        flag(&mut to.text_only, from.text_only);
        flag(&mut to.base64, from.base64);
        flag(&mut to.int8, from.int8);
        said(&mut to.dimensions_field, &from.dimensions_field);
        said(&mut to.purpose_field, &from.purpose_field);
        said(&mut to.document_word, &from.document_word);
        if let Some(word) = &self.required_word {
            base.required_word = Some(word.as_str()).filter(|word| !word.is_empty()).map(Arc::from);
        }
        if let Some(name) = &self.reasoning_option {
            base.reasoning_option = ReasoningOption::from_name(name)
                .ok_or_else(|| format!("reasoning_option: \"{name}\" is none of reasoning_effort, reasoning, enable_thinking, thinking"))?;
        }
        for (name, json) in &self.always {
            if serde_json::from_str::<serde::de::IgnoredAny>(json).is_err() {
                return Err(format!("always.{name}: is not JSON"));
            }
            base.always.retain(|(known, _)| **known != **name);
            base.always.push((name.as_str().into(), json.as_str().into()));
        }
        for (name, value) in &self.headers {
            base.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            base.headers.push((name.to_lowercase().into(), value.as_str().into()));
        }
        Ok(base)
    }
}
