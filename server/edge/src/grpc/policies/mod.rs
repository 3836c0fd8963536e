//! `PolicyService`.

mod explain;
mod read;
mod simulate;

use std::sync::Arc;

use headworks_api::{storage::PolicyRecord, v1};
use headworks_core::{Fault, Reason, Role};
use headworks_policy::{Known, Policy, validate};
use prost::Message;
use tonic::{Request, Response, Status, async_trait};

use super::{Doors, key_fields, page, page_size, reach::USAGE, records, status};
pub use read::read_policy;

fn refuse(fault: Fault) -> Status {
    status(&fault, None)
}

impl Doors {
    /// A policy as clients see it; `etag`: of the version in force.
    fn shown(&self, record: &PolicyRecord, etag: Option<u64>) -> v1::Policy {
        let mut policy = v1::Policy::decode(record.policy.clone()).unwrap_or_default();
        policy.name = record.name.clone();
        policy.version = record.version;
        policy.etag = etag.map(|version| format!("v{version}")).unwrap_or_default();
        policy.attempt_budget = match policy.max_attempts {
            0 => i32::try_from(self.0.shared.config.max_attempts).unwrap_or(i32::MAX),
            most => most,
        };
        policy
    }

    /// Says what is wrong with a policy, or why this build cannot serve it.
    fn check(&self, policy: &v1::Policy) -> Result<Policy, Fault> {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
        if policy.name.is_empty() || policy.name.len() > 63 || !policy.name.chars().all(good) {
            return Err(Fault::invalid("policy.name", "must have 1 to 63 lower-case letters, digits, -, _ or ."));
        }
        let parsed = read::parse(policy)?;
        let find = |name: &str| self.policy(name);
        let catalog = self.0.shared.catalog.load();
        validate(&parsed.policy, &parsed.kind, &parsed.fields, &Known { catalog: &catalog, policies: &find })?;
        Ok(parsed.policy)
    }

    fn policy(&self, name: &str) -> Option<Arc<Policy>> {
        self.0.shared.policies.policy(name)
    }

    /// Whether a policy of this name can be attached; empty: none is.
    pub(super) fn policy_exists(&self, name: &str, field: &str) -> Result<(), Fault> {
        if name.is_empty() || self.0.policies.get(name).is_some() {
            return Ok(());
        }
        Err(Fault::invalid(field, format!("no policy \"{name}\"; PolicyService.ListPolicies lists them")))
    }

    /// Who still names a policy.
    fn users_of(&self, name: &str) -> Option<String> {
        let path = format!("policy/{name}");
        let names = |record: &PolicyRecord| self.policy(&record.name).is_some_and(|p| p.targets().iter().any(|t| *t.model == *path));
        if let Some((other, _)) = self.0.policies.list().into_iter().find(|(record, _)| record.name != name && names(record)) {
            return Some(format!("the policy {}", other.name));
        }
        if let Some((group, _)) = self.0.keys.groups().into_iter().find(|(group, _)| group.default_policy == name) {
            return Some(format!("the group {}", group.id));
        }
        let live = |record: &headworks_api::storage::KeyRecord| record.revoke_unix_nanos == 0 && record.default_policy == name;
        self.0.keys.list().into_iter().find(|(record, _)| live(record)).map(|(record, _)| format!("the key {}", record.id))
    }
}

