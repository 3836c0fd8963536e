//! Templates to files. `templates/<lang>` mirrors the client's folder: `.j2` is rendered and dropped from the name,
//! `%service` (or `%stem`, its schema file) stands for one file per service, what begins with `_.` is a partial, everything else is copied.

use std::path::Path;

use minijinja::{Environment, UndefinedBehavior, Value, context, syntax::SyntaxConfig, value::Serde};

use crate::{
    Failure,
    config::Language,
    files::{self, Files},
    model::Schema,
};

/// Facts beside the schema.
pub struct Facts {
    /// The version of every client.
    pub version: String,
}

/// Renders one language's templates.
pub fn render(folder: &Path, language: &Language, schema: &Schema, facts: &Facts, out: &mut Files) -> Result<(), Failure> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build()?);
    environment.add_filter("comment", comment);
    environment.add_filter("jsdoc", |lines: Vec<String>, prefix: String| comment(lines, prefix).replace("*/", "*\\/"));
    environment.add_filter("docstring", |lines: Vec<String>, prefix: String| comment(lines, prefix).replace('\\', "\\\\").replace("\"\"\"", "'''"));
    environment.add_filter("javadoc", javadoc);
    environment.add_filter("goname", go_name);
    environment.add_filter("snake", |name: String| crate::names::snake(&name));
    environment.add_filter("pascal", |name: String| crate::names::pascal(&name));
    environment.add_filter("html", |text: String| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"));
    let mut plain = Vec::new();
    for path in files::walk(folder)? {
        let name = path.strip_prefix(folder)?.to_string_lossy().into_owned();
        match name.strip_suffix(".j2") {
            Some(_) => environment.add_template_owned(name.clone(), std::fs::read_to_string(&path)?).map_err(|e| format!("{name}: {e}"))?,
            None => plain.push((name, path)),
        }
    }
    let wanted = |name: &str| schema.chat || !language.chat_only.iter().any(|only| name.starts_with(only.as_str()));
    for (name, path) in plain.iter().filter(|(name, _)| wanted(name)) {
        out.insert(name.clone(), std::fs::read(path)?);
    }
    for (name, template) in environment.templates() {
        let target = name.strip_suffix(".j2").unwrap_or(name);
        if target.rsplit('/').next().is_some_and(|file| file.starts_with("_.")) || !wanted(target) {
            continue;
        }
        let services: Vec<Option<&crate::model::Service>> =
            if ["%service", "%Service", "%stem"].iter().any(|mark| target.contains(mark)) { schema.services.iter().map(Some).collect() } else { vec![None] };
        for service in services {
            let values =
                context! { schema => Value::from(Serde(schema)), version => facts.version.as_str(), service => service.map(|s| Value::from(Serde(s))) };
            let text = template.render(values).map_err(|e| format!("{}/{name}: {e}", folder.display()))?;
            let mut path = target.to_owned();
            if let Some(service) = service {
                path = path.replace("%service", &service.snake).replace("%Service", &service.pascal).replace("%stem", &service.stem);
            }
            out.insert(path, text.into_bytes());
        }
    }
    Ok(())
}

/// Lines of a comment, each after `prefix`.
#[expect(clippy::needless_pass_by_value, reason = "a template's filter")]
fn comment(lines: Vec<String>, prefix: String) -> String {
    lines.iter().map(|line| format!("{prefix}{line}")).map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// Lines of a Javadoc comment, each after `prefix`.
#[expect(clippy::needless_pass_by_value, reason = "a template's filter")]
fn javadoc(lines: Vec<String>, prefix: String) -> String {
    let mut code = false;
    let lines = lines.iter().map(|line| {
        let mut out = String::new();
        for letter in line.chars() {
            match letter {
                '`' => {
                    code = !code;
                    out += if code { "<code>" } else { "</code>" };
                }
                '<' => out += "&lt;",
                '>' => out += "&gt;",
                '&' => out += "&amp;",
                '@' => out += "{@literal @}",
                '/' if out.ends_with('*') => out += "&#47;",
                _ => out.push(letter),
            }
        }
        out
    });
    comment(lines.collect(), prefix)
}

/// A field or method as protoc-gen-go spells it.
#[expect(clippy::needless_pass_by_value, reason = "a template's filter")]
fn go_name(name: String) -> String {
    let mut out = String::new();
    let mut raise = true;
    let letters: Vec<char> = name.chars().collect();
    for (at, letter) in letters.iter().enumerate() {
        match letter {
            '_' if letters.get(at + 1).is_some_and(|next| next.is_ascii_lowercase()) => raise = true,
            _ if raise => {
                out.extend(letter.to_uppercase());
                raise = false;
            }
            _ => {
                out.push(*letter);
                raise = letter.is_ascii_digit();
            }
        }
    }
    out
}
