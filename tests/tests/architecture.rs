//! The fences: who may use whom, how long files are, and that every reason is in the schema.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, MetadataCommand};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What each crate may use of ours; the table of server/README.md.
fn allowed() -> BTreeMap<&'static str, &'static [&'static str]> {
    BTreeMap::from([
        ("headworks-core", &[][..]),
        ("headworks-api", &[]),
        ("headworks-sdk-gen", &[]),
        ("headworks-client", &[]),
        ("headworks-providers", &["core"]),
        ("headworks-policy", &["core"]),
        ("headworks-store", &["api", "core"]),
        ("headworks-upstream", &["core", "providers"]),
        ("headworks-engine", &["core", "policy"]),
        ("headworks-edge", &["api", "core", "engine", "policy", "providers", "store"]),
        ("headworks", &["api", "core", "edge", "engine", "policy", "providers", "store", "upstream"]),
    ])
}

/// Crates that may not wait, read a clock or open anything, and what would let them.
const PURE: [&str; 3] = ["headworks-core", "headworks-providers", "headworks-policy"];
const IMPURE: [&str; 10] = ["tokio", "reqwest", "hyper", "sled", "tonic", "axum", "tower", "getrandom", "futures-util", "tokio-postgres"];

/// Who alone may use what.
const OWNED: [(&str, &str); 6] = [
    ("reqwest", "headworks-upstream"),
    ("sled", "headworks-store"),
    ("tokio-postgres", "headworks-store"),
    ("axum", "headworks-edge"),
    ("tonic-web", "headworks-edge"),
    ("clap", "headworks"),
];

#[test]
fn crates_use_only_what_the_table_allows() {
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().expect("cargo metadata");
    let table = allowed();
    let mut seen = BTreeSet::new();
    for package in &metadata.packages {
        let name = package.name.as_str();
        let uses: Vec<String> =
            package.dependencies.iter().filter(|d| matches!(d.kind, DependencyKind::Normal | DependencyKind::Build)).map(|d| d.name.clone()).collect();
        for (owned, owner) in OWNED {
            assert!(name == owner || !uses.iter().any(|used| used == owned), "{name} uses {owned}, which only {owner} may");
        }
        let Some(allowed) = table.get(name) else { continue };
        seen.insert(name.to_owned());
        for used in uses.iter().filter_map(|used| used.strip_prefix("headworks-")) {
            assert!(allowed.contains(&used), "{name} uses headworks-{used}; the table of server/README.md does not allow it");
        }
        if PURE.contains(&name) {
            for used in &uses {
                assert!(!IMPURE.contains(&used.as_str()), "{name} is pure and may not use {used}");
            }
        }
    }
    assert_eq!(seen.len(), table.len(), "a crate of the table is missing: {seen:?}");
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn files_are_short_enough_to_say_one_thing() {
    let mut files = Vec::new();
    sources(&root().join("server"), &mut files);
    sources(&root().join("sdk-gen/src"), &mut files);
    assert!(files.len() > 50, "only {} files found", files.len());
    for file in files {
        let lines = std::fs::read_to_string(&file).unwrap_or_default().lines().count();
        assert!(lines <= 700, "{} has {lines} lines; cut it in two", file.display());
    }
}

/// Tests of the pure crates read recordings and goldens.
fn is_test(file: &std::path::Path) -> bool {
    file.ends_with("tests.rs") || file.to_string_lossy().split_once("/src/").is_some_and(|(_, inner)| inner.split('/').any(|part| part == "tests"))
}

#[test]
fn pure_crates_read_no_clock() {
    let mut files = Vec::new();
    for name in ["core", "providers", "policy"] {
        sources(&root().join("server").join(name).join("src"), &mut files);
    }
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        for word in ["SystemTime::now", "Instant::now", "std::fs", "std::net", "std::env", "async fn"] {
            assert!(!text.contains(word) || is_test(&file), "{} uses {word}", file.display());
        }
    }
}

#[test]
fn every_reason_is_in_the_schema() {
    let schema = std::fs::read_to_string(root().join("proto/headworks/v1/reason.proto")).expect("reason.proto");
    for reason in headworks_core::Reason::ALL {
        assert!(schema.contains(&format!("  REASON_{} = ", reason.name())), "{} is not in reason.proto", reason.name());
        assert!(headworks_api::v1::Reason::from_str_name(&format!("REASON_{}", reason.name())).is_some());
    }
}
