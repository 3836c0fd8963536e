//! `SimulatePolicy`: recorded calls, replayed through a policy.

use std::{collections::HashMap, sync::Arc, time::Duration};

use headworks_api::{
    storage::{AttemptRecord, RequestRecord},
    v1,
};
use headworks_core::{
    CacheMark, Cause, ChatRequest, Fault, Key, Limit, Message, MessageRole, ModelId, NanoUsd, Part, PartKind, Reason, Role, Routing, Source, Tenant, Tool,
};
use headworks_policy::{Limits, Recorded, Setting, Simulation, Size, Sums, Tried, percentile, simulate};
use headworks_store::{Filter, read_tokens};

use crate::grpc::{
    Doors,
    reach::{Reach, USAGE},
    records,
};

/// Most requests of one simulation, and how many where the request does not say.
const MOST: usize = 100_000;
const STANDARD: usize = 10_000;
/// Records read at a time.
const PAGE: usize = 1_000;
/// Numbers of outcomes in records.
const SUCCESS: i32 = 1;
const CANCELLED: i32 = 4;
const UNKNOWN: i32 = 5;

impl Doors {
    /// Replays recorded calls. Calls nobody.
    pub(super) async fn simulate(&self, asked: v1::SimulatePolicyRequest, caller: &Tenant) -> Result<v1::SimulatePolicyResponse, Fault> {
        let mut tried = asked.policy.clone().ok_or_else(|| Fault::invalid("policy", "is missing; give the policy to try"))?;
        if tried.name.is_empty() {
            "simulated".clone_into(&mut tried.name);
        }
        let policy = Arc::new(self.check(&tried)?);
        let most = match asked.max_requests {
            0 => STANDARD,
            n => usize::try_from(n).ok().filter(|n| *n <= MOST).ok_or_else(|| Fault::invalid("max_requests", format!("must be 0 to {MOST}")))?,
        };
        let (from, before) = (records::unix_nanos(asked.start_time), records::unix_nanos(asked.end_time));
        if from != 0 && before != 0 && from >= before {
            return Err(Fault::invalid("end_time", "must be after start_time"));
        }
        let within = match Reach::of(caller, &USAGE) {
            Reach::Group(group) => group.to_string(),
            Reach::Own(_) | Reach::All => String::new(),
        };
        let filter = Filter { key_id: asked.key_id.clone(), tag: asked.tag.clone(), from, before, within, ..Filter::default() };
        let (mut calls, mut left, mut token) = (Vec::new(), 0, None);
        let mut keys = HashMap::new();
        while calls.len() < most {
            let page = self.0.records.list(&filter, PAGE, token.as_deref()).await?;
            for record in page.records {
                let wanted = asked.model.is_empty() || record.model == asked.model;
                if calls.len() == most || !wanted {
                    continue;
                }
                match self.recorded(record, &mut keys) {
                    Some(call) => calls.push(call),
                    None => left += 1,
                }
            }
            token = page.next;
            if token.is_none() {
                break;
            }
        }
        let shared = self.0.shared.clone();
        // Thousands of plans: not on a thread that serves calls.
        let run = move || {
            let timeouts = shared.timeouts(&Limits::default());
            let setting = Setting {
                catalog: &shared.catalog.load(),
                policy: &policy,
                policies: &|name| shared.policies.policy(name),
                max_attempts: shared.config.max_attempts,
                retries: shared.config.retries(),
                limits: Limits { first_token: Some(timeouts.first_token), between_tokens: Some(timeouts.between_tokens), total: Some(timeouts.total) },
            };
            simulate(calls, &setting)
        };
        let simulation = tokio::task::spawn_blocking(run).await.map_err(|_| Fault::internal("the simulation was cut off"))?;
        Ok(response(simulation, left))
    }

    /// A record as the simulation reads it; `None`: it says nothing about routing.
    fn recorded(&self, record: RequestRecord, keys: &mut HashMap<String, Arc<Key>>) -> Option<Recorded> {
        let chat = record.door != "rest-embeddings";
        if !chat || record.attempts.is_empty() || [CANCELLED, UNKNOWN].contains(&record.outcome) {
            return None;
        }
        let tenant = keys.entry(record.key_id.clone()).or_insert_with(|| self.0.keys.tenant(&record.key_id).unwrap_or_else(|| anyone(&record.key_id))).clone();
        let tokens = read_tokens(record.attempts.last().map(|a| &a.tokens[..]).unwrap_or_default());
        Some(Recorded {
            at: nanos(record.start_unix_nanos),
            tokens,
            success: record.outcome == SUCCESS,
            latency: nanos(record.latency_nanos),
            attempts: record.attempts.iter().map(|a| attempt(a, record.streamed)).collect(),
            work: asked(&record).into(),
            id: record.id.into(),
            tenant,
        })
    }
}

