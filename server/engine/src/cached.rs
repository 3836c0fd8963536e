//! Answers that are given again: a call that asks for it gets what the same call of the same key got before, at no cost.
//!
//! What makes two calls the same is all that decides their answer: key, model or policy asked for, conversation, tools,
//! parameters, form, and at the REST doors the body as the client wrote it, since a target of the same dialect is sent
//! what we have no word for too. Whether the answer is streamed is not among it. It is given again only while the target
//! that made it is among those the call may go to now, so a change of policy, key or region holds at once.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_core::{Stream, future::BoxFuture};
use futures_util::future::Either;
use headworks_core::{
    Batch, Cached, Call, Event, EventKind, EventStream, Facts, Fault, GATEWAY_MEMBERS, Lookup, ModelId, NanoUsd, Outcome, Receipt, Reply, Tokens, Work,
};
use quick_cache::{OptionsBuilder, Weighter, sync::Cache};
use serde::Deserialize;
use tokio::time::Instant;
use tower::{Layer, Service};

use crate::{
    Shared, clock,
    control::Cancel,
    print::{Print, Printer},
    stage::Booked,
    tape::size,
};

/// What is kept to be given again. `[response_cache]` in the configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AnswersConfig {
    /// Most bytes of all answers together; those asked for least go first. 0: none is kept. Default 64 MiB.
    pub max_bytes: u64,
    /// Most bytes of one answer; a larger one is not kept. Default 1 MiB.
    pub max_bytes_per_answer: usize,
    /// Longest time that an answer may be given again, seconds; a call that asks for longer gets this. Default 86400.
    pub max_age_s: u64,
}

impl Default for AnswersConfig {
    fn default() -> Self {
        Self { max_bytes: 64 << 20, max_bytes_per_answer: 1 << 20, max_age_s: 86_400 }
    }
}

/// An answer, as it was.
struct Answer {
    served_by: ModelId,
    events: Vec<Event>,
    tokens: Tokens,
    cost: NanoUsd,
    estimated: bool,
    made: Instant,
    made_unix_nanos: i64,
    /// How long it may be given again, as the call that made it asked.
    keep: Duration,
    bytes: usize,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<Print, Arc<Answer>> for Bytes {
    fn weight(&self, _: &Print, answer: &Arc<Answer>) -> u64 {
        answer.bytes as u64
    }
}

/// The answers that can be given again, in the memory of this node.
pub struct Answers {
    config: AnswersConfig,
    kept: Option<Cache<Print, Arc<Answer>, Bytes>>,
}

/// Parts of the cache, each with a lock and its share of the bytes: few, so that a share is many answers.
const SHARDS: usize = 8;
/// Answers that room is made for at once.
const EXPECTED: usize = 256;

impl Answers {
    /// Room for answers.
    pub fn new(config: AnswersConfig) -> Self {
        let options = OptionsBuilder::new().shards(SHARDS).estimated_items_capacity(EXPECTED).weight_capacity(config.max_bytes).build();
        let kept = options.ok().filter(|_| config.max_bytes > 0).map(|options| Cache::with_options(options, Bytes, Default::default(), Default::default()));
        Self { config, kept }
    }

    /// How old an answer to this call may be; `None`: it is to be made anew.
    fn asked(&self, work: &Work) -> Option<Duration> {
        self.kept.as_ref()?;
        let asked = matches!(work, Work::Chat(_) | Work::Embed(_)).then(|| work.routing().response_cache)??;
        Some(asked.min(Duration::from_secs(self.config.max_age_s))).filter(|age| !age.is_zero())
    }

    fn find(&self, print: &Print, asked: Duration) -> Option<Arc<Answer>> {
        self.kept.as_ref()?.get(print).filter(|answer| answer.made.elapsed() < asked.min(answer.keep))
    }

