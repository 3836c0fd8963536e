//! `PolicyService`: fallback chains.

use headworks_api::{storage::PolicyRecord, v1};
use headworks_core::{Fault, Reason};
use prost::Message;
use tonic::{Request, Response, Status, async_trait};

use super::{Doors, convert, keys, later, page, page_size, records, status};

fn refuse(fault: Fault) -> Status {
    status(&fault, None)
}

fn shown(record: &PolicyRecord, version: u64) -> v1::Policy {
    let mut policy = v1::Policy::decode(record.policy.clone()).unwrap_or_default();
    policy.name = record.name.clone();
    policy.version = record.version;
    policy.etag = format!("v{version}");
    policy
}

fn check_timeouts(timeouts: Option<&v1::Timeouts>, field: &str) -> Result<(), Fault> {
    let Some(t) = timeouts else { return Ok(()) };
    for (name, value) in [("first_token", t.first_token), ("between_tokens", t.between_tokens), ("total", t.total)] {
        if convert::duration(value, &format!("{field}.{name}"))?.is_some_and(|d| d.is_zero()) {
            return Err(Fault::invalid(format!("{field}.{name}"), "must be above 0"));
        }
    }
    Ok(())
}

impl Doors {
    /// Says what is wrong with a policy, or why this build cannot serve it.
    fn check(&self, policy: &v1::Policy) -> Result<(), Fault> {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
        if policy.name.is_empty() || policy.name.len() > 63 || !policy.name.chars().all(good) {
            return Err(Fault::invalid("policy.name", "must have 1 to 63 lower-case letters, digits, -, _ or ."));
        }
        let chain = match &policy.kind {
            Some(v1::policy::Kind::Fallback(chain)) => chain,
            Some(_) => return Err(Fault::new(Reason::NotImplemented, "policy: this build has fallback chains; other kinds are not in it")),
            None => return Err(Fault::invalid("policy.fallback", "is missing; a policy needs a kind")),
        };
        if ![v1::MidStream::Unspecified as i32, v1::MidStream::Fail as i32].contains(&policy.mid_stream) {
            return Err(Fault::new(Reason::NotImplemented, "policy.mid_stream: this build has FAIL; CONTINUE and RESTART are not in it"));
        }
        if chain.targets.is_empty() {
            return Err(Fault::invalid("policy.fallback.targets", "is empty; name at least one model"));
        }
        if !(0..=64).contains(&policy.max_attempts) {
            return Err(Fault::invalid("policy.max_attempts", "must be 0 to 64"));
        }
        check_timeouts(policy.timeouts.as_ref(), "policy.timeouts")?;
        let catalog = self.0.shared.catalog.load();
        for (at, target) in chain.targets.iter().enumerate() {
            let field = format!("policy.fallback.targets[{at}].model");
            if target.model.starts_with("policy/") {
                return Err(Fault::new(Reason::NotImplemented, format!("{field}: policies inside policies are not in this build")));
            }
            if catalog.target(&target.model).or_else(|| catalog.bare(&target.model)).is_none() {
                let nearest = catalog.nearest(&target.model);
                let hint = if nearest.is_empty() { String::new() } else { format!("; did you mean {}?", nearest.join(" or ")) };
                return Err(Fault::invalid(field, format!("no model \"{}\"{hint}", target.model)));
            }
            if chain.targets.iter().take(at).any(|earlier| earlier.model == target.model) {
                return Err(Fault::invalid(field, format!("{} stands in the chain already", target.model)));
            }
            check_timeouts(target.timeouts.as_ref(), &format!("policy.fallback.targets[{at}].timeouts"))?;
        }
        Ok(())
    }
}

#[async_trait]
impl v1::policy_service_server::PolicyService for Doors {
    async fn create_policy(&self, request: Request<v1::CreatePolicyRequest>) -> Result<Response<v1::CreatePolicyResponse>, Status> {
        self.admin(&request)?;
        let mut policy = request.into_inner().policy.ok_or_else(|| refuse(Fault::invalid("policy", "is missing")))?;
        self.check(&policy).map_err(refuse)?;
        policy.create_time = records::timestamp(headworks_engine::unix_nanos());
        policy.update_time = policy.create_time;
        policy.version = 1;
        policy.etag = String::new();
        let record = PolicyRecord { name: policy.name.clone(), version: 1, policy: policy.encode_to_vec().into() };
        let version = self.0.policies.create(record.clone()).await.map_err(refuse)?;
        tracing::info!(policy = %record.name, "policy created");
        Ok(Response::new(v1::CreatePolicyResponse { policy: Some(shown(&record, version)) }))
    }

    async fn get_policy(&self, request: Request<v1::GetPolicyRequest>) -> Result<Response<v1::GetPolicyResponse>, Status> {
        self.admin(&request)?;
        let name = &request.get_ref().name;
        let found = self.0.policies.get(name).ok_or_else(|| refuse(Fault::new(Reason::NotFound, format!("no policy \"{name}\"; ListPolicies lists them"))))?;
        Ok(Response::new(v1::GetPolicyResponse { policy: Some(shown(&found.0, found.1)) }))
    }

    async fn list_policies(&self, request: Request<v1::ListPoliciesRequest>) -> Result<Response<v1::ListPoliciesResponse>, Status> {
        self.admin(&request)?;
        let asked = request.into_inner();
        let all = self.0.policies.list().iter().map(|(record, version)| shown(record, *version)).collect();
        let (policies, next_page_token) = page(all, page_size(asked.page_size)?, &asked.page_token, |p: &v1::Policy| p.name.clone());
        Ok(Response::new(v1::ListPoliciesResponse { policies, next_page_token }))
    }

    async fn update_policy(&self, request: Request<v1::UpdatePolicyRequest>) -> Result<Response<v1::UpdatePolicyResponse>, Status> {
        self.admin(&request)?;
        Err(later("PolicyService.UpdatePolicy"))
    }

    async fn delete_policy(&self, request: Request<v1::DeletePolicyRequest>) -> Result<Response<v1::DeletePolicyResponse>, Status> {
        self.admin(&request)?;
        let asked = request.into_inner();
        let version = keys::version(&asked.etag, "etag").map_err(refuse)?;
        self.0.policies.delete(&asked.name, version).await.map_err(refuse)?;
        tracing::info!(policy = %asked.name, "policy deleted");
        Ok(Response::new(v1::DeletePolicyResponse {}))
    }

    async fn explain_route(&self, request: Request<v1::ExplainRouteRequest>) -> Result<Response<v1::ExplainRouteResponse>, Status> {
        self.admin(&request)?;
        Err(later("PolicyService.ExplainRoute"))
    }

    async fn simulate_policy(&self, request: Request<v1::SimulatePolicyRequest>) -> Result<Response<v1::SimulatePolicyResponse>, Status> {
        self.admin(&request)?;
        Err(later("PolicyService.SimulatePolicy"))
    }
}
