use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
};
use headworks_core::{Fault, Inbound, Origin};
use headworks_providers::{embed::EmbedDoor, openai::OpenAiDoor};
use tower::ServiceExt;

use super::{
    body,
    chat::{deadline, from_headers, unary},
    refuse, text,
};
use crate::{App, app::bearer};

/// `POST /v1/embeddings`.
pub(crate) async fn embed(State(app): State<App>, request: Request) -> Response {
    let id = headworks_engine::request_id();
    match answer(app, request, id.clone()).await {
        Ok(response) => response,
        Err(fault) => refuse(&fault, Some(id)),
    }
}

async fn answer(app: App, request: Request, id: Arc<str>) -> Result<Response, Fault> {
    let headers = request.headers().clone();
    let credential = bearer(&headers).or_else(|| text(&headers, "x-api-key"));
    app.authenticate(credential)?;
    let body = body::read(request, app.config.max_body_bytes).await?;
    let mut asked = EmbedDoor.request(&body)?;
    from_headers(&headers, &mut asked.routing)?;
    let writer = EmbedDoor.writer(&asked);
    let inbound = Inbound {
        id,
        credential: credential.unwrap_or_default().into(),
        work: asked.into(),
        deadline: deadline(&headers)?,
        origin: Origin::RestEmbeddings,
        traceparent: text(&headers, "traceparent").map(Arc::from),
        memo: None,
    };
    unary(app.gateway.clone().oneshot(inbound).await?, writer, &OpenAiDoor, None).await
}
