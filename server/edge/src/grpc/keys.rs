//! `KeyService`.

use headworks_api::{storage::KeyRecord, v1};
use headworks_core::{Fault, Reason, Role};
use tonic::{Request, Response, Status, async_trait};

use super::{Doors, later, page, page_size, records, status};

fn refuse(fault: Fault) -> Status {
    status(&fault, None)
}

fn etag(version: u64) -> String {
    format!("v{version}")
}

/// The version in an etag; `None`: none was given.
pub(crate) fn version(etag: &str, field: &str) -> Result<Option<u64>, Fault> {
    if etag.is_empty() {
        return Ok(None);
    }
    etag.strip_prefix('v').and_then(|v| v.parse().ok()).map(Some).ok_or_else(|| Fault::invalid(field, format!("\"{etag}\" is not one that the gateway gave")))
}

fn shown(record: &KeyRecord, version: u64) -> v1::Key {
    let now = headworks_engine::unix_nanos();
    let state = if record.revoke_unix_nanos != 0 {
        v1::KeyState::Revoked
    } else if record.expire_unix_nanos != 0 && record.expire_unix_nanos <= now {
        v1::KeyState::Expired
    } else {
        v1::KeyState::Active
    };
    v1::Key {
        id: record.id.clone(),
        name: record.name.clone(),
        labels: record.labels.clone(),
        roles: record.roles.clone(),
        allowed_models: record.allowed_models.clone(),
        default_policy: record.default_policy.clone(),
        auto_cache: record.auto_cache,
        regions: record.regions.clone(),
        budget: record.budget_nano_usd.map(|limit| v1::Budget { limit_nano_usd: limit, window: v1::BudgetWindow::Lifetime as i32, soft: false }),
        expire_time: records::timestamp(record.expire_unix_nanos),
        create_time: records::timestamp(record.create_unix_nanos),
        update_time: records::timestamp(record.update_unix_nanos),
        revoke_time: records::timestamp(record.revoke_unix_nanos),
        state: state as i32,
        secret_hint: record.secret_hint.clone(),
        etag: etag(version),
        ..v1::Key::default()
    }
}

fn roles(asked: &[i32]) -> Result<Vec<i32>, Fault> {
    if asked.is_empty() {
        return Ok(vec![v1::KeyRole::Caller as i32]);
    }
    for (at, role) in asked.iter().enumerate() {
        let field = format!("key.roles[{at}]");
        match v1::KeyRole::try_from(*role) {
            Ok(v1::KeyRole::Admin | v1::KeyRole::Caller) => {}
            Ok(v1::KeyRole::KeyManager | v1::KeyRole::Reader) => {
                return Err(Fault::new(Reason::NotImplemented, format!("{field}: this build has the roles ADMIN and CALLER")));
            }
            Ok(v1::KeyRole::Unspecified) | Err(_) => return Err(Fault::invalid(field, "is no role; use KEY_ROLE_ADMIN or KEY_ROLE_CALLER")),
        }
    }
    Ok(asked.to_vec())
}

fn budget(asked: Option<&v1::Budget>) -> Result<Option<i64>, Fault> {
    let Some(asked) = asked else { return Ok(None) };
    if asked.limit_nano_usd < 0 {
        return Err(Fault::invalid("key.budget.limit_nano_usd", "must be 0 or more"));
    }
    let lifetime = [v1::BudgetWindow::Unspecified as i32, v1::BudgetWindow::Lifetime as i32].contains(&asked.window);
    if !lifetime || asked.soft {
        return Err(Fault::new(Reason::NotImplemented, "key.budget: this build has hard budgets over the key's lifetime; leave window and soft out"));
    }
    Ok(Some(asked.limit_nano_usd))
}

/// What this build would ignore, refused instead.
fn unserved(key: &v1::Key) -> Result<(), Fault> {
    for (field, set) in [
        ("group", !key.group.is_empty()),
        ("requests_per_minute", key.requests_per_minute.is_some()),
        ("tokens_per_minute", key.tokens_per_minute.is_some()),
        ("concurrent_calls", key.concurrent_calls.is_some()),
    ] {
        if set {
            return Err(Fault::new(Reason::NotImplemented, format!("key.{field} is not in this build of the gateway; leave it out")));
        }
    }
    Ok(())
}

