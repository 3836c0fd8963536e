//! The write-ahead journal: what makes a commit durable before sled has it on disk.
//!
//! sled's own flush wakes several threads, costs about three times a plain write
//! with `fdatasync`, and reaches neither the disk's write cache nor large pages.
//! So a commit is one write here and one `fdatasync`; sled takes it in memory,
//! and is flushed and synced once when the journal is full. The file has a fixed
//! size and is written round and round: syncing it changes no metadata.
//!
//! An entry: length of the rest (u32), CRC-32 of the rest (u32), revision (u64),
//! then changes, each a key and a value with their lengths (u32), all
//! little-endian; a value of length `u32::MAX` is a deletion. Entries of one round
//! have revisions that follow each other; the first that does not ends the round.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, Read},
    os::unix::fs::FileExt,
    path::Path,
};

use crate::{Key, Revision};

/// Size of the file, bytes: at a quarter of a KiB per call some 30,000 calls between two flushes of sled.
pub(crate) const SIZE: u64 = 8 << 20;
/// How much is read or cleared at once: a buffer of the whole file would stay in the process's memory.
const STEP: usize = 64 << 10;
const GONE: u32 = u32::MAX;

/// Changes of one commit.
pub(crate) type Changes = Vec<(Key, Option<Vec<u8>>)>;

pub(crate) struct Journal {
    file: File,
    at: u64,
    entry: Vec<u8>,
}

impl Journal {
    /// Opens the file in a store's folder, or makes it.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join("journal");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        if file.metadata()?.len() < SIZE {
            // Zeros: no entry. Written, so that later syncs need no new blocks.
            for at in (0..SIZE).step_by(STEP) {
                file.write_all_at(&[0; STEP], at)?;
            }
            file.sync_all()?;
            File::open(folder)?.sync_all()?;
        }
        Ok(Self { file, at: 0, entry: Vec::new() })
    }

    /// The commits of the last round, from a file just opened.
    pub(crate) fn round(&self) -> io::Result<Round<BufReader<File>>> {
        Ok(Round { from: BufReader::with_capacity(STEP, self.file.try_clone()?), last: None })
    }

    /// Prepares the entry of a commit. `false`: the rest of the file has no room for it; sled must be synced, and the next round begin.
    pub(crate) fn prepare<'a>(&mut self, revision: Revision, changes: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>) -> bool {
        let entry = &mut self.entry;
        entry.clear();
        entry.extend_from_slice(&[0; 8]);
        entry.extend_from_slice(&revision.to_le_bytes());
        for (key, value) in changes {
            entry.extend_from_slice(&(key.len() as u32).to_le_bytes());
            entry.extend_from_slice(key);
            match value {
                None => entry.extend_from_slice(&GONE.to_le_bytes()),
                Some(value) => {
                    entry.extend_from_slice(&(value.len() as u32).to_le_bytes());
                    entry.extend_from_slice(value);
                }
            }
        }
        let rest = entry.len() - 8;
        let crc = crc32fast::hash(&entry[8..]);
        entry[..4].copy_from_slice(&(rest as u32).to_le_bytes());
        entry[4..8].copy_from_slice(&crc.to_le_bytes());
        self.at + entry.len() as u64 <= SIZE
    }

    /// Whether the prepared entry fits an empty journal.
    pub(crate) fn fits(&self) -> bool {
        self.entry.len() as u64 <= SIZE
    }

    /// Writes the prepared entry. Durable when this returns.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.entry, self.at)?;
        self.file.sync_data()?;
        self.at += self.entry.len() as u64;
        // An answer of megabytes, kept for a repeat, leaves no megabytes here.
        if self.entry.capacity() > 1 << 20 {
            self.entry = Vec::new();
        }
        Ok(())
    }

    /// Begins the next round: everything so far is in sled, durably.
    pub(crate) fn restart(&mut self) {
        self.at = 0;
    }
}

/// The commits of a round, one by one: a round is megabytes.
pub(crate) struct Round<R> {
    from: R,
    last: Option<Revision>,
}

