//! Made of chat_service.proto.

use tonic::transport::Channel;

use crate::{
    Error,
    core::{Core, MESSAGE_LIMIT},
    v1::{self, chat_service_client::ChatServiceClient},
};

/// Answers chats in one piece.
#[derive(Clone, Debug)]
pub struct Chat {
    core: Core,
    stub: ChatServiceClient<Channel>,
}

impl Chat {
    pub(crate) fn new(core: Core) -> Self {
        let stub = ChatServiceClient::new(core.channel.clone()).max_decoding_message_size(MESSAGE_LIMIT).max_encoding_message_size(MESSAGE_LIMIT);
        Self { core, stub }
    }

    /// Answers a chat. Needs the role CALLER. The initial metadata carry `headworks-request-id`; the trailers carry
    /// `headworks-request-id`, `headworks-provider`, `headworks-model`, `headworks-attempts` and `headworks-cost-usd`.
    /// Errors: INVALID_REQUEST with field violations, MODEL_NOT_FOUND, MODEL_FORBIDDEN, REGION_FORBIDDEN,
    /// CONTEXT_TOO_LONG, CAPABILITY_MISSING, RATE_LIMITED, BUDGET_EXCEEDED, COST_UNBOUNDED, PRICE_UNKNOWN,
    /// UPSTREAM_CREDENTIALS, UPSTREAM_REJECTED, ALL_TARGETS_FAILED, TIMEOUT, OVERLOADED, NOT_IMPLEMENTED.
    pub async fn complete(&self, request: v1::CompleteRequest) -> Result<v1::CompleteResponse, Error> {
        let again = request.chat.as_ref().is_some_and(|inner| !inner.request_id.is_empty());
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.complete(request).await }
        };
        self.core.unary(request, again, call).await
    }
}
