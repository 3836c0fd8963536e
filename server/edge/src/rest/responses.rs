//! OpenAI's Responses: answers, and those that are kept so that clients can go on from them.

use std::{pin::Pin, sync::Arc};

use axum::{
    extract::{Path, RawQuery, Request, State},
    response::Response,
};
use bytes::Bytes;
use headworks_core::{Fault, Origin, Reason, Tenant};
use headworks_providers::{members, responses::ResponsesDoor};
use headworks_store::KeptResponse;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{body, chat, json as answer_json, refuse_at, text};
use crate::{App, app::bearer};

/// Keeps a whole answer; resolves when it is on disk.
pub(crate) type Keep = Box<dyn FnOnce(Bytes) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;
/// Makes what keeps an answer, for each time it is written.
pub(crate) type Keeper = Arc<dyn Fn() -> Keep + Send + Sync>;

/// `POST /v1/responses`.
pub(crate) async fn create(State(app): State<App>, request: Request) -> Response {
    let id = headworks_engine::request_id();
    match respond(app, request, id.clone()).await {
        Ok(response) => response,
        Err(fault) => refuse_at(&ResponsesDoor, &fault, Some(id)),
    }
}

async fn respond(app: App, request: Request, id: Arc<str>) -> Result<Response, Fault> {
    let headers = request.headers().clone();
    let tenant = tenant(&app, &headers)?;
    let body = body::read(request, app.config.max_body_bytes).await?;
    let turn = Turn::of(&body);
    let whole = expand(&app, &tenant, &turn, body).await?;
    let (keeping, turn) = (app.clone(), Arc::new(turn));
    let keeper: Keeper = Arc::new(move || keep(keeping.clone(), tenant.clone(), turn.clone()));
    chat::carry(app, headers, whole, &ResponsesDoor, Origin::RestResponses, id, Some(keeper)).await
}

fn tenant(app: &App, headers: &HeaderMap) -> Result<Arc<Tenant>, Fault> {
    app.authenticate(bearer(headers).or_else(|| text(headers, "x-api-key")))
}

/// What this request adds to a conversation. Empty where the body cannot be read: the door says what is wrong with it.
#[derive(Default)]
struct Turn {
    input: Bytes,
    previous: Option<String>,
}

impl Turn {
    fn of(body: &Bytes) -> Self {
        let mut turn = Self::default();
        for member in members(body).unwrap_or_default() {
            match &*member.name {
                "input" => turn.input = body.slice(member.value),
                "previous_response_id" => turn.previous = body.get(member.value).and_then(|raw| serde_json::from_slice(raw).ok()).flatten(),
                _ => {}
            }
        }
        turn.previous = turn.previous.filter(|id| !id.is_empty());
        turn
    }

    /// Its items, a string as the message that it stands for.
    fn items(&self) -> Vec<Box<RawValue>> {
        items(&self.input)
    }
}

fn items(input: &[u8]) -> Vec<Box<RawValue>> {
    match serde_json::from_slice::<String>(input) {
        Ok(said) => serde_json::value::to_raw_value(&json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": said}]}))
            .into_iter()
            .collect(),
        Err(_) => serde_json::from_slice(input).unwrap_or_default(),
    }
}

#[derive(Deserialize)]
struct Output {
    #[serde(default)]
    id: String,
    #[serde(default)]
    output: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(rename = "type", default, borrow)]
    kind: Option<std::borrow::Cow<'a, str>>,
    #[serde(default, borrow)]
    id: Option<std::borrow::Cow<'a, str>>,
}

fn named(raw: &RawValue) -> (Option<String>, Option<String>) {
    let named: Option<Named<'_>> = serde_json::from_str(raw.get()).ok();
    named.map_or((None, None), |n| (n.kind.map(Into::into), n.id.map(Into::into)))
}

/// The items of a whole turn: what was asked, then what was answered.
fn turn_items(turn: &KeptResponse) -> Vec<Box<RawValue>> {
    let mut all = items(&turn.input);
    all.extend(serde_json::from_slice::<Output>(&turn.response).map(|answer| answer.output).unwrap_or_default());
    all
}