fn name(text: &str) -> Result<String, Fault> {
    if text.chars().count() > 200 {
        return Err(Fault::invalid("key.name", "is longer than 200 characters"));
    }
    Ok(text.to_owned())
}

fn expiry(time: Option<prost_types::Timestamp>) -> Result<i64, Fault> {
    let nanos = records::unix_nanos(time);
    if time.is_some() && nanos <= 0 {
        return Err(Fault::invalid("key.expire_time", "must be after 1970"));
    }
    Ok(nanos)
}

/// Takes the fields that the mask names from `key`.
fn change(record: &mut KeyRecord, key: &v1::Key, paths: &[String]) -> Result<(), Fault> {
    for path in paths {
        match path.as_str() {
            "name" => record.name = name(&key.name)?,
            "labels" => record.labels = key.labels.clone(),
            "roles" => record.roles = roles(&key.roles)?,
            "allowed_models" => record.allowed_models = key.allowed_models.clone(),
            "default_policy" => record.default_policy = key.default_policy.clone(),
            "auto_cache" => record.auto_cache = key.auto_cache,
            "regions" => record.regions = key.regions.clone(),
            "budget" => record.budget_nano_usd = budget(key.budget.as_ref())?,
            "expire_time" => record.expire_unix_nanos = expiry(key.expire_time)?,
            other => {
                return Err(Fault::invalid(
                    "update_mask",
                    format!(
                        "\"{other}\" cannot be changed; name, labels, roles, allowed_models, default_policy, auto_cache, regions, budget and expire_time can"
                    ),
                ));
            }
        }
    }
    Ok(())
}

const ALL: [&str; 9] = ["name", "labels", "roles", "allowed_models", "default_policy", "auto_cache", "regions", "budget", "expire_time"];

#[async_trait]
impl v1::key_service_server::KeyService for Doors {
    async fn create_key(&self, request: Request<v1::CreateKeyRequest>) -> Result<Response<v1::CreateKeyResponse>, Status> {
        self.admin(&request)?;
        let key = request.into_inner().key.unwrap_or_default();
        let mut record = KeyRecord::default();
        unserved(&key).map_err(refuse)?;
        change(&mut record, &key, &ALL.map(str::to_owned)).map_err(refuse)?;
        self.policy_exists(&key.default_policy, "key.default_policy").map_err(refuse)?;
        let (record, version, secret) = self.0.keys.create(record).await.map_err(refuse)?;
        tracing::info!(key_id = %record.id, "key created");
        Ok(Response::new(v1::CreateKeyResponse { key: Some(shown(&record, version)), secret: secret.reveal().to_owned() }))
    }

    async fn get_key(&self, request: Request<v1::GetKeyRequest>) -> Result<Response<v1::GetKeyResponse>, Status> {
        let tenant = self.tenant(&request)?;
        let asked = request.get_ref().id.as_str();
        let id = if asked == "self" || asked.is_empty() { &*tenant.id } else { asked };
        // Another's key looks the same as none at all.
        let found = self.0.keys.get(id).filter(|_| tenant.is(Role::Admin) || *tenant.id == *id);
        let Some((record, version)) = found else {
            if tenant.is(Role::Admin) && *tenant.id == *id {
                let key = v1::Key {
                    id: id.to_owned(),
                    name: tenant.name.to_string(),
                    roles: vec![v1::KeyRole::Admin as i32],
                    state: v1::KeyState::Active as i32,
                    ..v1::Key::default()
                };
                return Ok(Response::new(v1::GetKeyResponse { key: Some(key) }));
            }
            return Err(refuse(Fault::new(Reason::NotFound, format!("no key \"{id}\""))));
        };
        Ok(Response::new(v1::GetKeyResponse { key: Some(shown(&record, version)) }))
    }

