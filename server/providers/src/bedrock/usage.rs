//! Tokens in Converse's words.

use headworks_core::{EventKind, Str, Tokens};
use serde::Deserialize;

/// `usage`. `inputTokens` leaves out what was read from or written to a cache (Bedrock, "Prompt caching").
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Usage {
    input_tokens: Option<i64>,
    output_tokens: Option<i64>,
    cache_read_input_tokens: Option<i64>,
    cache_write_input_tokens: Option<i64>,
    cache_details: Option<Vec<Detail>>,
}

/// What was written with one lifetime.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Detail {
    ttl: Option<String>,
    input_tokens: Option<i64>,
}

/// `serviceTier`.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ServiceTier {
    r#type: Option<String>,
}

impl Usage {
    /// The report; `None` where it says nothing.
    pub(super) fn event(&self, tier: Option<&ServiceTier>) -> Option<EventKind> {
        if self.input_tokens.is_none() && self.output_tokens.is_none() {
            return None;
        }
        let count = Tokens::count;
        let details = self.cache_details.as_deref().unwrap_or_default();
        let with = |ttl: &str| details.iter().filter(|d| d.ttl.as_deref() == Some(ttl)).map(|d| count(d.input_tokens)).sum::<i64>();
        let written = self.cache_write_input_tokens.map_or_else(|| details.iter().map(|d| count(d.input_tokens)).sum(), |n| count(Some(n)));
        let hour = with("1h").min(written);
        let tokens = Tokens {
            input: count(self.input_tokens),
            cache_read: count(self.cache_read_input_tokens),
            cache_write_5m: written - hour,
            cache_write_1h: hour,
            output: count(self.output_tokens),
            ..Tokens::default()
        };
        Some(EventKind::Usage { tokens, service_tier: tier.and_then(|t| t.r#type.as_deref()).map(Str::from) })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a3_a4_cached_input_is_apart_and_split_by_lifetime() {
        let of = |json: &str| match serde_json::from_str::<Usage>(json).unwrap().event(None) {
            Some(EventKind::Usage { tokens: t, .. }) => Some((t.input, t.cache_read, t.cache_write_5m, t.cache_write_1h, t.output)),
            _ => None,
        };
        for (json, wanted) in [
            (r#"{"inputTokens":3,"outputTokens":4,"totalTokens":7}"#, Some((3, 0, 0, 0, 4))),
            (r#"{"inputTokens":3,"outputTokens":4,"cacheReadInputTokens":10,"cacheWriteInputTokens":7}"#, Some((3, 10, 7, 0, 4))),
            (
                r#"{"inputTokens":3,"outputTokens":4,"cacheWriteInputTokens":7,"cacheDetails":[{"ttl":"1h","inputTokens":5},{"ttl":"5m","inputTokens":2}]}"#,
                Some((3, 0, 2, 5, 4)),
            ),
            (r#"{"inputTokens":3,"outputTokens":4,"cacheDetails":[{"ttl":"1h","inputTokens":5}]}"#, Some((3, 0, 0, 5, 4))),
            (r#"{"inputTokens":3,"outputTokens":4,"cacheWriteInputTokens":2,"cacheDetails":[{"ttl":"1h","inputTokens":5}]}"#, Some((3, 0, 0, 2, 4))),
            (r#"{"inputTokens":null,"outputTokens":4,"serverToolUsage":{}}"#, Some((0, 0, 0, 0, 4))),
            ("{}", None),
        ] {
            assert_eq!(of(json), wanted, "{json}");
        }
    }
}
