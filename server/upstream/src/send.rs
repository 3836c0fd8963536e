use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use headworks_core::{
    Attempt, Batch, Begun, Cause, ChatRequest, EmbedRequest, EventKind, Fault, FinishReason, Host, Limit, Reason, Target, UpstreamError, Work, WorkKind,
};
use headworks_providers::{Dialect, Encoded, Head, Note, codec, estimated_input_tokens};
use http::{
    HeaderValue,
    header::{ACCEPT_ENCODING, CONTENT_TYPE},
};
use http_body::Body;

use crate::{
    Config, Secrets, SetupError,
    auth::{Auth, Shown},
    events::{Events, root},
    pieces,
    pool::{Pool, Slot},
    sandbox, warm,
    warm::Warmth,
};

/// How much of an error's body is read.
const ERROR_BYTES: usize = 1 << 20;
/// How long an error's body may take; what has come by then is used.
const ERROR_TIME: Duration = Duration::from_secs(5);

/// Sends attempts to their hosts. Cloning shares the connections.
#[derive(Clone)]
pub struct Upstream(Arc<Shared>);

struct Shared {
    pool: Pool,
    auth: Auth,
    max_body_bytes: u64,
    warmth: Warmth,
    /// How long an opened connection can be counted on; `None`: none is opened ahead.
    warm_for: Option<Duration>,
}

impl Upstream {
    /// A client with these keys. Fails where TLS cannot be set up.
    pub fn new(config: &Config, secrets: Secrets) -> Result<Self, SetupError> {
        let pool = Pool::new(config)?;
        // Below the time after which an idle connection is closed.
        let warm_for = config.warm_fallbacks.then(|| Duration::from_millis(config.pool_idle_timeout_ms) * 4 / 5);
        Ok(Self(Arc::new(Shared { pool, auth: Auth::new(secrets), max_body_bytes: config.max_body_bytes, warmth: Warmth::default(), warm_for })))
    }

    /// Opens a connection to a host that may be needed in a moment, unless one was opened of late. Returns at once.
    /// The host sees a HEAD request without credentials.
    pub fn warm(&self, host: &Host) {
        let Some(idle) = self.0.warm_for.filter(|_| !sandbox::is_at(&host.base_url)) else { return };
        if !self.0.warmth.due(host, idle) {
            return;
        }
        if let (Ok(url), Some((client, _))) = (host.base_url.parse(), self.0.pool.pick()) {
            tokio::spawn(warm::open(client.clone(), url));
        }
    }

    /// Sends one attempt and waits for the head of its answer. An answer that is no success is a fault;
    /// so is a target whose dialect or credentials this build has not. What breaks later comes in the stream.
    pub async fn attempt(&self, attempt: Attempt) -> Result<Begun, Fault> {
        let target = attempt.target.clone();
        let mut shown = Shown::default();
        self.0.attempt(&attempt, &mut shown).await.map_err(|fault| shown.redact(fault.at(&target.id)))
    }
}

impl tower_service::Service<Attempt> for Upstream {
    type Response = Begun;
    type Error = Fault;
    type Future = Pin<Box<dyn Future<Output = Result<Begun, Fault>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, attempt: Attempt) -> Self::Future {
        let upstream = self.clone();
        Box::pin(async move { upstream.attempt(attempt).await })
    }
}

impl Shared {
    async fn attempt(&self, attempt: &Attempt, shown: &mut Shown) -> Result<Begun, Fault> {
        let target = &attempt.target;
        let codec = codec(target, &attempt.call.work).ok_or_else(|| unspoken(target))?;
        match &attempt.call.work {
            Work::CountTokens(request) if !codec.counts(target) || sandbox::is_at(&target.host.base_url) => Ok(guessed(target, request)),
            Work::Embed(request) => self.embed(attempt, codec, request, shown).await,
            work => self.send(attempt, codec, work, shown).await,
        }
    }

