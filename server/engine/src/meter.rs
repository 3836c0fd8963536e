//! Money around one attempt: held before it starts, settled exactly once when it ends.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_core::{Stream, future::BoxFuture};
use headworks_core::{
    AttemptReport, Batch, Begun, Cause, ChatRequest, EmbedInput, EventKind, EventStream, Fault, NanoUsd, Outcome, PartKind, Rates, Reason, Str, Timings,
    Tokens, Work, WorkKind,
};
use headworks_policy as policy;
use tokio::time::Instant;
use tower::{Layer, Service};

use crate::{
    Shared, breaker,
    budget::Reserved,
    clock,
    health::Standing,
    metrics::TargetMetrics,
    ports::Intent,
    rate::{Need, Permit, Scope},
    stage::Trial,
};

/// Makes [`Meter`]s.
#[derive(Clone)]
pub struct MeterLayer {
    /// Ledger, budgets.
    pub shared: Arc<Shared>,
    /// The target's counters.
    pub metrics: Arc<TargetMetrics>,
    /// The target's standing.
    pub standing: Arc<Standing>,
}

impl<S> Layer<S> for MeterLayer {
    type Service = Meter<S>;
    fn layer(&self, inner: S) -> Meter<S> {
        Meter { inner, shared: self.shared.clone(), metrics: self.metrics.clone(), standing: self.standing.clone() }
    }
}

/// Holds, records the intent, calls, and settles.
#[derive(Clone)]
pub struct Meter<S> {
    inner: S,
    shared: Arc<Shared>,
    metrics: Arc<TargetMetrics>,
    standing: Arc<Standing>,
}

impl<S> Service<Trial> for Meter<S>
where
    S: Service<Trial, Response = Begun, Error = Fault> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = EventStream;
    type Error = Fault;
    type Future = BoxFuture<'static, Result<EventStream, Fault>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, trial: Trial) -> Self::Future {
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        let (shared, metrics, standing) = (self.shared.clone(), self.metrics.clone(), self.standing.clone());
        Box::pin(async move {
            let mut trial = trial;
            let mut account = Account::open(&shared, metrics, standing, &mut trial)?;
            let intent = shared.ledger.intent(account.intent());
            // Under a hard budget the hold must survive a crash before the provider can bill for it.
            let intent = if trial.attempt.call.tenant.capped() {
                intent.await?;
                None
            } else {
                Some(intent)
            };
            account.sent = true;
            match inner.call(trial).await {
                Ok(begun) => {
                    account.report.status = begun.status;
                    account.trial.book.note(begun.notes);
                    if let Some(intent) = intent {
                        intent.await?;
                    }
                    Ok(Box::pin(Metered { events: begun.events, account }) as EventStream)
                }
                Err(fault) => {
                    account.fail(&fault, Outcome::Failed);
                    Err(fault)
                }
            }
        })
    }
}

/// The running account of one attempt; closes itself when dropped.
struct Account {
    trial: Trial,
    metrics: Arc<TargetMetrics>,
    standing: Arc<Standing>,
    hold: Option<Reserved>,
    held_markup: NanoUsd,
    /// What was taken from limits that are for this target.
    permit: Option<Permit>,
    report: AttemptReport,
    started: Instant,
    /// The request has left, or may have.
    sent: bool,
    /// Bytes of output seen, for an estimate where the provider's own count never comes.
    output_bytes: usize,
    reported: bool,
    /// Where the provider says it processed.
    residency: Option<Str>,
    outcome: Outcome,
}

