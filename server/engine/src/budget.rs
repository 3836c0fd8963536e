//! Money held and spent per key and group, in memory; rebuilt from the sums of records at start.
//!
//! A hold is taken on a key and all its groups in one step: all of their
//! counters are locked, in the order of their numbers, so that no two calls can
//! wait for each other. Nothing is locked longer than the sums take.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use dashmap::DashMap;
use headworks_core::{BudgetWindow, Fault, Fit, NanoUsd, Payer, Reason, Tally, Tenant};
use headworks_policy::Hold;
use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;

use crate::ports::Crossing;

/// A smaller `max_tokens` is not worth an answer.
const LEAST_OUTPUT: i64 = 256;

/// Told of every threshold that is crossed.
pub type Told = Arc<dyn Fn(Crossing) + Send + Sync>;

/// The counters of one payer.
struct Account {
    /// Accounts are locked in the order of their numbers.
    number: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tally: Tally,
    /// How many thresholds were told, and of which limit and window.
    told: usize,
    told_of: Option<(NanoUsd, BudgetWindow, i64)>,
}

/// A key's accounts with what its payers say, made once per change of the key.
struct Chain {
    tenant: Arc<Tenant>,
    links: Box<[Link]>,
    alarm: Told,
}

struct Link {
    account: Arc<Account>,
    /// Its place among the tenant's payers.
    payer: usize,
    /// Percent and amount of each threshold, ascending.
    thresholds: Box<[(i64, NanoUsd)]>,
}

/// All counters.
pub struct Budgets {
    accounts: DashMap<Arc<str>, Arc<Account>>,
    chains: DashMap<Arc<str>, Arc<Chain>>,
    next: AtomicU64,
    /// The latest time seen: windows never go back.
    latest: AtomicI64,
    fit: Fit,
    alarm: Told,
}

impl Budgets {
    /// Starts from the sums of the records. `fit`: where a budget does not say.
    pub fn new(spent: impl IntoIterator<Item = (Arc<str>, Tally)>, fit: Fit, alarm: Told) -> Self {
        let budgets = Self { accounts: DashMap::new(), chains: DashMap::new(), next: AtomicU64::new(0), latest: AtomicI64::new(0), fit, alarm };
        for (payer, tally) in spent {
            budgets.account(&payer).state.lock().tally = tally;
        }
        budgets
    }

    fn account(&self, payer: &Arc<str>) -> Arc<Account> {
        if let Some(found) = self.accounts.get(payer) {
            return found.clone();
        }
        let fresh = || Arc::new(Account { number: self.next.fetch_add(1, Ordering::Relaxed), state: Mutex::default() });
        self.accounts.entry(payer.clone()).or_insert_with(fresh).clone()
    }

    fn chain(&self, tenant: &Arc<Tenant>) -> Arc<Chain> {
        if let Some(found) = self.chains.get(&tenant.id)
            && Arc::ptr_eq(&found.tenant, tenant)
        {
            return found.clone();
        }
        let link = |(payer, facts): (usize, &Payer)| Link { account: self.account(&facts.id), payer, thresholds: thresholds(facts) };
        let mut links: Vec<Link> = tenant.payers.iter().enumerate().map(link).collect();
        links.sort_by_key(|link| link.account.number);
        let chain = Arc::new(Chain { tenant: tenant.clone(), links: links.into(), alarm: self.alarm.clone() });
        self.chains.insert(tenant.id.clone(), chain.clone());
        chain
    }

    fn time(&self, at: i64) -> i64 {
        self.latest.fetch_max(at, Ordering::Relaxed).max(at)
    }

    /// The sums of a key or group at a time, Unix seconds.
    pub fn tally(&self, payer: &Arc<str>, at: i64) -> Tally {
        let mut tally = self.accounts.get(payer).map(|account| account.state.lock().tally).unwrap_or_default();
        tally.roll(self.time(at));
        tally
    }