    /// Vectors, asked in as many pieces as the host wants. All are in hand before the answer begins, so that a
    /// piece that fails leaves the way to the next target open.
    async fn embed(&self, attempt: &Attempt, codec: &'static dyn Dialect, request: &Arc<EmbedRequest>, shown: &mut Shown) -> Result<Begun, Fault> {
        let target = &attempt.target;
        let mut offset = 0;
        let parts: Vec<(usize, Arc<EmbedRequest>)> = pieces::cut(codec, target, request)
            .into_iter()
            .map(|part| {
                let at = offset;
                offset += part.inputs.len();
                (at, part)
            })
            .collect();
        let mut answers = futures_util::stream::iter(parts)
            .map(|(at, part)| async move {
                let mut shown = Shown::default();
                let inputs = part.inputs.len();
                let answer = match self.send(attempt, codec, &Work::Embed(part), &mut shown).await {
                    Ok(begun) => pieces::read(begun, target, inputs).await,
                    Err(fault) => Err(fault),
                };
                (at, shown, answer)
            })
            .buffered(pieces::AT_ONCE);
        let mut done = Vec::new();
        while let Some((at, key, answer)) = answers.next().await {
            *shown = key;
            match answer {
                Ok(piece) => done.push((at, piece)),
                Err(mut fault) => {
                    fault.spent = pieces::spent(done.iter().map(|(_, piece)| piece));
                    return Err(fault);
                }
            }
        }
        Ok(pieces::join(done))
    }

    /// One request to one host.
    async fn send(&self, attempt: &Attempt, codec: &'static dyn Dialect, work: &Work, shown: &mut Shown) -> Result<Begun, Fault> {
        let target = &attempt.target;
        if sandbox::is_at(&target.host.base_url) {
            return self.rehearse(attempt, codec, work).await;
        }
        let encoded = spell(codec, target, work)?;
        let (mut parts, body) = encoded.request.into_parts();
        *shown = self.auth.authorise(&self.pool, &target.host, &mut parts, &body).await?;
        let url = self.pool.url(&parts.uri).ok_or_else(|| bad_url(&target.host))?;
        let mut message = reqwest::Request::new(parts.method, url);
        let mut headers = parts.headers;
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(trace) = attempt.call.traceparent.as_deref().and_then(|text| HeaderValue::from_str(text).ok()) {
            headers.insert("traceparent", trace);
        }
        *message.headers_mut() = headers;
        *message.body_mut() = Some(body.into());
        let (client, slot) = self.pool.pick().ok_or_else(|| Fault::internal("there is no HTTP client"))?;
        let answer = client.execute(message).await.map_err(|error| unanswered(target, &error))?;
        let answer: http::Response<reqwest::Body> = answer.into();
        self.begin(attempt, codec, encoded.notes, answer, shown.clone(), slot).await
    }

    /// The same way for the sandbox, with a host inside this process.
    async fn rehearse(&self, attempt: &Attempt, codec: &'static dyn Dialect, work: &Work) -> Result<Begun, Fault> {
        let target = &attempt.target;
        let encoded = spell(codec, &sandbox::addressed(target), work)?;
        let answer = match work {
            Work::Embed(_) => sandbox::embed(encoded.request.body()),
            Work::Chat(_) | Work::CountTokens(_) => sandbox::answer(encoded.request.body()).await,
        };
        self.begin(attempt, codec, encoded.notes, answer, Shown::default(), None).await
    }

    async fn begin<B>(
        &self,
        attempt: &Attempt,
        codec: &'static dyn Dialect,
        notes: Vec<Note>,
        answer: http::Response<B>,
        shown: Shown,
        slot: Option<Slot>,
    ) -> Result<Begun, Fault>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let target = &attempt.target;
        let (parts, body) = answer.into_parts();
        let head = Head { status: parts.status, headers: &parts.headers };
        if !parts.status.is_success() {
            if matches!(parts.status, http::StatusCode::UNAUTHORIZED | http::StatusCode::FORBIDDEN) {
                self.auth.refused(&target.host, parts.status, &parts.headers);
            }
            let body = error_body(body).await;
            return Err(with_status(codec.fault(target, &head, &body), parts.status.as_u16()));
        }
        let limit = if is_stream(&parts.headers) { u64::MAX } else { self.max_body_bytes };
        let decoder = match attempt.call.work.kind() {
            WorkKind::Chat => codec.decoder(target, &head),
            WorkKind::Embed => codec.embed_decoder(target, &head),
            WorkKind::CountTokens => codec.count_decoder(target, &head),
        };
        let events = Events::new(body, decoder, limit, target.clone(), shown, slot);
        let notes = notes.into_iter().map(|note| note.text).collect();
        Ok(Begun { status: parts.status.as_u16(), notes, events: Box::pin(events) })
    }
}