/// Takes the fields that the mask names from `new`.
fn change(policy: &mut v1::Policy, new: &v1::Policy, paths: &[String]) -> Result<(), Fault> {
    use v1::policy::Kind;
    if paths.is_empty() {
        return Err(Fault::invalid("update_mask", "names no field; name those to change"));
    }
    for path in paths {
        let kind = matches!(
            (path.as_str(), &new.kind),
            ("fallback", Some(Kind::Fallback(_)))
                | ("weighted", Some(Kind::Weighted(_)))
                | ("latency", Some(Kind::Latency(_)))
                | ("cost", Some(Kind::Cost(_)))
                | ("conditional", Some(Kind::Conditional(_)))
        );
        match path.as_str() {
            "description" => policy.description = new.description.clone(),
            "fallback" | "weighted" | "latency" | "cost" | "conditional" if kind => policy.kind = new.kind.clone(),
            "fallback" | "weighted" | "latency" | "cost" | "conditional" => {
                return Err(Fault::invalid(format!("policy.{path}"), "is missing, and the update mask names it"));
            }
            "timeouts" => policy.timeouts = new.timeouts,
            "max_attempts" => policy.max_attempts = new.max_attempts,
            "mid_stream" => policy.mid_stream = new.mid_stream,
            "regions" => policy.regions = new.regions.clone(),
            "retries" => policy.retries = new.retries,
            "on_all_down" => policy.on_all_down = new.on_all_down,
            "failover_on_content_policy" => policy.failover_on_content_policy = new.failover_on_content_policy,
            "cache_affinity" => policy.cache_affinity = new.cache_affinity,
            "hedging" => policy.hedging = new.hedging,
            other => {
                let can = "description, fallback, weighted, latency, cost, conditional, timeouts, max_attempts, mid_stream, regions, retries, \
                           on_all_down, failover_on_content_policy, cache_affinity and hedging can";
                return Err(Fault::invalid("update_mask", format!("\"{other}\" cannot be changed; {can}")));
            }
        }
    }
    Ok(())
}

/// What is kept of a policy: what the gateway gives itself is not.
fn stored(mut policy: v1::Policy) -> prost::bytes::Bytes {
    policy.etag = String::new();
    policy.attempt_budget = 0;
    policy.version = 0;
    policy.encode_to_vec().into()
}

fn unknown(name: &str) -> Status {
    refuse(Fault::new(Reason::NotFound, format!("no policy \"{name}\"; ListPolicies lists them")))
}

#[async_trait]
impl v1::policy_service_server::PolicyService for Doors {
    async fn create_policy(&self, request: Request<v1::CreatePolicyRequest>) -> Result<Response<v1::CreatePolicyResponse>, Status> {
        self.admin(&request)?;
        let mut policy = request.into_inner().policy.ok_or_else(|| refuse(Fault::invalid("policy", "is missing")))?;
        self.check(&policy).map_err(refuse)?;
        policy.create_time = records::timestamp(headworks_engine::unix_nanos());
        policy.update_time = policy.create_time;
        let record = PolicyRecord { name: policy.name.clone(), version: 1, policy: stored(policy) };
        let (record, version) = self.0.policies.create(record).await.map_err(refuse)?;
        tracing::info!(policy = %record.name, "policy created");
        Ok(Response::new(v1::CreatePolicyResponse { policy: Some(self.shown(&record, Some(version))) }))
    }

    async fn get_policy(&self, request: Request<v1::GetPolicyRequest>) -> Result<Response<v1::GetPolicyResponse>, Status> {
        self.holding(&request, &[Role::Reader, Role::KeyManager])?;
        let asked = request.into_inner();
        let current = self.0.policies.get(&asked.name);
        let policy = match current {
            Some((record, version)) if asked.version == 0 || asked.version == record.version => self.shown(&record, Some(version)),
            None if asked.version == 0 => return Err(unknown(&asked.name)),
            _ => {
                let found = self.0.policies.version(&asked.name, asked.version).await.map_err(|error| refuse(error.into()))?;
                let none = || {
                    refuse(Fault::new(Reason::NotFound, format!("no version {} of a policy \"{}\"; ListPolicyVersions lists them", asked.version, asked.name)))
                };
                self.shown(&found.ok_or_else(none)?, None)
            }
        };
        Ok(Response::new(v1::GetPolicyResponse { policy: Some(policy) }))
    }

    async fn list_policies(&self, request: Request<v1::ListPoliciesRequest>) -> Result<Response<v1::ListPoliciesResponse>, Status> {
        self.holding(&request, &[Role::Reader, Role::KeyManager])?;
        let asked = request.into_inner();
        let all = self.0.policies.list().iter().map(|(record, version)| self.shown(record, Some(*version))).collect();
        let (policies, next_page_token) = page(all, page_size(asked.page_size)?, &asked.page_token, |p: &v1::Policy| p.name.clone());
        Ok(Response::new(v1::ListPoliciesResponse { policies, next_page_token }))
    }