    /// The least that is left of any hard budget of a key and its groups; `None`: there is none.
    pub fn left(&self, tenant: &Tenant, at: i64) -> Option<NanoUsd> {
        let hard = |payer: &Payer| {
            let budget = payer.budget.as_ref().filter(|budget| !budget.soft)?;
            Some(minus(budget.limit, self.tally(&payer.id, at).span(budget.window).taken()))
        };
        tenant.payers.iter().filter_map(hard).min()
    }

    /// Tells what was crossed and not told, by what is spent already: at start, what the last run had no time to tell.
    pub fn review(&self, tenant: &Arc<Tenant>, at: i64) {
        let at = self.time(at);
        let chain = self.chain(tenant);
        for link in &chain.links {
            let mut state = link.account.state.lock();
            state.tally.roll(at);
            let crossed = chain.crossed(link, &mut state, at);
            drop(state);
            crossed.into_iter().for_each(|crossing| (chain.alarm)(crossing));
        }
    }

    /// Takes a hold for an attempt that begins at `at`, Unix seconds, on the key and all its groups, or says why it
    /// does not fit. Where a budget allows it, a hold that is too large is lowered to what is left.
    pub fn reserve(&self, tenant: &Arc<Tenant>, hold: &Hold, at: i64) -> Result<Reserved, Fault> {
        let at = self.time(at);
        let chain = self.chain(tenant);
        let mut hold = *hold;
        let mut lowered = None;
        let mut beyond = None;
        {
            let mut states: SmallVec<[MutexGuard<'_, State>; 4]> = chain.links.iter().map(|link| link.account.state.lock()).collect();
            let mut least: Option<(NanoUsd, &Payer, NanoUsd)> = None;
            let mut fit = Fit::Lower;
            for (link, state) in chain.links.iter().zip(&mut states) {
                state.tally.roll(at);
                let Some((payer, budget)) = chain.tenant.payers.get(link.payer).and_then(|payer| Some((payer, payer.budget.as_ref()?))) else { continue };
                let taken = state.tally.span(budget.window).taken();
                let left = minus(budget.limit, taken);
                if budget.soft {
                    if hold.amount > left && hold.amount > NanoUsd::ZERO {
                        beyond.get_or_insert_with(|| payer.title.clone());
                    }
                    continue;
                }
                if !hold.price_known && !budget.allow_unknown_price {
                    return Err(price_unknown(payer));
                }
                if !hold.bounded && !budget.allow_unbounded {
                    return Err(unbounded(payer));
                }
                if hold.amount > left && budget.fit.unwrap_or(self.fit) == Fit::Refuse {
                    fit = Fit::Refuse;
                }
                if least.is_none_or(|(least, ..)| left < least) {
                    least = Some((left, payer, taken));
                }
            }
            if let Some((left, payer, taken)) = least
                && hold.amount > left
                && hold.amount > NanoUsd::ZERO
            {
                let limit = hold.fitting(left);
                if fit == Fit::Refuse || !hold.lowerable || limit < LEAST_OUTPUT || limit >= hold.output_limit {
                    return Err(exceeded(payer, &hold, taken, at));
                }
                hold = hold.of_output(limit);
                lowered = Some(Lowered { max_tokens: limit, payer: payer.title.clone() });
            }
            for state in &mut states {
                state.tally.hold(at, hold.amount);
            }
        }
        Ok(Reserved { chain, at, hold: hold.amount, markup: hold.markup, lowered, beyond, settled: false })
    }
}

fn minus(a: NanoUsd, b: NanoUsd) -> NanoUsd {
    NanoUsd(a.0.saturating_sub(b.0))
}

fn thresholds(payer: &Payer) -> Box<[(i64, NanoUsd)]> {
    let Some(budget) = payer.budget.as_ref().filter(|budget| budget.limit > NanoUsd::ZERO) else { return Box::default() };
    let amount = |percent: i64| {
        let exact = (i128::from(budget.limit.0) * i128::from(percent) + 99) / 100;
        (percent, NanoUsd(i64::try_from(exact).unwrap_or(i64::MAX)))
    };
    budget.alerts.iter().map(|percent| amount(*percent)).collect()
}

fn price_unknown(payer: &Payer) -> Fault {
    Fault::new(
        Reason::PriceUnknown,
        format!("the model's price is unknown and {} has a hard budget; give it a price, or set allow_unknown_price in the budget", payer.title),
    )
}

fn unbounded(payer: &Payer) -> Fault {
    Fault::new(
        Reason::CostUnbounded,
        format!("what this call may cost has no upper bound and {} has a hard budget; state max_tokens, or set allow_unbounded in the budget", payer.title),
    )
}

fn exceeded(payer: &Payer, hold: &Hold, taken: NanoUsd, at: i64) -> Fault {
    let Some(budget) = &payer.budget else { return Fault::internal("a payer without a budget was over it") };
    let per = match budget.window {
        BudgetWindow::Lifetime => String::new(),
        window => format!(" a {}", window.word()),
    };
    let hint = match budget.window.end(at) {
        Some(end) => format!("state a smaller max_tokens, wait {} hours or raise the budget", (end - at).max(0) / 3600 + 1),
        None => "state a smaller max_tokens or raise the budget".to_owned(),
    };
    let message = format!(
        "the budget of {}, ${}{per}, does not cover this call: ${taken} spent or held, up to ${} needed; {hint}",
        payer.title, budget.limit, hold.amount
    );
    Fault::new(Reason::BudgetExceeded, message)
}

impl Chain {
    fn crossed(&self, link: &Link, state: &mut State, at: i64) -> SmallVec<[Crossing; 1]> {
        let mut crossed = SmallVec::new();
        let Some(payer) = self.tenant.payers.get(link.payer) else { return crossed };
        let (Some(budget), false) = (&payer.budget, link.thresholds.is_empty()) else { return crossed };
        let span = state.tally.span(budget.window);
        let of = Some((budget.limit, budget.window, span.start));
        if state.told_of != of {
            (state.told, state.told_of) = (0, of);
        }
        while let Some((percent, amount)) = link.thresholds.get(state.told)
            && span.spent >= *amount
        {
            state.told += 1;
            crossed.push(Crossing {
                payer: payer.id.clone(),
                title: payer.title.clone(),
                percent: *percent,
                limit: budget.limit,
                spent: span.spent,
                window: budget.window,
                window_start: span.start,
                at,
            });
        }
        crossed
    }
}

/// What a call was changed to so that it fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lowered {
    /// Its `max_tokens` now.
    pub max_tokens: i64,
    /// Whose budget it was.
    pub payer: Arc<str>,
}

