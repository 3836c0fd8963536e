//! Keys as the hot path sees them: with all that their groups say, worked out once per change.

use std::sync::Arc;

use crate::{BudgetWindow, NanoUsd, OnLoss};

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Everything, calling models included.
    Admin,
    /// Manages keys and groups, but for those of admins and key managers; where it has a group, what is below that.
    KeyManager,
    /// Reads keys, groups, policies and usage; where it has a group, of that and below.
    Reader,
    /// Calls models, reads itself.
    Caller,
}

/// A key's facts that the hot path needs; never its secret. What its groups add
/// is worked in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Key {
    /// Public id.
    pub id: Arc<str>,
    /// For people.
    pub name: Arc<str>,
    /// What it may do.
    pub roles: Vec<Role>,
    /// Patterns of `provider/model` (`*` matches any run); empty: all.
    pub allowed_models: Vec<Arc<str>>,
    /// The same of each of its groups: all of these must allow a model too.
    pub group_models: Vec<Vec<Arc<str>>>,
    /// Patterns of providers, its own and each group's: all that are not empty must allow a provider.
    pub allowed_providers: Vec<Vec<Arc<str>>>,
    /// Applied to whatever model is asked for.
    pub default_policy: Option<Arc<str>>,
    /// What an absent `auto_cache` means.
    pub auto_cache: bool,
    /// What an absent `on_loss` means; `None`: the gateway's default.
    pub on_loss: Option<OnLoss>,
    /// Regions allowed; empty: all.
    pub regions: Vec<Arc<str>>,
    /// The guardrail profile that its calls pass.
    pub guardrail_profile: Option<Arc<str>>,
    /// What is added to the cost of its calls.
    pub markup: Markup,
    /// Who pays for its calls: itself, its group, that group's parent, and so on.
    pub payers: Vec<Payer>,
}

impl Key {
    /// Whether the key holds this role; an admin holds every role.
    pub fn is(&self, role: Role) -> bool {
        self.roles.iter().any(|held| *held == role || *held == Role::Admin)
    }

    /// Whether the key may use `provider/model` or `policy/NAME`.
    pub fn may_use(&self, id: &str) -> bool {
        allows(&self.allowed_models, id) && self.group_models.iter().all(|list| allows(list, id)) && {
            let provider = id.split_once('/').map_or("policy", |(provider, _)| provider);
            provider == "policy" || self.may_use_provider(provider)
        }
    }

    /// Whether the key's calls may go to this provider, by whatever policy.
    pub fn may_use_provider(&self, provider: &str) -> bool {
        self.allowed_providers.iter().all(|list| allows(list, provider))
    }

    /// Whether some budget of its payers must never be passed.
    pub fn capped(&self) -> bool {
        self.payers.iter().any(|payer| payer.budget.as_ref().is_some_and(|budget| !budget.soft))
    }

    /// The groups it belongs to, the nearest first.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<str>> {
        self.payers.iter().skip(1).map(|payer| &payer.id)
    }
}

/// One that pays for a key's calls: the key itself or a group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Payer {
    /// Its id.
    pub id: Arc<str>,
    /// For people: `key "my app"`, `group "team"`.
    pub title: Arc<str>,
    /// What it may spend.
    pub budget: Option<Budget>,
    /// How much it may ask for in some time.
    pub limits: Vec<RateLimit>,
}

/// What may be spent in a window.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// Most that may be spent.
    pub limit: NanoUsd,
    /// The window.
    pub window: BudgetWindow,
    /// Calls beyond the limit are let through and only told.
    pub soft: bool,
    /// What becomes of a call whose most does not fit any more; `None`: the gateway's default.
    pub fit: Option<Fit>,
    /// Percents of the limit that are told when they are reached, ascending.
    pub alerts: Vec<i64>,
    /// Lets calls through whose cost has no proven bound.
    pub allow_unbounded: bool,
    /// Lets calls through whose price is unknown.
    pub allow_unknown_price: bool,
}

/// Percents at which a budget's spending is told unless it says otherwise.
pub const ALERTS: [i64; 4] = [50, 75, 90, 100];

impl Default for Budget {
    fn default() -> Self {
        Self {
            limit: NanoUsd::ZERO,
            window: BudgetWindow::default(),
            soft: false,
            fit: None,
            alerts: ALERTS.to_vec(),
            allow_unbounded: false,
            allow_unknown_price: false,
        }
    }
}

/// What becomes of a call when what is left of a budget does not cover the most it can cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// Its `max_tokens` is lowered to what is left, but not below 256.
    #[default]
    Lower,
    /// It is refused.
    Refuse,
}

