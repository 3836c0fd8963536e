#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::{Bytes, BytesMut};
use headworks_core::{Batch, DialectName, EmbedInput, EmbedRequest, EventKind, Fault, Host, Json, Reason, Target, Tokens, Vector, VectorForm};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{EmbedDoor, bedrock, vector, vertex};
use crate::{Dialect, Encoded, Head, dialect, testing::target};

fn at(provider: &str, model: &str, change: impl FnOnce(&mut Host)) -> Target {
    let mut target = target(provider, model, |facts| facts.mode = "embedding".into());
    let mut host = Host::clone(&target.host);
    change(&mut host);
    target.host = std::sync::Arc::new(host);
    target
}

fn ask(texts: &[&str]) -> EmbedRequest {
    EmbedRequest { inputs: texts.iter().map(|text| EmbedInput::Text((*text).into())).collect(), ..EmbedRequest::default() }
}

fn sent(encoded: Encoded) -> (String, Value, Vec<String>) {
    let url = encoded.request.uri().to_string();
    (url, serde_json::from_slice(encoded.request.body()).unwrap(), encoded.notes.iter().map(ToString::to_string).collect())
}

fn codec(name: DialectName) -> &'static dyn Dialect {
    dialect(name).unwrap()
}

#[test]
fn each_form_spells_the_same_request() {
    let request = EmbedRequest { dimensions: Some(256), purpose: Some("query".into()), encoding: Some(VectorForm::Base64), ..ask(&["a", "b"]) };
    let openai = at("openai", "m", |host| host.quirks.embed.base64 = true);
    let (url, body, notes) = sent(codec(DialectName::OpenAi).encode_embed(&openai, &request).unwrap());
    assert_eq!(url, "http://host/embeddings");
    assert_eq!(body, json!({"model": "m", "input": ["a", "b"], "encoding_format": "base64", "dimensions": 256}));
    assert!(notes[0].contains("input_type"), "{notes:?}");

    let voyage = at("voyage", "v", |host| {
        host.quirks.embed.purpose_field = Some("input_type".into());
        host.quirks.embed.dimensions_field = Some("output_dimension".into());
    });
    let (_, body, notes) = sent(codec(DialectName::Voyage).encode_embed(&voyage, &request).unwrap());
    assert_eq!((body, notes.len()), (json!({"model": "v", "input": ["a", "b"], "output_dimension": 256, "input_type": "query"}), 0));

    let (url, body, _) = sent(codec(DialectName::Gemini).encode_embed(&at("gemini", "g", |_| ()), &request).unwrap());
    assert_eq!(url, "http://host/v1beta/models/g:batchEmbedContents");
    let one = |text: &str| json!({"model": "models/g", "content": {"parts": [{"text": text}]}, "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 256});
    assert_eq!(body, json!({"requests": [one("a"), one("b")]}));

    let (url, body, _) = sent(codec(DialectName::Cohere).encode_embed(&at("cohere", "c", |_| ()), &request).unwrap());
    assert_eq!(url, "http://host/v2/embed");
    assert_eq!(body, json!({"model": "c", "texts": ["a", "b"], "input_type": "search_query", "output_dimension": 256, "embedding_types": ["float"]}));
    let (_, body, notes) = sent(codec(DialectName::Cohere).encode_embed(&at("cohere", "c", |_| ()), &ask(&["a"])).unwrap());
    assert_eq!(body["input_type"], "search_document", "required there, so filled in and said");
    assert!(notes[0].contains("search_document"));

    let azure = at("azure", "deployed", |host| host.options.api_version = Some("2024-10-21".into()));
    let (url, ..) = sent(codec(DialectName::Azure).encode_embed(&azure, &ask(&["a"])).unwrap());
    assert_eq!(url, "http://host/deployments/deployed/embeddings?api-version=2024-10-21");

    let (url, body, _) = sent(vertex::encode(&at("vertex", "text-embedding-005", |_| ()), &request, "http://v/models/m").unwrap());
    assert_eq!(url, "http://v/models/m:predict");
    assert_eq!(body["instances"][1], json!({"content": "b", "task_type": "RETRIEVAL_QUERY"}));
    assert_eq!(body["parameters"], json!({"outputDimensionality": 256}));
    let (url, body, _) = sent(vertex::encode(&at("vertex", "gemini-embedding-2", |_| ()), &ask(&["a"]), "http://v/models/m").unwrap());
    assert_eq!((url.as_str(), &body), ("http://v/models/m:embedContent", &json!({"content": {"parts": [{"text": "a"}]}})));

    for (model, wanted) in [
        ("amazon.titan-embed-text-v2:0", json!({"inputText": "a", "dimensions": 256})),
        ("us.cohere.embed-v4:0", json!({"texts": ["a"], "input_type": "search_query", "output_dimension": 256, "embedding_types": ["float"]})),
        (
            "amazon.nova-2-multimodal-embeddings-v1:0",
            json!({"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": {"embeddingPurpose": "GENERIC_RETRIEVAL", "embeddingDimension": 256,
                "text": {"truncationMode": "NONE", "value": "a"}}}),
        ),
    ] {
        let request = EmbedRequest { inputs: vec![EmbedInput::Text("a".into())], ..request.clone() };
        let (url, body, _) = sent(bedrock::encode(&at("bedrock", model, |_| ()), &request, "http://b/model/x").unwrap());
        assert_eq!((url.as_str(), body), ("http://b/model/x/invoke", wanted), "{model}");
    }
}

#[test]
fn what_cannot_be_said_is_refused_by_name() {
    let tokens = EmbedRequest { inputs: vec![EmbedInput::Tokens(vec![1, 2])], ..EmbedRequest::default() };
    for name in [DialectName::Gemini, DialectName::Cohere] {
        let fault = codec(name).encode_embed(&at(name.as_str(), "m", |_| ()), &tokens).unwrap_err();
        assert_eq!(fault.reason, Reason::CapabilityMissing);
        assert!(fault.message.contains("input holds tokens"), "{}", fault.message);
    }
    let fault = codec(DialectName::Anthropic).encode_embed(&at("anthropic", "m", |_| ()), &ask(&["a"])).unwrap_err();
    assert_eq!(fault.reason, Reason::CapabilityMissing);
    let one_length = bedrock::encode(&at("bedrock", "amazon.titan-embed-text-v1", |_| ()), &EmbedRequest { dimensions: Some(7), ..ask(&["a"]) }, "http://b");
    assert!(one_length.unwrap_err().message.contains("dimensions"));
}

fn read(codec: &dyn Dialect, target: &Target, headers: &HeaderMap, body: &[u8], size: usize) -> Result<Vec<EventKind>, Fault> {
    let head = Head { status: StatusCode::OK, headers };
    let (mut decoder, mut batch) = (codec.embed_decoder(target, &head), Batch::default());
    for chunk in body.chunks(size.max(1)) {
        decoder.push(&Bytes::copy_from_slice(chunk), &mut batch)?;
    }
    decoder.end(&mut batch)?;
    Ok(batch.events.into_iter().map(|event| event.kind).collect())
}

#[test]
fn f4_s1_answers_are_read_at_any_split_and_never_half() {
    let table = [
        (
            DialectName::OpenAi,
            "openai",
            "m",
            r#"{"data":[{"index":1,"embedding":[0.25,-1e-3]},{"index":0,"embedding":"AACAPw=="}],"model":"s","usage":{"prompt_tokens":5,"total_tokens":5}}"#,
            5,
        ),
        (DialectName::Voyage, "voyage", "m", r#"{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[2]}],"usage":{"total_tokens":6}}"#, 6),
        (DialectName::Gemini, "gemini", "m", r#"{"embeddings":[{"values":[1]},{"values":[2]}],"usageMetadata":{"promptTokenCount":7}}"#, 7),
        (DialectName::Cohere, "cohere", "m", r#"{"id":"x","embeddings":{"float":[[1],[2]]},"meta":{"billed_units":{"input_tokens":8}}}"#, 8),
        (
            DialectName::Vertex,
            "vertex",
            "text-embedding-005",
            r#"{"predictions":[{"embeddings":{"values":[1],"statistics":{"token_count":4}}},{"embeddings":{"values":[2],"statistics":{"token_count":5}}}]}"#,
            9,
        ),
    ];
    for (name, provider, model, body, tokens) in table {
        let target = at(provider, model, |_| ());
        let whole = read(codec(name), &target, &HeaderMap::new(), body.as_bytes(), body.len()).unwrap();
        assert_eq!(whole.iter().filter(|kind| matches!(kind, EventKind::Embedded { .. })).count(), 2, "{provider}");
        assert!(whole.contains(&EventKind::Usage { tokens: Tokens { input: tokens, ..Tokens::default() }, service_tier: None }), "{provider}");
        for size in 1..body.len() {
            assert_eq!(read(codec(name), &target, &HeaderMap::new(), body.as_bytes(), size).unwrap(), whole, "{provider} {size}");
            assert!(read(codec(name), &target, &HeaderMap::new(), &body.as_bytes()[..size], 7).is_err(), "{provider} cut at {size}");
        }
        for bad in ["{}", "[]", "null", "{\"data\":[{\"embedding\":\"AAA\"}]}", "{\"data\":[{\"embedding\":[null]}]}", "{\"embeddings\":[{\"values\":{}}]}", ""]
        {
            assert!(read(codec(name), &target, &HeaderMap::new(), bad.as_bytes(), 3).is_err(), "{provider} {bad}");
        }
    }
    let mut headers = HeaderMap::new();
    headers.insert("x-amzn-bedrock-input-token-count", "11".parse().unwrap());
    for (model, body, tokens) in [
        ("amazon.titan-embed-text-v2:0", r#"{"embedding":[1],"inputTextTokenCount":4}"#, 4),
        ("cohere.embed-english-v3", r#"{"embeddings":[[1]],"id":"x"}"#, 11),
        ("amazon.nova-2-multimodal-embeddings-v1:0", r#"{"embeddings":[{"embedding":[1],"embeddingType":"TEXT"}]}"#, 11),
    ] {
        let answer = bedrock::read(&at("bedrock", model, |_| ()), &headers, &Bytes::from(body)).unwrap();
        assert_eq!((answer.vectors.len(), answer.input_tokens), (1, Some(tokens)), "{model}");
    }
}

#[test]
fn vectors_keep_every_digit_in_the_form_they_came_in_and_every_float_across() {
    let text = "[0.1000000000000000055511151231257827, -3.4e38, 1e-45, 0]";
    let floats = vector::read(text).unwrap();
    assert_eq!(vector::float_json(&floats).unwrap(), text);
    let packed = Vector::Base64(vector::base64(&floats).unwrap().as_ref().into());
    assert_eq!(vector::floats(&packed).unwrap(), vector::floats(&floats).unwrap());
    let again = Vector::Float(Json::parse(vector::float_json(&packed).unwrap()).unwrap());
    assert_eq!(vector::base64(&again).unwrap(), vector::base64(&packed).unwrap(), "the shortest text reads back as the same floats");
    assert!(vector::float_json(&vector::read("\"AADAfw==\"").unwrap()).is_err(), "JSON has no word for what is no number");
    assert_eq!(vector::read_int8("\"/wB/\"").unwrap(), Vector::Float(Json::parse("[-1,0,127]").unwrap()));
}

#[test]
fn the_door_takes_every_form_of_input_and_names_what_is_wrong() {
    let read = |body: Value| EmbedDoor.request(&Bytes::from(body.to_string()));
    let text = |text: &str| EmbedInput::Text(text.into());
    for (input, wanted, single) in [
        (json!("a"), vec![text("a")], true),
        (json!(["a", "b\u{e9}\n"]), vec![text("a"), text("b\u{e9}\n")], false),
        (json!([1, 2]), vec![EmbedInput::Tokens(vec![1, 2])], true),
        (json!([[1], [2, 3]]), vec![EmbedInput::Tokens(vec![1]), EmbedInput::Tokens(vec![2, 3])], false),
        (json!(""), vec![text("")], true),
    ] {
        let request = read(json!({"model": "m", "input": input, "truncate": true, "headworks": {"tags": ["x"]}})).unwrap();
        assert_eq!((request.inputs, request.single), (wanted, single));
        assert_eq!(request.extra.keys().map(|name| &**name).collect::<Vec<_>>(), ["truncate"]);
        assert_eq!(&*request.routing.tags[0], "x");
    }
    for (body, field) in [
        (json!({"input": "a"}), "model"),
        (json!({"model": "m"}), "input"),
        (json!({"model": "m", "input": []}), "input"),
        (json!({"model": "m", "input": ["a", 1]}), "input[1]"),
        (json!({"model": "m", "input": [1, "a"]}), "input[1]"),
        (json!({"model": "m", "input": [[1], "a"]}), "input[1]"),
        (json!({"model": "m", "input": [[]]}), "input[0]"),
        (json!({"model": "m", "input": [-1]}), "input"),
        (json!({"model": "m", "input": {}}), "input"),
        (json!({"model": "m", "input": "a", "dimensions": 0}), "dimensions"),
        (json!({"model": "m", "input": "a", "encoding_format": "int8"}), "encoding_format"),
    ] {
        let fault = read(body.clone()).unwrap_err();
        assert_eq!((fault.reason, fault.field()), (Reason::InvalidRequest, Some(field)), "{body}");
    }
}

#[test]
fn t12_recorded_answers_come_through_with_every_digit() {
    let root = std::env::var_os("HEADWORKS_SHARED_DATA")
        .map_or_else(|| std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), std::path::PathBuf::from);
    let table = [
        ("openai-embeddings", "/embeddings", DialectName::OpenAi, "openai", "data"),
        ("mistral-embeddings", "/embeddings", DialectName::OpenAi, "mistral", "data"),
        ("doubleword-embeddings", "/embeddings", DialectName::OpenAi, "doubleword", "data"),
        ("azure-embeddings", "/embeddings", DialectName::Azure, "azure", "data"),
        ("openrouter-embeddings", "/embeddings", DialectName::OpenAi, "openrouter", "data"),
        ("venice-embeddings", "/embeddings", DialectName::OpenAi, "venice", "data"),
        ("llamacpp-embeddings", "/embeddings", DialectName::OpenAi, "llamacpp", "data"),
        ("gemini-embed", "EmbedContents", DialectName::Gemini, "gemini", "embeddings"),
        ("cohere-embed", "/v2/embed", DialectName::Cohere, "cohere", "embeddings"),
    ];
    for (file, path, name, provider, list) in table {
        let Ok(text) = std::fs::read_to_string(root.join("traffic/dev").join(format!("{file}.jsonl"))) else {
            println!("SKIPPED: {file}.jsonl is not there (HEADWORKS_SHARED_DATA)");
            continue;
        };
        let mut seen = 0;
        for line in text.lines() {
            let record: Value = serde_json::from_str(line).unwrap();
            let url = record["request"]["url"].as_str().unwrap();
            let status = record["response"]["status"].as_u64().unwrap();
            if !url.split('?').next().unwrap().ends_with(path) || url.contains("/organization/") {
                continue;
            }
            let target = at(provider, "m", |_| ());
            let body = record["response"]["body"].as_str().unwrap();
            seen += 1;
            if status != 200 {
                let head = Head { status: StatusCode::from_u16(status as u16).unwrap(), headers: &HeaderMap::new() };
                assert_eq!(codec(name).fault(&target, &head, body.as_bytes()).upstream.unwrap().status, status as u16);
                continue;
            }
            let events = read(codec(name), &target, &HeaderMap::new(), body.as_bytes(), 1000).unwrap_or_else(|fault| panic!("{url}: {fault:?}"));
            let answer: Value = serde_json::from_str(body).unwrap();
            let wanted = &answer[list];
            let wanted = wanted.get("float").unwrap_or(wanted).as_array().unwrap();
            let mut writer = EmbedDoor.writer(&EmbedRequest::default());
            let (mut vectors, mut ignored) = (0, BytesMut::new());
            for kind in events {
                if let EventKind::Embedded { index, vector: made } = &kind {
                    let item = &wanted[*index as usize];
                    let item = item.get("embedding").or(item.get("values")).unwrap_or(item);
                    let read: Value = serde_json::from_str(&vector::float_json(made).unwrap()).unwrap();
                    match item {
                        Value::String(packed) => assert_eq!(vector::base64(made).unwrap(), packed.as_str()),
                        numbers => assert_eq!(&read, numbers, "{url}"),
                    }
                    vectors += 1;
                }
                let mut batch = Batch::default();
                batch.push(kind);
                writer.push(&batch, &mut ignored).unwrap();
            }
            assert_eq!(vectors, wanted.len(), "{url}");
        }
        assert!(seen > 0, "{file}");
        println!("{file}: {seen} recordings");
    }
}
