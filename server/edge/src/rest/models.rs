use axum::{
    extract::{Path, State},
    response::Response,
};
use headworks_core::{Fault, Reason, Status, Target, Tenant};
use http::{HeaderMap, StatusCode};
use serde::Serialize;

use super::{json, refuse, text};
use crate::{App, app::bearer};

#[derive(Serialize)]
struct List {
    object: &'static str,
    data: Vec<Model>,
}

#[derive(Serialize)]
struct Model {
    id: String,
    object: &'static str,
    created: i64,
    owned_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_window: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<i64>,
}

/// `GET /v1/models`: what this key can use now, policies included.
pub(crate) async fn list(State(app): State<App>, headers: HeaderMap) -> Response {
    let tenant = match app.authenticate(bearer(&headers).or_else(|| text(&headers, "x-api-key"))) {
        Ok(tenant) => tenant,
        Err(fault) => return refuse(&fault, None),
    };
    let catalog = app.shared.catalog.load_full();
    let mut data: Vec<Model> = catalog.targets().filter(|target| listed(target, &tenant)).map(|target| model(target)).collect();
    for policy in app.policies.names() {
        let id = format!("policy/{policy}");
        if tenant.may_use(&id) {
            data.push(Model { id, object: "model", created: 0, owned_by: "headworks".to_owned(), context_window: None, max_output_tokens: None });
        }
    }
    data.sort_by(|a, b| a.id.cmp(&b.id));
    answer(&List { object: "list", data })
}

/// `GET /v1/models/{provider}/{model}`.
pub(crate) async fn get(State(app): State<App>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let tenant = match app.authenticate(bearer(&headers).or_else(|| text(&headers, "x-api-key"))) {
        Ok(tenant) => tenant,
        Err(fault) => return refuse(&fault, None),
    };
    let catalog = app.shared.catalog.load_full();
    let found = catalog.target(&id).filter(|target| target.known && tenant.may_use(&target.id.to_string()));
    match found.or_else(|| catalog.bare(&id).filter(|target| tenant.may_use(&target.id.to_string()))) {
        Some(target) => answer(&model(&target)),
        None => {
            let fault = Fault::new(Reason::ModelNotFound, format!("no model \"{id}\" that this key may use; GET /v1/models lists them"));
            refuse(&fault, None)
        }
    }
}

/// Whether a model is worth showing to this key: it can be called now.
pub(crate) fn listed(target: &Target, tenant: &Tenant) -> bool {
    target.host.configured
        && target.dialect.is_some_and(|d| headworks_providers::dialect(d).is_some())
        && target.model.as_ref().is_some_and(|m| m.status != Status::Hidden && &*m.mode == "chat")
        && tenant.may_use(&target.id.to_string())
}

fn model(target: &Target) -> Model {
    let facts = target.model.as_ref();
    Model {
        id: target.id.to_string(),
        object: "model",
        created: facts.and_then(|m| m.release_date.as_deref()).and_then(unix).unwrap_or(0),
        owned_by: target.id.provider.to_string(),
        context_window: facts.and_then(|m| m.context_window),
        max_output_tokens: facts.and_then(|m| m.max_output_tokens),
    }
}

/// Unix seconds of midnight UTC of a `YYYY-MM-DD`.
pub(crate) fn unix(date: &str) -> Option<i64> {
    let mut parts = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (y, m, d) = (parts.next()??, parts.next()??, parts.next()??);
    // Days from the civil calendar: years begin in March, so that leap days fall at their end.
    let year = if m <= 2 { y - 1 } else { y };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((m + 9) % 12) + 2) / 5 + d - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(days * 86_400)
}

fn answer(body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(body) => json(StatusCode::OK, body),
        Err(error) => refuse(&Fault::internal(format!("the answer could not be written: {error}")), None),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn dates_are_days_since_1970() {
        for (date, seconds) in [("1970-01-01", 0), ("2000-03-01", 951_868_800), ("2025-08-07", 1_754_524_800)] {
            assert_eq!(super::unix(date), Some(seconds), "{date}");
        }
        assert_eq!(super::unix("2025-08"), None);
    }
}
