//! The table of statements in `tests/README.md`: each that must have a test has one, and each file that it names speaks of it.
//! `BLESS=1 cargo test -p headworks-tests --test acceptance` writes the files anew.

#![allow(clippy::expect_used, clippy::panic)]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// What must stand in the table: translation, accounting, streaming, fidelity.
fn required() -> Vec<String> {
    let run = |letter: char, last: u32| (1..=last).map(move |n| format!("{letter}{n}"));
    run('T', 14).chain(run('A', 14)).chain(run('S', 4)).chain(run('R', 10)).chain(run('F', 13)).chain(run('L', 8)).collect()
}

/// The part of a source that is tests: all of a file of tests, else what follows `#[cfg(test)]`.
fn tests_of<'a>(path: &str, text: &'a str) -> &'a str {
    let whole = !path.ends_with(".rs") || path.contains("/tests/") || path.ends_with("/tests.rs") || path.ends_with("_tests.rs");
    if whole { text } else { text.find("#[cfg(test)]\nmod tests").and_then(|at| text.get(at..)).unwrap_or_default() }
}

/// Whether a text names an ID: as a word, or in a test's name (`fn t4_..`, `_t4_..`).
fn names(text: &str, id: &str) -> bool {
    let apart = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_alphanumeric());
    let word = text.match_indices(id).any(|(at, _)| apart(text[..at].chars().next_back()) && apart(text[at + id.len()..].chars().next()));
    let lower = id.to_lowercase();
    word || text.contains(&format!("fn {lower}_")) || text.contains(&format!("_{lower}_"))
}

/// The sources that hold tests of the server.
fn sources(root: &Path, folder: &str, found: &mut Vec<(String, String)>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(root.join(folder)).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let here = format!("{folder}/{name}");
        let script = here.starts_with("tests/") && name.starts_with("test_");
        if path.is_dir() && !path.is_symlink() {
            if !matches!(name.as_str(), "node_modules" | "target" | "fuzz" | "sdk") {
                sources(root, &here, found);
            }
        } else if (name.ends_with(".rs") || script)
            && name != "acceptance.rs"
            && let Ok(text) = std::fs::read_to_string(&path)
        {
            found.push((here.clone(), tests_of(&here, &text).to_owned()));
        }
    }
}

#[test]
fn every_statement_has_a_test_that_names_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut sources_found = Vec::new();
    for folder in ["tests", "server"] {
        sources(&root, folder, &mut sources_found);
    }
    let naming = |id: &str| -> BTreeSet<&str> { sources_found.iter().filter(|(_, text)| names(text, id)).map(|(path, _)| path.as_str()).collect() };
    let readme = root.join("tests/README.md");
    let table = std::fs::read_to_string(&readme).expect("tests/README.md");
    let mut rows: BTreeMap<String, usize> = BTreeMap::new();
    let (mut wrong, mut written) = (Vec::new(), String::new());
    for line in table.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let numbered = |id: &str| id.len() > 1 && id.starts_with(|c: char| c.is_ascii_uppercase()) && id[1..].bytes().all(|b| b.is_ascii_digit());
        let [_, id, statement, files, _] = cells[..] else {
            written.push_str(line);
            written.push('\n');
            continue;
        };
        if !numbered(id) {
            written.push_str(line);
            written.push('\n');
            continue;
        }
        let all = naming(id);
        let list: Vec<String> = all.iter().map(|path| format!("`{path}`")).collect();
        written.push_str(&format!("| {id} | {statement} | {} |\n", list.join(", ")));
        for file in files.split(", ").map(|file| file.trim_matches('`')) {
            match all.contains(file) {
                true => *rows.entry(id.to_owned()).or_default() += 1,
                false => wrong.push(format!("{file} does not name {id}")),
            }
        }
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&readme, written).expect("tests/README.md");
        wrong.retain(|_| false);
        rows = required().into_iter().filter(|id| !naming(id).is_empty()).map(|id| (id, 1)).collect();
    }
    wrong.extend(required().into_iter().filter(|id| !rows.contains_key(id)).map(|id| format!("no test of {id}")));
    assert!(wrong.is_empty(), "tests/README.md (BLESS=1 writes its files anew): {wrong:#?}");
}

#[test]
fn an_id_is_found_as_a_word_and_in_names_of_tests() {
    for (text, found) in [("T1", true), ("fn t1_t2_x()", true), ("fn s_t1_x()", true), ("(T1)", true), ("T11", false), ("AT1", false), ("fn t11_x()", false)] {
        assert_eq!(names(text, "T1"), found, "{text}");
    }
}