/// A hold that is settled exactly once: by `settle`, or as nothing spent when dropped.
pub struct Reserved {
    chain: Arc<Chain>,
    /// When it was taken, Unix seconds: the windows it counts in.
    at: i64,
    hold: NanoUsd,
    markup: NanoUsd,
    lowered: Option<Lowered>,
    beyond: Option<Arc<str>>,
    settled: bool,
}

impl std::fmt::Debug for Reserved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reserved").field("hold", &self.hold).field("settled", &self.settled).finish_non_exhaustive()
    }
}

impl Reserved {
    /// What is held, markup included.
    pub fn amount(&self) -> NanoUsd {
        self.hold
    }

    /// The part of it that is markup.
    pub fn markup(&self) -> NanoUsd {
        self.markup
    }

    /// How the call must be changed for this hold to be enough.
    pub fn lowered(&self) -> Option<&Lowered> {
        self.lowered.as_ref()
    }

    /// Whose soft budget the call may pass.
    pub fn beyond(&self) -> Option<&Arc<str>> {
        self.beyond.as_ref()
    }

    /// Turns the hold into what was really spent, markup included.
    pub fn settle(mut self, spent: NanoUsd) {
        self.close(spent);
    }

    fn close(&mut self, spent: NanoUsd) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        for link in &self.chain.links {
            let mut state = link.account.state.lock();
            state.tally.settle(self.at, self.hold, spent);
            let crossed = self.chain.crossed(link, &mut state, self.at);
            drop(state);
            crossed.into_iter().for_each(|crossing| (self.chain.alarm)(crossing));
        }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.close(NanoUsd::ZERO);
    }
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
