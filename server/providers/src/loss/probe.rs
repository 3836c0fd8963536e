//! Requests that ask for one thing each, to be told what a target takes.

use headworks_core::{
    Capabilities, Capability, ChatRequest, DialectName, Effort, EmbedInput, EmbedRequest, Json, Message, MessageRole, Output, Part, Reasoning, Sampling, Tool,
    ToolChoice, Work,
};

fn asked(change: impl FnOnce(&mut ChatRequest)) -> Work {
    let said = Message { role: MessageRole::User, parts: vec![Part::text("x")], name: None, extra: Vec::new() };
    let mut request = ChatRequest { model: "probe".into(), messages: vec![said], extra_dialect: Some(DialectName::OpenAi), ..ChatRequest::default() };
    change(&mut request);
    request.into()
}

fn tool() -> Tool {
    Tool::Function { name: "f".into(), description: None, parameters: None, strict: None, cache: Default::default() }
}

/// Chats, each with the parameters it asks about. What a model is known not to do is not asked.
pub(super) fn chats(can: Capabilities) -> Vec<(Work, Vec<&'static str>)> {
    let mut probes = vec![
        (
            asked(|r| {
                r.sampling = Sampling {
                    temperature: Some(0.5),
                    top_k: Some(5),
                    min_p: Some(0.1),
                    frequency_penalty: Some(0.5),
                    presence_penalty: Some(0.5),
                    repetition_penalty: Some(1.1),
                    seed: Some(1),
                    max_tokens: Some(16),
                    stop: vec!["x".into()],
                    logprobs: Some(true),
                    logit_bias: [("1".to_owned(), 1.0)].into(),
                    ..Sampling::default()
                };
            }),
            vec![
                "temperature",
                "top_k",
                "min_p",
                "frequency_penalty",
                "presence_penalty",
                "repetition_penalty",
                "seed",
                "max_tokens",
                "stop",
                "logprobs",
                "logit_bias",
            ],
        ),
        // Some take one of the two.
        (asked(|r| r.sampling.top_p = Some(0.5)), vec!["top_p"]),
        (asked(|r| r.output = Output::Json), vec!["response_format"]),
    ];
    if can.reasoning != Capability::No {
        let ask =
            |r: &mut ChatRequest| (r.reasoning, r.sampling.max_tokens) = (Reasoning { effort: Some(Effort::Medium), ..Reasoning::default() }, Some(30_000));
        if can.reasoning == Capability::Yes {
            probes.push((asked(ask), vec!["reasoning"]));
        }
    }
    if can.structured_output != Capability::No {
        let schema = Json::parse(r#"{"type":"object","properties":{},"additionalProperties":false}"#.to_owned());
        if let Ok(schema) = schema {
            let output = Output::Schema { name: "x".into(), description: None, schema, strict: Some(true) };
            probes.push((asked(|r| r.output = output), vec!["structured_outputs"]));
        }
    }
    if can.tools != Capability::No {
        probes.push((asked(|r| r.tools = vec![tool()]), vec!["tools"]));
        probes.push((asked(|r| (r.tools, r.tool_choice) = (vec![tool()], Some(ToolChoice::Required))), vec!["tool_choice"]));
        probes.push((asked(|r| (r.tools, r.parallel_tool_calls) = (vec![tool()], Some(false))), vec!["parallel_tool_calls"]));
    }
    probes
}

/// Requests for vectors, each with the parameter it asks about.
pub(super) fn embeds(dimensions: Option<i64>) -> Vec<(Work, Vec<&'static str>)> {
    let asked = |change: &dyn Fn(&mut EmbedRequest)| -> Work {
        let mut request = EmbedRequest {
            model: "probe".into(),
            inputs: vec![EmbedInput::Text("x".into())],
            extra_dialect: Some(DialectName::OpenAi),
            ..EmbedRequest::default()
        };
        change(&mut request);
        request.into()
    };
    vec![
        (asked(&|r| r.dimensions = Some(dimensions.unwrap_or(256))), vec!["dimensions"]),
        (asked(&|r| r.purpose = Some("search_query".into())), vec!["input_type"]),
    ]
}
