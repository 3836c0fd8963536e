//! Rate limits of keys and groups, by reservation, in memory of this node.
//!
//! A window slides: what was counted in the last whole window weighs as much as
//! of it still lies within reach. Tokens are reserved by an estimate when a call
//! begins and corrected when it ends. A call takes from all of its limits or from none.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use dashmap::DashMap;
use headworks_core::{Fault, Left, ModelId, Payer, RateLimit, Rated, Reason, Tenant, Unit, matches_pattern};
use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;

/// Tokens of output reserved for a call that states no limit of its own, where there is room for them.
const UNSTATED_OUTPUT: i64 = 1024;
/// When a call that found too many others under way may try again.
const CONCURRENT_WAIT: Duration = Duration::from_secs(1);

/// What one limit has counted.
struct Count {
    of: (Unit, i64, Option<Arc<str>>),
    /// Which window `now` is of.
    index: i64,
    now: i64,
    /// Of the window before it.
    before: i64,
}

struct Account {
    number: u64,
    counts: Mutex<Vec<Count>>,
}

struct Chain {
    tenant: Arc<Tenant>,
    links: Box<[Link]>,
}

impl Chain {
    /// Whether some limit is for some models only.
    fn by_model(&self) -> bool {
        self.links.iter().any(|link| link.whole < link.limits.len())
    }
}

struct Link {
    account: Arc<Account>,
    title: Arc<str>,
    /// Each limit with the place of its count; first those that are for all models.
    limits: Box<[(usize, RateLimit)]>,
    /// How many are for all models.
    whole: usize,
}

impl Link {
    /// The limits of an attempt at a target; `None`: of a whole call.
    fn applying<'a>(&'a self, target: Option<&'a str>) -> impl Iterator<Item = &'a (usize, RateLimit)> + 'a {
        let (whole, by_model) = self.limits.split_at(self.whole);
        let matches = move |limit: &RateLimit| target.is_none_or(|id| limit.model.as_deref().is_some_and(|pattern| matches_pattern(pattern, id)));
        if target.is_none() { whole } else { by_model }.iter().filter(move |(_, limit)| matches(limit))
    }
}

/// What a call is limited as.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// A whole call, by the limits that are for all models.
    Call,
    /// An attempt at a target, by the limits that are for some models.
    Target(&'a ModelId),
}

/// Tokens that a call may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Read, by an estimate.
    pub input: i64,
    /// The most it writes; `None`: it does not say.
    pub output: Option<i64>,
}

/// All counts.
#[derive(Default)]
pub struct Rates {
    accounts: DashMap<Arc<str>, Arc<Account>>,
    chains: DashMap<Arc<str>, Arc<Chain>>,
    next: AtomicU64,
    /// The latest time seen, milliseconds: windows never go back, so that a call's time tells which ones it took from.
    latest: AtomicI64,
}

impl Rates {
    fn account(&self, payer: &Arc<str>) -> Arc<Account> {
        if let Some(found) = self.accounts.get(payer) {
            return found.clone();
        }
        let fresh = || Arc::new(Account { number: self.next.fetch_add(1, Ordering::Relaxed), counts: Mutex::default() });
        self.accounts.entry(payer.clone()).or_insert_with(fresh).clone()
    }

    /// `None`: nothing is limited, which costs nothing to find out.
    fn chain(&self, tenant: &Arc<Tenant>) -> Option<Arc<Chain>> {
        if tenant.payers.iter().all(|payer| payer.limits.is_empty()) {
            return None;
        }
        if let Some(found) = self.chains.get(&tenant.id)
            && Arc::ptr_eq(&found.tenant, tenant)
        {
            return Some(found.clone());
        }
        let mut links: Vec<Link> = tenant.payers.iter().filter(|payer| !payer.limits.is_empty()).map(|payer| self.link(payer)).collect();
        links.sort_by_key(|link| link.account.number);
        let chain = Arc::new(Chain { tenant: tenant.clone(), links: links.into() });
        self.chains.insert(tenant.id.clone(), chain.clone());
        Some(chain)
    }

    /// A payer's limits with their counts: a limit that only changed its number keeps what it counted.
    fn link(&self, payer: &Payer) -> Link {
        let account = self.account(&payer.id);
        let mut counts = account.counts.lock();
        let place = |limit: &RateLimit| {
            let of = (limit.unit, limit.seconds, limit.model.clone());
            let place = counts.iter().position(|count| count.of == of).unwrap_or_else(|| {
                counts.push(Count { of, index: 0, now: 0, before: 0 });
                counts.len() - 1
            });
            (place, limit.clone())
        };
        let mut limits: Vec<(usize, RateLimit)> = payer.limits.iter().map(place).collect();
        drop(counts);
        limits.sort_by_key(|(_, limit)| limit.model.is_some());
        let whole = limits.iter().filter(|(_, limit)| limit.model.is_none()).count();
        Link { account, title: payer.title.clone(), limits: limits.into(), whole }
    }

