//! Whether the runtime's workers have anything to do.
//!
//! A commit that waits for company should wait while a core has other work, and no longer: then it costs little of the
//! throughput under load, and no latency without. Only the runtime knows; it tells when a worker is about to sleep.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

type Listener = Box<dyn Fn() + Send + Sync>;

/// Told of it by a runtime; [`Workers::default`] is told nothing and takes them for idle.
#[derive(Clone, Default)]
pub struct Workers(Option<Arc<Watched>>);

#[derive(Default)]
struct Watched {
    parked: AtomicUsize,
    listener: OnceLock<Listener>,
}

impl Workers {
    /// Those of the runtime that is built.
    pub fn of(runtime: &mut tokio::runtime::Builder) -> Self {
        let watched = Arc::new(Watched::default());
        let (parking, waking) = (watched.clone(), watched.clone());
        runtime
            .on_thread_park(move || {
                parking.parked.fetch_add(1, Ordering::SeqCst);
                if let Some(listener) = parking.listener.get() {
                    listener();
                }
            })
            .on_thread_unpark(move || {
                waking.parked.fetch_sub(1, Ordering::SeqCst);
            });
        Self(Some(watched))
    }

    /// Whether one of them sleeps.
    pub(super) fn idle(&self) -> bool {
        self.0.as_ref().is_none_or(|watched| watched.parked.load(Ordering::SeqCst) > 0)
    }

    /// Has `listener` called from now on whenever one goes to sleep. The first one counts: a runtime has one ledger.
    pub(super) fn listen(&self, listener: impl Fn() + Send + Sync + 'static) {
        if let Some(watched) = &self.0 {
            let _ = watched.listener.set(Box::new(listener));
        }
    }
}
