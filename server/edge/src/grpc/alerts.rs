//! `KeyService`: crossings of budgets' thresholds.

use headworks_api::{storage::AlertRecord, v1};
use headworks_core::{Fault, Reason};
use headworks_store::Keys;
use tokio::sync::broadcast::error::RecvError;
use tonic::{Request, Response, Status};

use super::{
    Doors, Streamed,
    keys::refuse,
    page_size,
    reach::{READ, Reach},
    records,
};

fn is_group(id: &str) -> bool {
    id.starts_with("grp_")
}

fn shown(alert: &AlertRecord) -> v1::Alert {
    let (key_id, group_id) = if is_group(&alert.payer_id) { (String::new(), alert.payer_id.clone()) } else { (alert.payer_id.clone(), String::new()) };
    v1::Alert {
        id: alert.id.clone(),
        key_id,
        group_id,
        title: alert.payer_title.clone(),
        percent: alert.percent,
        limit_nano_usd: alert.limit_nano_usd,
        spent_nano_usd: alert.spent_nano_usd,
        window: alert.window,
        window_start_time: records::timestamp(alert.window_unix_seconds.saturating_mul(1_000_000_000)),
        create_time: records::timestamp(alert.create_unix_nanos),
        delivery: alert.delivery,
        attempts: alert.attempts,
        error: alert.error.clone(),
    }
}

fn sees(keys: &Keys, reach: &Reach, alert: &AlertRecord) -> bool {
    if is_group(&alert.payer_id) { reach.group(keys, &alert.payer_id) } else { reach.key(keys, &alert.payer_id) }
}

impl Doors {
    pub(super) async fn past_alerts(&self, request: Request<v1::ListAlertsRequest>) -> Result<Response<v1::ListAlertsResponse>, Status> {
        let tenant = self.tenant(&request)?;
        let asked = request.into_inner();
        let size = page_size(asked.page_size)?;
        let wanted = match (asked.key_id.as_str(), asked.group_id.as_str()) {
            ("", id) | (id, "") => id,
            _ => return Err(refuse(Fault::invalid("group_id", "cannot be given together with key_id"))),
        };
        let wanted = if wanted == "self" { &*tenant.id } else { wanted };
        let reach = Reach::of(&tenant, &READ);
        let all = self.0.alerts.list().await.map_err(|error| refuse(error.into()))?;
        let place = |alert: &AlertRecord| format!("{:020}.{}", alert.create_unix_nanos, alert.id);
        let mut alerts: Vec<&AlertRecord> = all
            .iter()
            .filter(|alert| sees(&self.0.keys, &reach, alert) && (wanted.is_empty() || alert.payer_id == wanted))
            .filter(|alert| asked.page_token.is_empty() || place(alert) < asked.page_token)
            .collect();
        let more = alerts.len() > size;
        alerts.truncate(size);
        let next_page_token = alerts.last().filter(|_| more).map(|alert| place(alert)).unwrap_or_default();
        Ok(Response::new(v1::ListAlertsResponse { alerts: alerts.into_iter().map(shown).collect(), next_page_token }))
    }

    pub(super) fn alerts_to_come(&self, request: &Request<v1::WatchAlertsRequest>) -> Result<Response<Streamed<v1::WatchAlertsResponse>>, Status> {
        let tenant = self.tenant(request)?;
        let watched = self.0.alerts.watch();
        let from = (watched, self.0.keys.clone(), Reach::of(&tenant, &READ));
        let told = futures_util::stream::unfold(from, |(mut watched, keys, reach)| async move {
            loop {
                match watched.recv().await {
                    Ok(alert) if sees(&keys, &reach, &alert) => {
                        let message = v1::WatchAlertsResponse { alert: Some(shown(&alert)) };
                        return Some((Ok(message), (watched, keys, reach)));
                    }
                    Ok(_) => {}
                    Err(RecvError::Closed) => return None,
                    Err(RecvError::Lagged(missed)) => {
                        let what = format!("{missed} alerts were missed because they were read too slowly; KeyService.ListAlerts has them");
                        return Some((Err(refuse(Fault::new(Reason::Overloaded, what))), (watched, keys, reach)));
                    }
                }
            }
        });
        Ok(Response::new(Box::pin(told)))
    }
}
