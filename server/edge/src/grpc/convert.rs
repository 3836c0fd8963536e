//! Between the schema's words and ours: what clients ask.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use headworks_api::v1;
use headworks_core::{
    CacheMark, ChatRequest, DialectName, Effort, Fault, Json, Message, MessageRole, NanoUsd, OnLoss, Opaque, Output, Part, PartKind, Reasoning, Routing,
    Sampling, Sort, Source, Str, Tool, ToolChoice,
};

type Read<T> = Result<T, Fault>;

fn some(text: &str) -> Option<Arc<str>> {
    Some(text).filter(|t| !t.is_empty()).map(Arc::from)
}

fn arcs(list: Vec<String>) -> Vec<Arc<str>> {
    list.into_iter().map(Arc::from).collect()
}

fn json(text: String, field: impl FnOnce() -> String) -> Read<Json> {
    Json::parse(text).map_err(|error| Fault::invalid(field(), format!("is not valid JSON: {error}")))
}

/// Opaque bytes of ours are text that providers gave.
fn opaque_text(bytes: &Bytes, field: impl FnOnce() -> String) -> Read<Str> {
    std::str::from_utf8(bytes).map(|text| Str::within(bytes, text)).map_err(|_| Fault::invalid(field(), "is not what the gateway gave; send it back unchanged"))
}

pub(crate) fn duration(value: Option<prost_types::Duration>, field: &str) -> Read<Option<Duration>> {
    value.map(|d| Duration::try_from(d).map_err(|_| Fault::invalid(field, "must be 0 or more"))).transpose()
}

/// A chat as it came in. Fails with `INVALID_REQUEST`, naming the field.
pub fn chat(chat: Option<v1::Chat>, stream: bool) -> Read<ChatRequest> {
    let chat = chat.ok_or_else(|| Fault::invalid("chat", "is missing"))?;
    let sampling = chat.sampling.clone().unwrap_or_default();
    let model: Arc<str> = match (chat.model.as_str(), chat.routing.as_ref().and_then(|r| r.models.first())) {
        ("", Some(first)) => first.as_str().into(),
        ("", None) => return Err(Fault::invalid("chat.model", "is missing; name one as provider/model, such as openai/gpt-5 or sandbox/echo")),
        (model, _) => model.into(),
    };
    if chat.messages.is_empty() {
        return Err(Fault::invalid("chat.messages", "is empty; send at least one message"));
    }
    if chat.request_id.len() > 255 {
        return Err(Fault::invalid("chat.request_id", "is longer than 255 characters"));
    }
    let routing = routing(&chat)?;
    Ok(ChatRequest {
        model,
        messages: chat.messages.into_iter().enumerate().map(|(at, m)| message(m, at)).collect::<Read<_>>()?,
        tools: chat.tools.into_iter().enumerate().map(|(at, t)| tool(t, at)).collect::<Read<_>>()?,
        tool_choice: chat.tool_choice.map(tool_choice).transpose()?.flatten(),
        parallel_tool_calls: chat.parallel_tool_calls,
        sampling: draw(sampling)?,
        output: output(chat.output)?,
        citations: chat.citations,
        reasoning: chat.reasoning.map(reasoning).transpose()?.unwrap_or_default(),
        auto_cache: chat.auto_cache,
        cache_ttl: ttl(chat.cache_ttl, || "chat.cache_ttl".to_owned())?,
        stream,
        include_usage: true,
        metadata: chat.metadata.into_iter().collect(),
        service_tier: some(&chat.service_tier),
        user: some(&chat.user),
        routing,
        extra: chat
            .extra_json
            .into_iter()
            .map(|(name, text)| Ok((Arc::from(name.as_str()), json(text, || format!("chat.extra_json[\"{name}\"]"))?)))
            .collect::<Read<BTreeMap<_, _>>>()?,
        betas: Vec::new(),
        extra_dialect: Some(DialectName::OpenAi),
        original: None,
    })
}

