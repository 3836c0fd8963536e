//! Stock generators of messages and stubs, run on the descriptor set.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use prost::Message;
use prost_types::compiler::{CodeGeneratorRequest, CodeGeneratorResponse, Version};

use crate::{
    Failure,
    config::{Kind, Plugin},
    files::Files,
    load::Loaded,
};

/// Runs one stock generator.
pub fn run(plugin: &Plugin, loaded: &Loaded, root: &Path, files: &mut Files) -> Result<(), Failure> {
    match plugin.kind {
        Kind::Plugin => by_request(plugin, loaded, root, files),
        Kind::Protoc => by_arguments(plugin, loaded, root, files),
        Kind::Tonic => by_library(plugin, loaded, files),
        Kind::Copy => {
            for (name, text) in loaded.names.iter().zip(&loaded.texts) {
                files.insert(format!("{}/{name}", plugin.out), with_options(text, &plugin.insert).into_bytes());
            }
            Ok(())
        }
    }
}

/// The program, with its folder.
fn program(plugin: &Plugin, root: &Path) -> Result<Command, Failure> {
    let mut words = plugin.run.iter().map(|word| word.replace("{root}", &root.to_string_lossy()));
    let name = words.next().ok_or("sdk.toml: a plugin without a program")?;
    if name.contains('/') && !Path::new(&name).exists() {
        return Err(format!("{name} is not there: run sdk-gen/setup").into());
    }
    let mut command = Command::new(name);
    command.args(words);
    Ok(command)
}

fn by_request(plugin: &Plugin, loaded: &Loaded, root: &Path, files: &mut Files) -> Result<(), Failure> {
    let mut proto_file = loaded.set.file.clone();
    if !plugin.go_package.is_empty() {
        for file in proto_file.iter_mut().filter(|file| loaded.names.iter().any(|name| name == file.name())) {
            file.options.get_or_insert_default().go_package = Some(plugin.go_package.clone());
        }
    }
    let request = CodeGeneratorRequest {
        file_to_generate: loaded.names.clone(),
        parameter: (!plugin.options.is_empty()).then(|| plugin.options.clone()),
        proto_file,
        // What protoc 36 would say; generators write it into their headers.
        compiler_version: Some(Version { major: Some(6), minor: Some(36), patch: Some(0), suffix: None }),
    };
    let mut child = program(plugin, root)?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(|e| format!("{}: {e}", plugin.run.join(" ")))?;
    let mut input = child.stdin.take().ok_or("no standard input")?;
    let bytes = request.encode_to_vec();
    let writer = std::thread::spawn(move || input.write_all(&bytes));
    let output = child.wait_with_output()?;
    writer.join().map_err(|_| "the plugin's input could not be written")??;
    if !output.status.success() {
        return Err(format!("{} failed with {}", plugin.run.join(" "), output.status).into());
    }
    let answer = CodeGeneratorResponse::decode(output.stdout.as_slice())?;
    if let Some(error) = answer.error {
        return Err(format!("{}: {error}", plugin.run.join(" ")).into());
    }
    for file in answer.file {
        files.insert(format!("{}/{}", plugin.out, file.name()), file.content().as_bytes().to_vec());
    }
    Ok(())
}

fn by_arguments(plugin: &Plugin, loaded: &Loaded, root: &Path, files: &mut Files) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let (set, out) = (folder.path().join("set.binpb"), folder.path().join("out"));
    std::fs::create_dir(&out)?;
    std::fs::write(&set, loaded.set.encode_to_vec())?;
    let mut command = program(plugin, root)?;
    command.arg(format!("--descriptor_set_in={}", set.display()));
    command.args(plugin.options.split(' ').map(|word| word.replace("{out}", &out.to_string_lossy()).replace("{root}", &root.to_string_lossy())));
    let status = command.args(&loaded.names).status()?;
    if !status.success() {
        return Err(format!("{} failed with {status}", plugin.run.join(" ")).into());
    }
    crate::files::read(&out, &plugin.out, files)
}

fn by_library(plugin: &Plugin, loaded: &Loaded, files: &mut Files) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    tonic_prost_build::configure().build_server(false).build_transport(false).out_dir(folder.path()).compile_fds(loaded.set.clone())?;
    crate::files::read(folder.path(), &plugin.out, files)
}

/// The schema with more options after its package.
fn with_options(text: &str, lines: &[String]) -> String {
    let mut out = String::new();
    for line in text.lines() {
        out += line;
        out.push('\n');
        if line.starts_with("package ") && !lines.is_empty() {
            out.push('\n');
            for line in lines {
                out += line;
                out.push('\n');
            }
        }
    }
    out
}