    fn keep(&self, print: Print, answer: Answer) {
        if let Some(kept) = &self.kept {
            kept.insert(print, Arc::new(answer));
        }
    }
}

/// Members of a body that say how its answer is delivered.
const DELIVERY: [&str; 2] = ["stream", "stream_options"];

/// What makes two calls the same.
fn print(call: &Call) -> Print {
    let mut print = Printer::default();
    print.fields(&call.tenant.id);
    match &call.work {
        Work::Chat(chat) | Work::CountTokens(chat) => {
            let mut chat = (**chat).clone();
            chat.routing = Default::default();
            (chat.stream, chat.include_usage, chat.original, chat.auto_cache, chat.cache_ttl) = Default::default();
            print.fields(&chat);
        }
        Work::Embed(embed) => {
            let mut embed = (**embed).clone();
            (embed.routing, embed.original) = Default::default();
            print.fields(&embed);
        }
    }
    if let Some(original) = call.work.original() {
        print.fields(&original.dialect);
        for member in original.members.iter().filter(|member| !DELIVERY.contains(&&*member.name) && !GATEWAY_MEMBERS.contains(&&*member.name)) {
            print.fields(&member.name);
            print.bytes(original.body.get(member.value.clone()).unwrap_or_default());
        }
    }
    print.done()
}

/// Makes [`CachedCalls`].
#[derive(Clone)]
pub struct CachedLayer {
    /// The answers.
    pub shared: Arc<Shared>,
}

impl<S> Layer<S> for CachedLayer {
    type Service = CachedCalls<S>;
    fn layer(&self, inner: S) -> CachedCalls<S> {
        CachedCalls { inner, shared: self.shared.clone() }
    }
}

/// Answers calls that were answered before.
#[derive(Clone)]
pub struct CachedCalls<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Service<Booked> for CachedCalls<S>
where
    S: Service<Booked, Response = Reply, Error = Fault>,
    S::Future: Send + 'static,
{
    type Response = Reply;
    type Error = Fault;
    type Future = Either<S::Future, BoxFuture<'static, Result<Reply, Fault>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, booked: Booked) -> Self::Future {
        let call = &booked.planned.call;
        let Some(asked) = self.shared.answers.asked(&call.work) else {
            return Either::Left(self.inner.call(booked));
        };
        let print = print(call);
        let found = self.shared.answers.find(&print, asked);
        if let Some(answer) = found.filter(|answer| booked.planned.targets.iter().any(|target| target.id == answer.served_by)) {
            self.shared.metrics.looked_up("hit");
            return Either::Right(Box::pin(std::future::ready(Ok(again(&booked, &answer)))));
        }
        self.shared.metrics.looked_up("miss");
        let shared = self.shared.clone();
        let reply = self.inner.call(booked);
        Either::Right(Box::pin(async move {
            let mut reply = reply.await?;
            reply.facts.lookup = Some(Lookup::Miss);
            reply.events = Box::pin(Listener { events: reply.events, shared, print, heard: Some(Vec::new()), bytes: 0, keep: asked });
            Ok(reply)
        }))
    }
}

/// The answer as the answer of this call.
fn again(booked: &Booked, answer: &Answer) -> Reply {
    let age = answer.made.elapsed();
    let cached = Cached { target: answer.served_by.clone(), made_unix_nanos: answer.made_unix_nanos, age, estimated: answer.estimated };
    booked.book.cached(cached, answer.tokens, answer.cost);
    let batch = Batch { events: answer.events.iter().cloned().collect(), ..Batch::default() };
    let events = Box::pin(futures_util::stream::iter([Ok(batch)]));
    Reply {
        served_by: answer.served_by.clone(),
        request_id: booked.planned.call.id.clone(),
        attempts: 0,
        facts: Facts { lookup: Some(Lookup::Hit(age)), ..booked.book.facts(&answer.served_by) },
        events: booked.book.clone().account(events, Cancel::default()),
    }
}

/// Hears an answer, and keeps it at its good end.
struct Listener {
    events: EventStream,
    shared: Arc<Shared>,
    print: Print,
    /// `None`: it is too large to be kept.
    heard: Option<Vec<Event>>,
    bytes: usize,
    keep: Duration,
}

impl Listener {
    fn hear(&mut self, batch: &Batch) {
        let Some(heard) = &mut self.heard else { return };
        let batch = Batch { events: batch.events.clone(), ..Batch::default() };
        self.bytes = self.bytes.saturating_add(size(&batch));
        if self.bytes > self.shared.answers.config.max_bytes_per_answer {
            self.heard = None;
            return;
        }
        let mut end = None;
        for mut event in batch.events {
            match &mut event.kind {
                EventKind::Receipt(receipt) => {
                    end = Some(receipt.clone());
                    continue;
                }
                // Each call has an id of its own.
                EventKind::Started { id, .. } => *id = None,
                _ => {}
            }
            heard.push(event);
        }
        // The last event of a good answer.
        if let Some(receipt) = end {
            let events = self.heard.take().unwrap_or_default();
            self.keep(events, &receipt);
        }
    }

    fn keep(&self, events: Vec<Event>, receipt: &Receipt) {
        // What several targets wrote is nobody's answer to be given again.
        let broke = receipt.attempts.iter().any(|attempt| attempt.outcome == Outcome::FailedPartial);
        let Some(last) = receipt.attempts.last().filter(|_| !broke) else { return };
        let answer = Answer {
            served_by: last.target.clone(),
            events,
            tokens: receipt.tokens,
            cost: receipt.cost,
            estimated: receipt.estimated,
            made: Instant::now(),
            made_unix_nanos: clock::unix_nanos(),
            keep: self.keep,
            bytes: self.bytes,
        };
        self.shared.answers.keep(self.print, answer);
    }
}

impl Stream for Listener {
    type Item = Result<Batch, Fault>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = std::task::ready!(self.events.as_mut().poll_next(cx));
        if let Some(Ok(batch)) = &next {
            self.hear(batch);
        }
        Poll::Ready(next)
    }
}

#[cfg(test)]
mod tests;