/// The body comes as a stream of events, which has no size of its own.
fn is_stream(headers: &http::HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.contains("event-stream") || kind.contains("eventstream")
}

/// As much of an error's body as comes in time.
async fn error_body<B: Body<Data = Bytes> + Unpin>(mut body: B) -> Bytes {
    let mut read = BytesMut::new();
    let all = async {
        while let Some(Ok(frame)) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let Ok(chunk) = frame.into_data() else { continue };
            let room = ERROR_BYTES.saturating_sub(read.len());
            read.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
            if read.len() >= ERROR_BYTES {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(ERROR_TIME, all).await;
    read.freeze()
}

fn with_status(mut fault: Fault, status: u16) -> Fault {
    let said = fault.upstream.get_or_insert_with(|| Arc::new(UpstreamError { status, message: fault.message.clone(), ..Default::default() }));
    if said.status == 0 {
        Arc::make_mut(said).status = status;
    }
    fault
}

/// A count of our own, where a host has no way to ask.
fn guessed(target: &Target, request: &ChatRequest) -> Begun {
    let mut batch = Batch::default();
    batch.push(EventKind::Counted { tokens: estimated_input_tokens(request), estimated: true });
    batch.push(EventKind::Finished(FinishReason::Stop));
    let note = format!("{} has no way to count tokens; the gateway estimated them", target.id);
    Begun { status: 200, notes: vec![note.into()], events: Box::pin(futures_util::stream::iter([Ok(batch)])) }
}

/// The request on the wire.
fn spell(codec: &dyn Dialect, target: &Target, work: &Work) -> Result<Encoded, Fault> {
    match work {
        Work::Chat(request) => codec.encode(target, request),
        Work::Embed(request) => codec.encode_embed(target, request),
        Work::CountTokens(request) => codec.encode_count(target, request),
    }
}

fn unspoken(target: &Target) -> Fault {
    let word = match (&target.model, target.dialect) {
        (_, Some(name)) => name.as_str(),
        (Some(model), None) => model.foreign_dialect.as_deref().unwrap_or(&target.host.dialect_word),
        (None, None) => &target.host.dialect_word,
    };
    Fault::new(
        Reason::CapabilityMissing,
        format!("{} is spoken to in the dialect \"{word}\", which this build does not speak; choose another target", target.id),
    )
    .because(Cause::Unfit)
}

fn bad_url(host: &Host) -> Fault {
    Fault::internal(format!("provider {}: base_url \"{}\" does not give an http or https URL; correct it in [providers.{}]", host.id, host.base_url, host.id))
}

/// No head came.
fn unanswered(target: &Target, error: &reqwest::Error) -> Fault {
    let (reason, cause, what) = if error.is_connect() && error.is_timeout() {
        (Reason::Timeout, Cause::Timeout(Limit::Connect), "could not be connected to in time".to_owned())
    } else if error.is_connect() {
        (Reason::AllTargetsFailed, Cause::Connect, format!("could not be connected to: {}", root(error)))
    } else {
        (Reason::AllTargetsFailed, Cause::Connect, format!("closed the connection before it answered: {}", root(error)))
    };
    // The address is for the operator, not for callers.
    tracing::debug!(target = %target.id, base_url = %target.host.base_url, %what, "no answer from upstream");
    Fault::new(reason, format!("{} {what}", target.id)).because(cause)
}
