//! PostgreSQL as a store: one table of values, one of changes.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Mutex;
use tokio_postgres::{Client, NoTls, Transaction};

use crate::{
    Change, Changes, Entry, Revision, Store, StoreError, Version,
    changes::Log,
    store::{after_prefix, apply},
};

const SCHEMA: &str = "
create table if not exists headworks_values (key bytea primary key, version bigint not null, value bytea not null);
create table if not exists headworks_changes (revision bigint not null, key bytea not null, value bytea, primary key (revision, key));
create table if not exists headworks_revision (one boolean primary key default true check (one), revision bigint not null);
insert into headworks_revision (revision) values (0) on conflict do nothing;
";

/// The store.
pub struct PostgresStore {
    writer: Mutex<Client>,
    reader: Client,
    log: Arc<Log>,
    poller: tokio::task::JoinHandle<()>,
}

fn unavailable(error: tokio_postgres::Error) -> StoreError {
    let detail = error.as_db_error().map_or_else(|| error.to_string(), |db| db.message().to_owned());
    StoreError::Unavailable(format!("postgres: {detail}"))
}

fn number(version: i64) -> u64 {
    u64::try_from(version).unwrap_or(0)
}

async fn client(url: &str) -> Result<Client, StoreError> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.map_err(unavailable)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::warn!(%error, "the connection to postgres ended");
        }
    });
    Ok(client)
}

impl PostgresStore {
    /// Connects, and makes the tables where they are missing.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let (writer, reader, watcher) = (client(url).await?, client(url).await?, client(url).await?);
        writer.batch_execute(SCHEMA).await.map_err(unavailable)?;
        let row = reader.query_one("select revision from headworks_revision", &[]).await.map_err(unavailable)?;
        let mut seen: i64 = row.get(0);
        let log = Log::at(number(seen));
        let told = log.clone();
        // Changes of other nodes are seen by asking: a few times a second is soon enough for keys and policies.
        let poller = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(100)).await;
                let rows = watcher.query("select revision, key, value from headworks_changes where revision > $1 order by revision, key", &[&seen]).await;
                let Ok(rows) = rows else { continue };
                for row in rows {
                    let (revision, key, value): (i64, Vec<u8>, Option<Vec<u8>>) = (row.get(0), row.get(1), row.get(2));
                    seen = seen.max(revision);
                    told.tell(number(revision), [(key, value.map(Bytes::from))]);
                }
            }
        });
        Ok(Self { writer: Mutex::new(writer), reader, log, poller })
    }

    async fn rows(&self, ascending: bool, start: &[u8], open_start: bool, end: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let from = if open_start { ">" } else { ">=" };
        let order = if ascending { "asc" } else { "desc" };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let text =
            format!("select key, version, value from headworks_values where key {from} $1 and ($2::bytea is null or key < $2) order by key {order} limit $3");
        let rows = self.reader.query(&text, &[&start, &end, &limit]).await.map_err(unavailable)?;
        Ok(rows.iter().map(|row| (row.get(0), number(row.get(1)), Bytes::from(row.get::<_, Vec<u8>>(2)))).collect())
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.poller.abort();
    }
}

async fn change(tx: &Transaction<'_>, change: &Change, revision: i64) -> Result<(), StoreError> {
    let key = change.key();
    let row = tx.query_opt("select version, value from headworks_values where key = $1", &[key]).await.map_err(unavailable)?;
    let current = row.map(|row| (number(row.get(0)), Bytes::from(row.get::<_, Vec<u8>>(1))));
    let value = apply(change, current)?;
    let bytes = value.as_deref();
    match bytes {
        Some(bytes) => {
            let put = "insert into headworks_values (key, version, value) values ($1, $2, $3) on conflict (key) do update set version = $2, value = $3";
            tx.execute(put, &[key, &revision, &bytes]).await.map_err(unavailable)?;
        }
        None => {
            tx.execute("delete from headworks_values where key = $1", &[key]).await.map_err(unavailable)?;
        }
    }
    let told = "insert into headworks_changes (revision, key, value) values ($1, $2, $3) on conflict (revision, key) do update set value = $3";
    tx.execute(told, &[&revision, key, &bytes]).await.map_err(unavailable)?;
    Ok(())
}

#[async_trait]
impl Store for PostgresStore {
    async fn get(&self, key: &[u8]) -> Result<Option<(Version, Bytes)>, StoreError> {
        let row = self.reader.query_opt("select version, value from headworks_values where key = $1", &[&key]).await.map_err(unavailable)?;
        Ok(row.map(|row| (number(row.get(0)), Bytes::from(row.get::<_, Vec<u8>>(1)))))
    }

    async fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let end = after_prefix(prefix);
        match after {
            Some(after) if after >= prefix => self.rows(true, after, true, end.as_deref(), limit).await,
            _ => self.rows(true, prefix, false, end.as_deref(), limit).await,
        }
    }

    async fn scan_back(&self, prefix: &[u8], before: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let end = match (before.map(<[u8]>::to_vec), after_prefix(prefix)) {
            (Some(before), Some(end)) => Some(before.min(end)),
            (before, end) => before.or(end),
        };
        self.rows(false, prefix, false, end.as_deref(), limit).await
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<Revision, StoreError> {
        let mut client = self.writer.lock().await;
        let tx = client.transaction().await.map_err(unavailable)?;
        // Taking the revision's row first puts all writers of all nodes in one line: commits are seen in order.
        let row = tx.query_one("update headworks_revision set revision = revision + 1 returning revision", &[]).await.map_err(unavailable)?;
        let revision: i64 = row.get(0);
        for one in &changes {
            // Dropping the transaction undoes all of it.
            change(&tx, one, revision).await?;
        }
        tx.execute("delete from headworks_changes where revision <= $1", &[&(revision - 4096)]).await.map_err(unavailable)?;
        tx.commit().await.map_err(unavailable)?;
        Ok(number(revision))
    }

    fn watch(&self, prefix: &[u8], from: Revision) -> Changes {
        self.log.watch(prefix, from)
    }

    fn healthy(&self) -> Result<(), StoreError> {
        if self.reader.is_closed() {
            return Err(StoreError::Unavailable("postgres: the connection is closed".to_owned()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