pub(super) fn routing(chat: &v1::Chat) -> Read<Routing> {
    let r = chat.routing.clone().unwrap_or_default();
    let sort = match v1::RoutingSort::try_from(r.sort) {
        Ok(v1::RoutingSort::Unspecified) => None,
        Ok(v1::RoutingSort::Price) => Some(Sort::Price),
        Ok(v1::RoutingSort::Latency) => Some(Sort::Latency),
        Ok(v1::RoutingSort::Throughput) => Some(Sort::Throughput),
        Err(_) => return Err(Fault::invalid("chat.routing.sort", format!("{} is no RoutingSort", r.sort))),
    };
    let max_price = match (r.max_input_price_nano_usd, r.max_output_price_nano_usd) {
        (None, None) => None,
        (input, output) => Some((NanoUsd(input.unwrap_or(i64::MAX)), NanoUsd(output.unwrap_or(i64::MAX)))),
    };
    Ok(Routing {
        models: arcs(r.models),
        only: arcs(r.only),
        ignore: arcs(r.ignore),
        order: arcs(r.order),
        allow_fallbacks: r.allow_fallbacks,
        require_parameters: r.require_parameters,
        on_loss: on_loss(r.on_loss, "chat.routing.on_loss")?,
        regions: arcs(r.regions),
        sort,
        max_price,
        tags: arcs(chat.tags.clone()),
        labels: BTreeMap::new(),
        user_id: some(&chat.user_id),
        trace_id: some(&chat.trace_id),
        request_id: some(&chat.request_id),
        resume_window: duration(chat.resume_window, "chat.resume_window")?,
        response_cache: duration(r.response_cache, "chat.routing.response_cache")?,
        timeout: duration(chat.timeout, "chat.timeout")?,
    })
}

/// What the schema's number says; `None`: nothing.
pub(crate) fn on_loss(number: i32, field: &str) -> Read<Option<OnLoss>> {
    match v1::OnLoss::try_from(number) {
        Ok(v1::OnLoss::Unspecified) => Ok(None),
        Ok(v1::OnLoss::Drop) => Ok(Some(OnLoss::Drop)),
        Ok(v1::OnLoss::Refuse) => Ok(Some(OnLoss::Refuse)),
        Ok(v1::OnLoss::Skip) => Ok(Some(OnLoss::Skip)),
        Err(_) => Err(Fault::invalid(field, format!("{number} is no OnLoss; DROP, REFUSE and SKIP are"))),
    }
}

fn draw(s: v1::Sampling) -> Read<Sampling> {
    if s.max_output_tokens.is_some_and(|n| n < 1) {
        return Err(Fault::invalid("chat.sampling.max_output_tokens", "must be 1 or more"));
    }
    if s.n.is_some_and(|n| !(1..=128).contains(&n)) {
        return Err(Fault::invalid("chat.sampling.n", "must be 1 to 128"));
    }
    for (field, value) in [
        ("temperature", s.temperature),
        ("top_p", s.top_p),
        ("min_p", s.min_p),
        ("frequency_penalty", s.frequency_penalty),
        ("presence_penalty", s.presence_penalty),
        ("repetition_penalty", s.repetition_penalty),
    ] {
        if value.is_some_and(|v| !v.is_finite()) {
            return Err(Fault::invalid(format!("chat.sampling.{field}"), "must be a finite number"));
        }
    }
    Ok(Sampling {
        temperature: s.temperature,
        top_p: s.top_p,
        top_k: s.top_k.map(i64::from),
        min_p: s.min_p,
        frequency_penalty: s.frequency_penalty,
        presence_penalty: s.presence_penalty,
        repetition_penalty: s.repetition_penalty,
        seed: s.seed,
        max_tokens: s.max_output_tokens,
        stop: s.stop.into_iter().map(Str::from).collect(),
        n: s.n.map(i64::from),
        logprobs: s.logprobs,
        top_logprobs: s.top_logprobs.map(i64::from),
        logit_bias: s.logit_bias.into_iter().collect(),
    })
}

fn message(m: v1::Message, at: usize) -> Read<Message> {
    let here = format!("chat.messages[{at}]");
    let role = match m.role() {
        v1::Role::System => MessageRole::System,
        v1::Role::Developer => MessageRole::Developer,
        v1::Role::User => MessageRole::User,
        v1::Role::Assistant => MessageRole::Assistant,
        v1::Role::Tool => MessageRole::Tool,
        v1::Role::Unspecified => {
            return Err(Fault::invalid(
                format!("{here}.role"),
                "is missing or unknown; use ROLE_SYSTEM, ROLE_DEVELOPER, ROLE_USER, ROLE_ASSISTANT or ROLE_TOOL",
            ));
        }
    };
    if m.parts.is_empty() && role != MessageRole::Assistant {
        return Err(Fault::invalid(format!("{here}.parts"), "is empty; send at least one part"));
    }
    let parts = m.parts.into_iter().enumerate().map(|(i, p)| part(p, &format!("{here}.parts[{i}]"))).collect::<Read<_>>()?;
    Ok(Message { role, parts, name: some(&m.name), extra: Vec::new() })
}

