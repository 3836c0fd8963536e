//! Puts the parts together: the one place that knows them all, and decides nothing.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use headworks_api::{storage, v1};
use headworks_core::{Fault, Host, Reason, Tenant};
use headworks_edge::{App, Make, ModelBook};
use headworks_engine::{
    self as engine, Board, Budgets, Hedges, Homes, Metrics, Rates, Running, Shared,
    ports::{self, Claim, Closing, Pending, Remembered},
};
use headworks_policy::Policy;
use headworks_store::{
    Alerts, Idempotency, Keep, Kept, Keys, Ledger, MemoryStore, Models, Policies, Records, Rollups, SledStore, Store, Workers, request_record, settled,
};
use headworks_upstream::{Secrets, Upstream};
use prost::Message;

use crate::{alerts, config::Config};

/// A gateway, put together.
pub struct Gateway {
    /// For the doors.
    pub app: App,
    /// To be waited for at the end.
    pub ledger: Ledger,
    /// The secret of a first key, where one was made.
    pub first_secret: Option<String>,
}

/// Opens what `store.url` names.
pub fn store(config: &Config) -> Result<Arc<dyn Store>, String> {
    match config.store.url.split_once(':') {
        Some(("sled", path)) => Ok(Arc::new(SledStore::open(&PathBuf::from(path)).map_err(|error| error.to_string())?)),
        _ => Ok(Arc::new(MemoryStore::default())),
    }
}

/// Puts a gateway together, on a runtime with these workers.
pub async fn gateway(config: &Config, env: &BTreeMap<String, String>, workers: Workers) -> Result<Gateway, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let lookup = |name: &str| env.get(name).cloned();
    let make = maker(config, env);
    // Before the store is opened: a configuration that cannot be used touches nothing.
    make(&[]).map_err(|error| text(&error))?;
    let given = env.get(&config.admin.key_env).filter(|key| !key.is_empty());
    if given.is_some_and(|key| key.len() < 16) {
        return Err(format!("{}: an admin key must have 16 characters or more", config.admin.key_env));
    }
    let store = store(config)?;
    let keys = Arc::new(Keys::open(store.clone(), given.map(String::as_str)).await.map_err(|error| text(&error))?);
    let policies = Arc::new(Policies::open(store.clone()).await.map_err(|error| text(&error))?);
    let models = Models::open(store.clone()).await.map_err(|error| text(&error))?;
    let (said, unread) = ModelBook::said(&models);
    let (catalog, unused) = make(&said).map_err(|error| text(&error))?;
    for wrong in unread.iter().map(ToString::to_string).chain(unused.iter().map(ToString::to_string)) {
        tracing::error!(%wrong, "what the API says of a model cannot be used; it is left out");
    }
    let keep = Keep { minute_days: config.ledger.minute_days, hour_days: config.ledger.hour_days };
    let rollups = Rollups::open(store.clone(), keep, engine::unix_seconds()).await.map_err(|error| text(&error))?;
    let tap = rollups.start().map_err(|error| text(&error))?;
    let ledger = Ledger::tapped(store.clone(), Some(tap), workers).await.map_err(|error| text(&error))?;
    if config.ledger.retention_days > 0 {
        tokio::spawn(forget_old(store.clone(), config.ledger.retention_days));
    }
    let idempotency = Idempotency::new(store.clone());
    let responses = Arc::new(headworks_store::Responses::new(store.clone(), &config.responses));
    tokio::spawn(forget(Arc::downgrade(&responses)));
    let forgotten = idempotency.sweep().await.map_err(|error| text(&error))?;
    tracing::debug!(forgotten, "idempotency keys older than a day");

    let mut first_secret = None;
    if keys.is_empty() {
        let record = storage::KeyRecord { name: "first admin key".to_owned(), roles: vec![v1::KeyRole::Admin as i32], ..storage::KeyRecord::default() };
        let (_, _, secret) = keys.create(record).await.map_err(|fault| fault.message)?;
        first_secret = Some(secret.reveal().to_owned());
    }

    let mut secrets = Secrets::new().with_env(env.iter().map(|(name, value)| (name.clone(), value.clone())));
    for host in catalog.hosts() {
        let variable = headworks_providers::catalog::key_variable(host, &lookup);
        if let Some((name, key)) = variable.and_then(|name| Some((name, env.get(&**name)?))) {
            secrets.insert(host.id.clone(), key.trim()).map_err(|error| format!("{name}: {error}"))?;
        }
    }
    let upstream = Upstream::new(&config.upstream, secrets).map_err(|error| text(&error))?;

    let (told, crossings) = alerts::line();
    let budgets = Budgets::new(ledger.spent().into_iter().map(|(payer, tally)| (Arc::from(payer), tally)), config.budget.fit, told);
    alerts::review(&keys, &budgets);
    let outbox = Arc::new(Alerts::new(store.clone()));
    tokio::spawn(alerts::run(config.alerts.clone(), outbox.clone(), config.alerts.webhook(env)?, crossings));

    let shared = Arc::new(Shared {
        config: config.engine.clone(),
        keys: Arc::new(KeyPort(keys.clone())),
        policies: Arc::new(PolicyPort { policies: policies.clone(), read: DashMap::new() }),
        ledger: Arc::new(LedgerPort { ledger: ledger.clone(), awaited: config.ledger.ack == ports::Ack::Before }),
        memory: Arc::new(MemoryPort(idempotency)),
        ack: config.ledger.ack,
        catalog: ArcSwap::from_pointee(catalog),
        board: Board::new(&config.engine),
        homes: Homes::new(config.engine.affinity_entries),
        losses: headworks_providers::losses,
        warm: Arc::new(WarmPort(upstream.clone())),
        budgets,
        rates: Rates::default(),
        hedges: Hedges::default(),
        running: Arc::new(Running::default()),
        streams: engine::Streams::new(config.streams.clone()),
        answers: engine::Answers::new(config.response_cache.clone()),
        metrics: Metrics::default(),
        draining: false.into(),
    });
    let gateway = engine::gateway(&shared, engine::Leaf::new(upstream));
    let app = App {
        gateway,
        shared,
        keys,
        alerts: outbox,
        policies,
        models: Arc::new(ModelBook::new(models, make)),
        records: Arc::new(Records::new(store).after(ledger.clone())),
        rollups,
        responses,
        config: Arc::new(config.server.clone()),
    };
    Ok(Gateway { app, ledger, first_secret })
}

