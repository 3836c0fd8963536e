//! Alerts on their way: from the engine into the outbox, the log and the webhook.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use headworks_api::{storage::AlertRecord, v1};
use headworks_core::{BudgetWindow, NanoUsd};
use headworks_engine::{Budgets, Told, ports::Crossing, unix_nanos, unix_seconds};
use headworks_store::{Alerts, Keys, alert_delivery as delivery, window};
use headworks_upstream::Webhook;
use serde::Deserialize;
use tokio::sync::mpsc;

/// How long an alert is news, nanoseconds: a day. Older ones that met no webhook are not sent to a new one.
const NEWS: i64 = 24 * 3600 * 1_000_000_000;

/// Budgets' thresholds told to a webhook. `[alerts]` in the configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where alerts are sent by POST. Default empty: nowhere; they are in the log and at `KeyService.ListAlerts` all the same,
    /// and those of the last 24 hours are sent once a webhook is set.
    pub webhook_url: String,
    /// Environment variable that holds the secret that signs them. Default `HEADWORKS_WEBHOOK_SECRET`; unset: not signed.
    pub secret_env: String,
    /// `json` or `slack`. Default `json`.
    pub format: Format,
    /// How often a delivery is tried, with growing pauses from one second to ten minutes. Default 20, which takes some two hours.
    pub max_attempts: i32,
}

/// What the webhook understands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// The alert's fields.
    #[default]
    Json,
    /// `{"text": ...}`, which Slack, Mattermost and others show.
    Slack,
}

impl Default for Config {
    fn default() -> Self {
        Self { webhook_url: String::new(), secret_env: "HEADWORKS_WEBHOOK_SECRET".to_owned(), format: Format::Json, max_attempts: 20 }
    }
}

impl Config {
    /// The webhook, where there is one.
    pub fn webhook(&self, env: &BTreeMap<String, String>) -> Result<Option<Webhook>, String> {
        if self.webhook_url.is_empty() {
            return Ok(None);
        }
        let secret = env.get(&self.secret_env).map(String::as_str).filter(|secret| !secret.is_empty());
        if secret.is_none() {
            tracing::warn!(variable = %self.secret_env, "alerts are sent unsigned: their secret's environment variable is not set");
        }
        Webhook::new(&self.webhook_url, secret).map(Some).map_err(|error| format!("alerts.webhook_url or its secret: {error}"))
    }
}

/// Where the engine tells of crossings, and where they come out.
pub fn line() -> (Told, mpsc::UnboundedReceiver<Crossing>) {
    let (send, receive) = mpsc::unbounded_channel();
    // Crossings are few; while the gateway stops nobody listens, and the next start finds them again.
    (Arc::new(move |crossing| drop(send.send(crossing))), receive)
}

/// Tells what an earlier run had no time to tell: keys look at their groups' budgets too.
pub fn review(keys: &Keys, budgets: &Budgets) {
    for (record, _) in keys.list() {
        if let Some(tenant) = keys.tenant(&record.id) {
            budgets.review(&tenant, unix_seconds());
        }
    }
}

/// Whether an alert of an earlier run is to be delivered: one that was begun, and one that was raised while there was no webhook
/// if it is still news.
fn owed(alert: &AlertRecord, now: i64) -> bool {
    match alert.delivery {
        delivery::PENDING => true,
        delivery::NONE => now.saturating_sub(alert.create_unix_nanos) < NEWS,
        _ => false,
    }
}

/// Takes crossings until the engine is gone; delivers what is owed from an earlier run first.
pub async fn run(config: Config, alerts: Arc<Alerts>, webhook: Option<Webhook>, mut crossings: mpsc::UnboundedReceiver<Crossing>) {
    if let Err(error) = alerts.sweep().await {
        tracing::error!(%error, "old alerts could not be forgotten");
    }
    match (alerts.list().await, &webhook) {
        (Ok(all), Some(webhook)) => {
            for mut alert in all.into_iter().rev().filter(|alert| owed(alert, unix_nanos())) {
                alert.delivery = delivery::PENDING;
                if let Err(error) = alerts.keep(&alert).await {
                    tracing::error!(alert = %alert.id, %error, "that an alert is to be delivered could not be kept");
                }
                tokio::spawn(deliver(config.clone(), alerts.clone(), webhook.clone(), alert));
            }
        }
        (Ok(_), None) => {}
        (Err(error), _) => tracing::error!(%error, "alerts that were not delivered could not be read"),
    }
    while let Some(crossing) = crossings.recv().await {
        let state = if webhook.is_some() { delivery::PENDING } else { delivery::NONE };
        match alerts.add(record(&crossing, state)).await {
            Ok(Some(alert)) => {
                tracing::warn!(alert = %alert.id, payer = %alert.payer_id, percent = alert.percent, "{}", words(&alert));
                if let Some(webhook) = &webhook {
                    tokio::spawn(deliver(config.clone(), alerts.clone(), webhook.clone(), (*alert).clone()));
                }
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, payer = %crossing.payer, percent = crossing.percent, "an alert could not be kept; the next start tells it"),
        }
    }
}

