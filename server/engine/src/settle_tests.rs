#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use headworks_core::{BudgetWindow, Cause, NanoUsd, Outcome};
use tower::ServiceExt;

use crate::{
    Config,
    testing::{Bench, CAPPED, Play},
};

/// What the caller does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Caller {
    Reads,
    /// Is gone before an answer begins.
    GoneBefore,
    /// Is gone after the first words.
    GoneAmid,
}

/// L2: however an attempt ends, its hold is settled once: nothing stays held, what is spent is what the one record says, and
/// every attempt that was made has an intent. Death of the process is `store::ledger`'s test and tests/python/test_kill.py.
#[tokio::test(start_paused = true)]
async fn l2_every_end_settles_exactly_once() {
    use Caller::{GoneAmid, GoneBefore, Reads};
    let good = Play::Word("good", 5);
    let cases = [
        ("success", good.clone(), Reads, Outcome::Success, 1, true),
        ("the upstream fails", Play::Fail(Cause::Connect, None), Reads, Outcome::Success, 2, true),
        ("it breaks before the first content", Play::Early, Reads, Outcome::Success, 2, true),
        ("it never answers", Play::Hang, Reads, Outcome::Success, 2, true),
        ("it breaks amid its answer", Play::Break, Reads, Outcome::FailedPartial, 1, true),
        ("the caller is gone before it answers", Play::Hang, GoneBefore, Outcome::Cancelled, 1, true),
        ("the caller is gone amid the answer", Play::Word("good", 5), GoneAmid, Outcome::Cancelled, 1, true),
        ("a panic before it answers", Play::Panic, Reads, Outcome::Cancelled, 1, true),
        ("a panic amid its answer", Play::PanicLater, Reads, Outcome::Cancelled, 1, true),
    ];
    for (what, play, caller, outcome, attempts, costs) in cases {
        let bench = Arc::new(Bench::new(Config::default()));
        bench.play("a/priced", &[play]);
        bench.play("b/priced", std::slice::from_ref(&good));
        let request = bench.request(CAPPED, "a/priced", &["b/priced"], |_| {});
        let call = bench.gateway.clone().oneshot(request);
        let run = async move {
            let Ok(mut reply) = call.await else { return };
            while let Some(Ok(_)) = reply.events.next().await {
                if caller == GoneAmid {
                    return;
                }
            }
        };
        // A task of its own, so that a panic ends it alone.
        let task = tokio::spawn(async move {
            match caller {
                GoneBefore => drop(tokio::time::timeout(Duration::from_millis(50), run).await),
                Reads | GoneAmid => run.await,
            }
        });
        assert_eq!(task.await.is_err(), what.contains("panic"), "{what}");
        let span = bench.shared.budgets.tally(&"k".into(), crate::unix_seconds()).span(BudgetWindow::Lifetime);
        let records = bench.ledger.records.lock();
        assert_eq!(records.len(), 1, "{what}: one record");
        let (record, intents) = (&records[0], bench.ledger.intents.lock().len());
        assert_eq!((record.outcome, record.receipt.attempts.len(), intents), (outcome, attempts, attempts), "{what}");
        assert_eq!((span.held, span.spent), (NanoUsd::ZERO, record.receipt.cost), "{what}: held, and spent as the record says");
        assert_eq!(span.spent > NanoUsd::ZERO, costs, "{what}: {:?}", span.spent);
        let all: NanoUsd = record.receipt.attempts.iter().filter_map(|attempt| attempt.cost).sum();
        assert_eq!(all, record.receipt.cost, "{what}: A8 the sum of the attempts");
        assert_eq!(bench.shared.running.len(), 0, "{what}: nothing runs on");
    }
}