/// The conversation before a request, so that any target can go on from it.
async fn before(app: &App, tenant: &Tenant, previous: &str) -> Result<Vec<Box<RawValue>>, Fault> {
    let gone = |why: &str| Fault::invalid("previous_response_id", format!("\"{previous}\" {why}"));
    let turns =
        app.responses.conversation(&tenant.id, previous).await?.ok_or_else(|| {
            gone("is not kept here for this key, or a turn before it is not: it was sent with \"store\": false, deleted, or its time is over")
        })?;
    if turns.iter().any(|turn| turn.too_large) {
        return Err(gone("or a turn before it was larger than responses.max_bytes and was not kept; send the conversation as input"));
    }
    Ok(turns.iter().flat_map(turn_items).collect())
}

/// The body with everything it refers to put in its place.
async fn expand(app: &App, tenant: &Tenant, turn: &Turn, body: Bytes) -> Result<Bytes, Fault> {
    let refers = memchr::memmem::find(&turn.input, b"\"item_reference\"").is_some();
    if turn.previous.is_none() && !refers {
        return Ok(body);
    }
    let mut all = match &turn.previous {
        Some(previous) => before(app, tenant, previous).await?,
        None => Vec::new(),
    };
    let known: Vec<Option<String>> = all.iter().map(|raw| named(raw).1).collect();
    for item in turn.items() {
        let (kind, id) = named(&item);
        match id.filter(|_| kind.as_deref() == Some("item_reference")) {
            // Already there, as a part of the conversation.
            Some(id) if known.iter().flatten().any(|known| *known == id) => {}
            Some(id) => match app.responses.of_item(&tenant.id, &id).await? {
                Some(kept) => all.extend(turn_items(&kept).into_iter().filter(|raw| named(raw).1.as_deref() == Some(&id))),
                // The door refuses it, and knows its place.
                None => all.push(item),
            },
            None => all.push(item),
        }
    }
    let Ok(list) = serde_json::to_string(&all) else { return Ok(body) };
    let mut out = Vec::with_capacity(body.len() + list.len());
    out.push(b'{');
    let mut told = false;
    let mut put = |key: &[u8], value: &[u8]| {
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(key);
        out.push(b':');
        out.extend_from_slice(value);
    };
    for member in members(&body).unwrap_or_default() {
        let (key, value) = (body.get(member.key).unwrap_or_default(), body.get(member.value).unwrap_or_default());
        if &*member.name == "input" {
            told = true;
            put(key, list.as_bytes());
        } else {
            put(key, value);
        }
    }
    if !told {
        put(b"\"input\"", list.as_bytes());
    }
    out.push(b'}');
    Ok(out.into())
}

fn keep(app: App, tenant: Arc<Tenant>, turn: Arc<Turn>) -> Keep {
    Box::new(move |response| {
        let work = async move {
            let Ok(answer) = serde_json::from_slice::<Output>(&response) else { return };
            let items = answer.output.iter().filter_map(|raw| named(raw).1).filter(|id| id.len() <= 256).collect();
            let input = serde_json::to_vec(&turn.items()).unwrap_or_default().into();
            let kept = KeptResponse { input, response, previous: turn.previous.clone(), items, too_large: false };
            if let Err(fault) = app.responses.keep(&tenant.id, &answer.id, kept).await {
                tracing::warn!(response = %answer.id, error = %fault, "the answer could not be kept; nobody can go on from it");
            }
        };
        // Under way even if the client leaves in this moment.
        let task = tokio::spawn(work);
        Box::pin(async move {
            let _ = task.await;
        })
    })
}

fn none(id: &str) -> Fault {
    Fault::new(Reason::NotFound, format!("no response \"{id}\" is kept here for this key: it was sent with \"store\": false, deleted, or its time is over"))
}

async fn kept(app: &App, headers: &HeaderMap, id: &str) -> Result<(Arc<Tenant>, KeptResponse), Fault> {
    let tenant = tenant(app, headers)?;
    let turn = app.responses.get(&tenant.id, id).await?.ok_or_else(|| none(id))?;
    if turn.too_large {
        return Err(Fault::new(Reason::NotFound, format!("response \"{id}\" was larger than responses.max_bytes and was not kept")));
    }
    Ok((tenant, turn))
}

fn told(result: Result<Response, Fault>) -> Response {
    result.unwrap_or_else(|fault| refuse_at(&ResponsesDoor, &fault, None))
}

