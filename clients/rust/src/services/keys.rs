//! Made of key_service.proto.

use tonic::transport::Channel;

use crate::{
    Error,
    core::{Answers, Core, MESSAGE_LIMIT},
    v1::{self, key_service_client::KeyServiceClient},
};

/// Manages keys, groups and budgets. Needs the role ADMIN or KEY_MANAGER, to read READER too, but for a key that reads
/// itself. A key manager makes and changes no key with the role ADMIN or KEY_MANAGER. A key manager or reader that
/// belongs to a group reaches that group and what is in it alone; what is out of reach is NOT_FOUND. It reads its own
/// group but does not change it.
#[derive(Clone, Debug)]
pub struct Keys {
    core: Core,
    stub: KeyServiceClient<Channel>,
}

impl Keys {
    pub(crate) fn new(core: Core) -> Self {
        let stub = KeyServiceClient::new(core.channel.clone()).max_decoding_message_size(MESSAGE_LIMIT).max_encoding_message_size(MESSAGE_LIMIT);
        Self { core, stub }
    }

    /// Makes a key. Its secret is in this answer and nowhere else.
    /// Errors: INVALID_REQUEST, NOT_FOUND for an unknown group, PERMISSION_DENIED.
    pub async fn create_key(&self, request: v1::CreateKeyRequest) -> Result<v1::CreateKeyResponse, Error> {
        let again = false;
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.create_key(request).await }
        };
        self.core.unary(request, again, call).await
    }

    /// Gets a key. A key may always get itself, by the id `self` too.
    /// Errors: NOT_FOUND, also for a key that the caller may not see.
    pub async fn get_key(&self, request: v1::GetKeyRequest) -> Result<v1::GetKeyResponse, Error> {
        let again = true;
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.get_key(request).await }
        };
        self.core.unary(request, again, call).await
    }

    /// Lists keys, by id.
    /// Errors: INVALID_REQUEST, PERMISSION_DENIED.
    pub async fn list_keys(&self, request: v1::ListKeysRequest) -> Result<v1::ListKeysResponse, Error> {
        let again = true;
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.list_keys(request).await }
        };
        self.core.unary(request, again, call).await
    }

    /// All items of [`list_keys`](Self::list_keys), page after page.
    pub fn list_keys_all(&self, request: v1::ListKeysRequest) -> Answers<v1::Key> {
        let all = self.clone();
        crate::core::pages(
            request,
            move |request| {
                let all = all.clone();
                async move { all.list_keys(request).await }
            },
            |page: v1::ListKeysResponse| (page.keys, page.next_page_token),
            |request, token| request.page_token = token,
        )
    }

    /// Changes a key. Effective for the next call.
    /// Errors: NOT_FOUND, CONFLICT if the etag is old, INVALID_REQUEST for an unknown path, PERMISSION_DENIED.
    pub async fn update_key(&self, request: v1::UpdateKeyRequest) -> Result<v1::UpdateKeyResponse, Error> {
        let again = false;
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.update_key(request).await }
        };
        self.core.unary(request, again, call).await
    }

    /// Gives a key a new secret; the old one works on for a while. What the key spent stays with it.
    /// Errors: NOT_FOUND, CONFLICT for a revoked key, INVALID_REQUEST, PERMISSION_DENIED.
    pub async fn rotate_key(&self, request: v1::RotateKeyRequest) -> Result<v1::RotateKeyResponse, Error> {
        let again = false;
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.rotate_key(request).await }
        };
        self.core.unary(request, again, call).await
    }

    /// Ends a key for good. Effective for the next call.
    /// Errors: NOT_FOUND, PERMISSION_DENIED. Revoking twice is no error.
    pub async fn revoke_key(&self, request: v1::RevokeKeyRequest) -> Result<v1::RevokeKeyResponse, Error> {
        let again = true;
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.revoke_key(request).await }
        };
        self.core.unary(request, again, call).await
    }

    /// Makes a group.
    /// Errors: INVALID_REQUEST, NOT_FOUND for an unknown parent, PERMISSION_DENIED.
    pub async fn create_group(&self, request: v1::CreateGroupRequest) -> Result<v1::CreateGroupResponse, Error> {
        let again = false;
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.create_group(request).await }
        };
        self.core.unary(request, again, call).await
    }

    /// Gets a group.
    /// Errors: NOT_FOUND, PERMISSION_DENIED.
    pub async fn get_group(&self, request: v1::GetGroupRequest) -> Result<v1::GetGroupResponse, Error> {
        let again = true;
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.get_group(request).await }
        };
        self.core.unary(request, again, call).await
    }

    /// Lists groups, by id.
    /// Errors: INVALID_REQUEST, PERMISSION_DENIED.
    pub async fn list_groups(&self, request: v1::ListGroupsRequest) -> Result<v1::ListGroupsResponse, Error> {
        let again = true;
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.list_groups(request).await }
        };
        self.core.unary(request, again, call).await
    }

    /// All items of [`list_groups`](Self::list_groups), page after page.
    pub fn list_groups_all(&self, request: v1::ListGroupsRequest) -> Answers<v1::Group> {
        let all = self.clone();
        crate::core::pages(
            request,
            move |request| {
                let all = all.clone();
                async move { all.list_groups(request).await }
            },
            |page: v1::ListGroupsResponse| (page.groups, page.next_page_token),
            |request, token| request.page_token = token,
        )
    }

    /// Changes a group. Effective for the next call of every key in it.
    /// Errors: NOT_FOUND, CONFLICT if the etag is old, INVALID_REQUEST for a circle of groups or an unknown path, PERMISSION_DENIED.
    pub async fn update_group(&self, request: v1::UpdateGroupRequest) -> Result<v1::UpdateGroupResponse, Error> {
        let again = false;
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.update_group(request).await }
        };
        self.core.unary(request, again, call).await
    }

    /// Deletes a group. Revoked keys in it lose their group.
    /// Errors: NOT_FOUND, CONFLICT if the etag is old or keys or groups are still in it, PERMISSION_DENIED.
    pub async fn delete_group(&self, request: v1::DeleteGroupRequest) -> Result<v1::DeleteGroupResponse, Error> {
        let again = false;
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.delete_group(request).await }
        };
        self.core.unary(request, again, call).await
    }

    /// Gets what is left of a key's or group's budget. A key may always ask for its own.
    /// Errors: NOT_FOUND, INVALID_REQUEST.
    pub async fn get_budget(&self, request: v1::GetBudgetRequest) -> Result<v1::GetBudgetResponse, Error> {
        let again = true;
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.get_budget(request).await }
        };
        self.core.unary(request, again, call).await
    }

    /// Lists crossings of budgets' thresholds, newest first. A key without a role to read others sees its own.
    /// Errors: INVALID_REQUEST.
    pub async fn list_alerts(&self, request: v1::ListAlertsRequest) -> Result<v1::ListAlertsResponse, Error> {
        let again = true;
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.list_alerts(request).await }
        };
        self.core.unary(request, again, call).await
    }

    /// All items of [`list_alerts`](Self::list_alerts), page after page.
    pub fn list_alerts_all(&self, request: v1::ListAlertsRequest) -> Answers<v1::Alert> {
        let all = self.clone();
        crate::core::pages(
            request,
            move |request| {
                let all = all.clone();
                async move { all.list_alerts(request).await }
            },
            |page: v1::ListAlertsResponse| (page.alerts, page.next_page_token),
            |request, token| request.page_token = token,
        )
    }

    /// Tells of crossings of budgets' thresholds as they happen. A key without a role to read others sees its own.
    /// Errors: OVERLOADED where the caller reads too slowly.
    pub fn watch_alerts(&self, request: v1::WatchAlertsRequest) -> Answers<v1::WatchAlertsResponse> {
        let stub = self.stub.clone();
        let again = true;
        self.core.stream(request, again, move |request| {
            let mut stub = stub.clone();
            async move { stub.watch_alerts(request).await }
        })
    }
}
