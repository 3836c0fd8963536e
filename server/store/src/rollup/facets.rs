//! By what calls can be told apart, and which selections of it are kept summed up.

use headworks_api::storage::{AttemptRecord, RequestRecord};

use super::times::Level;
use crate::why;

/// What every call has one of. The order is that on disk: only append.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Facet {
    /// The key that paid.
    Key,
    /// The groups of that key, nearest first, joined by `/`.
    Groups,
    /// The model asked for.
    Model,
    /// The provider of an attempt.
    Provider,
    /// `provider/model` of an attempt.
    ServedBy,
    /// The policy applied.
    Policy,
    /// How the call ended, by its number.
    Outcome,
    /// Why the call failed.
    Reason,
    /// Why an attempt failed that another one came after.
    AttemptReason,
    /// The door.
    Door,
}

/// How many there are.
pub const FACETS: usize = 10;

impl Facet {
    /// All, in order.
    pub const ALL: [Facet; FACETS] = [
        Facet::Key,
        Facet::Groups,
        Facet::Model,
        Facet::Provider,
        Facet::ServedBy,
        Facet::Policy,
        Facet::Outcome,
        Facet::Reason,
        Facet::AttemptReason,
        Facet::Door,
    ];

    /// The name in queries.
    pub const fn name(self) -> &'static str {
        match self {
            Facet::Key => "key",
            Facet::Groups => "group",
            Facet::Model => "model",
            Facet::Provider => "provider",
            Facet::ServedBy => "served_by",
            Facet::Policy => "policy",
            Facet::Outcome => "outcome",
            Facet::Reason => "reason",
            Facet::AttemptReason => "attempt_reason",
            Facet::Door => "door",
        }
    }
}

/// The values of a call's facets.
pub type Values = [String; FACETS];

/// The facets of one attempt of a call; `last`: the one the call ended with. A call without one is of the target whose answer it
/// was given again.
pub fn values(record: &RequestRecord, attempt: Option<&AttemptRecord>, last: bool) -> Values {
    let target = || attempt.map(|a| (a.provider.as_str(), a.model.as_str())).or(record.cached_from.split_once('/'));
    Facet::ALL.map(|facet| match facet {
        Facet::Key => record.key_id.clone(),
        Facet::Groups => record.group_ids.join("/"),
        Facet::Model => record.model.clone(),
        Facet::Provider => target().map(|(provider, _)| provider.to_owned()).unwrap_or_default(),
        Facet::ServedBy => target().map(|(provider, model)| format!("{provider}/{model}")).unwrap_or_default(),
        Facet::Policy => record.policy.clone(),
        Facet::Outcome => record.outcome.to_string(),
        Facet::Reason => why(record).to_owned(),
        Facet::AttemptReason => attempt.filter(|_| !last).map(|a| a.reason.clone()).unwrap_or_default(),
        Facet::Door => record.door.clone(),
    })
}

/// What a call can have several of, or any of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extra {
    /// Tags.
    Tag,
    /// The application's user.
    User,
    /// Metadata, as `name=value`.
    Metadata,
}

/// The values of a kind of extra that a call has.
pub fn extras(record: &RequestRecord, kind: Extra) -> Vec<String> {
    match kind {
        Extra::Tag => {
            let mut tags = record.tags.clone();
            tags.sort_unstable();
            tags.dedup();
            tags
        }
        Extra::User => Some(record.user_id.clone()).filter(|user| !user.is_empty()).into_iter().collect(),
        Extra::Metadata => record.metadata.iter().map(|(name, value)| format!("{name}={value}")).collect(),
    }
}

/// A selection that is kept summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// By the model asked for, what served and how it ended: small, and most asked for.
    Models,
    /// By key, groups and outcome.
    Keys,
    /// By what either of the two tells apart.
    KeysModels,
    /// By groups and each value of an extra.
    Groups(Extra),
    /// By all facets.
    All,
    /// By all facets and each value of an extra.
    By(Extra),
}

impl Section {
    /// All, smallest first.
    pub const ALL: [Section; 10] = [
        Section::Models,
        Section::Keys,
        Section::KeysModels,
        Section::Groups(Extra::Tag),
        Section::Groups(Extra::User),
        Section::Groups(Extra::Metadata),
        Section::All,
        Section::By(Extra::Tag),
        Section::By(Extra::User),
        Section::By(Extra::Metadata),
    ];

    /// Those that calls are counted in. The others are made of these.
    pub const WHOLE: [Section; 4] = [Section::All, Section::By(Extra::Tag), Section::By(Extra::User), Section::By(Extra::Metadata)];

    /// The letter in keys of the store.
    pub const fn letter(self) -> u8 {
        match self {
            Section::Models => b'm',
            Section::Keys => b'k',
            Section::KeysModels => b'b',
            Section::All => b'a',
            Section::Groups(Extra::Tag) => b'T',
            Section::Groups(Extra::User) => b'U',
            Section::Groups(Extra::Metadata) => b'X',
            Section::By(Extra::Tag) => b't',
            Section::By(Extra::User) => b'u',
            Section::By(Extra::Metadata) => b'x',
        }
    }

    /// The section it is made of; a whole one of itself.
    pub const fn whole(self) -> Section {
        match self {
            Section::Models | Section::Keys | Section::KeysModels | Section::All => Section::All,
            Section::Groups(kind) | Section::By(kind) => Section::By(kind),
        }
    }

    /// What is made of a section: itself among them.
    pub fn made(self) -> impl Iterator<Item = Section> {
        Section::ALL.into_iter().filter(move |section| section.whole() == self)
    }

    /// The shortest blocks it has. Within a minute calls differ in so many ways that only few selections are smaller than the whole.
    pub const fn finest(self) -> Level {
        match self {
            Section::Models | Section::Keys | Section::All | Section::By(_) => Level::Minute,
            Section::KeysModels | Section::Groups(_) => Level::Hour,
        }
    }

    /// Whether a facet's values are told apart in it.
    pub fn keeps(self, facet: Facet) -> bool {
        let models = matches!(facet, Facet::Model | Facet::Provider | Facet::ServedBy | Facet::Outcome);
        let keys = matches!(facet, Facet::Key | Facet::Groups | Facet::Outcome);
        match self {
            Section::Models => models,
            Section::Keys => keys,
            Section::KeysModels => models || keys,
            Section::Groups(_) => facet == Facet::Groups,
            Section::All | Section::By(_) => true,
        }
    }

    /// The extra whose values are told apart in it.
    pub const fn extra(self) -> Option<Extra> {
        match self {
            Section::Groups(kind) | Section::By(kind) => Some(kind),
            Section::Models | Section::Keys | Section::KeysModels | Section::All => None,
        }
    }
}
