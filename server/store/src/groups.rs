//! Groups of keys and groups. Kept beside the keys, since a change of one changes what the others may.

use std::sync::Arc;

use headworks_api::storage::GroupRecord;
use headworks_core::{Fault, Payer, Reason};
use prost::Message;

use crate::{
    Change, Expect, Keys, StoreError,
    keys::{new_id, now},
    tenant::{self, DEPTH, Groups},
};

pub(crate) const TABLE: &[u8] = b"group/";

/// Changes a record; says which field is wrong.
pub type GroupChange<'a> = &'a (dyn Fn(&mut GroupRecord) -> Result<(), Fault> + Send + Sync);

fn place(id: &str) -> Vec<u8> {
    [TABLE, id.as_bytes()].concat()
}

pub(crate) fn missing(id: &str) -> Fault {
    Fault::new(Reason::NotFound, format!("no group \"{id}\"; KeyService.ListGroups lists them"))
}

/// Whether a group may belong to `parent`: no circle, not too deep.
fn fits(groups: &Groups, id: &str, parent: &str) -> Result<(), Fault> {
    if parent.is_empty() {
        return Ok(());
    }
    if !groups.contains_key(parent) {
        return Err(missing(parent));
    }
    let above = tenant::chain(groups, parent);
    if parent == id || above.iter().any(|group| group.id == id) {
        return Err(Fault::invalid("group.parent", format!("\"{parent}\" is the group itself or belongs to it: groups cannot form a circle")));
    }
    if above.len() + below(groups, id, 0) > DEPTH {
        return Err(Fault::invalid("group.parent", format!("the groups would stand more than {DEPTH} deep")));
    }
    Ok(())
}

/// How deep a group's tree is, itself included.
fn below(groups: &Groups, id: &str, depth: usize) -> usize {
    if depth > DEPTH {
        return 1;
    }
    1 + groups.values().filter(|(group, _)| group.parent_id == id && !id.is_empty()).map(|(group, _)| below(groups, &group.id, depth + 1)).max().unwrap_or(0)
}

impl Keys {
    /// A group and its version.
    pub fn group(&self, id: &str) -> Option<(Arc<GroupRecord>, u64)> {
        self.snapshot().groups.get(id).cloned()
    }

    /// All groups, by id.
    pub fn groups(&self) -> Vec<(Arc<GroupRecord>, u64)> {
        self.snapshot().groups.values().cloned().collect()
    }

    /// A group as one that pays, and those above it.
    pub fn payers(&self, group_id: &str) -> Vec<Payer> {
        tenant::chain(&self.snapshot().groups, group_id).into_iter().map(|group| tenant::payer(group)).collect()
    }

    /// Makes a group. Id and times are filled in.
    pub async fn create_group(&self, mut record: GroupRecord) -> Result<(Arc<GroupRecord>, u64), Fault> {
        let _one = self.writing.lock().await;
        record.id = new_id("grp")?;
        fits(&self.snapshot().groups, &record.id, &record.parent_id)?;
        record.create_unix_nanos = now();
        record.update_unix_nanos = record.create_unix_nanos;
        self.put_group(record, Expect::Absent).await
    }

    /// Changes a group; `version`: only if it is still this one. Effective for all keys in it when this returns.
    pub async fn update_group(&self, id: &str, version: Option<u64>, change: GroupChange<'_>) -> Result<(Arc<GroupRecord>, u64), Fault> {
        let _one = self.writing.lock().await;
        let (old, now_at) = self.group(id).ok_or_else(|| missing(id))?;
        if version.is_some_and(|wanted| wanted != now_at) {
            return Err(stale(id));
        }
        let mut record = (*old).clone();
        change(&mut record)?;
        fits(&self.snapshot().groups, id, &record.parent_id)?;
        record.update_unix_nanos = now();
        self.put_group(record, Expect::Version(now_at)).await
    }

    /// Deletes a group that holds no group and no key that works; `version`: only if it is still this one.
    pub async fn delete_group(&self, id: &str, version: Option<u64>) -> Result<(), Fault> {
        let _one = self.writing.lock().await;
        let (_, now_at) = self.group(id).ok_or_else(|| missing(id))?;
        if version.is_some_and(|wanted| wanted != now_at) {
            return Err(stale(id));
        }
        let snapshot = self.snapshot();
        let groups = snapshot.groups.values().filter(|(group, _)| group.parent_id == id).count();
        let keys = snapshot.by_id.values().filter(|known| known.record.group_id == id && known.record.revoke_unix_nanos == 0).count();
        if groups + keys > 0 {
            return Err(Fault::new(Reason::Conflict, format!("the group {id} still holds {keys} keys and {groups} groups; move or revoke them first")));
        }
        self.store.commit(vec![Change::Delete { key: place(id), expect: Expect::Version(now_at) }]).await?;
        let mut snapshot = (*snapshot).clone();
        snapshot.groups.remove(id);
        self.publish(snapshot);
        Ok(())
    }

    async fn put_group(&self, record: GroupRecord, expect: Expect) -> Result<(Arc<GroupRecord>, u64), Fault> {
        let put = Change::Put { key: place(&record.id), value: record.encode_to_vec().into(), expect };
        let version = self.store.commit(vec![put]).await?;
        let mut snapshot = (*self.snapshot()).clone();
        let record = Arc::new(record);
        snapshot.groups.insert(record.id.as_str().into(), (record.clone(), version));
        snapshot.rework();
        self.publish(snapshot);
        Ok((record, version))
    }

