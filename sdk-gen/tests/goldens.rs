//! Small schemas, and what is made of them. `BLESS=1` accepts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Beginnings of the files that depend on the schema, by language.
const LOOKED_AT: [(&str, &str, &[&str]); 6] = [
    ("python", "clients/python", &["src/headworks/_services.py", "src/headworks/_async_services.py", "src/headworks/v1/__init__.py"]),
    ("typescript", "clients/typescript", &["src/services/", "src/client.ts", "src/v1.ts"]),
    ("go", "clients/go", &["client.go"]),
    ("java", "clients/java", &["src/main/java/io/headworks/client/Word", "src/main/java/io/headworks/client/Shape"]),
    ("rust", "clients/rust", &["src/services/", "src/services.rs"]),
    ("docs", "proto/reference", &[""]),
];

fn walk(folder: &Path, under: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, under, found);
        } else {
            found.insert(path.strip_prefix(under).unwrap().to_string_lossy().into_owned(), fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn small_schemas_give_what_was_accepted() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let bless = std::env::var_os("BLESS").is_some();
    let cases: Vec<PathBuf> = fs::read_dir(here.join("cases")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(cases.len() >= 2);
    let mut wrong = Vec::new();
    for case in cases {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let out = tempfile::tempdir().unwrap();
        let status = Command::new(env!("CARGO_BIN_EXE_sdk-gen"))
            .args(["--no-plugins", "--proto", case.to_str().unwrap(), "--out", out.path().to_str().unwrap()])
            .status()
            .unwrap();
        assert!(status.success(), "{name}: {status}");
        for (language, folder, beginnings) in LOOKED_AT {
            let folder = out.path().join(folder);
            let (mut made, mut accepted) = (BTreeMap::new(), BTreeMap::new());
            walk(&folder, &folder, &mut made);
            made.retain(|file, _| file != ".generated" && beginnings.iter().any(|beginning| file.starts_with(beginning)));
            assert!(!made.is_empty(), "{language}/{name}: nothing was made");
            let golden = here.join("golden").join(language).join(&name);
            if bless {
                let _ = fs::remove_dir_all(&golden);
                for (file, text) in &made {
                    let path = golden.join(format!("{file}.golden"));
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    fs::write(path, text).unwrap();
                }
            }
            walk(&golden, &golden, &mut accepted);
            let made: BTreeMap<String, String> = made.into_iter().map(|(file, text)| (file + ".golden", text)).collect();
            for file in made.keys().chain(accepted.keys()) {
                if made.get(file) != accepted.get(file) {
                    wrong.push(format!("{language}/{name}/{file}"));
                }
            }
        }
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "not as accepted (BLESS=1 accepts): {wrong:#?}");
}

#[test]
fn a_broken_schema_and_an_unknown_language_are_told() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("headworks/v1")).unwrap();
    fs::write(folder.path().join("headworks/v1/x.proto"), "syntax = \"proto3\"; package headworks.v1; message A { Missing b = 1; }").unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_sdk-gen")).args(["go", "--proto", folder.path().to_str().unwrap()]).output().unwrap();
    assert!(!run.status.success());
    let told = String::from_utf8_lossy(&run.stderr);
    assert!(told.contains("Missing"), "{told}");
    let run = Command::new(env!("CARGO_BIN_EXE_sdk-gen")).arg("cobol").output().unwrap();
    assert!(!run.status.success() && String::from_utf8_lossy(&run.stderr).contains("no language cobol"));
}