impl<R: Read> Round<R> {
    /// The next; `None` where the round ends.
    pub(crate) fn next(&mut self) -> io::Result<Option<(Revision, Changes)>> {
        let next = checked(&mut self.from)?.as_deref().and_then(entry);
        let next = next.filter(|(revision, _)| self.last.is_none_or(|last| last + 1 == *revision));
        self.last = next.as_ref().map(|(revision, _)| *revision);
        Ok(next)
    }
}

/// The next entry's bytes after its length and sum, if they are whole.
fn checked(from: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::with_capacity(8);
    from.by_ref().take(8).read_to_end(&mut head)?;
    let mut head = &head[..];
    let (Some(length), Some(crc)) = (number(&mut head), number(&mut head)) else { return Ok(None) };
    if !(8..=SIZE).contains(&u64::from(length)) {
        return Ok(None);
    }
    let mut rest = Vec::new();
    from.by_ref().take(u64::from(length)).read_to_end(&mut rest)?;
    Ok((rest.len() as u64 == u64::from(length) && crc32fast::hash(&rest) == crc).then_some(rest))
}

fn entry(bytes: &[u8]) -> Option<(Revision, Changes)> {
    let (revision, mut rest) = bytes.split_at_checked(8)?;
    let mut changes = Vec::new();
    while !rest.is_empty() {
        let size = number(&mut rest)?;
        let key = take(&mut rest, size)?;
        let value = match number(&mut rest)? {
            GONE => None,
            size => Some(take(&mut rest, size)?),
        };
        changes.push((key, value));
    }
    Some((u64::from_le_bytes(revision.try_into().ok()?), changes))
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    let (number, left) = rest.split_at_checked(4)?;
    *rest = left;
    Some(u32::from_le_bytes(number.try_into().ok()?))
}

fn take(rest: &mut &[u8], size: u32) -> Option<Vec<u8>> {
    let (bytes, left) = rest.split_at_checked(usize::try_from(size).ok()?)?;
    *rest = left;
    Some(bytes.to_vec())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn note(journal: &mut Journal, revision: u64) -> bool {
        let value = vec![revision as u8; 1000];
        let fits = journal.prepare(revision, [(b"k".as_slice(), Some(value.as_slice())), (b"gone", None)].into_iter());
        if !fits {
            journal.restart();
        }
        journal.write().unwrap();
        fits
    }

    fn all<R: Read>(mut round: Round<R>) -> Vec<(Revision, Changes)> {
        std::iter::from_fn(|| round.next().unwrap()).collect()
    }

    fn read(bytes: &[u8]) -> Vec<(Revision, Changes)> {
        all(Round { from: bytes, last: None })
    }

    #[test]
    fn a_round_is_read_back_and_an_older_one_behind_it_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path()).unwrap();
        assert!(all(journal.round().unwrap()).is_empty());
        let mut revision = 0;
        let second = loop {
            revision += 1;
            if !note(&mut journal, revision) {
                break revision;
            }
        };
        note(&mut journal, second + 1);
        let round = all(Journal::open(folder.path()).unwrap().round().unwrap());
        assert_eq!(round.iter().map(|(revision, _)| *revision).collect::<Vec<_>>(), [second, second + 1]);
        assert_eq!(round[0].1, [(b"k".to_vec(), Some(vec![second as u8; 1000])), (b"gone".to_vec(), None)]);
    }

    #[test]
    fn a_torn_entry_ends_the_round_wherever_it_was_cut() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path()).unwrap();
        for revision in 1..=3 {
            note(&mut journal, revision);
        }
        let end = journal.at as usize;
        let whole = std::fs::read(folder.path().join("journal")).unwrap();
        assert_eq!(read(&whole).len(), 3);
        let length = end / 3;
        for cut in 0..end {
            let mut torn = whole[..end].to_vec();
            torn[cut..].fill(0);
            assert_eq!(read(&torn).len(), cut / length, "cut at {cut}");
            let mut flipped = whole[..end].to_vec();
            flipped[cut] ^= 0x10;
            assert_eq!(read(&flipped).len(), cut / length, "flipped at {cut}");
        }
    }
}
