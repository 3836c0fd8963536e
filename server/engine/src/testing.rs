//! A whole engine over scripted targets, for tests of its layers together.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::HashMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use headworks_core::{
    Attempt, AuthScheme, Batch, Begun, Budget, Catalog, Cause, ChatRequest, DialectName, EventKind, Fault, FinishReason, Host, Inbound, Key, Limit, Message,
    MessageRole, Model, ModelId, NanoUsd, Origin, Part, Payer, Price, Quirks, Rates, Reason, Receipt, Role, Tenant, Tokens,
};
use headworks_policy::{Policy, PolicyTarget, Rule};
use parking_lot::Mutex;
use tower::ServiceExt;

use crate::{
    Board, Budgets, Config, Gateway, Homes, Leaf, Metrics, Running, Shared, gateway,
    ports::{self, Claim, Closing, Intent, Pending, Remembered},
};

/// What a target does with an attempt.
#[derive(Clone, Debug)]
pub enum Play {
    /// Fails before content.
    Fail(Cause, Option<u64>),
    /// Answers a word after this many milliseconds.
    Word(&'static str, u64),
    /// Never answers.
    Hang,
    /// Begins, then breaks.
    Break,
    /// These events, then a break or a good end.
    Events(Vec<EventKind>, bool),
    /// So many words, `w1 w2 ...`, with so many milliseconds before each.
    Drip(usize, u64),
    /// Breaks after its head, before content.
    Early,
    /// Panics before it answers.
    Panic,
    /// Begins, then panics.
    PanicLater,
}

/// The engine under test, and what its targets saw.
pub struct Bench {
    pub shared: Arc<Shared>,
    pub gateway: Gateway,
    pub seen: Arc<Mutex<Vec<String>>>,
    /// The chats that its targets were asked.
    pub asked: Arc<Mutex<Vec<Arc<ChatRequest>>>>,
    pub warmed: Arc<Mutex<Vec<String>>>,
    /// What the ledger was told.
    pub ledger: Arc<Told>,
    plays: Arc<Mutex<HashMap<String, Vec<Play>>>>,
    policies: Arc<Named>,
    quiet: Arc<Quiet>,
}

/// A ledger in memory.
#[derive(Default)]
pub struct Told {
    pub intents: Mutex<Vec<Intent>>,
    pub records: Mutex<Vec<Closing>>,
}

#[derive(Default)]
struct Named(Mutex<HashMap<String, Arc<Policy>>>);

struct Quiet {
    warmed: Arc<Mutex<Vec<String>>>,
    tenant: Mutex<Arc<Tenant>>,
}

fn done() -> Pending {
    Box::pin(std::future::ready(Ok(())))
}

impl ports::Keys for Quiet {
    fn authenticate(&self, credential: &str) -> Result<Arc<Tenant>, Fault> {
        Ok(if credential == CAPPED { Arc::new(capped()) } else { self.tenant.lock().clone() })
    }
}

impl ports::Policies for Named {
    fn policy(&self, name: &str) -> Option<Arc<Policy>> {
        self.0.lock().get(name).cloned()
    }
}

impl ports::Ledger for Told {
    fn intent(&self, intent: Intent) -> Pending {
        self.intents.lock().push(intent);
        done()
    }
    fn record(&self, closing: Closing) -> Pending {
        self.records.lock().push(closing);
        done()
    }
}

impl ports::Memory for Quiet {
    fn claim(&self, _: Arc<str>, _: Arc<str>, _: [u8; 32]) -> Claim {
        Box::pin(std::future::ready(Ok(None)))
    }
    fn keep(&self, _: Arc<str>, _: Arc<str>, _: Remembered) -> Pending {
        done()
    }
    fn release(&self, _: Arc<str>, _: Arc<str>) -> Pending {
        done()
    }
}

impl ports::Warm for Quiet {
    fn warm(&self, host: &Arc<Host>) {
        self.warmed.lock().push(host.id.to_string());
    }
}

fn key() -> Key {
    Key { id: "k".into(), name: "k".into(), roles: vec![Role::Caller], ..Key::default() }
}

/// The credential of a key with a hard budget of ten dollars.
pub const CAPPED: &str = "capped";

fn capped() -> Key {
    let budget = Budget { limit: NanoUsd(10_000_000_000), ..Budget::default() };
    Key { payers: vec![Payer { id: "k".into(), title: "k".into(), budget: Some(budget), limits: Vec::new() }], ..key() }
}

/// Hosts `a` to `d`, each with the models `m` (context 1000), `big` (context 100000) and `priced` ($1 and $2 a million tokens).
fn catalog() -> Catalog {
    let host = |id: &str| {
        Arc::new(Host {
            id: id.into(),
            name: id.into(),
            dialect: Some(DialectName::OpenAi),
            dialect_word: "openai".into(),
            base_url: format!("http://{id}").into(),
            auth: AuthScheme::None,
            key_env: vec![],
            regions: vec![],
            reseller: false,
            quirks: Quirks::default(),
            options: Default::default(),
            configured: true,
        })
    };
    let model = |id: &str, name: &str, context: i64| {
        Arc::new(Model {
            id: ModelId::new(id, name),
            upstream_name: name.into(),
            mode: "chat".into(),
            dialect: None,
            foreign_dialect: None,
            context_window: Some(context),
            max_input_tokens: None,
            max_output_tokens: Some(100),
            price: (name == "priced")
                .then(|| Arc::new(Price { base: Rates { input: Some(1_000_000_000), output: Some(2_000_000_000), ..Rates::default() }, ..Price::default() })),
            capabilities: Default::default(),
            reasoning: Default::default(),
            cache_min_tokens: None,
            regions: vec![],
            status: Default::default(),
            deprecation_date: None,
            release_date: None,
            aliases: vec![],
            canonical: None,
            dimensions: None,
            unit_prices: Default::default(),
            origin: Default::default(),
        })
    };
    let names = ["a", "b", "c", "d"];
    Catalog::new(names.map(host), names.into_iter().flat_map(|id| [model(id, "m", 1000), model(id, "big", 100_000), model(id, "priced", 1000)]))
}

#[derive(Clone)]
struct Script {
    plays: Arc<Mutex<HashMap<String, Vec<Play>>>>,
    seen: Arc<Mutex<Vec<String>>>,
    asked: Arc<Mutex<Vec<Arc<ChatRequest>>>>,
}

fn batch(kinds: impl IntoIterator<Item = EventKind>) -> Batch {
    let mut batch = Batch::default();
    kinds.into_iter().for_each(|kind| batch.push(kind));
    batch
}

impl tower::Service<Attempt> for Script {
    type Response = Begun;
    type Error = Fault;
    type Future = Pin<Box<dyn Future<Output = Result<Begun, Fault>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, attempt: Attempt) -> Self::Future {
        let id = attempt.target.id.to_string();
        let play = {
            let mut plays = self.plays.lock();
            let list = plays.get_mut(&id).unwrap_or_else(|| panic!("nothing is said of {id}"));
            // The last one is played for ever.
            if list.len() > 1 { list.remove(0) } else { list[0].clone() }
        };
        self.seen.lock().push(id);
        self.asked.lock().extend(attempt.call.work.chat().cloned());
        Box::pin(async move {
            let broken = || Fault::new(Reason::AllTargetsFailed, "cut").because(Cause::Broken);
            let events: Vec<Result<Batch, Fault>> = match play {
                Play::Fail(cause, retry_after) => {
                    let reason = match cause {
                        Cause::RateLimited => Reason::RateLimited,
                        Cause::Timeout(_) => Reason::Timeout,
                        _ => Reason::AllTargetsFailed,
                    };
                    return Err(Fault::new(reason, "as told").because(cause).after(retry_after.map(Duration::from_millis)));
                }
                Play::Hang => std::future::pending().await,
                Play::Word(word, after) => {
                    tokio::time::sleep(Duration::from_millis(after)).await;
                    let usage = EventKind::Usage { tokens: Tokens { input: 10, output: 11, ..Tokens::default() }, service_tier: None };
                    vec![Ok(batch([EventKind::Text(word.into())])), Ok(batch([EventKind::Finished(FinishReason::Stop), usage]))]
                }
                Play::Events(kinds, breaks) => {
                    let end = breaks.then(|| Err(broken()));
                    kinds.into_iter().map(|kind| Ok(batch([kind]))).chain(end).collect()
                }
                Play::Drip(words, pause) => {
                    let events = stream::unfold(0, move |at| async move {
                        let event = match at {
                            at if at < words => EventKind::Text(format!("w{} ", at + 1).into()),
                            at if at == words => EventKind::Finished(FinishReason::Stop),
                            _ => return None,
                        };
                        tokio::time::sleep(Duration::from_millis(pause)).await;
                        Some((Ok(batch([event])), at + 1))
                    });
                    return Ok(Begun { status: 200, notes: vec![], events: Box::pin(events) });
                }
                Play::Early => vec![Err(broken())],
                Play::Panic => panic!("as told"),
                Play::PanicLater => {
                    let panicking = stream::once(async { panic!("as told") });
                    let head = stream::iter([Ok(batch([EventKind::Text("half".into())]))]);
                    return Ok(Begun { status: 200, notes: vec![], events: Box::pin(head.chain(panicking)) });
                }
                Play::Break => vec![Ok(batch([EventKind::Text("half".into())])), Err(broken())],
            };
            Ok(Begun { status: 200, notes: vec![], events: Box::pin(stream::iter(events)) })
        })
    }
}

