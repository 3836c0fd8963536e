//! What was made, and what stands in its place.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::Failure;

/// Files by their path from the client's folder.
pub type Files = BTreeMap<String, Vec<u8>>;

/// The list, in each client, of what was generated: what is in it and no longer made is removed.
const LIST: &str = ".generated";

/// Reads a folder's files into `files`, below `under`.
pub fn read(folder: &Path, under: &str, files: &mut Files) -> Result<(), Failure> {
    for path in walk(folder)? {
        let name = path.strip_prefix(folder)?.to_string_lossy().into_owned();
        files.insert(format!("{under}/{name}"), std::fs::read(&path)?);
    }
    Ok(())
}

/// Every file below a folder, sorted.
pub fn walk(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() { found.extend(walk(&path)?) } else { found.push(path) }
    }
    found.sort();
    Ok(found)
}

fn with_list(files: &Files) -> Files {
    let mut files = files.clone();
    let mut list = "Made by `cargo sdk`; edit the schema or sdk-gen/templates and run it again.\n".to_owned();
    for name in files.keys() {
        list += name;
        list.push('\n');
    }
    files.insert(LIST.to_owned(), list.into_bytes());
    files
}

fn listed(out: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(out.join(LIST)).unwrap_or_default();
    text.lines().skip(1).map(str::to_owned).collect()
}

/// Writes what differs and removes what is no longer made.
pub fn write(out: &Path, files: &Files) -> Result<usize, Failure> {
    let files = with_list(files);
    let mut changed = 0;
    for stale in listed(out).iter().filter(|name| !files.contains_key(*name)) {
        if std::fs::remove_file(out.join(stale)).is_ok() {
            changed += 1;
        }
    }
    for (name, bytes) in &files {
        let path = out.join(name);
        if std::fs::read(&path).is_ok_and(|old| old == *bytes) {
            continue;
        }
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&path, bytes).map_err(|e| format!("{}: {e}", path.display()))?;
        changed += 1;
    }
    Ok(changed)
}

/// Names of files that are missing, differ or should be gone.
pub fn differences(out: &Path, files: &Files) -> Vec<String> {
    let files = with_list(files);
    let stale = listed(out).into_iter().filter(|name| !files.contains_key(name) && out.join(name).exists());
    let changed = files.iter().filter(|(name, bytes)| !std::fs::read(out.join(name)).is_ok_and(|old| old == **bytes));
    changed.map(|(name, _)| name.clone()).chain(stale).collect()
}