    pub(crate) async fn read_groups(&self) -> Result<Groups, StoreError> {
        let mut groups = Groups::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.store.scan(TABLE, after.as_deref(), 1000).await?;
            let Some(last) = page.last() else { return Ok(groups) };
            after = Some(last.0.clone());
            for (key, version, value) in page {
                let record = GroupRecord::decode(value).map_err(|error| StoreError::Damaged {
                    folder: "of the store".to_owned(),
                    detail: format!("{}: {error}", String::from_utf8_lossy(&key)),
                })?;
                groups.insert(record.id.as_str().into(), (Arc::new(record), version));
            }
        }
    }
}

fn stale(id: &str) -> Fault {
    Fault::new(Reason::Conflict, format!("the group {id} changed since it was read; read it again and repeat the change"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use headworks_api::storage::{BudgetRecord, KeyRecord};
    use headworks_core::{BudgetWindow, NanoUsd};

    use super::*;
    use crate::{MemoryStore, Store};

    fn group(name: &str, parent: &str) -> GroupRecord {
        GroupRecord { name: name.into(), parent_id: parent.into(), ..Default::default() }
    }

    async fn keys(store: &Arc<dyn Store>) -> Keys {
        Keys::open(store.clone(), None).await.unwrap()
    }

    #[tokio::test]
    async fn groups_stand_in_a_tree_of_bounded_depth() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let keys = keys(&store).await;
        let mut ids: Vec<String> = vec![String::new()];
        for depth in 0..DEPTH {
            let made = keys.create_group(group(&format!("g{depth}"), &ids[depth])).await.unwrap();
            ids.push(made.0.id.clone());
        }
        let under = |id: &str| {
            let id = id.to_owned();
            move |record: &mut GroupRecord| {
                record.parent_id = id.clone();
                Ok(())
            }
        };
        assert_eq!(keys.create_group(group("deeper", &ids[DEPTH])).await.unwrap_err().reason, Reason::InvalidRequest);
        assert_eq!(keys.create_group(group("lost", "grp_none")).await.unwrap_err().reason, Reason::NotFound);
        assert_eq!(keys.update_group(&ids[1], None, &under(&ids[3])).await.unwrap_err().reason, Reason::InvalidRequest);
        assert_eq!(keys.update_group(&ids[1], None, &under(&ids[1])).await.unwrap_err().reason, Reason::InvalidRequest);
        // A tree that would become too deep where it is put.
        let (tall, _) = keys.create_group(group("tall", "")).await.unwrap();
        let (_under_tall, _) = keys.create_group(group("under tall", &tall.id)).await.unwrap();
        assert_eq!(keys.update_group(&tall.id, None, &under(&ids[DEPTH - 1])).await.unwrap_err().reason, Reason::InvalidRequest);
        keys.update_group(&tall.id, None, &under(&ids[DEPTH - 2])).await.unwrap();
        assert_eq!(keys.delete_group(&tall.id, None).await.unwrap_err().reason, Reason::Conflict);
        assert_eq!(keys.delete_group(&ids[DEPTH], Some(1_000_000)).await.unwrap_err().reason, Reason::Conflict);
        keys.delete_group(&ids[DEPTH], None).await.unwrap();
        assert!(keys.group(&ids[DEPTH]).is_none());
        assert_eq!(self::keys(&store).await.groups().len(), keys.groups().len());
    }

    #[tokio::test]
    async fn l3_a_groups_change_is_seen_by_the_next_call_of_its_keys() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let keys = keys(&store).await;
        let (org, _) = keys.create_group(GroupRecord { name: "org".into(), regions: vec!["eu".into(), "us".into()], ..Default::default() }).await.unwrap();
        let (team, _) = keys
            .create_group(GroupRecord {
                regions: vec!["eu".into()],
                default_policy: "safe".into(),
                auto_cache: Some(true),
                markup_basis_points: Some(500),
                ..group("team", &org.id)
            })
            .await
            .unwrap();
        let (key, _, secret) = keys.create(KeyRecord { name: "app".into(), roles: vec![2], group_id: team.id.clone(), ..Default::default() }).await.unwrap();
        let view = keys.authenticate(secret.reveal()).unwrap();
        let payers: Vec<&str> = view.payers.iter().map(|p| &*p.id).collect();
        assert_eq!(payers, [key.id.as_str(), &team.id, &org.id]);
        assert_eq!((view.default_policy.as_deref(), view.auto_cache, view.regions.len(), view.markup.0), (Some("safe"), true, 1, 500));
        assert!(!view.capped());
        let cap = |record: &mut GroupRecord| {
            record.budget = Some(BudgetRecord { limit_nano_usd: 7, window: 1, ..Default::default() });
            record.regions = vec!["us".into()];
            record.allowed_models = vec!["sandbox/*".into()];
            Ok(())
        };
        keys.update_group(&org.id, None, &cap).await.unwrap();
        let view = keys.authenticate(secret.reveal()).unwrap();
        let budget = view.payers[2].budget.clone().unwrap();
        assert_eq!((budget.limit, budget.window, view.capped()), (NanoUsd(7), BudgetWindow::Day, true));
        assert!(!view.may_use("openai/gpt-5") && view.may_use("sandbox/echo"));
        // Team and organisation have no region in common now: nowhere, not everywhere.
        assert!(view.regions.len() == 1 && !["eu", "us"].contains(&&*view.regions[0]));
        assert_eq!(keys.create(KeyRecord { group_id: "grp_none".into(), ..Default::default() }).await.unwrap_err().reason, Reason::NotFound);
        assert_eq!(*self::keys(&store).await.authenticate(secret.reveal()).unwrap(), *view);
    }
}
