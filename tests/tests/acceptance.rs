//! The table of statements in `tests/README.md`: each that must have a test has one, and each test that it names speaks of it.

use std::{collections::BTreeMap, path::Path};

/// What must stand in the table: translation, accounting, streaming, fidelity.
fn required() -> Vec<String> {
    let run = |letter: char, last: u32| (1..=last).map(move |n| format!("{letter}{n}"));
    run('T', 14).chain(run('A', 6)).chain(["A13".to_owned()]).chain(run('S', 4)).chain(run('F', 13)).collect()
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

#[test]
fn every_statement_has_a_test_that_names_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let table = std::fs::read_to_string(root.join("tests/README.md")).expect("tests/README.md");
    let mut rows: BTreeMap<String, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for row in table.lines().filter(|line| line.starts_with("| ") && line.matches('|').count() == 4) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, id, _, files, _] = cells[..] else { continue };
        let numbered = id.len() > 1 && id.starts_with(|c: char| c.is_ascii_uppercase()) && id[1..].bytes().all(|b| b.is_ascii_digit());
        if !numbered {
            continue;
        }
        for file in files.split(", ").map(|file| file.trim_matches('`')) {
            match std::fs::read_to_string(root.join(file)) {
                Ok(text) if names(tests_of(file, &text), id) => *rows.entry(id.to_owned()).or_default() += 1,
                Ok(_) => wrong.push(format!("{file} does not name {id}")),
                Err(error) => wrong.push(format!("{id}: {file}: {error}")),
            }
        }
    }
    wrong.extend(required().into_iter().filter(|id| !rows.contains_key(id)).map(|id| format!("no test of {id}")));
    assert!(wrong.is_empty(), "tests/README.md: {wrong:#?}");
}

#[test]
fn an_id_is_found_as_a_word_and_in_names_of_tests() {
    for (text, found) in [("T1", true), ("fn t1_t2_x()", true), ("fn s_t1_x()", true), ("(T1)", true), ("T11", false), ("AT1", false), ("fn t11_x()", false)] {
        assert_eq!(names(text, "T1"), found, "{text}");
    }
}
