//! Streams that survive a lost connection.

use std::collections::HashMap;

use futures_util::{StreamExt, stream::unfold};
use tonic::{Streaming, transport::Channel};

use crate::{
    Answers, Error, Headworks, Reply,
    core::{MESSAGE_LIMIT, Tries, next},
    v1::{self, part::Kind as Part, stream_event::Kind, stream_service_client::StreamServiceClient},
};

/// An answer as it is written. Ask [`next`](Self::next) for events, [`text`](Self::text) for text alone, or
/// [`collect`](Self::collect) the whole answer; dropping it ends the call. A lost connection is taken up where it broke,
/// for a minute or the chat's `resume_window`; one of 0 turns that off.
#[derive(Debug)]
pub struct ChatStream {
    client: Headworks,
    stub: StreamServiceClient<Channel>,
    request: v1::StreamRequest,
    tries: Tries,
    first: Option<Streaming<v1::StreamResponse>>,
    rest: Option<Streaming<v1::ResumeResponse>>,
    fold: Fold,
    stream_id: String,
    sequence: i64,
    resumes: u32,
    over: bool,
}

/// How long a stream can be taken up again where the chat does not say.
const RESUME_WINDOW: prost_types::Duration = prost_types::Duration { seconds: 60, nanos: 0 };

impl ChatStream {
    fn is_resumable(&self) -> bool {
        let window = self.request.chat.as_ref().and_then(|chat| chat.resume_window);
        window.is_some_and(|window| window.seconds > 0 || window.nanos > 0)
    }

    pub(crate) fn new(client: Headworks, mut chat: v1::Chat) -> Self {
        chat.resume_window.get_or_insert(RESUME_WINDOW);
        let stub = StreamServiceClient::new(client.core.channel.clone());
        Self {
            stub: stub.max_decoding_message_size(MESSAGE_LIMIT).max_encoding_message_size(MESSAGE_LIMIT),
            tries: client.core.tries(),
            client,
            request: v1::StreamRequest { chat: Some(chat), ..v1::StreamRequest::default() },
            first: None,
            rest: None,
            fold: Fold::default(),
            stream_id: String::new(),
            sequence: 0,
            resumes: 0,
            over: false,
        }
    }

    /// Identifies the stream. Empty until its first event.
    pub fn stream_id(&self) -> &str {
        &self.stream_id
    }

    /// How often a lost connection was taken up.
    pub fn resumes(&self) -> u32 {
        self.resumes
    }

    /// The answer as far as it was read.
    pub fn so_far(&self) -> &Reply {
        &self.fold.reply
    }

    async fn receive(&mut self) -> Result<Option<v1::StreamEvent>, Error> {
        let (core, end, stub) = (&self.client.core, self.tries.end, &self.stub);
        if self.stream_id.is_empty() || self.first.is_some() {
            let call = |request| {
                let mut stub = stub.clone();
                async move { stub.stream(request).await }
            };
            return Ok(next(core, &mut self.first, &self.request, end, call).await?.map(|answer| answer.event.unwrap_or_default()));
        }
        let request = v1::ResumeRequest { stream_id: self.stream_id.clone(), after_sequence: self.sequence, ..v1::ResumeRequest::default() };
        if self.rest.is_none() {
            self.resumes += 1;
        }
        let call = |request| {
            let mut stub = stub.clone();
            async move { stub.resume(request).await }
        };
        Ok(next(core, &mut self.rest, &request, end, call).await?.map(|answer| answer.event.unwrap_or_default()))
    }

    /// The next event; nothing after the last, or after an error.
    pub async fn next(&mut self) -> Option<Result<v1::StreamEvent, Error>> {
        while !self.over {
            match self.receive().await {
                Ok(None) => self.over = true,
                Ok(Some(event)) if event.sequence > 0 && event.sequence <= self.sequence => {}
                Ok(Some(event)) => {
                    self.sequence = event.sequence;
                    if let Some(Kind::Started(started)) = &event.kind {
                        self.stream_id.clone_from(&started.stream_id);
                    }
                    self.tries.progress();
                    self.fold.add(&event);
                    return Some(Ok(event));
                }
                Err(error) => {
                    (self.first, self.rest) = (None, None);
                    let chat = self.request.chat.as_ref();
                    let begun = !self.stream_id.is_empty();
                    let resumable = self.is_resumable();
                    let waited = if begun && !(resumable && error.lost()) {
                        Err(error)
                    } else {
                        self.tries.wait(error, begun || chat.is_some_and(|chat| !chat.request_id.is_empty())).await
                    };
                    if let Err(error) = waited {
                        self.over = true;
                        return Some(Err(error));
                    }
                }
            }
        }
        None
    }

    /// The events as a `Stream`.
    pub fn events(self) -> Answers<v1::StreamEvent> {
        Box::pin(unfold(self, |mut stream| async move { stream.next().await.map(|event| (event, stream)) }))
    }

    /// The pieces of text of the first answer as a `Stream`.
    pub fn text(self) -> Answers<String> {
        Box::pin(self.events().filter_map(async |event| match event {
            Ok(v1::StreamEvent { choice: 0, kind: Some(Kind::Text(text)), .. }) => Some(Ok(text)),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        }))
    }

    /// Reads to the end; the whole answer, with what was read before.
    ///
    /// # Errors
    /// That of the stream; [`so_far`](Self::so_far) has what came before it.
    pub async fn collect(&mut self) -> Result<Reply, Error> {
        while let Some(event) = self.next().await {
            event?;
        }
        Ok(self.fold.reply.clone())
    }

