//! Lists the catalogue's files, so that adding one needs no Rust.

use std::{env, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("catalog");
    println!("cargo:rerun-if-changed={}", folder.display());
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)?.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    let mut list = String::from("&[\n");
    for path in files {
        let id = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        list.push_str(&format!("    (\"{id}\", include_str!(\"{}\")),\n", path.display()));
    }
    list.push(']');
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("catalog.rs"), list)?;
    Ok(())
}
