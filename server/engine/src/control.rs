//! What can be asked about calls beside making them: cancel, health, metrics.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Context,
};

use dashmap::DashMap;
use futures_util::task::AtomicWaker;
use headworks_core::{Fault, Reason, Tenant};

/// Ends one running call.
#[derive(Clone, Default)]
pub struct Cancel(Arc<Flag>);

#[derive(Default)]
struct Flag {
    set: AtomicBool,
    waker: AtomicWaker,
}

impl Cancel {
    /// Asks the call to end.
    pub fn set(&self) {
        self.0.set.store(true, Ordering::Release);
        self.0.waker.wake();
    }

    /// True once asked; otherwise the task is woken when it is.
    pub fn poll(&self, cx: &mut Context<'_>) -> bool {
        if self.0.set.load(Ordering::Acquire) {
            return true;
        }
        self.0.waker.register(cx.waker());
        self.0.set.load(Ordering::Acquire)
    }
}

/// The calls under way, by id.
#[derive(Default)]
pub struct Running {
    calls: DashMap<Arc<str>, (Arc<str>, Cancel)>,
}

/// Takes a call off the list when its answer is over.
pub struct Entry {
    running: Arc<Running>,
    id: Arc<str>,
    /// Ends the call.
    pub cancel: Cancel,
}

impl Running {
    /// Puts a call on the list.
    pub fn enter(self: &Arc<Self>, id: Arc<str>, key_id: Arc<str>) -> Entry {
        let cancel = Cancel::default();
        self.calls.insert(id.clone(), (key_id, cancel.clone()));
        Entry { running: self.clone(), id, cancel }
    }

    /// Ends a call of this tenant. Only its owner's key may; another's looks the same as one that is gone.
    pub fn cancel(&self, tenant: &Tenant, id: &str) -> Result<(), Fault> {
        match self.calls.get(id).filter(|call| call.0 == tenant.id) {
            Some(call) => {
                call.1.set();
                Ok(())
            }
            None => Err(Fault::new(Reason::StreamGone, format!("no stream \"{id}\" of this key is under way; it may have ended"))),
        }
    }

    /// How many calls are under way.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// True when nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.running.calls.remove(&self.id);
    }
}