/// How much may be asked for in some time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RateLimit {
    /// What is counted.
    pub unit: Unit,
    /// Over how many seconds; 0 for calls at once.
    pub seconds: i64,
    /// The most.
    pub most: i64,
    /// Pattern of the models it is for, by target; `None`: all, counted per call.
    pub model: Option<Arc<str>>,
}

/// What a rate limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Calls begun.
    Requests,
    /// Tokens read and written.
    Tokens,
    /// Calls under way.
    Concurrent,
}

/// What is added to a cost, in hundredths of a percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Markup(pub i64);

impl Markup {
    const WHOLE: i128 = 10_000;

    /// The markup on a cost, rounded half up once.
    pub fn on(self, cost: NanoUsd) -> NanoUsd {
        let exact = i128::from(cost.0.max(0)) * i128::from(self.0.max(0));
        NanoUsd(i64::try_from((exact + Self::WHOLE / 2) / Self::WHOLE).unwrap_or(i64::MAX))
    }

    /// The most it can be on any cost up to this one.
    pub fn most(self, cost: NanoUsd) -> NanoUsd {
        let exact = i128::from(cost.0.max(0)) * i128::from(self.0.max(0));
        NanoUsd(i64::try_from((exact + Self::WHOLE - 1) / Self::WHOLE).unwrap_or(i64::MAX))
    }

    /// The largest cost that with its markup is no more than this.
    pub fn within(self, total: NanoUsd) -> NanoUsd {
        let exact = i128::from(total.0.max(0)) * Self::WHOLE / (Self::WHOLE + i128::from(self.0.max(0)));
        NanoUsd(i64::try_from(exact).unwrap_or(i64::MAX))
    }
}

fn allows(list: &[Arc<str>], text: &str) -> bool {
    list.is_empty() || list.iter().any(|pattern| matches_pattern(pattern, text))
}

/// Whether `text` is what `pattern` says, where `*` stands for any run of characters.
pub fn matches_pattern(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut left) = text.strip_prefix(head) else {
        return false;
    };
    let mut pieces = rest.split('*').peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return left.len() >= piece.len() && left.ends_with(piece);
        }
        match left.find(piece) {
            Some(at) => left = left.get(at + piece.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_said() {
        for (pattern, text, holds) in [
            ("openai/gpt-5", "openai/gpt-5", true),
            ("openai/gpt-5", "openai/gpt-5-mini", false),
            ("openai/*", "openai/gpt-5", true),
            ("openai/*", "groq/openai/gpt-5", false),
            ("*", "a/b", true),
            ("*/gpt-*-mini", "openai/gpt-5-mini", true),
            ("*/gpt-*-mini", "openai/gpt-5-minix", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches_pattern(pattern, text), holds, "{pattern} {text}");
        }
    }

    #[test]
    fn a_model_must_be_allowed_by_the_key_and_by_every_group() {
        let list = |texts: &[&str]| -> Vec<Arc<str>> { texts.iter().map(|t| Arc::from(*t)).collect() };
        let key = Key {
            allowed_models: list(&["*/gpt-*", "policy/*"]),
            group_models: vec![list(&[]), list(&["openai/*", "azure/*", "policy/safe"])],
            allowed_providers: vec![list(&[]), list(&["open*"])],
            ..Key::default()
        };
        for (id, may) in
            [("openai/gpt-5", true), ("azure/gpt-5", false), ("groq/gpt-5", false), ("openai/o3", false), ("policy/safe", true), ("policy/x", false)]
        {
            assert_eq!(key.may_use(id), may, "{id}");
        }
        assert!(key.may_use_provider("openrouter") && !key.may_use_provider("azure"));
    }

    #[test]
    fn a11_markup_is_rounded_half_up_once_and_bounded_by_its_most() {
        for (basis, cost, on) in [(500, 10, 1), (500, 9, 0), (500, 1_000_000, 50_000), (0, 7, 0), (1, 5_000, 1), (1, 4_999, 0)] {
            assert_eq!(Markup(basis).on(NanoUsd(cost)), NanoUsd(on), "{basis} {cost}");
        }
        for basis in [0, 1, 333, 10_000, 70_001] {
            for total in [0, 1, 99, 12_345_678_901] {
                let cost = Markup(basis).within(NanoUsd(total));
                assert!(cost + Markup(basis).most(cost) <= NanoUsd(total), "{basis} {total}");
            }
        }
    }
}