/// How a catalogue is made: of what is built in, the configuration, and what the API says.
pub fn maker(config: &Config, env: &BTreeMap<String, String>) -> Arc<Make> {
    let (providers, env) = (config.providers.clone(), env.clone());
    Arc::new(move |said| headworks_providers::catalog::layered(&providers, said, &|name| env.get(name).cloned()))
}

/// Takes away records that are older than is wished, once an hour.
async fn forget_old(store: Arc<dyn Store>, days: u32) {
    let mut hours = tokio::time::interval(std::time::Duration::from_secs(3_600));
    loop {
        hours.tick().await;
        let before = engine::unix_nanos().saturating_sub(i64::from(days).saturating_mul(86_400_000_000_000));
        match headworks_store::forget(&*store, u64::try_from(before).unwrap_or(0)).await {
            Ok(0) => {}
            Ok(commits) => tracing::info!(commits, days, "records older than ledger.retention_days were taken away; their sums stay"),
            Err(error) => tracing::error!(%error, "old records could not be taken away; trying again in an hour"),
        }
    }
}

/// Forgets stored responses whose time is over, now and every hour while the gateway is there.
async fn forget(responses: std::sync::Weak<headworks_store::Responses>) {
    let mut hour = tokio::time::interval(std::time::Duration::from_secs(3600));
    loop {
        hour.tick().await;
        let Some(responses) = responses.upgrade() else { return };
        match responses.sweep().await {
            Ok(forgotten) => tracing::debug!(forgotten, "stored responses whose time is over"),
            Err(error) => tracing::warn!(%error, "stored responses could not be swept"),
        }
    }
}