    async fn list_policy_versions(&self, request: Request<v1::ListPolicyVersionsRequest>) -> Result<Response<v1::ListPolicyVersionsResponse>, Status> {
        self.holding(&request, &[Role::Reader, Role::KeyManager])?;
        let asked = request.into_inner();
        let size = page_size(asked.page_size)?;
        let before = match asked.page_token.as_str() {
            "" => 0,
            token => token.parse().map_err(|_| refuse(Fault::invalid("page_token", "is not one that the gateway gave")))?,
        };
        let mut found = self.0.policies.history(&asked.name, before, size + 1).await.map_err(|error| refuse(error.into()))?;
        let current = self.0.policies.get(&asked.name);
        if found.is_empty() && before == 0 {
            // Made before versions were kept.
            found.extend(current.as_ref().map(|(record, _)| (**record).clone()));
            if found.is_empty() {
                return Err(unknown(&asked.name));
            }
        }
        let more = found.len() > size;
        found.truncate(size);
        let etag = |record: &PolicyRecord| current.as_ref().filter(|(now, _)| now.version == record.version).map(|(_, version)| *version);
        Ok(Response::new(v1::ListPolicyVersionsResponse {
            next_page_token: found.last().filter(|_| more).map(|last| last.version.to_string()).unwrap_or_default(),
            policies: found.iter().map(|record| self.shown(record, etag(record))).collect(),
        }))
    }

    async fn update_policy(&self, request: Request<v1::UpdatePolicyRequest>) -> Result<Response<v1::UpdatePolicyResponse>, Status> {
        self.admin(&request)?;
        let asked = request.into_inner();
        let new = asked.policy.ok_or_else(|| refuse(Fault::invalid("policy", "is missing")))?;
        let paths = asked.update_mask.unwrap_or_default().paths;
        let version = key_fields::version(&new.etag, "policy.etag").map_err(refuse)?;
        let update = |record: &mut PolicyRecord| {
            let mut policy =
                v1::Policy::decode(record.policy.clone()).map_err(|error| Fault::internal(format!("the stored policy cannot be read: {error}")))?;
            policy.name = record.name.clone();
            change(&mut policy, &new, &paths)?;
            self.check(&policy)?;
            policy.update_time = records::timestamp(headworks_engine::unix_nanos());
            record.policy = stored(policy);
            Ok(())
        };
        let (record, version) = self.0.policies.update(&new.name, version, &update).await.map_err(refuse)?;
        tracing::info!(policy = %record.name, version = record.version, "policy changed");
        Ok(Response::new(v1::UpdatePolicyResponse { policy: Some(self.shown(&record, Some(version))) }))
    }

    async fn delete_policy(&self, request: Request<v1::DeletePolicyRequest>) -> Result<Response<v1::DeletePolicyResponse>, Status> {
        self.admin(&request)?;
        let asked = request.into_inner();
        let version = key_fields::version(&asked.etag, "etag").map_err(refuse)?;
        if let Some(user) = self.users_of(&asked.name) {
            let fault = Fault::new(Reason::Conflict, format!("the policy {} is named by {user}; change that first", asked.name));
            return Err(refuse(fault));
        }
        self.0.policies.delete(&asked.name, version).await.map_err(refuse)?;
        tracing::info!(policy = %asked.name, "policy deleted");
        Ok(Response::new(v1::DeletePolicyResponse {}))
    }

    async fn explain_route(&self, request: Request<v1::ExplainRouteRequest>) -> Result<Response<v1::ExplainRouteResponse>, Status> {
        let caller = self.holding(&request, &USAGE)?;
        self.explain(request.into_inner(), &caller).map(Response::new).map_err(refuse)
    }

    async fn simulate_policy(&self, request: Request<v1::SimulatePolicyRequest>) -> Result<Response<v1::SimulatePolicyResponse>, Status> {
        let caller = self.holding(&request, &USAGE)?;
        self.simulate(request.into_inner(), &caller).await.map(Response::new).map_err(refuse)
    }
}