impl Bench {
    pub fn new(config: Config) -> Self {
        Self::keeping(config, crate::StreamsConfig::default())
    }

    /// With other bounds on what is kept of streams.
    pub fn keeping(config: Config, streams: crate::StreamsConfig) -> Self {
        let (plays, seen) = <(Arc<Mutex<HashMap<String, Vec<Play>>>>, Arc<Mutex<Vec<String>>>)>::default();
        let warmed = Arc::<Mutex<Vec<String>>>::default();
        let asked = Arc::<Mutex<Vec<Arc<ChatRequest>>>>::default();
        let quiet = Arc::new(Quiet { warmed: warmed.clone(), tenant: Mutex::new(Arc::new(key())) });
        let policies = Arc::new(Named::default());
        let ledger = Arc::new(Told::default());
        let shared = Arc::new(Shared {
            board: Board::new(&config),
            homes: Homes::new(config.affinity_entries),
            config,
            keys: quiet.clone(),
            policies: policies.clone(),
            ledger: ledger.clone(),
            memory: quiet.clone(),
            ack: ports::Ack::After,
            catalog: arc_swap::ArcSwap::from_pointee(catalog()),
            losses: |_, _| Vec::new(),
            warm: quiet.clone(),
            budgets: Budgets::new([], headworks_core::Fit::default(), Arc::new(|_| {})),
            rates: crate::Rates::default(),
            hedges: crate::Hedges::default(),
            running: Arc::new(Running::default()),
            streams: crate::Streams::new(streams),
            answers: crate::Answers::new(crate::AnswersConfig::default()),
            metrics: Metrics::default(),
            draining: false.into(),
        });
        let gateway = gateway(&shared, Leaf::new(Script { plays: plays.clone(), seen: seen.clone(), asked: asked.clone() }));
        Self { shared, gateway, seen, asked, warmed, ledger, plays, policies, quiet }
    }

