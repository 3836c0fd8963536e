//! `KeyService`: groups.

use headworks_api::{storage::GroupRecord, v1};
use headworks_core::{Fault, Reason, Tenant};
use tonic::{Request, Response, Status};

use super::{
    Doors, key_fields,
    key_fields::{GROUP, change_group, paths, shown_group},
    keys::refuse,
    page, page_size,
    reach::{MANAGE, READ, Reach},
};

fn missing(id: &str) -> Fault {
    Fault::new(Reason::NotFound, format!("no group \"{id}\"; KeyService.ListGroups lists them"))
}

impl Doors {
    /// How far a key manages, if this group is in it. Its own group's limits are not for it to change.
    fn changes(&self, tenant: &Tenant, id: &str) -> Result<Reach, Status> {
        let reach = Reach::of(tenant, &MANAGE);
        if reach.below(&self.0.keys, id) {
            return Ok(reach);
        }
        if !reach.group(&self.0.keys, id) {
            return Err(refuse(missing(id)));
        }
        let message = format!("the group {id} is this key's own: only a key that stands above it changes it");
        Err(refuse(Fault::new(Reason::PermissionDenied, message)))
    }

    pub(super) async fn new_group(&self, request: Request<v1::CreateGroupRequest>) -> Result<Response<v1::CreateGroupResponse>, Status> {
        let tenant = self.holding(&request, &MANAGE)?;
        let group = request.into_inner().group.unwrap_or_default();
        let mut record = GroupRecord::default();
        change_group(&mut record, &group, &GROUP).map_err(refuse)?;
        self.policy_exists(&group.default_policy, "group.default_policy").map_err(refuse)?;
        Reach::of(&tenant, &MANAGE).place(&self.0.keys, &record.parent_id, "group.parent").map_err(refuse)?;
        let (record, version) = self.0.keys.create_group(record).await.map_err(refuse)?;
        tracing::info!(group_id = %record.id, by = %tenant.id, "group created");
        Ok(Response::new(v1::CreateGroupResponse { group: Some(shown_group(&record, version)) }))
    }

    pub(super) fn one_group(&self, request: &Request<v1::GetGroupRequest>) -> Result<Response<v1::GetGroupResponse>, Status> {
        let reach = Reach::of(&*self.holding(request, &READ)?, &READ);
        let id = &request.get_ref().id;
        let found = self.0.keys.group(id).filter(|_| reach.group(&self.0.keys, id));
        let (record, version) = found.ok_or_else(|| refuse(missing(id)))?;
        Ok(Response::new(v1::GetGroupResponse { group: Some(shown_group(&record, version)) }))
    }

    pub(super) fn all_groups(&self, request: Request<v1::ListGroupsRequest>) -> Result<Response<v1::ListGroupsResponse>, Status> {
        let reach = Reach::of(&*self.holding(&request, &READ)?, &READ);
        let asked = request.into_inner();
        let seen = |id: &str| reach.group(&self.0.keys, id);
        let wanted = |group: &v1::Group| asked.parent.is_empty() || group.parent == asked.parent;
        let all =
            self.0.keys.groups().iter().filter(|(record, _)| seen(&record.id)).map(|(record, version)| shown_group(record, *version)).filter(wanted).collect();
        let (groups, next_page_token) = page(all, page_size(asked.page_size)?, &asked.page_token, |group: &v1::Group| group.id.clone());
        Ok(Response::new(v1::ListGroupsResponse { groups, next_page_token }))
    }

    pub(super) async fn change_group(&self, request: Request<v1::UpdateGroupRequest>) -> Result<Response<v1::UpdateGroupResponse>, Status> {
        let tenant = self.holding(&request, &MANAGE)?;
        let asked = request.into_inner();
        let group = asked.group.ok_or_else(|| refuse(Fault::invalid("group", "is missing")))?;
        let paths = paths(asked.update_mask.as_ref()).map_err(refuse)?;
        if paths.contains(&"default_policy") {
            self.policy_exists(&group.default_policy, "group.default_policy").map_err(refuse)?;
        }
        let version = key_fields::version(&group.etag, "group.etag").map_err(refuse)?;
        let reach = self.changes(&tenant, &group.id)?;
        let change = |record: &mut GroupRecord| {
            change_group(record, &group, &paths)?;
            if paths.contains(&"parent") { reach.place(&self.0.keys, &record.parent_id, "group.parent") } else { Ok(()) }
        };
        let (record, version) = self.0.keys.update_group(&group.id, version, &change).await.map_err(refuse)?;
        tracing::info!(group_id = %record.id, by = %tenant.id, ?paths, "group changed");
        Ok(Response::new(v1::UpdateGroupResponse { group: Some(shown_group(&record, version)) }))
    }

    pub(super) async fn end_group(&self, request: Request<v1::DeleteGroupRequest>) -> Result<Response<v1::DeleteGroupResponse>, Status> {
        let tenant = self.holding(&request, &MANAGE)?;
        let asked = request.into_inner();
        let version = key_fields::version(&asked.etag, "etag").map_err(refuse)?;
        self.changes(&tenant, &asked.id)?;
        self.0.keys.delete_group(&asked.id, version).await.map_err(refuse)?;
        tracing::info!(group_id = %asked.id, by = %tenant.id, "group deleted");
        Ok(Response::new(v1::DeleteGroupResponse {}))
    }
}
