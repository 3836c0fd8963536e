//! What waits for the ledger's writer, and when it may start.
//!
//! Most entries are records that nobody waits for. A channel would wake the writer for each, which on a busy core costs
//! more than the rest of handing one over; here it is woken when there is reason to commit.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::{Queued, workers::Workers};

/// Most entries in one batch.
const MOST: usize = 1024;
/// How long an entry that nobody waits for may wait for one that somebody does.
const LAZY: Duration = Duration::from_millis(2);
/// Within this time of the last commit's start the next one needs company even where a worker is idle: a commit costs
/// about as much as two or three calls.
const SOON: Duration = Duration::from_millis(1);
/// This long after the last commit's start the next one waits for nothing any more.
const LATE: Duration = Duration::from_millis(4);

/// What the writer sleeps for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Asleep {
    #[default]
    No,
    /// Until anything comes.
    ForAny,
    /// Until something urgent comes, or there is enough for a batch.
    ForUrgent,
    /// Until there are so many entries and a worker has nothing to do, or there is enough for a batch.
    ForCompany(usize),
}

#[derive(Default)]
struct State {
    entries: Vec<Queued>,
    urgent: bool,
    asleep: Asleep,
    closed: bool,
}

impl State {
    /// Whether what the writer sleeps for has come.
    fn ready(&self, idle: impl FnOnce() -> bool) -> bool {
        let count = self.entries.len();
        match self.asleep {
            Asleep::No => false,
            Asleep::ForAny => count > 0,
            Asleep::ForUrgent => self.urgent || count >= MOST,
            Asleep::ForCompany(enough) => count >= MOST || (count >= enough && idle()),
        }
    }
}

struct Queue {
    state: Mutex<State>,
    ready: Condvar,
    workers: Workers,
    /// Whether the writer waits for company: workers go to sleep far more often than that, and all at one lock.
    waits: AtomicBool,
}

impl Queue {
    /// Wakes the writer if there is reason to, once something has changed.
    fn wake(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        change(&mut state);
        if state.ready(|| self.workers.idle()) {
            state.asleep = Asleep::No;
            drop(state);
            self.ready.notify_one();
        }
    }
}

/// Where entries are put. The writer ends when this is gone and the queue is empty.
pub struct Sender(Arc<Queue>);

/// The writer's end.
pub struct Receiver(Arc<Queue>);

/// A queue.
pub fn queue(workers: Workers) -> (Sender, Receiver) {
    let queue = Arc::new(Queue { state: Mutex::default(), ready: Condvar::new(), workers, waits: AtomicBool::new(false) });
    let told = Arc::downgrade(&queue);
    queue.workers.listen(move || {
        // The worker counts as asleep before it looks here, and the writer looks for sleepers after it has set this:
        // one of them sees the other.
        if let Some(queue) = told.upgrade().filter(|queue| queue.waits.load(Ordering::SeqCst)) {
            queue.wake(|_| {});
        }
    });
    (Sender(queue.clone()), Receiver(queue))
}

