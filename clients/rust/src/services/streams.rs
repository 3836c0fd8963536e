//! Made of stream_service.proto.

use tonic::transport::Channel;

use crate::{
    Error,
    core::{Answers, Core, MESSAGE_LIMIT},
    v1::{self, stream_service_client::StreamServiceClient},
};

/// Answers chats as they are written.
#[derive(Clone, Debug)]
pub struct Streams {
    core: Core,
    stub: StreamServiceClient<Channel>,
}

impl Streams {
    pub(crate) fn new(core: Core) -> Self {
        let stub = StreamServiceClient::new(core.channel.clone()).max_decoding_message_size(MESSAGE_LIMIT).max_encoding_message_size(MESSAGE_LIMIT);
        Self { core, stub }
    }

    /// Answers a chat event by event. Needs the role CALLER. The initial metadata carry `headworks-request-id`,
    /// `headworks-stream-id` and, where the stream can be resumed, `headworks-resume-window-ms`; the trailers what those of `ChatService.Complete` carry. A stream that fails ends with a
    /// status; what came before it is a partial answer.
    /// Errors: those of `ChatService.Complete`, and STREAM_BROKEN once there was content.
    pub fn stream(&self, request: v1::StreamRequest) -> Answers<v1::StreamResponse> {
        let stub = self.stub.clone();
        let again = request.chat.as_ref().is_some_and(|inner| !inner.request_id.is_empty());
        self.core.stream(request, again, move |request| {
            let mut stub = stub.clone();
            async move { stub.stream(request).await }
        })
    }

    /// Goes on with a stream whose connection was lost, for as long as its `resume_window`. Only the key that began it
    /// may. Streams are kept in the memory of the node that began them; those begun at a REST door are read on there, by
    /// `GET /v1/streams/{id}` with the header `last-event-id`.
    /// Errors: STREAM_GONE; INVALID_REQUEST for an `after_sequence` beyond the end.
    pub fn resume(&self, request: v1::ResumeRequest) -> Answers<v1::ResumeResponse> {
        let stub = self.stub.clone();
        let again = true;
        self.core.stream(request, again, move |request| {
            let mut stub = stub.clone();
            async move { stub.resume(request).await }
        })
    }

    /// Ends a stream; what was consumed is billed. Only the key that began it may.
    /// Errors: STREAM_GONE if it is not under way or is another key's.
    pub async fn cancel(&self, request: v1::CancelRequest) -> Result<v1::CancelResponse, Error> {
        let again = true;
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.cancel(request).await }
        };
        self.core.unary(request, again, call).await
    }
}
