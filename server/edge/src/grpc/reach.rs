//! How far a key sees beyond itself: the one place that says so.
//!
//! An admin reaches all. A key manager or reader reaches its group and what is below it; one without a group, all.
//! Others reach themselves alone. What is out of reach looks the same as what is not there.

use std::sync::Arc;

use headworks_api::storage::RequestRecord;
use headworks_core::{Fault, Reason, Role, Tenant};
use headworks_store::Keys;

/// Who makes and changes keys and groups.
pub(super) const MANAGE: [Role; 1] = [Role::KeyManager];
/// Who reads keys, groups, budgets and alerts of others.
pub(super) const READ: [Role; 2] = [Role::KeyManager, Role::Reader];
/// Who reads the calls of others.
pub(super) const USAGE: [Role; 1] = [Role::Reader];

/// What a key may see or manage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Itself.
    Own(Arc<str>),
    /// A group, and the keys and groups in it, however deep.
    Group(Arc<str>),
    /// Everything.
    All,
}

impl Reach {
    /// How far a key reaches by these roles.
    pub(super) fn of(tenant: &Tenant, roles: &[Role]) -> Self {
        if tenant.is(Role::Admin) {
            return Self::All;
        }
        if !roles.iter().any(|role| tenant.is(*role)) {
            return Self::Own(tenant.id.clone());
        }
        tenant.groups().next().map_or(Self::All, |group| Self::Group(group.clone()))
    }

    /// Whether a group is in reach; `""`: no group, which only those who reach all do.
    pub(super) fn group(&self, keys: &Keys, id: &str) -> bool {
        match self {
            Self::Own(_) => false,
            Self::Group(mine) => keys.payers(id).iter().any(|group| group.id == *mine),
            Self::All => true,
        }
    }

    /// Whether a group below the topmost one in reach: who manages a group does not lift its own limits.
    pub(super) fn below(&self, keys: &Keys, id: &str) -> bool {
        self.group(keys, id) && !matches!(self, Self::Group(mine) if **mine == *id)
    }

    /// Whether a key is in reach.
    pub(super) fn key(&self, keys: &Keys, id: &str) -> bool {
        match self {
            Self::Own(mine) => **mine == *id,
            Self::Group(_) => keys.get(id).is_some_and(|(record, _)| self.group(keys, &record.group_id)),
            Self::All => true,
        }
    }

    /// Whether a call is in reach: it counts for the groups that its key had when it was made.
    pub(super) fn call(&self, record: &RequestRecord) -> bool {
        match self {
            Self::Own(mine) => **mine == *record.key_id,
            Self::Group(mine) => record.group_ids.iter().any(|group| **mine == **group),
            Self::All => true,
        }
    }

    /// Where a new or changed key or group may be put; `field` names the group.
    pub(super) fn place(&self, keys: &Keys, group: &str, field: &str) -> Result<(), Fault> {
        match self {
            _ if self.group(keys, group) => Ok(()),
            Self::Group(mine) => {
                let message = format!("{field}: a key of the group {mine} manages that group alone; name it or one below it");
                Err(Fault::new(Reason::PermissionDenied, message))
            }
            Self::Own(_) | Self::All => Err(Fault::new(Reason::PermissionDenied, format!("{field}: this key manages no group"))),
        }
    }
}