impl Sender {
    /// Puts an entry. Where the writer is gone it is dropped, which whoever waits for it learns.
    pub fn send(&self, queued: Queued) {
        self.0.wake(|state| {
            if !state.closed {
                state.urgent |= queued.urgent;
                state.entries.push(queued);
            }
        });
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
    /// Sleeps until there is what it sleeps for; `false`: not until then.
    fn sleep(&self, state: &mut MutexGuard<'_, State>, reason: Asleep, until: Option<Instant>) -> bool {
        self.0.waits.store(matches!(reason, Asleep::ForCompany(_)), Ordering::SeqCst);
        let came = loop {
            state.asleep = reason;
            if state.closed || state.ready(|| self.0.workers.idle()) {
                break true;
            }
            match until {
                None => self.0.ready.wait(state),
                Some(until) if until <= Instant::now() => break false,
                Some(until) => drop(self.0.ready.wait_until(state, until)),
            }
            // Whoever woke it saw that it was there.
            if state.asleep == Asleep::No {
                break true;
            }
        };
        state.asleep = Asleep::No;
        self.0.waits.store(false, Ordering::SeqCst);
        came
    }

    /// Waits until there is something to commit that should wait no longer. `false`: nothing comes any more.
    ///
    /// `open`: calls whose end was not committed. With as many entries as that, every other one of them has ended or waits
    /// itself: little company is to be expected. `last`: when the last commit began.
    pub fn wait(&self, open: usize, last: Instant) -> bool {
        let mut state = self.0.state.lock();
        self.sleep(&mut state, Asleep::ForAny, None);
        if state.entries.is_empty() {
            return false;
        }
        self.sleep(&mut state, Asleep::ForUrgent, Some(Instant::now() + LAZY));
        if state.urgent && !self.sleep(&mut state, Asleep::ForCompany(open), Some(last + SOON)) {
            self.sleep(&mut state, Asleep::ForCompany(0), Some(last + LATE));
        }
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

    fn never() -> Instant {
        Instant::now().checked_sub(Duration::from_secs(1)).unwrap()
    }

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
        let (sender, receiver) = queue(Workers::default());
        let writer = std::thread::spawn(move || {
            let (mut all, mut largest) = (Vec::new(), 0);
            while receiver.wait(0, Instant::now()) {
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
        let (sender, receiver) = queue(Workers::default());
        let _answer = put(&sender, "lazy", false);
        assert!(receiver.wait(0, never()));
        let mut batch = Vec::new();
        receiver.take(&mut batch);
        assert_eq!(batch.iter().map(name).collect::<Vec<_>>(), ["lazy"]);
    }

    /// Whether a commit starts although nothing more comes: with so many calls open, after the last one began just now.
    fn starts(workers: &Workers, open: usize, entries: usize) -> bool {
        let (sender, receiver) = queue(workers.clone());
        let _answers: Vec<_> = (0..entries).map(|n| put(&sender, &n.to_string(), true)).collect();
        let mut state = receiver.0.state.lock();
        // Long enough to notice a writer that waits for it by mistake.
        receiver.sleep(&mut state, Asleep::ForCompany(open), Some(Instant::now() + Duration::from_millis(20)))
    }

    #[test]
    fn a_commit_waits_while_workers_are_busy_or_most_open_calls_have_yet_to_come() {
        let (idle, busy) = (Workers::default(), Workers::of(&mut tokio::runtime::Builder::new_multi_thread()));
        assert!(starts(&idle, 0, 1));
        assert!(starts(&idle, 8, 8));
        assert!(!starts(&idle, 8, 7));
        assert!(!starts(&busy, 8, 8));
        assert!(starts(&busy, 8, MOST));
    }

    #[test]
    fn whatever_the_workers_do_a_commit_starts() {
        let busy = Workers::of(&mut tokio::runtime::Builder::new_multi_thread());
        for workers in [Workers::default(), busy] {
            for open in [0, 1, 1000] {
                let (sender, receiver) = queue(workers.clone());
                let _answer = put(&sender, "one", true);
                assert!(receiver.wait(open, Instant::now()), "{open} open");
            }
        }
    }

    #[test]
    fn a_worker_that_goes_to_sleep_starts_the_commit() {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let (sender, receiver) = queue(Workers::of(&mut builder));
        let writer = std::thread::spawn(move || {
            let long = Instant::now() + Duration::from_secs(60);
            let began = Instant::now();
            let mut state = receiver.0.state.lock();
            (receiver.sleep(&mut state, Asleep::ForCompany(2), Some(long)), began.elapsed())
        });
        let runtime = builder.worker_threads(1).build().unwrap();
        let answers =
            runtime.block_on(async move { tokio::spawn(async move { (put(&sender, "one", true), put(&sender, "two", true), sender) }).await.unwrap() });
        let (came, waited) = writer.join().unwrap();
        assert!(came && waited < Duration::from_secs(30), "{waited:?}");
        drop(answers);
    }

    #[test]
    fn whoever_waits_learns_that_the_writer_is_gone() {
        let (sender, receiver) = queue(Workers::default());
        let mut before = put(&sender, "before", true);
        drop(receiver);
        let mut after = put(&sender, "after", true);
        assert!(before.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Closed));
        assert!(after.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Closed));
    }
}
