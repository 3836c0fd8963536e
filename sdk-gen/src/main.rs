//! Makes the clients of every language from the schema: `cargo sdk` writes them, `cargo sdk --check` says what is stale.

mod config;
mod files;
mod load;
mod model;
mod names;
mod plugins;
mod render;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use config::{Config, Language};

/// What went wrong, for people.
pub type Failure = Box<dyn std::error::Error>;

const HELP: &str = "\
cargo sdk [LANGUAGE...] [--check] [--proto FOLDER] [--out FOLDER] [--no-plugins]

Makes the clients (python, typescript, go, java, rust) and the API reference (docs) from the schema; all, if none is named.
  --check         write nothing; fail if a file is not what would be made
  --proto FOLDER  read the schema there (default: proto)
  --out FOLDER    write there (default: the repository's root)
  --no-plugins    templates alone, without messages and stubs
";

struct Arguments {
    languages: Vec<String>,
    check: bool,
    plugins: bool,
    proto: PathBuf,
    out: PathBuf,
}

fn arguments(root: &Path) -> Result<Option<Arguments>, Failure> {
    let mut read = Arguments { languages: Vec::new(), check: false, plugins: true, proto: root.join("proto"), out: root.to_owned() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut folder = || words.next().map(PathBuf::from).ok_or(format!("{word} needs a folder"));
        match word.as_str() {
            "--check" => read.check = true,
            "--no-plugins" => read.plugins = false,
            "--proto" => read.proto = folder()?,
            "--out" => read.out = folder()?,
            "--help" | "-h" => return Ok(None),
            _ if word.starts_with('-') => return Err(format!("unknown argument {word}; see cargo sdk --help").into()),
            _ => read.languages.push(word),
        }
    }
    Ok(Some(read))
}

/// The version of the workspace: the one place it is written.
fn version(root: &Path) -> Result<String, Failure> {
    let manifest: toml::Table = std::fs::read_to_string(root.join("Cargo.toml"))?.parse()?;
    let version = manifest.get("workspace").and_then(|w| w.get("package")).and_then(|p| p.get("version")).and_then(|v| v.as_str());
    Ok(version.ok_or("Cargo.toml: no workspace.package.version")?.to_owned())
}

fn format(language: &Language, root: &Path, made: &mut files::Files) -> Result<(), Failure> {
    let Some((program, rest)) = language.format.split_first() else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let client = folder.path().join("client");
    files::write(&client, made)?;
    std::fs::remove_file(client.join(".generated"))?;
    let program = program.replace("{root}", &root.to_string_lossy());
    let words = rest.iter().map(|word| word.replace("{root}", &root.to_string_lossy()));
    let status = std::process::Command::new(&program).args(words).current_dir(&client).status().map_err(|e| format!("{program}: {e}"))?;
    if !status.success() {
        return Err(format!("{} failed with {status}", language.format.join(" ")).into());
    }
    for (name, bytes) in made {
        *bytes = std::fs::read(client.join(name))?;
    }
    Ok(())
}

fn run() -> Result<bool, Failure> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no parent folder")?.to_owned();
    let Some(arguments) = arguments(&root)? else {
        print!("{HELP}");
        return Ok(true);
    };
    let config = Config::read(&root.join("sdk-gen/sdk.toml"))?;
    if let Some(unknown) = arguments.languages.iter().find(|name| !config.languages.contains_key(*name)) {
        let known: Vec<&str> = config.languages.keys().map(String::as_str).collect();
        return Err(format!("no language {unknown}; there are {}", known.join(", ")).into());
    }
    let facts = render::Facts { version: version(&root)? };
    let loaded = load::load(&arguments.proto, "headworks/v1")?;
    let schema = model::model(&loaded, &config)?;
    let mut fresh = true;
    for (name, language) in &config.languages {
        if !arguments.languages.is_empty() && !arguments.languages.contains(name) {
            continue;
        }
        let mut made = files::Files::new();
        for plugin in language.plugins.iter().filter(|_| arguments.plugins) {
            plugins::run(plugin, &loaded, &root, &mut made)?;
        }
        render::render(&root.join("sdk-gen/templates").join(name), language, &schema, &facts, &mut made)?;
        if language.package {
            made.insert("LICENSE".to_owned(), std::fs::read(root.join("LICENSE"))?);
        }
        format(language, &root, &mut made)?;
        let out = arguments.out.join(&language.out);
        if arguments.check {
            let stale = files::differences(&out, &made);
            for file in &stale {
                println!("stale: {}/{file}", language.out);
            }
            fresh &= stale.is_empty();
        } else {
            let changed = files::write(&out, &made)?;
            println!("{name}: {} files, {changed} changed", made.len());
        }
    }
    if !fresh {
        println!("run `cargo sdk`");
    }
    Ok(fresh)
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("sdk-gen: {failure}");
            ExitCode::FAILURE
        }
    }
}
