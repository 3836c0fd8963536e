use std::{sync::Arc, time::Duration};

use headworks_core::{Fault, Reason, Role, Tenant};
use headworks_engine::{Gateway, Shared};
use headworks_store::{Alerts, Keys, Policies, Records, Responses, Rollups};
use serde::Deserialize;

/// The doors. `[server]` in the configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address and port of everything: gRPC (h2c), gRPC-Web, REST, metrics. Default `127.0.0.1:8080`.
    pub listen: String,
    /// Set: admin services, metrics and reflection leave the public port for this one. Default: empty.
    pub admin_listen: String,
    /// Browsers' origins that may call by gRPC-Web and REST; `*` allows any. Default: none.
    pub cors_origins: Vec<String>,
    /// Largest request body, bytes. Default 64 MiB.
    pub max_body_bytes: usize,
    /// Milliseconds that status and headers of a stream wait for its first content; then they are sent and a
    /// later failure is told in the stream. Default 15000.
    pub hold_headers_ms: u64,
    /// Milliseconds between signs of life in a silent stream. Default 15000.
    pub keep_alive_ms: u64,
    /// Milliseconds that calls under way get to finish when the gateway is told to stop. Default 30000.
    pub drain_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            admin_listen: String::new(),
            cors_origins: Vec::new(),
            max_body_bytes: 64 << 20,
            hold_headers_ms: 15_000,
            keep_alive_ms: 15_000,
            drain_ms: 30_000,
        }
    }
}

/// What every door needs. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The way of a call.
    pub gateway: Gateway,
    /// What the engine's layers share.
    pub shared: Arc<Shared>,
    /// Keys, for their admins.
    pub keys: Arc<Keys>,
    /// Crossings of budgets' thresholds.
    pub alerts: Arc<Alerts>,
    /// Policies, for their admins.
    pub policies: Arc<Policies>,
    /// What the API says of models.
    pub models: Arc<crate::ModelBook>,
    /// Records of calls.
    pub records: Arc<Records>,
    /// Sums over them.
    pub rollups: Rollups,
    /// Answers that clients may go on from.
    pub responses: Arc<Responses>,
    /// The doors' own settings.
    pub config: Arc<Config>,
}

impl App {
    /// Who a credential belongs to.
    pub fn authenticate(&self, credential: Option<&str>) -> Result<Arc<Tenant>, Fault> {
        let credential = credential
            .ok_or_else(|| Fault::new(Reason::UnauthenticatedKey, "no key: send the header \"authorization: Bearer KEY\" with a key of this gateway"))?;
        self.shared.keys.authenticate(credential)
    }

    /// Who a credential belongs to, if it may administer.
    pub fn admin(&self, credential: Option<&str>) -> Result<Arc<Tenant>, Fault> {
        self.holding(credential, &[Role::Admin])
    }

    /// Who a credential belongs to, if it holds one of these roles; an admin holds all.
    pub fn holding(&self, credential: Option<&str>, roles: &[Role]) -> Result<Arc<Tenant>, Fault> {
        let tenant = self.authenticate(credential)?;
        if tenant.is(Role::Admin) || roles.iter().any(|role| tenant.is(*role)) {
            return Ok(tenant);
        }
        let names: Vec<&str> = std::iter::once("ADMIN").chain(roles.iter().filter(|role| **role != Role::Admin).map(|role| name(*role))).collect();
        Err(Fault::new(Reason::PermissionDenied, format!("this needs a key with the role {}", names.join(" or "))))
    }

    /// How long headers wait for content.
    pub fn hold_headers(&self) -> Duration {
        Duration::from_millis(self.config.hold_headers_ms)
    }

    /// How long a stream may be silent.
    pub fn keep_alive(&self) -> Duration {
        Duration::from_millis(self.config.keep_alive_ms.max(100))
    }
}

/// A role's name in the schema.
const fn name(role: Role) -> &'static str {
    match role {
        Role::Admin => "ADMIN",
        Role::KeyManager => "KEY_MANAGER",
        Role::Reader => "READER",
        Role::Caller => "CALLER",
    }
}

/// The key behind `Bearer`, whatever the case of the word.
pub fn bearer(headers: &http::HeaderMap) -> Option<&str> {
    let value = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim()).filter(|key| !key.is_empty())
}

impl App {
    /// Metrics need no key on a port that only this machine or an operator's network reaches.
    pub fn metrics_open(&self) -> bool {
        let local = self.config.listen.parse::<std::net::SocketAddr>().is_ok_and(|addr| addr.ip().is_loopback());
        local || !self.config.admin_listen.is_empty()
    }
}
