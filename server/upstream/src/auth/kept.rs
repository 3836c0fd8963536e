//! A credential that runs out: fetched by one caller at a time, kept, and renewed before its end.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// How long before its end a credential is renewed, while the old one still serves those who cannot wait.
const EARLY: Duration = Duration::from_secs(300);
/// A renewal that failed is not tried again for this long.
const PAUSE: Duration = Duration::from_secs(5);

/// A credential and when it ends; `None`: never.
pub(crate) struct Lease<T> {
    /// The credential.
    pub value: T,
    /// How long it serves from now.
    pub lasts: Option<Duration>,
}

/// One credential, shared by all requests of a host.
pub(crate) struct Kept<T> {
    state: Mutex<State<T>>,
    /// Held by whoever fetches. An async mutex: the others wait for the fetch.
    fetching: tokio::sync::Mutex<()>,
}

struct State<T> {
    value: Option<Arc<T>>,
    /// From here on it should be renewed.
    due: Option<Instant>,
    /// From here on it is worth nothing.
    ends: Option<Instant>,
    /// The last fetch failed: why, and until when nobody tries again.
    failed: Option<(String, Instant)>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { state: Mutex::new(State { value: None, due: None, ends: None, failed: None }), fetching: tokio::sync::Mutex::new(()) }
    }
}

enum Now<T> {
    Fresh(Arc<T>),
    /// Still good, but to be renewed.
    Due(Arc<T>),
    Absent,
    Failed(String),
}

impl<T> Kept<T> {
    /// The credential, fetched where there is none that still serves. At most one fetch runs at a time; while
    /// the old credential still serves, only one caller waits for the new one, and a failure to renew is nobody's.
    pub(crate) async fn get<F>(&self, fetch: impl FnOnce() -> F) -> Result<Arc<T>, String>
    where
        F: Future<Output = Result<Lease<T>, String>>,
    {
        let old = match self.now() {
            Now::Fresh(value) => return Ok(value),
            Now::Failed(why) => return Err(why),
            Now::Due(value) => Some(value),
            Now::Absent => None,
        };
        let _fetching = match &old {
            Some(old) => match self.fetching.try_lock() {
                Ok(guard) => guard,
                Err(_) => return Ok(old.clone()),
            },
            None => self.fetching.lock().await,
        };
        // Someone else may have fetched it while we waited.
        match self.now() {
            Now::Fresh(value) => return Ok(value),
            Now::Failed(why) => return old.ok_or(why),
            Now::Due(_) | Now::Absent => {}
        }
        let fetched = fetch().await;
        let mut state = self.state.lock();
        let now = Instant::now();
        match fetched {
            Ok(lease) => {
                let value = Arc::new(lease.value);
                // A short one is renewed after most of its life.
                state.due = lease.lasts.map(|lasts| now + lasts.saturating_sub(EARLY).max(lasts / 5 * 4));
                state.ends = lease.lasts.map(|lasts| now + lasts);
                state.value = Some(value.clone());
                state.failed = None;
                Ok(value)
            }
            Err(why) => {
                state.failed = Some((why.clone(), now + PAUSE));
                old.ok_or(why)
            }
        }
    }

    /// Forgets the credential: the host refused it.
    pub(crate) fn forget(&self) {
        let mut state = self.state.lock();
        (state.value, state.due, state.ends) = (None, None, None);
    }

    fn now(&self) -> Now<T> {
        let state = self.state.lock();
        let now = Instant::now();
        let failed = state.failed.as_ref().filter(|(_, until)| now < *until);
        let value = state.value.as_ref().filter(|_| state.ends.is_none_or(|ends| now < ends));
        match (value, failed) {
            (Some(value), _) if state.due.is_none_or(|due| now < due) => Now::Fresh(value.clone()),
            // The pause of a failed renewal: go on with the old one.
            (Some(value), Some(_)) => Now::Fresh(value.clone()),
            (Some(value), None) => Now::Due(value.clone()),
            (None, Some((why, _))) => Now::Failed(why.clone()),
            (None, None) => Now::Absent,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn lease(value: usize, lasts: u64) -> Result<Lease<usize>, String> {
        Ok(Lease { value, lasts: Some(Duration::from_secs(lasts)) })
    }

    #[tokio::test]
    async fn many_callers_make_one_fetch() {
        let (kept, fetches, gate) = (Arc::new(Kept::default()), Arc::new(AtomicUsize::new(0)), Arc::new(tokio::sync::Semaphore::new(0)));
        let callers: Vec<_> = (0..20)
            .map(|_| {
                let (kept, fetches, gate) = (kept.clone(), fetches.clone(), gate.clone());
                tokio::spawn(async move {
                    kept.get(|| async {
                        let nth = fetches.fetch_add(1, Ordering::SeqCst);
                        let _ = gate.acquire().await;
                        lease(nth, 3600)
                    })
                    .await
                })
            })
            .collect();
        tokio::task::yield_now().await;
        gate.add_permits(1);
        for caller in callers {
            assert_eq!(*caller.await.unwrap().unwrap(), 0);
        }
        assert_eq!(fetches.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_fetch_given_up_leaves_the_way_free() {
        let kept: Kept<usize> = Kept::default();
        let stuck = kept.get(std::future::pending::<Result<Lease<usize>, String>>);
        assert!(tokio::time::timeout(Duration::from_millis(1), stuck).await.is_err());
        assert_eq!(*kept.get(|| async { lease(7, 3600) }).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_failure_is_told_and_not_repeated_at_once() {
        let kept: Kept<usize> = Kept::default();
        let failed = kept.get(|| async { Err("no".to_owned()) }).await;
        assert_eq!(failed.unwrap_err(), "no");
        let again = kept.get(|| async { panic!("not asked again so soon") }).await;
        assert_eq!(again.unwrap_err(), "no");
    }

    #[tokio::test]
    async fn due_for_renewal_the_old_one_serves_until_it_ends() {
        let kept: Kept<usize> = Kept::default();
        kept.get(|| async { lease(1, 3600) }).await.unwrap();
        kept.state.lock().due = Some(Instant::now());
        assert_eq!(*kept.get(|| async { Err("down".to_owned()) }).await.unwrap(), 1, "a failed renewal is nobody's");
        kept.state.lock().failed = None;
        assert_eq!(*kept.get(|| async { lease(2, 3600) }).await.unwrap(), 2);
        kept.state.lock().ends = Some(Instant::now());
        assert_eq!(*kept.get(|| async { lease(3, 3600) }).await.unwrap(), 3, "what has ended serves nobody");
        kept.forget();
        assert_eq!(*kept.get(|| async { lease(4, 3600) }).await.unwrap(), 4);
    }
}
