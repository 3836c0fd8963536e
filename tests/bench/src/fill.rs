//! A history of calls as a gateway would have kept it, made by lot.

use std::{path::Path, sync::Arc, time::Instant};

use headworks_api::storage::{AttemptRecord, Intent, RequestRecord, Window};
use headworks_store::{Backfill, SledStore, Store};

/// Days that the history lasts.
pub const DAYS: u64 = 60;
/// Calls whose intents and records share a commit.
const TOGETHER: u64 = 8;
/// Windows written at a time.
const BATCH: usize = 64;
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const PROVIDERS: [&str; 8] = ["openai", "anthropic", "google", "mistral", "groq", "deepseek", "xai", "bedrock"];
const DOORS: [&str; 4] = ["rest-chat", "rest-chat", "rest-messages", "grpc"];

/// xorshift64*: the same history each time.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n
    }

    /// Few are common and many are rare.
    fn skewed(&mut self, n: u64) -> u64 {
        let (a, b) = (self.below(n), self.below(n));
        a * b / n
    }

    fn within(&mut self, low: u64, high: u64) -> i64 {
        i64::try_from(low + self.below(high - low)).expect("a small number")
    }
}

fn id(nanos: u64, random: u64) -> String {
    let value = (u128::from(nanos / 1_000_000) << 72) | (u128::from(random) << 8);
    let digits = (0..24).map(|place| char::from(DIGITS[usize::try_from((value >> (5 * (23 - place))) & 31).expect("a digit")]));
    "req_".chars().chain(digits).collect()
}

/// 40 models at 8 providers.
fn target(dice: &mut Dice) -> (String, String) {
    let model = dice.skewed(40);
    (PROVIDERS[usize::try_from(model % 8).expect("small")].to_owned(), format!("model-{}-large-20260{}", model, model % 9 + 1))
}

fn attempt(dice: &mut Dice, ordinal: i32, start: i64, good: bool) -> AttemptRecord {
    let (provider, model) = target(dice);
    let (input, output) = (dice.within(50, 8_000), dice.within(20, 1_500));
    let cached = if dice.below(4) == 0 { input / 2 } else { 0 };
    let rates = vec![2_500_000_001, 10_000_000_001, 1_250_000_001];
    let cost = ((input - cached) * 2_500 + cached * 1_250 + output * 10_000) * i64::from(good);
    AttemptRecord {
        ordinal,
        served_model: model.clone(),
        provider,
        model,
        outcome: if good { 1 } else { 2 },
        reason: if good {
            String::new()
        } else {
            ["UPSTREAM_RATE_LIMITED", "UPSTREAM_ERROR", "TIMEOUT"][usize::try_from(dice.below(3)).expect("small")].to_owned()
        },
        status: if good { 200 } else { 429 },
        message: if good { String::new() } else { "the upstream said: rate limit reached for requests".to_owned() },
        start_unix_nanos: start,
        latency_nanos: dice.within(300_000_000, 20_000_000_000),
        first_token_nanos: good.then(|| dice.within(100_000_000, 2_000_000_000)),
        tokens: if good { vec![input - cached, cached, 0, 0, 0, 0, 0, 0, output] } else { Vec::new() },
        rates,
        cost_nano_usd: Some(cost),
        hold_nano_usd: 200_000_000,
        ..AttemptRecord::default()
    }
}

fn call(dice: &mut Dice, start: u64) -> RequestRecord {
    let key = dice.skewed(20);
    let from = i64::try_from(start).expect("a time");
    let good = dice.below(100) >= 3;
    let over = dice.below(50) == 0;
    let mut attempts = Vec::with_capacity(2);
    if over {
        attempts.push(attempt(dice, 1, from, false));
    }
    attempts.push(attempt(dice, i32::from(over) + 1, from, good));
    let last = attempts.last().expect("an attempt");
    RequestRecord {
        id: id(start, dice.next()),
        key_id: format!("key_bench{key:015}"),
        group_ids: vec![format!("grp_team{:016}", key % 5), "grp_organisation00000000".to_owned()],
        model: if dice.below(5) == 0 { "policy/standard".to_owned() } else { format!("{}/{}", last.provider, last.model) },
        policy: if dice.below(5) == 0 { "standard".to_owned() } else { String::new() },
        start_unix_nanos: from,
        latency_nanos: last.latency_nanos + 2_000_000,
        outcome: if !good {
            2
        } else if dice.below(50) == 0 {
            4
        } else {
            1
        },
        cost_nano_usd: attempts.iter().filter_map(|attempt| attempt.cost_nano_usd).sum(),
        cost_known: true,
        saved_nano_usd: last.tokens.get(1).copied().unwrap_or(0) * 1_250,
        tags: if dice.below(3) == 0 { vec![format!("feature-{}", dice.below(5))] } else { Vec::new() },
        user_id: if dice.below(2) == 0 { format!("user-{:05}", dice.skewed(1_000)) } else { String::new() },
        metadata: if dice.below(3) == 0 {
            [("env".to_owned(), ["prod", "test", "dev"][usize::try_from(dice.below(3)).expect("small")].to_owned())].into()
        } else {
            Default::default()
        },
        streamed: dice.below(2) == 0,
        door: DOORS[usize::try_from(dice.below(4)).expect("small")].to_owned(),
        attempts,
        ..RequestRecord::default()
    }
}

fn intents(record: &RequestRecord) -> Vec<Intent> {
    let one = |attempt: &AttemptRecord| Intent {
        request_id: record.id.clone(),
        ordinal: attempt.ordinal,
        key_id: record.key_id.clone(),
        provider: attempt.provider.clone(),
        model: attempt.model.clone(),
        hold_nano_usd: attempt.hold_nano_usd,
        start_unix_nanos: attempt.start_unix_nanos,
        group_ids: record.group_ids.clone(),
        ..Intent::default()
    };
    record.attempts.iter().map(one).collect()
}

/// Fills a folder with calls that end at `until`, Unix nanoseconds; gives what one of them is called and what all cost.
pub async fn fill(folder: &Path, requests: u64, until: u64) -> (String, i64) {
    let store: Arc<dyn Store> = Arc::new(SledStore::open(folder).expect("a store"));
    let mut backfill = Backfill::open(store).await.expect("a store");
    let (span, began) = (DAYS * 86_400 * 1_000_000_000, Instant::now());
    let step = (span / requests).max(1);
    let (mut dice, mut windows, mut window) = (Dice(0x9e37_79b9_7f4a_7c15), Vec::with_capacity(BATCH), Window::default());
    let (mut middle, mut cost) = (String::new(), 0);
    for n in 0..requests {
        let start = until - span + n * step;
        let record = call(&mut dice, start);
        if n == requests / 2 {
            middle.clone_from(&record.id);
        }
        cost += record.cost_nano_usd;
        window.intents.extend(intents(&record));
        window.records.push(record);
        if (n + 1) % TOGETHER == 0 || n + 1 == requests {
            // On disk after its calls began; the next window is later.
            windows.push((start + step / 2, std::mem::take(&mut window)));
        }
        if windows.len() == BATCH || n + 1 == requests {
            backfill.put(&windows).await.expect("a commit");
            windows.clear();
        }
        if (n + 1) % 1_000_000 == 0 {
            println!("{} requests written after {:.0} s", n + 1, began.elapsed().as_secs_f64());
        }
    }
    (middle, cost)
}