fn nanos(nanos: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

/// A key that is gone: it may use what the policy names.
fn anyone(id: &str) -> Arc<Key> {
    let (id, name) = (Arc::from(id), Arc::from("gone"));
    Arc::new(Key { id, name, roles: vec![Role::Caller], ..Key::default() })
}

/// What a record tells of its request: not the words, but what policies look at.
fn asked(record: &RequestRecord) -> ChatRequest {
    let mut parts = vec![Part::text("")];
    if record.has_images {
        parts.push(Part::new(PartKind::Image { source: Source::FileId("".into()), detail: None }));
    }
    let tool = Tool::Function { name: "f".into(), description: None, parameters: None, strict: None, cache: CacheMark::None };
    let some = |text: &str| Some(text).filter(|t| !t.is_empty()).map(Arc::from);
    ChatRequest {
        model: record.model.as_str().into(),
        messages: vec![Message { role: MessageRole::User, parts, name: None, extra: Vec::new() }],
        tools: if record.has_tools { vec![tool] } else { Vec::new() },
        stream: record.streamed,
        routing: Routing {
            tags: record.tags.iter().map(|tag| tag.as_str().into()).collect(),
            user_id: some(&record.user_id),
            trace_id: some(&record.trace_id),
            ..Routing::default()
        },
        ..ChatRequest::default()
    }
}

/// What lay underneath a recorded failure, as far as its reason and status tell.
fn cause(a: &AttemptRecord) -> Option<Cause> {
    if a.outcome == SUCCESS || a.outcome == CANCELLED {
        return None;
    }
    Some(match Reason::from_name(&a.reason) {
        Some(Reason::RateLimited) => Cause::RateLimited,
        Some(Reason::UpstreamCredentials) => Cause::Credentials,
        Some(Reason::ContextTooLong) => Cause::ContextTooLong,
        Some(Reason::CapabilityMissing) => Cause::Unfit,
        Some(Reason::UpstreamRejected) if [404, 410].contains(&a.status) => Cause::ModelMissing,
        Some(Reason::UpstreamRejected) => Cause::Rejected,
        Some(Reason::Timeout) => Cause::Timeout(Limit::FirstToken),
        _ => Cause::Unavailable,
    })
}

fn attempt(a: &AttemptRecord, streamed: bool) -> Tried {
    let tokens = read_tokens(&a.tokens);
    Tried {
        target: ModelId::new(a.provider.as_str(), a.model.as_str()),
        at: nanos(a.start_unix_nanos),
        cause: cause(a),
        first_token: a.first_token_nanos.filter(|_| streamed).map(nanos),
        total: nanos(a.latency_nanos),
        size: Size { input: tokens.prompt(), output: tokens.completion() },
        cost: a.cost_nano_usd.map(NanoUsd),
        // Calls that their caller cancelled are not replayed.
        lost: a.outcome == CANCELLED,
    }
}

fn outcome(sums: &Sums) -> v1::SimulatedOutcome {
    let span = |duration: Option<Duration>| duration.and_then(|d| prost_types::Duration::try_from(d).ok());
    v1::SimulatedOutcome {
        request_count: sums.requests,
        success_count: sums.successes,
        failover_count: sums.failovers,
        cost_nano_usd: sums.cost.0,
        latency_p50: span(percentile(&sums.latencies, 50)),
        latency_p90: span(percentile(&sums.latencies, 90)),
        latency_p99: span(percentile(&sums.latencies, 99)),
        first_token_p50: span(percentile(&sums.first_tokens, 50)),
        price_unknown_count: sums.price_unknown,
        attempt_count: sums.attempts,
    }
}

fn response(simulation: Simulation, left: usize) -> v1::SimulatePolicyResponse {
    let mut notes = simulation.notes;
    if left > 0 {
        notes.push(format!("{left} requests were left out: they were no chats, were cancelled, never got to a target, or ended with the gateway"));
    }
    notes.push("prompts are not on record: sizes are those that were billed, and nothing stays with a prompt's cache".to_owned());
    v1::SimulatePolicyResponse {
        simulated: Some(outcome(&simulation.simulated)),
        recorded: Some(outcome(&simulation.recorded)),
        targets: simulation
            .targets
            .iter()
            .map(|(target, (with, really))| v1::SimulatedTarget { target: target.to_string(), simulated: Some(outcome(with)), recorded: Some(outcome(really)) })
            .collect(),
        notes,
    }
}
