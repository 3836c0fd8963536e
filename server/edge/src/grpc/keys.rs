//! `KeyService`.

use headworks_api::{storage::KeyRecord, v1};
use headworks_core::{Fault, Reason, Role, Tenant};
use tonic::{Request, Response, Status, async_trait};

use super::{
    Doors, Streamed, key_fields,
    key_fields::{KEY, change_key, paths, shown},
    page, page_size,
    reach::{MANAGE, READ, Reach},
    status,
};

pub(super) fn refuse(fault: Fault) -> Status {
    status(&fault, None)
}

/// A key manager leaves the keys of admins and other key managers alone: with one of them it could do more than it may.
fn below(record: &KeyRecord, by: &Tenant) -> Result<(), Fault> {
    let above = record.roles.iter().any(|number| matches!(headworks_store::role(*number), Some(Role::Admin | Role::KeyManager)));
    if above && !by.is(Role::Admin) {
        let message = format!("the key {} has the role ADMIN or KEY_MANAGER; only a key with the role ADMIN changes it", record.id);
        return Err(Fault::new(Reason::PermissionDenied, message));
    }
    Ok(())
}

fn missing(id: &str) -> Fault {
    Fault::new(Reason::NotFound, format!("no key \"{id}\"; KeyService.ListKeys lists them"))
}

impl Doors {
    fn manages<T>(&self, request: &Request<T>, id: &str) -> Result<(), Status> {
        let tenant = self.holding(request, &MANAGE)?;
        let reach = Reach::of(&tenant, &MANAGE);
        match self.0.keys.get(id).filter(|_| reach.key(&self.0.keys, id)) {
            Some((record, _)) => below(&record, &tenant).map_err(refuse),
            None => Err(refuse(missing(id))),
        }
    }
}

#[async_trait]
impl v1::key_service_server::KeyService for Doors {
    type WatchAlertsStream = Streamed<v1::WatchAlertsResponse>;

    async fn create_key(&self, request: Request<v1::CreateKeyRequest>) -> Result<Response<v1::CreateKeyResponse>, Status> {
        let tenant = self.holding(&request, &MANAGE)?;
        let key = request.into_inner().key.unwrap_or_default();
        let mut record = KeyRecord::default();
        change_key(&mut record, &key, &KEY, &tenant).map_err(refuse)?;
        Reach::of(&tenant, &MANAGE).place(&self.0.keys, &record.group_id, "key.group").map_err(refuse)?;
        self.policy_exists(&key.default_policy, "key.default_policy").map_err(refuse)?;
        let (record, version, secret) = self.0.keys.create(record).await.map_err(refuse)?;
        tracing::info!(key_id = %record.id, by = %tenant.id, "key created");
        Ok(Response::new(v1::CreateKeyResponse { key: Some(shown(&record, version)), secret: secret.reveal().to_owned() }))
    }

    async fn get_key(&self, request: Request<v1::GetKeyRequest>) -> Result<Response<v1::GetKeyResponse>, Status> {
        let tenant = self.tenant(&request)?;
        let asked = request.get_ref().id.as_str();
        let id = if asked == "self" || asked.is_empty() { &*tenant.id } else { asked };
        // Another's key looks the same as none at all.
        let found = self.0.keys.get(id).filter(|_| *tenant.id == *id || Reach::of(&tenant, &READ).key(&self.0.keys, id));
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
        let reach = Reach::of(&*self.holding(&request, &READ)?, &READ);
        let asked = request.into_inner();
        let active = v1::KeyState::Active as i32;
        let all: Vec<v1::Key> = self
            .0
            .keys
            .list()
            .iter()
            .filter(|(record, _)| reach.key(&self.0.keys, &record.id))
            .map(|(record, version)| shown(record, *version))
            .filter(|key| asked.include_inactive || key.state == active)
            .collect();
        let (keys, next_page_token) = page(all, page_size(asked.page_size)?, &asked.page_token, |key| key.id.clone());
        Ok(Response::new(v1::ListKeysResponse { keys, next_page_token }))
    }

    async fn update_key(&self, request: Request<v1::UpdateKeyRequest>) -> Result<Response<v1::UpdateKeyResponse>, Status> {
        let tenant = self.holding(&request, &MANAGE)?;
        let asked = request.into_inner();
        let key = asked.key.ok_or_else(|| refuse(Fault::invalid("key", "is missing")))?;
        let paths = paths(asked.update_mask.as_ref()).map_err(refuse)?;
        if paths.contains(&"default_policy") {
            self.policy_exists(&key.default_policy, "key.default_policy").map_err(refuse)?;
        }
        let version = key_fields::version(&key.etag, "key.etag").map_err(refuse)?;
        let reach = Reach::of(&tenant, &MANAGE);
        if !reach.key(&self.0.keys, &key.id) {
            return Err(refuse(missing(&key.id)));
        }
        let change = |record: &mut KeyRecord| {
            below(record, &tenant)?;
            change_key(record, &key, &paths, &tenant)?;
            if paths.contains(&"group") { reach.place(&self.0.keys, &record.group_id, "key.group") } else { Ok(()) }
        };
        let (record, version) = self.0.keys.update(&key.id, version, &change).await.map_err(refuse)?;
        tracing::info!(key_id = %record.id, by = %tenant.id, ?paths, "key changed");
        Ok(Response::new(v1::UpdateKeyResponse { key: Some(shown(&record, version)) }))
    }

    async fn revoke_key(&self, request: Request<v1::RevokeKeyRequest>) -> Result<Response<v1::RevokeKeyResponse>, Status> {
        let id = &request.get_ref().id;
        self.manages(&request, id)?;
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
        let asked = request.get_ref();
        self.manages(&request, &asked.id)?;
        let overlap = asked.overlap.map_or(0, |d| d.seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(d.nanos)));
        let (record, version, secret) = self.0.keys.rotate(&asked.id, overlap).await.map_err(refuse)?;
        tracing::info!(key_id = %record.id, overlap_seconds = overlap / 1_000_000_000, "key rotated");
        Ok(Response::new(v1::RotateKeyResponse { key: Some(shown(&record, version)), secret: secret.reveal().to_owned() }))
    }

    async fn create_group(&self, request: Request<v1::CreateGroupRequest>) -> Result<Response<v1::CreateGroupResponse>, Status> {
        self.new_group(request).await
    }

    async fn get_group(&self, request: Request<v1::GetGroupRequest>) -> Result<Response<v1::GetGroupResponse>, Status> {
        self.one_group(&request)
    }

    async fn list_groups(&self, request: Request<v1::ListGroupsRequest>) -> Result<Response<v1::ListGroupsResponse>, Status> {
        self.all_groups(request)
    }

    async fn update_group(&self, request: Request<v1::UpdateGroupRequest>) -> Result<Response<v1::UpdateGroupResponse>, Status> {
        self.change_group(request).await
    }

    async fn delete_group(&self, request: Request<v1::DeleteGroupRequest>) -> Result<Response<v1::DeleteGroupResponse>, Status> {
        self.end_group(request).await
    }

    async fn get_budget(&self, request: Request<v1::GetBudgetRequest>) -> Result<Response<v1::GetBudgetResponse>, Status> {
        self.budget(&request)
    }

    async fn list_alerts(&self, request: Request<v1::ListAlertsRequest>) -> Result<Response<v1::ListAlertsResponse>, Status> {
        self.past_alerts(request).await
    }

    async fn watch_alerts(&self, request: Request<v1::WatchAlertsRequest>) -> Result<Response<Self::WatchAlertsStream>, Status> {
        self.alerts_to_come(&request)
    }
}
