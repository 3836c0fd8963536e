//! Generates messages and stubs from `proto/`, without protoc.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    let proto = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    // Not `proto` itself: its README and baseline are no reason to build everything that stands on this crate again.
    println!("cargo:rerun-if-changed={}", proto.join("headworks").display());
    println!("cargo:rerun-if-changed=build.rs");
    let mut files = Vec::new();
    for folder in ["headworks/v1", "headworks/storage/v1"] {
        for entry in fs::read_dir(proto.join(folder))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "proto") {
                files.push(path);
            }
        }
    }
    files.sort();
    let mut set = protox::compile(&files, [&proto])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    tonic_prost_build::configure().build_transport(false).bytes(".").compile_fds(set.clone())?;

    // Reflection shows the public schema alone; comments would make the binary larger for nobody.
    set.file.retain(|file| !file.package().starts_with("headworks.storage."));
    for file in &mut set.file {
        file.source_code_info = None;
    }
    fs::write(out.join("public.binpb"), set.encode_to_vec())?;
    Ok(())
}