impl Account {
    /// Takes from the limits of the target and from the budgets; changes the trial where it must ask for less to fit.
    fn open(shared: &Shared, metrics: Arc<TargetMetrics>, standing: Arc<Standing>, trial: &mut Trial) -> Result<Self, Fault> {
        let started = clock::unix_nanos();
        let attempt = &trial.attempt;
        let (call, target) = (&attempt.call, &attempt.target);
        let hold = policy::hold(target, &call.work).with_markup(call.tenant.markup);
        let book = trial.book.clone();
        let skip = |reason: Reason, fault: &Fault| {
            if trial.hedge {
                // Its turn may come all the same, should the attempt fail that it was to run beside.
                book.note([format!("no second attempt at {}: {}", target.id, fault.message).into()]);
            } else {
                book.skip(&target.id, reason, fault.message.clone());
            }
        };
        let need = || Need { input: input_tokens(&call.work), output: Some(hold.output_limit) };
        let limited = |fault: &Fault| skip(Reason::RateLimited, fault);
        let permit = shared.rates.take(&call.tenant, Scope::Target(&target.id), need, clock::steady_millis()).inspect_err(limited)?;
        let reserved = shared.budgets.reserve(&call.tenant, &hold, started / 1_000_000_000).inspect_err(|fault| skip(Reason::BudgetWouldExceed, fault))?;
        if let Some(title) = reserved.beyond() {
            book.note([format!("the soft budget of {title} may be passed by this call").into()]);
        }
        let lowered = reserved.lowered().cloned();
        book.adjust(lowered.as_ref().map(|lowered| format!("max_tokens={}", lowered.max_tokens).into()));
        if let Some(lowered) = lowered {
            book.note([format!("{}: max_tokens was lowered to {} to fit the budget of {}", target.id, lowered.max_tokens, lowered.payer).into()]);
            if let Some(chat) = trial.attempt.call.work.chat_mut() {
                // Codecs that send the client's own bytes on put this in the place of what they say.
                chat.sampling.max_tokens = Some(lowered.max_tokens);
            }
        }
        let attempt = &trial.attempt;
        Ok(Self {
            report: AttemptReport {
                ordinal: attempt.ordinal,
                target: attempt.target.id.clone(),
                served_model: None,
                outcome: Outcome::Cancelled,
                reason: None,
                status: 0,
                message: None,
                timings: Timings { start_unix_nanos: started, total: Duration::ZERO, first_token: None },
                tokens: Tokens::default(),
                estimated: false,
                cost: None,
                markup: NanoUsd::ZERO,
                rates: None,
                service_tier: None,
                hold: reserved.amount(),
                hedge: trial.hedge,
            },
            trial: trial.clone(),
            metrics,
            standing,
            held_markup: reserved.markup(),
            hold: Some(reserved),
            permit,
            started: Instant::now(),
            sent: false,
            output_bytes: 0,
            reported: false,
            residency: None,
            outcome: Outcome::Cancelled,
        })
    }

    fn intent(&self) -> Intent {
        Intent {
            request_id: self.trial.attempt.call.id.clone(),
            ordinal: self.report.ordinal,
            tenant: self.trial.attempt.call.tenant.clone(),
            target: self.report.target.clone(),
            hold: self.report.hold,
            markup: self.held_markup,
            start_unix_nanos: self.report.timings.start_unix_nanos,
        }
    }

    fn see(&mut self, batch: &Batch) {
        for event in &batch.events {
            match &event.kind {
                EventKind::Usage { tokens, service_tier } => {
                    self.report.tokens = *tokens;
                    self.reported = true;
                    if let Some(tier) = service_tier {
                        self.report.service_tier = Some(tier.as_str().into());
                    }
                }
                EventKind::Residency(place) => self.residency = Some(place.clone()),
                EventKind::Started { model: Some(model), .. } if self.report.served_model.is_none() => {
                    self.report.served_model = Some(model.as_str().into());
                }
                EventKind::Text(piece) | EventKind::Reasoning(piece) | EventKind::Refusal(piece) | EventKind::ToolCallArguments { piece, .. } => {
                    self.output_bytes += piece.len()
                }
                _ => {}
            }
            if self.report.timings.first_token.is_none() && event.kind.is_content() {
                let after = self.started.elapsed();
                self.report.timings.first_token = Some(after);
                self.metrics.first_token(after);
            }
        }
    }

    fn fail(&mut self, fault: &Fault, outcome: Outcome) {
        self.outcome = if fault.reason == Reason::Cancelled { Outcome::Cancelled } else { outcome };
        self.report.reason = Some(fault.reason);
        self.report.message = Some(fault.message.as_str().into());
        if let Some(upstream) = &fault.upstream {
            self.report.status = upstream.status;
        }
        // Providers do not bill what they refused; what may have been consumed in vain is counted.
        let consumed = matches!(outcome, Outcome::FailedPartial)
            || matches!(fault.cause, Cause::Timeout(limit) if limit != headworks_core::Limit::Connect)
            || fault.cause == Cause::Cancelled;
        self.sent &= consumed;
        if let Some(spent) = &fault.spent {
            self.report.tokens = **spent;
            self.reported = true;
        }
        self.close();
    }

    /// What later plans know of the target's speed. Whole answers show no first token: they come at once.
    fn learn_pace(&self) {
        let work = &self.trial.attempt.call.work;
        if work.kind() == WorkKind::CountTokens {
            // It takes other ways through the target than an answer does.
            return;
        }
        let first = self.report.timings.first_token.filter(|_| work.is_streamed());
        self.standing.served(self.class(), first, self.report.timings.total, self.report.tokens.completion());
    }

    fn class(&self) -> policy::SizeClass {
        let prompt = self.report.tokens.prompt();
        let input = if prompt > 0 { prompt } else { policy::Size::of(&self.trial.attempt.call.work).input };
        policy::Size { input, output: 0 }.class()
    }