/// `GET /v1/responses/{id}`.
pub(crate) async fn get(State(app): State<App>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    told(kept(&app, &headers, &id).await.map(|(_, turn)| answer_json(StatusCode::OK, turn.response)))
}

/// `DELETE /v1/responses/{id}`.
pub(crate) async fn delete(State(app): State<App>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let gone = async {
        let tenant = tenant(&app, &headers)?;
        if app.responses.forget(&tenant.id, &id).await? { Ok(()) } else { Err(none(&id)) }
    };
    told(gone.await.map(|()| answer_json(StatusCode::OK, json!({"id": id, "object": "response", "deleted": true}).to_string())))
}

/// A page of items.
struct Page {
    limit: usize,
    newest_first: bool,
    after: Option<String>,
}

impl Page {
    /// From a query such as `limit=20&order=asc`. Ids need no escapes.
    fn read(query: &str) -> Result<Self, Fault> {
        let mut page = Self { limit: 20, newest_first: true, after: None };
        for (name, said) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match name {
                "limit" => page.limit = said.parse().ok().filter(|n| (1..=100).contains(n)).ok_or_else(|| Fault::invalid("limit", "must be 1 to 100"))?,
                "order" if matches!(said, "asc" | "desc") => page.newest_first = said == "desc",
                "order" => return Err(Fault::invalid("order", format!("\"{said}\" is neither asc nor desc"))),
                "after" => page.after = Some(said.to_owned()),
                _ => {}
            }
        }
        Ok(page)
    }
}

/// `GET /v1/responses/{id}/input_items`: everything the model was given, the conversation before it included.
pub(crate) async fn input_items(State(app): State<App>, Path(id): Path<String>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    told(match Page::read(query.as_deref().unwrap_or_default()) {
        Ok(page) => list(&app, &headers, &id, page).await,
        Err(fault) => Err(fault),
    })
}

async fn list(app: &App, headers: &HeaderMap, id: &str, page: Page) -> Result<Response, Fault> {
    let (tenant, turn) = kept(app, headers, id).await?;
    let mut all = match &turn.previous {
        Some(previous) => before(app, &tenant, previous).await?,
        None => Vec::new(),
    };
    all.extend(items(&turn.input));
    let mut all: Vec<Value> = all.iter().enumerate().filter_map(|(at, raw)| whole(raw, id, at)).collect();
    if page.newest_first {
        all.reverse();
    }
    let from = match &page.after {
        Some(after) => {
            all.iter().position(|item| item["id"] == **after).map(|at| at + 1).ok_or_else(|| Fault::invalid("after", format!("no item \"{after}\" is here")))?
        }
        None => 0,
    };
    let rest: Vec<Value> = all.into_iter().skip(from).collect();
    let has_more = rest.len() > page.limit;
    let data: Vec<Value> = rest.into_iter().take(page.limit).collect();
    let end = |item: Option<&Value>| item.map_or(Value::Null, |item| item["id"].clone());
    let (first_id, last_id) = (end(data.first()), end(data.last()));
    Ok(answer_json(StatusCode::OK, json!({"object": "list", "data": data, "first_id": first_id, "last_id": last_id, "has_more": has_more}).to_string()))
}

/// An item as a list shows it: with a type and an id, and a message's text as parts.
fn whole(raw: &RawValue, response: &str, at: usize) -> Option<Value> {
    let mut item: Value = serde_json::from_str(raw.get()).ok()?;
    let object = item.as_object_mut()?;
    let kind = object.entry("type").or_insert_with(|| json!("message")).as_str().unwrap_or("item").to_owned();
    let prefix = if kind == "message" { "msg" } else { "item" };
    object.entry("id").or_insert_with(|| json!(format!("{prefix}_{}_in{at}", response.trim_start_matches("resp_"))));
    if kind == "message" {
        object.entry("status").or_insert_with(|| json!("completed"));
        let word = if object.get("role").is_some_and(|role| role == "assistant") { "output_text" } else { "input_text" };
        if let Some(Value::String(said)) = object.get("content").cloned() {
            let mut part = json!({"type": word, "text": said});
            if word == "output_text" {
                part["annotations"] = json!([]);
                part["logprobs"] = json!([]);
            }
            object.insert("content".to_owned(), json!([part]));
        }
    }
    Some(item)
}