fn ttl(value: i32, field: impl FnOnce() -> String) -> Read<CacheMark> {
    match v1::CacheTtl::try_from(value) {
        Ok(v1::CacheTtl::Unspecified) => Ok(CacheMark::Default),
        Ok(v1::CacheTtl::FiveMinutes) => Ok(CacheMark::FiveMinutes),
        Ok(v1::CacheTtl::OneHour) => Ok(CacheMark::OneHour),
        Err(_) => Err(Fault::invalid(field(), format!("{value} is no CacheTtl"))),
    }
}

fn base64(data: &Bytes, mime: &str, field: &str) -> Read<Source> {
    if mime.is_empty() {
        return Err(Fault::invalid(format!("{field}.mime_type"), "is missing; it is needed with data"));
    }
    Ok(Source::Base64 { mime: mime.into(), data: STANDARD.encode(data).into() })
}

fn part(p: v1::Part, path: &str) -> Read<Part> {
    use v1::part::Kind;
    let cache = p.cache_control.map_or(Ok(CacheMark::None), |c| ttl(c.ttl, || format!("{path}.cache_control.ttl")))?;
    let kind = match p.kind.ok_or_else(|| Fault::invalid(path.to_owned(), "is empty; set text, image, file, audio, tool_call, tool_result or reasoning"))? {
        Kind::Text(text) => PartKind::Text(text.into()),
        Kind::Refusal(text) => PartKind::Refusal(text.into()),
        Kind::Image(image) => {
            let source = match image.source {
                Some(v1::image::Source::Url(url)) if !url.is_empty() => Source::Url(url.into()),
                Some(v1::image::Source::Data(data)) if !data.is_empty() => base64(&data, &image.mime_type, &format!("{path}.image"))?,
                _ => return Err(Fault::invalid(format!("{path}.image"), "holds neither url nor data")),
            };
            PartKind::Image { source, detail: some(&image.detail) }
        }
        Kind::File(file) => {
            let source = match file.source {
                Some(v1::file::Source::Url(url)) if !url.is_empty() => Source::Url(url.into()),
                Some(v1::file::Source::Data(data)) if !data.is_empty() => base64(&data, &file.mime_type, &format!("{path}.file"))?,
                Some(v1::file::Source::FileId(id)) if !id.is_empty() => Source::FileId(id.into()),
                _ => return Err(Fault::invalid(format!("{path}.file"), "holds neither url nor data nor file_id")),
            };
            PartKind::File { source, name: some(&file.name).map(|n| Str::from(&*n)) }
        }
        Kind::Audio(audio) => {
            if audio.format.is_empty() {
                return Err(Fault::invalid(format!("{path}.audio.format"), "is missing; use wav or mp3"));
            }
            PartKind::Audio { data: STANDARD.encode(&audio.data).into(), format: audio.format.into() }
        }
        Kind::ToolCall(call) => {
            let lacks = |field: &str| Fault::invalid(format!("{path}.tool_call.{field}"), "is missing");
            if call.id.is_empty() {
                return Err(lacks("id"));
            }
            if call.name.is_empty() {
                return Err(lacks("name"));
            }
            let arguments = if call.arguments_json.trim().is_empty() { "{}".to_owned() } else { call.arguments_json };
            let checked = json(arguments, || format!("{path}.tool_call.arguments_json"))?;
            if !checked.as_str().trim_start().starts_with('{') {
                return Err(Fault::invalid(format!("{path}.tool_call.arguments_json"), "must be a JSON object"));
            }
            let signature = Some(&call.signature).filter(|s| !s.is_empty()).map(|s| opaque_text(s, || format!("{path}.tool_call.signature"))).transpose()?;
            PartKind::ToolCall { id: call.id.into(), name: call.name.into(), arguments: checked.as_str().into(), signature }
        }
        Kind::ToolResult(result) => {
            if result.tool_call_id.is_empty() {
                return Err(Fault::invalid(format!("{path}.tool_result.tool_call_id"), "is missing; name the call that this result answers"));
            }
            let parts = result.parts.into_iter().enumerate().map(|(i, p)| part(p, &format!("{path}.tool_result.parts[{i}]"))).collect::<Read<_>>()?;
            PartKind::ToolResult { id: result.tool_call_id.into(), name: some(&result.name).map(|n| Str::from(&*n)), parts, is_error: result.is_error }
        }
        Kind::Reasoning(r) => PartKind::Reasoning {
            text: r.text.into(),
            signature: Some(&r.signature).filter(|s| !s.is_empty()).map(|s| opaque_text(s, || format!("{path}.reasoning.signature"))).transpose()?,
            redacted: Some(&r.redacted).filter(|s| !s.is_empty()).map(|s| opaque_text(s, || format!("{path}.reasoning.redacted"))).transpose()?,
        },
        Kind::Opaque(o) => PartKind::Opaque(Opaque {
            dialect: dialect(&o.dialect, || format!("{path}.opaque.dialect"))?,
            issuer: "".into(),
            json: json(o.json, || format!("{path}.opaque.json"))?,
        }),
    };
    Ok(Part { kind, cache })
}