    /// The key of all calls from now on.
    pub fn pay(&self, change: impl FnOnce(&mut Key)) {
        let mut key = key();
        change(&mut key);
        *self.quiet.tenant.lock() = Arc::new(key);
    }

    pub fn play(&self, target: &str, plays: &[Play]) {
        self.plays.lock().insert(target.to_owned(), plays.to_vec());
    }

    /// A chain under the name `p`.
    pub fn chain(&self, models: &[&str], change: impl FnOnce(&mut Policy)) {
        let targets = models.iter().map(|m| PolicyTarget { model: (*m).into(), ..Default::default() }).collect();
        let mut policy = Policy { name: "p".into(), rule: Rule::Fallback(targets), affinity: true, ..Default::default() };
        change(&mut policy);
        self.policies.0.lock().insert("p".to_owned(), Arc::new(policy));
    }

    /// Calls, and gives the text with the receipt, or the fault. `seen` afterwards holds this call's attempts alone.
    pub async fn call(&self, model: &str, models: &[&str]) -> Result<(String, Arc<Receipt>), Fault> {
        self.ask(model, models, |_| {}).await
    }

    pub async fn ask(&self, model: &str, models: &[&str], change: impl FnOnce(&mut ChatRequest)) -> Result<(String, Arc<Receipt>), Fault> {
        let mut reply = self.gateway.clone().oneshot(self.request("x", model, models, change)).await?;
        let (mut text, mut receipt) = (String::new(), None);
        while let Some(batch) = reply.events.next().await {
            for event in batch?.events {
                match event.kind {
                    EventKind::Text(piece) => text.push_str(&piece),
                    EventKind::Receipt(end) => receipt = Some(end),
                    _ => {}
                }
            }
        }
        Ok((text, receipt.expect("every good answer ends with its receipt")))
    }

    /// A streamed chat of one word, on its way in.
    pub fn request(&self, credential: &str, model: &str, models: &[&str], change: impl FnOnce(&mut ChatRequest)) -> Inbound {
        self.seen.lock().clear();
        let mut request = ChatRequest { model: model.into(), stream: true, ..ChatRequest::default() };
        request.messages.push(Message { role: MessageRole::User, parts: vec![Part::text("hi")], name: None, extra: vec![] });
        request.routing.models = models.iter().map(|m| (*m).into()).collect();
        change(&mut request);
        let id = crate::request_id();
        Inbound { id, credential: credential.into(), work: request.into(), deadline: None, origin: Origin::Grpc, traceparent: None, memo: None }
    }

    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().clone()
    }

    /// How long a target rests.
    pub fn rest(&self, target: &str) -> Duration {
        let target = self.shared.catalog.load().target(target).unwrap();
        self.shared.board.seen(&target).map_or(Duration::ZERO, |standing| standing.rest())
    }
}

/// A timeout as a cause.
pub const LATE: Cause = Cause::Timeout(Limit::FirstToken);
