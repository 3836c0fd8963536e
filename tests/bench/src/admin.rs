//! What is asked of a gateway by its administrator.

use headworks_api::v1::{self, key_service_client::KeyServiceClient, policy_service_client::PolicyServiceClient, usage_service_client::UsageServiceClient};
use tonic::{Request, transport::Channel};

use crate::server::KEY;

/// A gateway's administration.
pub struct Admin {
    channel: Channel,
}

fn with<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {KEY}").parse().expect("a header"));
    request
}

impl Admin {
    /// Of the gateway at a port.
    pub fn at(port: u16) -> Self {
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://127.0.0.1:{port}")).expect("a URL");
        Self { channel: endpoint.tcp_nodelay(true).connect_lazy() }
    }

    /// Makes a group; gives its id.
    pub async fn group(&self, group: v1::Group) -> String {
        let made = KeyServiceClient::new(self.channel.clone()).create_group(with(v1::CreateGroupRequest { group: Some(group) })).await;
        made.expect("a group").into_inner().group.expect("a group").id
    }

    /// Makes a key; gives its secret.
    pub async fn key(&self, key: v1::Key) -> String {
        let made = KeyServiceClient::new(self.channel.clone()).create_key(with(v1::CreateKeyRequest { key: Some(key) })).await;
        made.expect("a key").into_inner().secret
    }

    /// Makes a policy.
    pub async fn policy(&self, policy: v1::Policy) {
        PolicyServiceClient::new(self.channel.clone()).create_policy(with(v1::CreatePolicyRequest { policy: Some(policy) })).await.expect("a policy");
    }

    /// Asks for sums.
    pub async fn usage(&self, question: v1::QueryUsageRequest) -> v1::QueryUsageResponse {
        UsageServiceClient::new(self.channel.clone()).query_usage(with(question)).await.expect("sums").into_inner()
    }

    /// Reads some records.
    pub async fn records(&self, asked: v1::ListRequestsRequest) -> v1::ListRequestsResponse {
        UsageServiceClient::new(self.channel.clone()).list_requests(with(asked)).await.expect("records").into_inner()
    }

    /// Reads a record.
    pub async fn record(&self, id: &str) -> Option<v1::RequestRecord> {
        let asked = with(v1::GetRequestRequest { id: id.to_owned() });
        UsageServiceClient::new(self.channel.clone()).get_request(asked).await.expect("a record").into_inner().request
    }
}