fn record(crossing: &Crossing, state: i32) -> AlertRecord {
    AlertRecord {
        payer_id: crossing.payer.to_string(),
        payer_title: crossing.title.to_string(),
        percent: i32::try_from(crossing.percent).unwrap_or(i32::MAX),
        limit_nano_usd: crossing.limit.0,
        spent_nano_usd: crossing.spent.0,
        window: match crossing.window {
            BudgetWindow::Day => v1::BudgetWindow::Day,
            BudgetWindow::Week => v1::BudgetWindow::Week,
            BudgetWindow::Month => v1::BudgetWindow::Month,
            BudgetWindow::Lifetime => v1::BudgetWindow::Lifetime,
        } as i32,
        window_unix_seconds: crossing.window_start,
        delivery: state,
        ..AlertRecord::default()
    }
}

/// The alert as a sentence.
fn words(alert: &AlertRecord) -> String {
    let per = match window(alert.window) {
        BudgetWindow::Lifetime => String::new(),
        window => format!(" a {}", window.word()),
    };
    let (spent, limit) = (NanoUsd(alert.spent_nano_usd), NanoUsd(alert.limit_nano_usd));
    format!("{} has spent {} % of its budget: ${spent} of ${limit}{per}", alert.payer_title, alert.percent)
}

fn body(format: Format, alert: &AlertRecord) -> String {
    match format {
        Format::Slack => serde_json::json!({ "text": words(alert) }),
        Format::Json => serde_json::json!({
            "type": "budget.threshold",
            "id": alert.id,
            "payer_id": alert.payer_id,
            "title": alert.payer_title,
            "percent": alert.percent,
            "limit_usd": NanoUsd(alert.limit_nano_usd).to_string(),
            "spent_usd": NanoUsd(alert.spent_nano_usd).to_string(),
            "window": window(alert.window).word(),
            "window_start": alert.window_unix_seconds,
            "time": alert.create_unix_nanos / 1_000_000_000,
            "text": words(alert),
        }),
    }
    .to_string()
}

/// The pause after so many failed attempts: 1 s, 2 s, 4 s, and so on to 10 minutes.
fn pause(attempts: i32) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(0).min(16);
    Duration::from_secs((1u64 << doublings).min(600))
}

/// Tries until the webhook takes it. What became of each attempt is kept, so that a restart goes on where it was.
async fn deliver(config: Config, alerts: Arc<Alerts>, webhook: Webhook, mut alert: AlertRecord) {
    let body = body(config.format, &alert);
    loop {
        let outcome = webhook.send(&alert.id, unix_seconds(), body.clone()).await;
        alert.attempts = alert.attempts.saturating_add(1);
        match outcome {
            Ok(()) => {
                alert.delivery = delivery::DELIVERED;
                alert.deliver_unix_nanos = unix_nanos();
                alert.error.clear();
            }
            Err(error) => {
                tracing::warn!(alert = %alert.id, attempts = alert.attempts, %error, "an alert could not be delivered");
                alert.error = error;
                if alert.attempts >= config.max_attempts {
                    alert.delivery = delivery::FAILED;
                }
            }
        }
        if let Err(error) = alerts.keep(&alert).await {
            tracing::error!(alert = %alert.id, %error, "what became of an alert could not be kept");
        }
        if alert.delivery != delivery::PENDING {
            return;
        }
        tokio::time::sleep(pause(alert.attempts)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_met_no_webhook_is_owed_for_a_day_and_what_was_begun_for_good() {
        let owed = |delivery, age: i64| owed(&AlertRecord { delivery, create_unix_nanos: 1_000 * NEWS - age, ..AlertRecord::default() }, 1_000 * NEWS);
        assert_eq!([owed(delivery::NONE, 0), owed(delivery::NONE, NEWS - 1), owed(delivery::NONE, NEWS)], [true, true, false]);
        assert_eq!([owed(delivery::PENDING, 9 * NEWS), owed(delivery::DELIVERED, 0), owed(delivery::FAILED, 0)], [true, false, false]);
    }

    #[test]
    fn alerts_are_sentences_and_pauses_grow() {
        let alert = AlertRecord {
            payer_title: "key \"app\"".into(),
            percent: 75,
            limit_nano_usd: 20_000_000_000,
            spent_nano_usd: 15_500_000_000,
            window: v1::BudgetWindow::Month as i32,
            ..AlertRecord::default()
        };
        assert_eq!(body(Format::Slack, &alert), r#"{"text":"key \"app\" has spent 75 % of its budget: $15.5 of $20 a month"}"#);
        assert!(body(Format::Json, &alert).contains(r#""spent_usd":"15.5""#));
        assert_eq!([1, 2, 5, 10, 11, 500].map(|n| pause(n).as_secs()), [1, 2, 16, 512, 600, 600]);
    }
}
