//! What waits for the ledger's writer.
//!
//! Most entries are records that nobody waits for. A channel would wake the writer for each, which on a busy core costs
//! more than the rest of handing one over; here it is woken for what somebody waits for, and for a batch that is full.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

use super::Queued;

/// Most entries in one batch.
const MOST: usize = 128;
/// How long an entry that nobody waits for may wait for one that somebody does.
const LAZY: Duration = Duration::from_millis(2);

/// What the writer sleeps for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Asleep {
    #[default]
    No,
    /// Until anything comes.
    ForAny,
    /// Until something urgent comes, or there is enough for a batch.
    ForUrgent,
}

#[derive(Default)]
struct State {
    entries: Vec<Queued>,
    urgent: bool,
    asleep: Asleep,
    closed: bool,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    ready: Condvar,
}

/// Where entries are put. The writer ends when this is gone and the queue is empty.
pub struct Sender(Arc<Queue>);

/// The writer's end.
pub struct Receiver(Arc<Queue>);

/// A queue.
pub fn queue() -> (Sender, Receiver) {
    let queue = Arc::new(Queue::default());
    (Sender(queue.clone()), Receiver(queue))
}

impl Sender {
    /// Puts an entry. Where the writer is gone it is dropped, which whoever waits for it learns.
    pub fn send(&self, queued: Queued) {
        let wake = {
            let mut state = self.0.state.lock();
            if state.closed {
                return;
            }
            state.urgent |= queued.urgent;
            state.entries.push(queued);
            let wake = match state.asleep {
                Asleep::No => false,
                Asleep::ForAny => true,
                Asleep::ForUrgent => state.urgent || state.entries.len() >= MOST,
            };
            if wake {
                state.asleep = Asleep::No;
            }
            wake
        };
        if wake {
            self.0.ready.notify_one();
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.state.lock().closed = true;
        self.0.ready.notify_one();
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.closed = true;
        state.entries.clear();
    }
}

impl Receiver {
    /// Waits until there is something to commit: all that is there once somebody waits for one of it, or once the first has
    /// waited long enough. `false`: nothing comes any more.
    pub fn wait(&self) -> bool {
        let mut state = self.0.state.lock();
        while state.entries.is_empty() {
            if state.closed {
                return false;
            }
            state.asleep = Asleep::ForAny;
            self.0.ready.wait(&mut state);
        }
        let until = Instant::now() + LAZY;
        while !state.urgent && !state.closed && state.entries.len() < MOST {
            state.asleep = Asleep::ForUrgent;
            if self.0.ready.wait_until(&mut state, until).timed_out() {
                break;
            }
        }
        state.asleep = Asleep::No;
        true
    }

    /// Takes what is there, in order, a batch at most.
    pub fn take(&self, batch: &mut Vec<Queued>) {
        let mut state = self.0.state.lock();
        let count = state.entries.len().min(MOST);
        batch.extend(state.entries.drain(..count));
        state.urgent = state.entries.iter().any(|queued| queued.urgent);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use tokio::sync::oneshot;

    use super::*;
    use crate::ledger::{Entry, Intent};

    fn put(sender: &Sender, name: &str, urgent: bool) -> crate::ledger::Done {
        let (done, answer) = oneshot::channel();
        sender.send(Queued { entry: Entry::Intent(Intent { request_id: name.to_owned(), ..Intent::default() }), urgent, done });
        answer
    }

    fn name(queued: &Queued) -> &str {
        match &queued.entry {
            Entry::Intent(intent) => &intent.request_id,
            Entry::Record(_) | Entry::Flush => "",
        }
    }

    #[test]
    fn entries_come_in_order_in_batches_whoever_waits_for_them() {
        let (sender, receiver) = queue();
        let writer = std::thread::spawn(move || {
            let (mut all, mut largest) = (Vec::new(), 0);
            while receiver.wait() {
                let mut batch = Vec::new();
                receiver.take(&mut batch);
                largest = largest.max(batch.len());
                all.extend(batch.iter().map(|queued| (name(queued).to_owned(), queued.urgent)));
            }
            (all, largest)
        });
        let wanted: Vec<(String, bool)> = (0..10_000).map(|n| (n.to_string(), n % 7 == 0)).collect();
        let mut answers = Vec::new();
        for (name, urgent) in &wanted {
            answers.push(put(&sender, name, *urgent));
            if name.ends_with("999") {
                // The queue runs dry, after an entry that nobody waits for too.
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        drop(sender);
        let (all, largest) = writer.join().unwrap();
        assert_eq!(all, wanted);
        assert!(largest <= MOST, "{largest}");
    }

    #[test]
    fn what_nobody_waits_for_is_taken_all_the_same() {
        let (sender, receiver) = queue();
        let _answer = put(&sender, "lazy", false);
        assert!(receiver.wait());
        let mut batch = Vec::new();
        receiver.take(&mut batch);
        assert_eq!(batch.iter().map(name).collect::<Vec<_>>(), ["lazy"]);
    }

    #[test]
    fn whoever_waits_learns_that_the_writer_is_gone() {
        let (sender, receiver) = queue();
        let mut before = put(&sender, "before", true);
        drop(receiver);
        let mut after = put(&sender, "after", true);
        assert!(before.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Closed));
        assert!(after.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Closed));
    }
}
