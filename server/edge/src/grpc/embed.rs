//! `EmbeddingService`.

use futures_util::StreamExt;
use headworks_api::v1;
use headworks_core::{EmbedInput, EmbedRequest, EventKind, Fault, Json, Vector};
use headworks_providers::embed::vector;
use tonic::{Request, Response, Status, async_trait};

use super::{
    Doors,
    chat::{call, name},
    convert, records, status,
    trailers::Late,
};

#[async_trait]
impl v1::embedding_service_server::EmbeddingService for Doors {
    async fn embed(&self, mut request: Request<v1::EmbedRequest>) -> Result<Response<v1::EmbedResponse>, Status> {
        self.tenant(&request)?;
        let id = headworks_engine::request_id();
        let refuse = |fault: Fault| status(&fault, Some(&id));
        let asked = read(std::mem::take(request.get_mut())).map_err(refuse)?;
        let mut vectors: Vec<Option<Vector>> = vec![None; asked.inputs.len()];
        let mut reply = call(self, &request, asked, &id).await.map_err(refuse)?;
        let facts = std::mem::take(&mut reply.facts);
        let late = Late::default();
        let mut response = v1::EmbedResponse { request_id: id.to_string(), served_by: reply.served_by.to_string(), ..Default::default() };
        while let Some(batch) = reply.events.next().await {
            for event in batch.map_err(refuse)?.events {
                match event.kind {
                    EventKind::Started { model: Some(model), .. } => response.model = model.to_string(),
                    EventKind::Embedded { index, vector } => {
                        if let Some(place) = vectors.get_mut(index as usize) {
                            *place = Some(vector);
                        }
                    }
                    EventKind::Receipt(receipt) => {
                        late.tell(&receipt);
                        response.usage = Some(records::usage(&receipt));
                        response.route = Some(records::route(&receipt));
                    }
                    _ => {}
                }
            }
        }
        for (at, vector) in vectors.into_iter().enumerate() {
            let vector = vector.ok_or_else(|| refuse(Fault::internal(format!("input {at} got no vector"))))?;
            let values = vector::floats(&vector).map_err(|bad| refuse(Fault::internal(format!("input {at}: {bad}"))))?;
            response.embeddings.push(v1::Embedding { values });
        }
        let mut response = Response::new(response);
        name(&mut response, &id, &facts);
        response.extensions_mut().insert(late);
        Ok(response)
    }
}

/// A request for vectors in our words. Fails with `INVALID_REQUEST`, naming the field.
pub fn read(asked: v1::EmbedRequest) -> Result<EmbedRequest, Fault> {
    let (model, purpose) = (asked.model.as_str().into(), asked.input_type.clone());
    if asked.model.is_empty() {
        return Err(Fault::invalid("model", "is missing; name one as provider/model, such as openai/text-embedding-3-small or sandbox/embedding"));
    }
    if asked.dimensions.is_some_and(|length| length < 1) {
        return Err(Fault::invalid("dimensions", "must be 1 or more"));
    }
    let inputs = match (asked.inputs.is_empty(), asked.token_inputs.is_empty()) {
        (true, true) => return Err(Fault::invalid("inputs", "is empty; send at least one text, or token_inputs")),
        (false, false) => return Err(Fault::invalid("token_inputs", "stands beside inputs; send texts or tokens, not both")),
        (false, true) => asked.inputs.iter().map(|text| EmbedInput::Text(text.as_str().into())).collect(),
        (true, false) => {
            for (at, input) in asked.token_inputs.iter().enumerate() {
                if input.tokens.is_empty() || input.tokens.iter().any(|token| *token < 0) {
                    return Err(Fault::invalid(format!("token_inputs[{at}].tokens"), "must hold at least one token, each 0 or more"));
                }
            }
            asked.token_inputs.into_iter().map(|input| EmbedInput::Tokens(input.tokens)).collect()
        }
    };
    let mut extra = std::collections::BTreeMap::new();
    for (name, text) in asked.extra_json {
        let json = Json::parse(text).map_err(|error| Fault::invalid(format!("extra_json[{name}]"), format!("is not valid JSON: {error}")))?;
        extra.insert(name.into(), json);
    }
    let carrier = v1::Chat {
        routing: asked.routing,
        tags: asked.tags,
        user_id: asked.user_id,
        trace_id: asked.trace_id,
        request_id: asked.request_id,
        timeout: asked.timeout,
        ..Default::default()
    };
    let routing = convert::routing(&carrier).map_err(|mut fault| {
        for violation in &mut fault.violations {
            violation.field = violation.field.trim_start_matches("chat.").to_owned();
        }
        fault
    })?;
    Ok(EmbedRequest {
        model,
        inputs,
        single: false,
        dimensions: asked.dimensions.map(i64::from),
        purpose: Some(purpose).filter(|word| !word.is_empty()).map(Into::into),
        metadata: asked.metadata.into_iter().collect(),
        user: Some(asked.user).filter(|user| !user.is_empty()).map(Into::into),
        routing,
        extra,
        extra_dialect: Some(headworks_core::DialectName::OpenAi),
        ..EmbedRequest::default()
    })
}
