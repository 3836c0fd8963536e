//! Made of embedding_service.proto.

use tonic::transport::Channel;

use crate::{
    Error,
    core::{Core, MESSAGE_LIMIT},
    v1::{self, embedding_service_client::EmbeddingServiceClient},
};

/// Turns texts into vectors.
#[derive(Clone, Debug)]
pub struct Embeddings {
    core: Core,
    stub: EmbeddingServiceClient<Channel>,
}

impl Embeddings {
    pub(crate) fn new(core: Core) -> Self {
        let stub = EmbeddingServiceClient::new(core.channel.clone()).max_decoding_message_size(MESSAGE_LIMIT).max_encoding_message_size(MESSAGE_LIMIT);
        Self { core, stub }
    }

    /// Embeds texts. Needs the role CALLER. More inputs than the provider takes at once are sent in pieces and
    /// answered as one call. Falls back only to another host of the same model: vectors of two models cannot be compared.
    /// Errors: those of `ChatService.Complete`.
    pub async fn embed(&self, request: v1::EmbedRequest) -> Result<v1::EmbedResponse, Error> {
        let again = !request.request_id.is_empty();
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.embed(request).await }
        };
        self.core.unary(request, again, call).await
    }
}