    /// Ends the stream at the gateway, also one with a `resume_window`.
    ///
    /// # Errors
    /// If the gateway knows no such stream any more.
    pub async fn cancel(mut self) -> Result<(), Error> {
        self.over = true;
        if !self.stream_id.is_empty() {
            self.client.streams().cancel(v1::CancelRequest { stream_id: self.stream_id.clone(), ..v1::CancelRequest::default() }).await?;
        }
        Ok(())
    }
}

impl Drop for ChatStream {
    fn drop(&mut self) {
        if self.over || self.stream_id.is_empty() || !self.is_resumable() {
            return;
        }
        // The gateway would go on for a client that may come back. If this fails, the call ends with its window.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (client, stream_id) = (self.client.clone(), std::mem::take(&mut self.stream_id));
            runtime.spawn(async move {
                let _ = client.streams().cancel(v1::CancelRequest { stream_id, ..v1::CancelRequest::default() }).await;
            });
        }
    }
}

/// Events to an answer: a reply is the fold of its events.
#[derive(Debug, Default)]
struct Fold {
    reply: Reply,
    /// Where each tool call stands: choice and part.
    calls: HashMap<i32, (usize, usize)>,
}

impl Fold {
    fn add(&mut self, event: &v1::StreamEvent) {
        let reply = &mut self.reply.raw;
        let Some(kind) = &event.kind else { return };
        match kind {
            Kind::Started(begun) => {
                reply.request_id.clone_from(&begun.request_id);
                reply.served_by.clone_from(&begun.served_by);
                reply.model.clone_from(&begun.model);
                reply.id.clone_from(&begun.id);
            }
            Kind::Completed(end) => {
                reply.usage = end.usage;
                reply.route.clone_from(&end.route);
                if let Some(route) = end.route.as_ref().filter(|route| !route.request_id.is_empty()) {
                    reply.request_id.clone_from(&route.request_id);
                }
            }
            Kind::Recovered(recovered) => reply.served_by.clone_from(&recovered.to),
            Kind::Restarted(restarted) => {
                reply.served_by.clone_from(&restarted.to);
                reply.choices.clear();
                self.calls.clear();
            }
            Kind::ToolCallArguments(more) => {
                let Some((choice, part)) = self.calls.get(&more.index) else { return };
                let part = reply.choices.get_mut(*choice).and_then(|c| c.message.as_mut()).and_then(|m| m.parts.get_mut(*part));
                if let Some(Part::ToolCall(call)) = part.and_then(|part| part.kind.as_mut()) {
                    call.arguments_json.push_str(&more.piece);
                }
            }
            _ => {
                let at = usize::try_from(event.choice).unwrap_or(0);
                while reply.choices.len() <= at {
                    let message = v1::Message { role: v1::Role::Assistant as i32, ..v1::Message::default() };
                    let index = i32::try_from(reply.choices.len()).unwrap_or(i32::MAX);
                    reply.choices.push(v1::Choice { index, message: Some(message), ..v1::Choice::default() });
                }
                if let Some(choice) = reply.choices.get_mut(at) {
                    if let Kind::ToolCallStarted(begun) = kind {
                        self.calls.insert(begun.index, (at, choice.message.get_or_insert_default().parts.len()));
                    }
                    grow(choice, kind);
                }
            }
        }
    }
}

fn grow(choice: &mut v1::Choice, kind: &Kind) {
    let parts = &mut choice.message.get_or_insert_default().parts;
    let new = match (kind, parts.last_mut().and_then(|part| part.kind.as_mut())) {
        (Kind::Text(more), Some(Part::Text(so_far))) | (Kind::Refusal(more), Some(Part::Refusal(so_far))) => return so_far.push_str(more),
        (Kind::Text(text), _) => Part::Text(text.clone()),
        (Kind::Refusal(text), _) => Part::Refusal(text.clone()),
        (Kind::Reasoning(more), Some(Part::Reasoning(so_far))) if so_far.signature.is_empty() && so_far.redacted.is_empty() => {
            return so_far.text.push_str(more);
        }
        (Kind::Reasoning(text), _) => Part::Reasoning(v1::Reasoning { text: text.clone(), ..v1::Reasoning::default() }),
        (Kind::ReasoningSignature(signature), Some(Part::Reasoning(so_far))) if so_far.signature.is_empty() && so_far.redacted.is_empty() => {
            return so_far.signature.clone_from(signature);
        }
        (Kind::ReasoningSignature(signature), _) => Part::Reasoning(v1::Reasoning { signature: signature.clone(), ..v1::Reasoning::default() }),
        (Kind::RedactedReasoning(redacted), _) => Part::Reasoning(v1::Reasoning { redacted: redacted.clone(), ..v1::Reasoning::default() }),
        (Kind::ToolCallStarted(begun), _) => Part::ToolCall(v1::ToolCall {
            id: begun.id.clone(),
            name: begun.name.clone(),
            signature: begun.signature.clone(),
            ..v1::ToolCall::default()
        }),
        (Kind::Opaque(opaque), _) => Part::Opaque(opaque.clone()),
        (Kind::HostedJson(json), _) => return choice.hosted_json.push(json.clone()),
        (Kind::LogprobsJson(json), _) => return choice.logprobs_json.clone_from(json),
        (Kind::Finished(finished), _) => {
            choice.finish_reason = finished.reason;
            return;
        }
        _ => return,
    };
    parts.push(v1::Part { kind: Some(new), ..v1::Part::default() });
}