    /// Takes from every limit that applies, or says which one is reached. `now`: milliseconds of a clock that nobody sets. `None`: none applies.
    pub fn take(&self, tenant: &Arc<Tenant>, scope: Scope<'_>, need: impl FnOnce() -> Need, now: i64) -> Result<Option<Permit>, Fault> {
        let Some(chain) = self.chain(tenant) else { return Ok(None) };
        let target: Option<Box<str>> = match scope {
            Scope::Call => None,
            Scope::Target(_) if !chain.by_model() => return Ok(None),
            Scope::Target(id) => Some(id.to_string().into()),
        };
        let target_id = target.as_deref();
        if chain.links.iter().all(|link| link.applying(target_id).next().is_none()) {
            return Ok(None);
        }
        let need = need();
        let needed = need.input.saturating_add(need.output.unwrap_or(0));
        let mut facts = Rated::default();
        let (at, tokens);
        {
            let mut counts: SmallVec<[MutexGuard<'_, Vec<Count>>; 4]> = chain.links.iter().map(|link| link.account.counts.lock()).collect();
            // Under the locks: none of the counts has seen a later time.
            at = self.latest.fetch_max(now, Ordering::Relaxed).max(now);
            let mut refused: Option<(Fault, Duration)> = None;
            let mut room = i64::MAX;
            for (link, counts) in chain.links.iter().zip(&mut counts) {
                for (slot, limit) in link.applying(target_id) {
                    let Some(count) = counts.get_mut(*slot) else { continue };
                    let used = count.used(at);
                    let amount = if limit.unit == Unit::Tokens { needed } else { 1 };
                    if limit.unit == Unit::Tokens {
                        room = room.min(limit.most.saturating_sub(used));
                    }
                    note(&mut facts, limit, used, count.reset(at));
                    if used.saturating_add(amount) > limit.most {
                        let wait = count.wait(at, limit.most.saturating_sub(amount));
                        let fault = reached(link, limit, amount, wait);
                        let wait = wait.unwrap_or(Duration::MAX);
                        if refused.as_ref().is_none_or(|(_, longest)| wait > *longest) {
                            refused = Some((fault, wait));
                        }
                    }
                }
            }
            if let Some((mut fault, _)) = refused {
                fault.rates = Some(Box::new(facts));
                return Err(fault);
            }
            tokens = match need.output {
                Some(_) => needed,
                None => needed.saturating_add(UNSTATED_OUTPUT.min(room.saturating_sub(needed)).max(0)),
            };
            for (link, counts) in chain.links.iter().zip(&mut counts) {
                for (slot, limit) in link.applying(target_id) {
                    if let Some(count) = counts.get_mut(*slot) {
                        count.now = count.now.saturating_add(if limit.unit == Unit::Tokens { tokens } else { 1 });
                    }
                }
            }
            for (left, amount) in [(&mut facts.requests, 1), (&mut facts.tokens, tokens)] {
                if let Some(left) = left {
                    left.remaining = left.remaining.saturating_sub(amount).max(0);
                }
            }
        }
        Ok(Some(Permit { chain, target, at, tokens, facts, settled: false }))
    }
}

impl Count {
    /// A count of calls under way slides over nothing.
    fn millis(&self) -> i64 {
        self.of.1.saturating_mul(1000)
    }

    /// Which window holds a time.
    fn index(&self, at: i64) -> i64 {
        let window = self.millis();
        if window == 0 { 0 } else { at.div_euclid(window) }
    }

    /// Milliseconds of the window that are over.
    fn elapsed(&self, now: i64) -> i64 {
        let window = self.millis();
        if window == 0 { 0 } else { (now - self.index * window).clamp(0, window) }
    }

    fn used(&mut self, now: i64) -> i64 {
        let window = self.millis();
        if window == 0 {
            return self.now;
        }
        let index = self.index(now);
        if index > self.index {
            self.before = if index == self.index + 1 { self.now } else { 0 };
            (self.index, self.now) = (index, 0);
        }
        self.now.saturating_add(weighed(self.before, window - self.elapsed(now), window))
    }

