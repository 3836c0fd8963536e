//! Made of policy_service.proto.

use tonic::transport::Channel;

use crate::{
    Error,
    core::{Answers, Core, MESSAGE_LIMIT},
    v1::{self, policy_service_client::PolicyServiceClient},
};

/// Manages policies: which targets serve a call, and in which order. Needs the role ADMIN; to
/// read, KEY_MANAGER or READER will do, and to explain and simulate, READER.
#[derive(Clone, Debug)]
pub struct Policies {
    core: Core,
    stub: PolicyServiceClient<Channel>,
}

impl Policies {
    pub(crate) fn new(core: Core) -> Self {
        let stub = PolicyServiceClient::new(core.channel.clone()).max_decoding_message_size(MESSAGE_LIMIT).max_encoding_message_size(MESSAGE_LIMIT);
        Self { core, stub }
    }

    /// Makes a policy, to be asked for as `policy/NAME`.
    /// Errors: ALREADY_EXISTS, INVALID_REQUEST with the field, NOT_IMPLEMENTED for what this version does not serve.
    pub async fn create_policy(&self, request: v1::CreatePolicyRequest) -> Result<v1::CreatePolicyResponse, Error> {
        let again = false;
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.create_policy(request).await }
        };
        self.core.unary(request, again, call).await
    }

    /// Gets a policy, or an earlier version of it.
    /// Errors: NOT_FOUND.
    pub async fn get_policy(&self, request: v1::GetPolicyRequest) -> Result<v1::GetPolicyResponse, Error> {
        let again = true;
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.get_policy(request).await }
        };
        self.core.unary(request, again, call).await
    }

    /// Lists policies, by name.
    /// Errors: INVALID_REQUEST.
    pub async fn list_policies(&self, request: v1::ListPoliciesRequest) -> Result<v1::ListPoliciesResponse, Error> {
        let again = true;
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.list_policies(request).await }
        };
        self.core.unary(request, again, call).await
    }

    /// All items of [`list_policies`](Self::list_policies), page after page.
    pub fn list_policies_all(&self, request: v1::ListPoliciesRequest) -> Answers<v1::Policy> {
        let all = self.clone();
        crate::core::pages(
            request,
            move |request| {
                let all = all.clone();
                async move { all.list_policies(request).await }
            },
            |page: v1::ListPoliciesResponse| (page.policies, page.next_page_token),
            |request, token| request.page_token = token,
        )
    }

    /// Lists the versions of a policy, newest first. They outlive the policy.
    /// Errors: NOT_FOUND.
    pub async fn list_policy_versions(&self, request: v1::ListPolicyVersionsRequest) -> Result<v1::ListPolicyVersionsResponse, Error> {
        let again = true;
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.list_policy_versions(request).await }
        };
        self.core.unary(request, again, call).await
    }

    /// All items of [`list_policy_versions`](Self::list_policy_versions), page after page.
    pub fn list_policy_versions_all(&self, request: v1::ListPolicyVersionsRequest) -> Answers<v1::Policy> {
        let all = self.clone();
        crate::core::pages(
            request,
            move |request| {
                let all = all.clone();
                async move { all.list_policy_versions(request).await }
            },
            |page: v1::ListPolicyVersionsResponse| (page.policies, page.next_page_token),
            |request, token| request.page_token = token,
        )
    }

    /// Changes a policy. Effective for the next call.
    /// Errors: NOT_FOUND, CONFLICT if the etag is old, INVALID_REQUEST with the field or for an unknown path.
    pub async fn update_policy(&self, request: v1::UpdatePolicyRequest) -> Result<v1::UpdatePolicyResponse, Error> {
        let again = false;
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.update_policy(request).await }
        };
        self.core.unary(request, again, call).await
    }

    /// Deletes a policy. Effective for the next call.
    /// Errors: NOT_FOUND, CONFLICT if the etag is old, or if a key, a group or another policy still names it.
    pub async fn delete_policy(&self, request: v1::DeletePolicyRequest) -> Result<v1::DeletePolicyResponse, Error> {
        let again = false;
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.delete_policy(request).await }
        };
        self.core.unary(request, again, call).await
    }

    /// Tells what would be tried for a chat and what was left out, and why; calls nobody. The way is that of a real call.
    /// Errors: INVALID_REQUEST, NOT_FOUND for a key. Where nothing would be tried, the answer says so.
    pub async fn explain_route(&self, request: v1::ExplainRouteRequest) -> Result<v1::ExplainRouteResponse, Error> {
        let again = true;
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.explain_route(request).await }
        };
        self.core.unary(request, again, call).await
    }

    /// Replays recorded requests through a policy and tells what would have happened. Calls nobody.
    /// Errors: INVALID_REQUEST.
    pub async fn simulate_policy(&self, request: v1::SimulatePolicyRequest) -> Result<v1::SimulatePolicyResponse, Error> {
        let again = true;
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.simulate_policy(request).await }
        };
        self.core.unary(request, again, call).await
    }
}
