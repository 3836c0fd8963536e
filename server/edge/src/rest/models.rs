//! `GET /v1/models`: what a key can use now, in OpenAI's list, with the members that users of OpenRouter know.

mod shape;

use axum::{
    extract::{Path, State},
    response::Response,
};
use headworks_core::{Fault, Reason, Status, Target, Tenant};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use shape::{Model, model, policy};

use super::{json, refuse, text};
use crate::{App, app::bearer};

#[derive(Serialize)]
struct List {
    object: &'static str,
    data: Vec<Model>,
    // Anthropic's clients look for these.
    has_more: bool,
    first_id: Option<String>,
    last_id: Option<String>,
}

/// `GET /v1/models`: what this key can use now, policies included.
pub(crate) async fn list(State(app): State<App>, headers: HeaderMap) -> Response {
    let tenant = match app.authenticate(bearer(&headers).or_else(|| text(&headers, "x-api-key"))) {
        Ok(tenant) => tenant,
        Err(fault) => return refuse(&fault, None),
    };
    let catalog = app.shared.catalog.load_full();
    let now = headworks_engine::unix_seconds();
    let mut data: Vec<Model> = catalog.targets().filter(|target| listed(target, &tenant)).map(|target| model(target, now)).collect();
    data.extend(app.policies.names().iter().map(|name| format!("policy/{name}")).filter(|id| tenant.may_use(id)).map(policy));
    data.sort_by(|a, b| a.id.cmp(&b.id));
    let (first_id, last_id) = (data.first().map(|m| m.id.clone()), data.last().map(|m| m.id.clone()));
    answer(&List { object: "list", data, has_more: false, first_id, last_id })
}

/// `GET /v1/models/{id}`: a full id, an alias, a bare name or `policy/NAME`.
pub(crate) async fn get(State(app): State<App>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let tenant = match app.authenticate(bearer(&headers).or_else(|| text(&headers, "x-api-key"))) {
        Ok(tenant) => tenant,
        Err(fault) => return refuse(&fault, None),
    };
    if let Some(name) = id.strip_prefix("policy/")
        && tenant.may_use(&id)
        && app.policies.get(name).is_some()
    {
        return answer(&policy(id));
    }
    let catalog = app.shared.catalog.load_full();
    let found = catalog.target(&id).filter(|target| target.known).or_else(|| catalog.bare(&id));
    match found.filter(|target| headworks_policy::usable(target, &tenant)) {
        Some(target) => answer(&model(&target, headworks_engine::unix_seconds())),
        None => {
            let fault = Fault::new(Reason::ModelNotFound, format!("no model \"{id}\" that this key may use; GET /v1/models lists them"));
            refuse(&fault, None)
        }
    }
}

/// Whether a model is worth showing to this key: it can be called now, by a door that there is.
fn listed(target: &Target, tenant: &Tenant) -> bool {
    target.host.configured
        && crate::grpc::supported(target)
        && target.model.as_ref().is_some_and(|m| m.status != Status::Hidden && matches!(&*m.mode, "chat" | "embedding"))
        && headworks_policy::usable(target, tenant)
}

fn answer(body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(body) => json(StatusCode::OK, body),
        Err(error) => refuse(&Fault::internal(format!("the answer could not be written: {error}")), None),
    }
}