fn dialect(name: &str, field: impl FnOnce() -> String) -> Read<DialectName> {
    DialectName::from_name(name).ok_or_else(|| {
        let names: Vec<_> = DialectName::ALL.iter().map(|d| d.as_str()).collect();
        Fault::invalid(field(), format!("\"{name}\" is no dialect; use one of {}", names.join(", ")))
    })
}

fn tool(t: v1::Tool, at: usize) -> Read<Tool> {
    let here = format!("chat.tools[{at}]");
    match t.kind {
        Some(v1::tool::Kind::Function(f)) => {
            if f.name.is_empty() {
                return Err(Fault::invalid(format!("{here}.function.name"), "is missing"));
            }
            let parameters = Some(f.parameters_json).filter(|p| !p.is_empty()).map(|p| json(p, || format!("{here}.function.parameters_json"))).transpose()?;
            if parameters.as_ref().is_some_and(|p| !p.as_str().trim_start().starts_with('{')) {
                return Err(Fault::invalid(format!("{here}.function.parameters_json"), "must be a JSON Schema object"));
            }
            Ok(Tool::Function {
                name: f.name.into(),
                description: some(&f.description).map(|d| Str::from(&*d)),
                parameters,
                strict: f.strict,
                cache: f.cache_control.map_or(Ok(CacheMark::None), |c| ttl(c.ttl, || format!("{here}.function.cache_control.ttl")))?,
            })
        }
        Some(v1::tool::Kind::Hosted(h)) => {
            Ok(Tool::Hosted { dialect: dialect(&h.dialect, || format!("{here}.hosted.dialect"))?, json: json(h.json, || format!("{here}.hosted.json"))? })
        }
        None => Err(Fault::invalid(here, "is empty; set function or hosted")),
    }
}

fn tool_choice(choice: v1::ToolChoice) -> Read<Option<ToolChoice>> {
    Ok(match v1::ToolChoiceMode::try_from(choice.mode) {
        Ok(v1::ToolChoiceMode::Unspecified) => None,
        Ok(v1::ToolChoiceMode::Auto) => Some(ToolChoice::Auto),
        Ok(v1::ToolChoiceMode::None) => Some(ToolChoice::None),
        Ok(v1::ToolChoiceMode::Required) => Some(ToolChoice::Required),
        Ok(v1::ToolChoiceMode::Named) if choice.name.is_empty() => return Err(Fault::invalid("chat.tool_choice.name", "is missing; name the tool")),
        Ok(v1::ToolChoiceMode::Named) => Some(ToolChoice::Named(choice.name.into())),
        Err(_) => return Err(Fault::invalid("chat.tool_choice.mode", format!("{} is no ToolChoiceMode", choice.mode))),
    })
}

fn output(format: Option<v1::OutputFormat>) -> Read<Output> {
    use v1::output_format::Kind;
    Ok(match format.and_then(|f| f.kind) {
        None | Some(Kind::Text(_)) => Output::Text,
        Some(Kind::Json(_)) => Output::Json,
        Some(Kind::JsonSchema(s)) => {
            let schema = json(s.schema_json, || "chat.output.json_schema.schema_json".to_owned())?;
            if !schema.as_str().trim_start().starts_with('{') {
                return Err(Fault::invalid("chat.output.json_schema.schema_json", "must be a JSON Schema object"));
            }
            let name = if s.name.is_empty() { Str::from_static("answer") } else { s.name.into() };
            Output::Schema { name, description: some(&s.description).map(|d| Str::from(&*d)), schema, strict: s.strict }
        }
    })
}

fn reasoning(r: v1::ReasoningOptions) -> Read<Reasoning> {
    use v1::ReasoningEffort as E;
    let effort = match E::try_from(r.effort) {
        Ok(E::Unspecified) => None,
        Ok(E::None) => Some(Effort::None),
        Ok(E::Minimal) => Some(Effort::Minimal),
        Ok(E::Low) => Some(Effort::Low),
        Ok(E::Medium) => Some(Effort::Medium),
        Ok(E::High) => Some(Effort::High),
        Ok(E::Xhigh) => Some(Effort::XHigh),
        Ok(E::Max) => Some(Effort::Max),
        Err(_) => return Err(Fault::invalid("chat.reasoning.effort", format!("{} is no ReasoningEffort", r.effort))),
    };
    Ok(Reasoning { effort, budget_tokens: r.budget_tokens, include: r.include })
}