    fn close(&mut self) {
        let Some(hold) = self.hold.take() else { return };
        let attempt = &self.trial.attempt;
        let lacking = !self.reported || (self.outcome != Outcome::Success && self.output_bytes > 0);
        if self.sent && lacking {
            self.report.estimated = estimate(&mut self.report.tokens, &attempt.call.work, self.output_bytes);
        }
        let mut saved = NanoUsd::ZERO;
        let price = attempt.target.model.as_ref().and_then(|m| m.price.as_deref());
        if attempt.call.work.kind() == WorkKind::CountTokens {
            // No provider bills a count.
            self.report.cost = Some(NanoUsd::ZERO);
        } else if let Some(price) = price {
            let priced = policy::price(
                price,
                &self.report.tokens,
                &policy::Terms {
                    service_tier: self.report.service_tier.as_deref(),
                    residency: policy::residency(&attempt.target, &attempt.call.work, self.residency.as_deref()).as_deref(),
                    unix_seconds: self.report.timings.start_unix_nanos / 1_000_000_000,
                },
            );
            self.report.cost = Some(priced.cost);
            self.report.rates = Some::<Rates>(priced.rates);
            saved = priced.saved;
        } else if self.report.tokens == Tokens::default() {
            self.report.cost = Some(NanoUsd::ZERO);
        }
        let cost = self.report.cost.unwrap_or_default();
        self.report.markup = attempt.call.tenant.markup.on(cost);
        hold.settle(cost + self.report.markup);
        if let Some(permit) = self.permit.take() {
            permit.settle(self.report.tokens.prompt().saturating_add(self.report.tokens.completion()));
        }
        self.report.outcome = self.outcome;
        self.report.timings.total = self.started.elapsed();
        self.metrics.used(&self.report.tokens, cost);
        match (self.outcome, self.report.reason) {
            (Outcome::Success, _) => {
                self.metrics.served(self.report.timings.total);
                self.learn_pace();
            }
            (_, reason) => {
                let id = crate::health::shared_id(&attempt.target);
                self.trial.book.attempt_failed(&id, reason.unwrap_or(Reason::Cancelled));
            }
        }
        self.trial.book.report(self.report.clone(), saved);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if self.hold.is_some() {
            self.report.reason = Some(Reason::Cancelled);
            // Dropped because the other attempt of a race ended it, not by the caller: no failure, but slow.
            if let Some(end) = self.trial.race.as_ref().and_then(|race| race.ended_for(self.report.ordinal)) {
                self.report.message = Some(end);
                self.standing.waited(self.class(), self.trial.attempt.call.work.is_streamed(), self.started.elapsed());
            }
            self.close();
        }
    }
}

struct Metered {
    // Dropped first, so that the upstream is cancelled before the account closes.
    events: EventStream,
    account: Account,
}

impl Stream for Metered {
    type Item = Result<Batch, Fault>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = std::task::ready!(self.events.as_mut().poll_next(cx));
        match &next {
            Some(Ok(batch)) => self.account.see(batch),
            Some(Err(fault)) => {
                breaker::learn(&self.account.standing, fault, &self.account.report.target);
                self.account.fail(fault, Outcome::FailedPartial);
            }
            None => {
                self.account.outcome = Outcome::Success;
                self.account.close();
            }
        }
        Poll::Ready(next)
    }
}

/// Fills in counts the provider did not give: four bytes a token, which is near
/// the truth for English and too few for most other scripts. Whether there was something to estimate.
fn estimate(tokens: &mut Tokens, work: &Work, output_bytes: usize) -> bool {
    if work.kind() == WorkKind::CountTokens {
        return false;
    }
    if tokens.prompt() == 0 {
        tokens.input = input_tokens(work);
    }
    tokens.output = tokens.output.max(whole(output_bytes.div_ceil(4)));
    true
}

fn whole(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Tokens of the input, by the same estimate.
pub(crate) fn input_tokens(work: &Work) -> i64 {
    match work {
        Work::Chat(request) => whole(input_bytes(request).div_ceil(4)),
        Work::Embed(request) => request
            .inputs
            .iter()
            .map(|input| match input {
                EmbedInput::Text(text) => whole(text.len().div_ceil(4)),
                EmbedInput::Tokens(tokens) => whole(tokens.len()),
            })
            .fold(0, i64::saturating_add),
        Work::CountTokens(_) => 0,
    }
}

fn input_bytes(request: &ChatRequest) -> usize {
    fn part(kind: &PartKind) -> usize {
        let len = |text: &Str| text.len();
        match kind {
            PartKind::Text(text) | PartKind::Refusal(text) => len(text),
            PartKind::Reasoning { text, .. } => len(text),
            PartKind::ToolCall { name, arguments, .. } => len(name) + len(arguments),
            PartKind::ToolResult { parts, .. } => parts.iter().map(|p| part(&p.kind)).sum(),
            // Pictures, files and sound: a flat figure, since their base64 says nothing of their tokens.
            PartKind::Image { .. } | PartKind::File { .. } | PartKind::Audio { .. } => 4 * 1024,
            PartKind::Opaque(opaque) => opaque.json.as_str().len(),
        }
    }
    request.messages.iter().flat_map(|m| &m.parts).map(|p| part(&p.kind)).sum()
}