struct KeyPort(Arc<Keys>);

impl ports::Keys for KeyPort {
    fn authenticate(&self, credential: &str) -> Result<Arc<Tenant>, Fault> {
        self.0.authenticate(credential)
    }
}

/// Policies as the planner reads them, read once per version.
struct PolicyPort {
    policies: Arc<Policies>,
    read: DashMap<Arc<str>, (u64, Arc<Policy>)>,
}

impl ports::Policies for PolicyPort {
    fn policy(&self, name: &str) -> Option<Arc<Policy>> {
        let (record, version) = self.policies.get(name)?;
        if let Some(read) = self.read.get(name).filter(|read| read.0 == version) {
            return Some(read.1.clone());
        }
        let policy = Arc::new(policy(&record)?);
        self.read.insert(name.into(), (version, policy.clone()));
        Some(policy)
    }
}

fn policy(record: &storage::PolicyRecord) -> Option<Policy> {
    let stored = v1::Policy { name: record.name.clone(), ..v1::Policy::decode(record.policy.clone()).ok()? };
    match headworks_edge::read_policy(&stored) {
        Ok(policy) => Some(policy),
        Err(fault) => {
            tracing::error!(policy = %record.name, %fault, "a stored policy cannot be read; its name is answered as unknown");
            None
        }
    }
}

struct WarmPort(Upstream);

impl ports::Warm for WarmPort {
    fn warm(&self, host: &Arc<Host>) {
        self.0.warm(host);
    }
}

struct LedgerPort {
    ledger: Ledger,
    /// Whether answers wait for their records.
    awaited: bool,
}

impl ports::Ledger for LedgerPort {
    fn intent(&self, intent: ports::Intent) -> Pending {
        Box::pin(settled(self.ledger.intent(storage::Intent {
            request_id: intent.request_id.to_string(),
            ordinal: i32::try_from(intent.ordinal).unwrap_or(i32::MAX),
            key_id: intent.tenant.id.to_string(),
            provider: intent.target.provider.to_string(),
            model: intent.target.model.to_string(),
            hold_nano_usd: intent.hold.0,
            start_unix_nanos: intent.start_unix_nanos,
            group_ids: intent.tenant.groups().map(ToString::to_string).collect(),
            markup_nano_usd: intent.markup.0,
        })))
    }

    fn record(&self, closing: Closing) -> Pending {
        let record = request_record(&closing.call, &closing.receipt, closing.outcome, closing.reason, engine::unix_nanos());
        Box::pin(settled(self.ledger.record(record, self.awaited)))
    }
}

struct MemoryPort(Idempotency);

impl ports::Memory for MemoryPort {
    fn claim(&self, key_id: Arc<str>, id: Arc<str>, fingerprint: [u8; 32]) -> Claim {
        let ids = self.0.clone();
        Box::pin(async move {
            let taken = ids.claim(&key_id, &id, fingerprint).await?;
            Ok(taken.map(|kept| Remembered { fingerprint: kept.fingerprint, outcome: kept.outcome.map(|bytes| bytes.to_vec()) }))
        })
    }

    fn keep(&self, key_id: Arc<str>, id: Arc<str>, remembered: Remembered) -> Pending {
        let ids = self.0.clone();
        let kept = Kept { fingerprint: remembered.fingerprint, outcome: remembered.outcome.map(Into::into) };
        under_way(async move { ids.keep(&key_id, &id, &kept).await })
    }

    fn release(&self, key_id: Arc<str>, id: Arc<str>) -> Pending {
        let ids = self.0.clone();
        under_way(async move { ids.release(&key_id, &id).await })
    }
}

/// Work that goes on even if nobody waits for it.
fn under_way(work: impl Future<Output = Result<(), Fault>> + Send + 'static) -> Pending {
    let task = tokio::spawn(work);
    Box::pin(async move { task.await.unwrap_or_else(|_| Err(Fault::new(Reason::Internal, "the work was cut off"))) })
}