    /// Until no more than `most` is in use; `None`: never.
    fn wait(&self, now: i64, most: i64) -> Option<Duration> {
        let window = self.millis();
        if most < 0 {
            return None;
        }
        if window == 0 {
            return Some(CONCURRENT_WAIT);
        }
        // The part of a window that may still be in reach for `count` to weigh no more than `room`.
        let reach = |count: i64, room: i64| if count <= room { window } else { scaled(window, room, count) };
        let end = window - self.elapsed(now);
        let millis = if self.now <= most { end - reach(self.before, most - self.now).min(end) } else { end + window - reach(self.now, most) };
        Some(Duration::from_millis(u64::try_from(millis.max(1)).unwrap_or(1)))
    }

    /// Until nothing is in use, once something is taken now.
    fn reset(&self, now: i64) -> Duration {
        Duration::from_millis(u64::try_from(2 * self.millis() - self.elapsed(now)).unwrap_or(0))
    }
}

/// `count * part / whole`, rounded up: a limit is never passed by a rounding.
fn weighed(count: i64, part: i64, whole: i64) -> i64 {
    // What there is in nearly every case: 128 bits have no instruction to divide by.
    if let Some(exact) = count.max(0).checked_mul(part).and_then(|exact| exact.checked_add(whole - 1)) {
        return exact / whole;
    }
    let exact = i128::from(count.max(0)) * i128::from(part);
    i64::try_from((exact + i128::from(whole) - 1) / i128::from(whole)).unwrap_or(i64::MAX)
}

/// `window * room / count`, rounded down.
fn scaled(window: i64, room: i64, count: i64) -> i64 {
    i64::try_from(i128::from(window) * i128::from(room.max(0)) / i128::from(count.max(1))).unwrap_or(0)
}

/// Of several limits the one with the least left is shown.
fn note(facts: &mut Rated, limit: &RateLimit, used: i64, reset: Duration) {
    let shown = match limit.unit {
        Unit::Requests => &mut facts.requests,
        Unit::Tokens => &mut facts.tokens,
        Unit::Concurrent => return,
    };
    let left = Left { limit: limit.most, remaining: limit.most.saturating_sub(used).max(0), reset };
    if shown.is_none_or(|other| left.remaining < other.remaining) {
        *shown = Some(left);
    }
}

fn reached(link: &Link, limit: &RateLimit, amount: i64, wait: Option<Duration>) -> Fault {
    let per = match limit.seconds {
        1 => "a second",
        60 => "a minute",
        3600 => "an hour",
        86_400 => "a day",
        _ => "at once",
    };
    let what = match limit.unit {
        Unit::Requests => "requests",
        Unit::Tokens => "tokens",
        Unit::Concurrent => "calls",
    };
    let model = limit.model.as_deref().map(|model| format!(" to {model}")).unwrap_or_default();
    let message = match (wait, limit.unit) {
        (None, Unit::Tokens) => format!(
            "{} may use {} tokens{model} {per} and this call alone may use {amount}; state a smaller max_tokens or raise the limit",
            link.title, limit.most
        ),
        _ => format!("{} has reached its limit of {} {what}{model} {per}; try again after the time given or raise the limit", link.title, limit.most),
    };
    Fault::new(Reason::RateLimited, message).after(wait)
}

/// What a call has taken. Calls under way are given back when it ends; tokens are corrected. Dropped before it was
/// settled, all is given back: nothing was done.
pub struct Permit {
    chain: Arc<Chain>,
    /// The target, where it was taken for one.
    target: Option<Box<str>>,
    /// When, milliseconds.
    at: i64,
    /// Taken from each limit of tokens; from every other 1.
    tokens: i64,
    facts: Rated,
    settled: bool,
}

impl Permit {
    /// How far the limits were when it was taken.
    pub fn facts(&self) -> Rated {
        self.facts
    }

    /// The call is over and has used this many tokens.
    pub fn settle(mut self, tokens: i64) {
        self.close(Some(tokens));
    }

    fn close(&mut self, used: Option<i64>) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        for link in &self.chain.links {
            let mut counts = link.account.counts.lock();
            for (slot, limit) in link.applying(self.target.as_deref()) {
                let delta = match (limit.unit, used) {
                    (Unit::Tokens, used) => used.unwrap_or(0).saturating_sub(self.tokens),
                    (Unit::Requests, Some(_)) => continue,
                    (Unit::Concurrent, _) | (Unit::Requests, None) => -1,
                };
                let Some(count) = counts.get_mut(*slot) else { continue };
                let index = count.index(self.at);
                // A window that is out of reach is nobody's concern any more.
                if count.index == index {
                    count.now = count.now.saturating_add(delta).max(0);
                } else if count.index == index + 1 {
                    count.before = count.before.saturating_add(delta).max(0);
                }
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.close(None);
    }
}

#[cfg(test)]
#[path = "rate_tests.rs"]
mod tests;
