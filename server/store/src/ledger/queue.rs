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
/// Until so many times what a commit takes have passed since the last one began, the next one needs company even where a
/// worker is idle: a commit costs as much as some calls, and the more, the slower the machine and its disk are.
const SOON: u32 = 12;
/// This long after the last commit's start the next one waits for nothing any more.
const LATE: Duration = Duration::from_millis(4);

/// When the last commit began, and what one takes.
pub struct Pace {
    began: Instant,
    /// A mean of the last ones, each an eighth.
    took: Duration,
}

impl Pace {
    /// Before the first commit.
    pub fn new() -> Self {
        Self { began: Instant::now(), took: Duration::ZERO }
    }

    /// A commit begins.
    pub fn begin(&mut self) {
        self.began = Instant::now();
    }

    /// It is over.
    pub fn end(&mut self) {
        let took = self.began.elapsed();
        self.took = if self.took.is_zero() { took } else { (self.took * 7 + took) / 8 };
    }

    /// Until when the next one waits for as many as the last one was for.
    fn soon(&self) -> Instant {
        self.began + self.took.saturating_mul(SOON).min(LATE)
    }

    fn late(&self) -> Instant {
        self.began + LATE
    }
}

/// What the writer sleeps for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Asleep {
    #[default]
    No,
    /// Until anything comes.
    ForAny,
    /// Until something urgent comes, or there is enough for a batch.
    ForUrgent,
    /// Until so many wait and a worker has nothing to do, or there is enough for a batch.
    ForCompany(usize),
}

#[derive(Default)]
struct State {
    entries: Vec<Queued>,
    /// How many of them somebody waits for.
    waiting: usize,
    /// How many that was in the last batch.
    last: usize,
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
            Asleep::ForUrgent => self.waiting > 0 || count >= MOST,
            Asleep::ForCompany(enough) => count >= MOST || (self.waiting >= enough && idle()),
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
                state.waiting += usize::from(queued.urgent);
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
    /// Callers that were answered after the last commit come back with their next calls: as many waiters as that one had
    /// are company enough.
    pub fn wait(&self, pace: &Pace) -> bool {
        let mut state = self.0.state.lock();
        self.sleep(&mut state, Asleep::ForAny, None);
        if state.entries.is_empty() {
            return false;
        }
        self.sleep(&mut state, Asleep::ForUrgent, Some(Instant::now() + LAZY));
        let company = Asleep::ForCompany(state.last);
        if state.waiting > 0 && !self.sleep(&mut state, company, Some(pace.soon())) {
            self.sleep(&mut state, Asleep::ForCompany(0), Some(pace.late()));
        }
        true
    }

    /// Takes what is there, in order, a batch at most.
    pub fn take(&self, batch: &mut Vec<Queued>) {
        let mut state = self.0.state.lock();
        let count = state.entries.len().min(MOST);
        batch.extend(state.entries.drain(..count));
        let waiting = state.entries.iter().filter(|queued| queued.urgent).count();
        state.last = state.waiting - waiting;
        state.waiting = waiting;
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
        let (sender, receiver) = queue(Workers::default());
        let writer = std::thread::spawn(move || {
            let (mut all, mut largest) = (Vec::new(), 0);
            while receiver.wait(&Pace::new()) {
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
        assert!(receiver.wait(&Pace::new()));
        let mut batch = Vec::new();
        receiver.take(&mut batch);
        assert_eq!(batch.iter().map(name).collect::<Vec<_>>(), ["lazy"]);
    }

    /// Whether a commit starts although nothing more comes: with so many that wait, and some records that nobody waits
    /// for, soon after one that so many waited for.
    fn starts(workers: &Workers, last: usize, waiting: usize) -> bool {
        let (sender, receiver) = queue(workers.clone());
        let _answers: Vec<_> = (0..waiting + 5).map(|n| put(&sender, &n.to_string(), n < waiting)).collect();
        let mut state = receiver.0.state.lock();
        // Long enough to notice a writer that waits for it by mistake.
        receiver.sleep(&mut state, Asleep::ForCompany(last), Some(Instant::now() + Duration::from_millis(20)))
    }

    #[test]
    fn a_commit_waits_while_workers_are_busy_or_fewer_wait_than_for_the_last() {
        let (idle, busy) = (Workers::default(), Workers::of(&mut tokio::runtime::Builder::new_multi_thread()));
        assert!(starts(&idle, 0, 1));
        assert!(starts(&idle, 8, 8));
        assert!(!starts(&idle, 8, 7));
        assert!(!starts(&busy, 8, 8));
        assert!(starts(&busy, 8, MOST));
    }

    #[test]
    fn the_next_commit_waits_for_as_many_as_the_last_one_was_for() {
        let (sender, receiver) = queue(Workers::default());
        let mut answers: Vec<_> = (0..MOST + 7).map(|n| put(&sender, &n.to_string(), n % 2 == 0)).collect();
        let mut batch = Vec::new();
        receiver.take(&mut batch);
        let counts = || {
            let state = receiver.0.state.lock();
            (state.last, state.waiting)
        };
        assert_eq!(counts(), (MOST / 2, 4));
        answers.push(put(&sender, "one more", true));
        assert_eq!(counts(), (MOST / 2, 5));
        receiver.take(&mut batch);
        assert_eq!(counts(), (5, 0));
    }

    #[test]
    fn commits_are_apart_by_what_they_take_and_never_by_much() {
        let pace = |took| Pace { took, ..Pace::new() };
        let apart = |pace: &Pace| pace.soon() - pace.began;
        assert_eq!(apart(&pace(Duration::ZERO)), Duration::ZERO);
        assert_eq!(apart(&pace(Duration::from_micros(100))), Duration::from_micros(1_200));
        assert_eq!(apart(&pace(Duration::from_secs(5))), LATE);
        let mut slower = pace(Duration::from_micros(100));
        slower.began = Instant::now().checked_sub(Duration::from_millis(8)).unwrap();
        slower.end();
        assert!(slower.took > Duration::from_millis(1), "{:?}", slower.took);
        slower.begin();
        slower.end();
        assert!(slower.took > Duration::from_micros(900), "{:?}", slower.took);
    }

    #[test]
    fn whatever_the_workers_do_a_commit_starts() {
        let busy = Workers::of(&mut tokio::runtime::Builder::new_multi_thread());
        for workers in [Workers::default(), busy] {
            for last in [0, 1, 1000] {
                let (sender, receiver) = queue(workers.clone());
                receiver.0.state.lock().last = last;
                let _answer = put(&sender, "one", true);
                assert!(receiver.wait(&Pace { took: Duration::from_secs(1), ..Pace::new() }), "after {last}");
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
