//! Money held and spent per key, in memory; rebuilt from records at start.

use std::sync::Arc;

use dashmap::DashMap;
use headworks_core::{Fault, NanoUsd, Reason, Tenant};
use headworks_policy::Hold;
use parking_lot::Mutex;

/// A key's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Sum of the records.
    pub spent: NanoUsd,
    /// Sum of the holds of attempts under way.
    pub held: NanoUsd,
}

/// All keys' counters.
#[derive(Debug, Default)]
pub struct Budgets {
    keys: DashMap<Arc<str>, Arc<Mutex<Balance>>>,
}

impl Budgets {
    /// Starts from the sums of the records.
    pub fn new(spent: impl IntoIterator<Item = (Arc<str>, NanoUsd)>) -> Self {
        let keys = spent.into_iter().map(|(key, spent)| (key, Arc::new(Mutex::new(Balance { spent, held: NanoUsd::ZERO })))).collect();
        Self { keys }
    }

    fn of(&self, key: &Arc<str>) -> Arc<Mutex<Balance>> {
        if let Some(found) = self.keys.get(key) {
            return found.clone();
        }
        self.keys.entry(key.clone()).or_default().clone()
    }

    /// A key's counters now.
    pub fn balance(&self, key: &Arc<str>) -> Balance {
        self.keys.get(key).map(|found| *found.lock()).unwrap_or_default()
    }

    /// Takes a hold, or says why it does not fit. Check and hold are one step.
    pub fn reserve(&self, tenant: &Tenant, hold: &Hold) -> Result<Reserved, Fault> {
        let balance = self.of(&tenant.id);
        {
            let mut now = balance.lock();
            if let Some(limit) = tenant.budget {
                if !hold.price_known {
                    return Err(Fault::new(
                        Reason::PriceUnknown,
                        "the model's price is unknown and the key has a hard budget; add a price for it or use a key without a budget",
                    ));
                }
                if !hold.bounded {
                    return Err(Fault::new(Reason::CostUnbounded, "what this call may cost has no upper bound and the key has a hard budget"));
                }
                let after = now.spent + now.held + hold.amount;
                if after > limit {
                    return Err(Fault::new(
                        Reason::BudgetExceeded,
                        format!(
                            "the key's budget of ${limit} does not cover this call: ${} spent, ${} held, up to ${} needed; \
                             state a smaller max_tokens or raise the budget",
                            now.spent, now.held, hold.amount
                        ),
                    ));
                }
            }
            now.held += hold.amount;
        }
        Ok(Reserved { balance, amount: hold.amount, settled: false })
    }
}

/// A hold that is settled exactly once: by `settle`, or as nothing spent when dropped.
#[derive(Debug)]
pub struct Reserved {
    balance: Arc<Mutex<Balance>>,
    amount: NanoUsd,
    settled: bool,
}

impl Reserved {
    /// Turns the hold into what was really spent.
    pub fn settle(mut self, cost: NanoUsd) {
        self.close(cost);
    }

    fn close(&mut self, cost: NanoUsd) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let mut now = self.balance.lock();
        now.held.0 = now.held.0.saturating_sub(self.amount.0);
        now.spent += cost;
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.close(NanoUsd::ZERO);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn tenant(budget: Option<i64>) -> Tenant {
        Tenant {
            id: "k".into(),
            name: "k".into(),
            roles: vec![],
            allowed_models: vec![],
            default_policy: None,
            auto_cache: false,
            regions: vec![],
            budget: budget.map(NanoUsd),
        }
    }

    fn hold(nanos: i64) -> Hold {
        Hold { amount: NanoUsd(nanos), output_limit: 1, bounded: true, price_known: true }
    }

    #[test]
    fn l1_l2_holds_fit_the_cap_and_are_settled_once() {
        let budgets = Budgets::new([("k".into(), NanoUsd(10))]);
        let first = budgets.reserve(&tenant(Some(100)), &hold(60)).unwrap();
        assert_eq!(budgets.reserve(&tenant(Some(100)), &hold(31)).unwrap_err().reason, Reason::BudgetExceeded);
        let second = budgets.reserve(&tenant(Some(100)), &hold(30)).unwrap();
        first.settle(NanoUsd(20));
        drop(second);
        assert_eq!(budgets.balance(&"k".into()), Balance { spent: NanoUsd(30), held: NanoUsd(0) });
    }

    #[test]
    fn l1_two_hundred_threads_never_pass_the_cap() {
        let budgets = Arc::new(Budgets::default());
        let threads: Vec<_> = (0..200)
            .map(|_| {
                let budgets = budgets.clone();
                std::thread::spawn(move || budgets.reserve(&tenant(Some(1000)), &hold(7)).map(|r| r.settle(NanoUsd(7))).is_ok())
            })
            .collect();
        let served = threads.into_iter().filter_map(|t| t.join().ok()).filter(|ok| *ok).count();
        let now = budgets.balance(&"k".into());
        assert_eq!(now.spent.0, served as i64 * 7);
        assert!(now.spent.0 <= 1000 && now.held.0 == 0);
        assert!(served >= 100, "{served}");
    }
}