    async fn list_keys(&self, request: Request<v1::ListKeysRequest>) -> Result<Response<v1::ListKeysResponse>, Status> {
        self.admin(&request)?;
        let asked = request.into_inner();
        let active = v1::KeyState::Active as i32;
        let all: Vec<v1::Key> =
            self.0.keys.list().iter().map(|(record, version)| shown(record, *version)).filter(|key| asked.include_inactive || key.state == active).collect();
        let (keys, next_page_token) = page(all, page_size(asked.page_size)?, &asked.page_token, |key| key.id.clone());
        Ok(Response::new(v1::ListKeysResponse { keys, next_page_token }))
    }

    async fn update_key(&self, request: Request<v1::UpdateKeyRequest>) -> Result<Response<v1::UpdateKeyResponse>, Status> {
        self.admin(&request)?;
        let asked = request.into_inner();
        let key = asked.key.ok_or_else(|| refuse(Fault::invalid("key", "is missing")))?;
        let paths = asked.update_mask.map(|mask| mask.paths).unwrap_or_default();
        if paths.is_empty() {
            return Err(refuse(Fault::invalid("update_mask", "is empty; name the fields to change")));
        }
        if paths.iter().any(|path| path == "default_policy") {
            self.policy_exists(&key.default_policy, "key.default_policy").map_err(refuse)?;
        }
        let version = version(&key.etag, "key.etag").map_err(refuse)?;
        let (record, version) = self.0.keys.update(&key.id, version, &|record| change(record, &key, &paths)).await.map_err(refuse)?;
        tracing::info!(key_id = %record.id, ?paths, "key changed");
        Ok(Response::new(v1::UpdateKeyResponse { key: Some(shown(&record, version)) }))
    }

    async fn revoke_key(&self, request: Request<v1::RevokeKeyRequest>) -> Result<Response<v1::RevokeKeyResponse>, Status> {
        self.admin(&request)?;
        let id = &request.get_ref().id;
        let revoke = |record: &mut KeyRecord| {
            if record.revoke_unix_nanos == 0 {
                record.revoke_unix_nanos = headworks_engine::unix_nanos();
            }
            Ok(())
        };
        let (record, version) = self.0.keys.update(id, None, &revoke).await.map_err(refuse)?;
        tracing::info!(key_id = %record.id, "key revoked");
        Ok(Response::new(v1::RevokeKeyResponse { key: Some(shown(&record, version)) }))
    }

    async fn rotate_key(&self, request: Request<v1::RotateKeyRequest>) -> Result<Response<v1::RotateKeyResponse>, Status> {
        self.admin(&request)?;
        Err(later("KeyService.RotateKey"))
    }

    async fn create_group(&self, request: Request<v1::CreateGroupRequest>) -> Result<Response<v1::CreateGroupResponse>, Status> {
        self.admin(&request)?;
        Err(later("KeyService.CreateGroup"))
    }

    async fn get_group(&self, request: Request<v1::GetGroupRequest>) -> Result<Response<v1::GetGroupResponse>, Status> {
        self.admin(&request)?;
        Err(later("KeyService.GetGroup"))
    }

    async fn list_groups(&self, request: Request<v1::ListGroupsRequest>) -> Result<Response<v1::ListGroupsResponse>, Status> {
        self.admin(&request)?;
        Err(later("KeyService.ListGroups"))
    }

    async fn update_group(&self, request: Request<v1::UpdateGroupRequest>) -> Result<Response<v1::UpdateGroupResponse>, Status> {
        self.admin(&request)?;
        Err(later("KeyService.UpdateGroup"))
    }

    async fn delete_group(&self, request: Request<v1::DeleteGroupRequest>) -> Result<Response<v1::DeleteGroupResponse>, Status> {
        self.admin(&request)?;
        Err(later("KeyService.DeleteGroup"))
    }

    async fn get_budget(&self, request: Request<v1::GetBudgetRequest>) -> Result<Response<v1::GetBudgetResponse>, Status> {
        self.tenant(&request)?;
        Err(later("KeyService.GetBudget"))
    }
}
