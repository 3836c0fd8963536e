//! `KeyService`: groups.

use headworks_api::{storage::GroupRecord, v1};
use headworks_core::{Fault, Reason};
use tonic::{Request, Response, Status};

use super::{
    Doors, key_fields,
    key_fields::{GROUP, change_group, paths, shown_group},
    keys::{MANAGE, READ, refuse},
    page, page_size,
};

impl Doors {
    pub(super) async fn new_group(&self, request: Request<v1::CreateGroupRequest>) -> Result<Response<v1::CreateGroupResponse>, Status> {
        let tenant = self.holding(&request, &MANAGE)?;
        let group = request.into_inner().group.unwrap_or_default();
        let mut record = GroupRecord::default();
        change_group(&mut record, &group, &GROUP).map_err(refuse)?;
        let (record, version) = self.0.keys.create_group(record).await.map_err(refuse)?;
        tracing::info!(group_id = %record.id, by = %tenant.id, "group created");
        Ok(Response::new(v1::CreateGroupResponse { group: Some(shown_group(&record, version)) }))
    }

    pub(super) fn one_group(&self, request: &Request<v1::GetGroupRequest>) -> Result<Response<v1::GetGroupResponse>, Status> {
        self.holding(request, &READ)?;
        let id = &request.get_ref().id;
        let found = self.0.keys.group(id);
        let (record, version) = found.ok_or_else(|| refuse(Fault::new(Reason::NotFound, format!("no group \"{id}\"; KeyService.ListGroups lists them"))))?;
        Ok(Response::new(v1::GetGroupResponse { group: Some(shown_group(&record, version)) }))
    }

    pub(super) fn all_groups(&self, request: Request<v1::ListGroupsRequest>) -> Result<Response<v1::ListGroupsResponse>, Status> {
        self.holding(&request, &READ)?;
        let asked = request.into_inner();
        let wanted = |group: &v1::Group| asked.parent.is_empty() || group.parent == asked.parent;
        let all = self.0.keys.groups().iter().map(|(record, version)| shown_group(record, *version)).filter(wanted).collect();
        let (groups, next_page_token) = page(all, page_size(asked.page_size)?, &asked.page_token, |group: &v1::Group| group.id.clone());
        Ok(Response::new(v1::ListGroupsResponse { groups, next_page_token }))
    }

    pub(super) async fn change_group(&self, request: Request<v1::UpdateGroupRequest>) -> Result<Response<v1::UpdateGroupResponse>, Status> {
        let tenant = self.holding(&request, &MANAGE)?;
        let asked = request.into_inner();
        let group = asked.group.ok_or_else(|| refuse(Fault::invalid("group", "is missing")))?;
        let paths = paths(asked.update_mask.as_ref()).map_err(refuse)?;
        let version = key_fields::version(&group.etag, "group.etag").map_err(refuse)?;
        let change = |record: &mut GroupRecord| change_group(record, &group, &paths);
        let (record, version) = self.0.keys.update_group(&group.id, version, &change).await.map_err(refuse)?;
        tracing::info!(group_id = %record.id, by = %tenant.id, ?paths, "group changed");
        Ok(Response::new(v1::UpdateGroupResponse { group: Some(shown_group(&record, version)) }))
    }

    pub(super) async fn end_group(&self, request: Request<v1::DeleteGroupRequest>) -> Result<Response<v1::DeleteGroupResponse>, Status> {
        let tenant = self.holding(&request, &MANAGE)?;
        let asked = request.into_inner();
        let version = key_fields::version(&asked.etag, "etag").map_err(refuse)?;
        self.0.keys.delete_group(&asked.id, version).await.map_err(refuse)?;
        tracing::info!(group_id = %asked.id, by = %tenant.id, "group deleted");
        Ok(Response::new(v1::DeleteGroupResponse {}))
    }
}
