//! All state as lines of JSON, portable between stores.

use std::io::{BufRead, Write};

use bytes::Bytes;

use crate::{Change, Expect, Store, StoreError};

const HEAD: &str = r#"{"headworks":"state","version":1}"#;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

fn io(error: std::io::Error) -> StoreError {
    StoreError::Unavailable(format!("the file: {error}"))
}

/// Writes everything; says how many values.
pub async fn export(store: &dyn Store, out: &mut (dyn Write + Send)) -> Result<u64, StoreError> {
    writeln!(out, "{HEAD}").map_err(io)?;
    let (mut after, mut count): (Option<Vec<u8>>, u64) = (None, 0);
    loop {
        let page = store.scan(b"", after.as_deref(), 500).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.0.clone());
        for (key, _, value) in page {
            writeln!(out, r#"["{}","{}"]"#, hex(&key), hex(&value)).map_err(io)?;
            count += 1;
        }
    }
    writeln!(out, r#"{{"values":{count}}}"#).map_err(io)?;
    out.flush().map_err(io)?;
    Ok(count)
}

/// Writes everything of one store into another, empty one; says how many values. What the first one's file held of
/// old versions and of what was taken away is not in the second's.
pub async fn copy(from: &dyn Store, to: &dyn Store) -> Result<u64, StoreError> {
    if !to.scan(b"", None, 1).await?.is_empty() {
        return Err(StoreError::Unavailable("the store to write to is not empty".to_owned()));
    }
    let (mut after, mut count): (Option<Vec<u8>>, u64) = (None, 0);
    loop {
        let page = from.scan(b"", after.as_deref(), 500).await?;
        let Some(last) = page.last() else { return Ok(count) };
        after = Some(last.0.clone());
        count += page.len() as u64;
        to.commit(page.into_iter().map(|(key, _, value)| Change::Put { key, value, expect: Expect::Any }).collect()).await?;
    }
}

/// Reads everything into an empty store; says how many values.
pub async fn import(store: &dyn Store, input: &mut (dyn BufRead + Send)) -> Result<u64, StoreError> {
    let wrong = |line: u64, what: &str| StoreError::Unavailable(format!("line {line} of the file: {what}"));
    if !store.scan(b"", None, 1).await?.is_empty() {
        return Err(StoreError::Unavailable("the store is not empty; import into a new one".to_owned()));
    }
    let (mut text, mut at, mut count, mut changes) = (String::new(), 0, 0, Vec::new());
    loop {
        text.clear();
        at += 1;
        if input.read_line(&mut text).map_err(io)? == 0 {
            return Err(wrong(at, "the file ends early; it was not written to its end"));
        }
        let line = text.trim_end();
        if at == 1 {
            if line != HEAD {
                return Err(wrong(1, "this is no export of headworks, or of another version"));
            }
            continue;
        }
        if let Some(stated) = line.strip_prefix(r#"{"values":"#).and_then(|rest| rest.strip_suffix('}')) {
            if stated.parse() != Ok(count) {
                return Err(wrong(at, "the number of values is not what was written"));
            }
            if !changes.is_empty() {
                store.commit(changes).await?;
            }
            return Ok(count);
        }
        let parts: Vec<&str> = line.trim_start_matches("[\"").trim_end_matches("\"]").split("\",\"").collect();
        let [key, value] = parts[..] else { return Err(wrong(at, "is not a key and a value")) };
        let (Some(key), Some(value)) = (unhex(key), unhex(value)) else { return Err(wrong(at, "is not in hexadecimal")) };
        changes.push(Change::Put { key, value: Bytes::from(value), expect: Expect::Absent });
        count += 1;
        if changes.len() == 500 {
            store.commit(std::mem::take(&mut changes)).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::MemoryStore;

    #[tokio::test]
    async fn state_goes_from_store_to_store_unchanged() {
        let (one, two) = (MemoryStore::default(), MemoryStore::default());
        let puts =
            (0..1200u32).map(|n| Change::Put { key: format!("t/{n}\0\u{ff}").into(), value: Bytes::from(vec![0, 255, (n % 256) as u8]), expect: Expect::Any });
        one.commit(puts.collect()).await.unwrap();
        let mut file = Vec::new();
        assert_eq!(export(&one, &mut file).await.unwrap(), 1200);
        assert_eq!(import(&two, &mut &file[..]).await.unwrap(), 1200);
        let strip = |entries: Vec<crate::Entry>| entries.into_iter().map(|(k, _, v)| (k, v)).collect::<Vec<_>>();
        assert_eq!(strip(one.scan(b"", None, 2000).await.unwrap()), strip(two.scan(b"", None, 2000).await.unwrap()));
        assert!(import(&two, &mut &file[..]).await.unwrap_err().to_string().contains("not empty"));
        let cut = &file[..file.len() / 2];
        assert!(import(&MemoryStore::default(), &mut &cut[..]).await.is_err());
        assert!(import(&MemoryStore::default(), &mut &b"hello\n"[..]).await.is_err());
    }
}
