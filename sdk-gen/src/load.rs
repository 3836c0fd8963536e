//! Protobuf files to a descriptor set, without protoc.

use std::path::{Path, PathBuf};

use prost_types::FileDescriptorSet;

use crate::Failure;

/// What the generator reads.
pub struct Loaded {
    /// The files and all they import, comments included.
    pub set: FileDescriptorSet,
    /// Names of the files to generate from.
    pub names: Vec<String>,
    /// Their text, in the same order.
    pub texts: Vec<String>,
}

/// Compiles every `.proto` of `root`/`folder`.
pub fn load(root: &Path, folder: &str) -> Result<Loaded, Failure> {
    let mut names = Vec::new();
    let at = root.join(folder);
    for entry in std::fs::read_dir(&at).map_err(|e| format!("{}: {e}", at.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".proto") {
            names.push(format!("{folder}/{name}"));
        }
    }
    names.sort();
    if names.is_empty() {
        return Err(format!("{}: no .proto file", at.display()).into());
    }
    let texts = names.iter().map(|name| std::fs::read_to_string(root.join(name))).collect::<Result<_, _>>()?;
    let files: Vec<PathBuf> = names.iter().map(|name| root.join(name)).collect();
    let set = protox::compile(files, [root]).map_err(|e| format!("{e:?}"))?;
    Ok(Loaded { set, names, texts })
}
