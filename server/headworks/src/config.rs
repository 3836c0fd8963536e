//! Configuration: a TOML file, then the environment over it.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use headworks_engine::ports::Ack;
use headworks_providers::catalog::HostOverride;
use headworks_store::Keep;
use serde::Deserialize;

/// Everything that can be set.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The doors.
    pub server: headworks_edge::Config,
    /// Durable state.
    pub store: Store,
    /// Answers that clients may go on from (`previous_response_id`).
    pub responses: headworks_store::ResponsesConfig,
    /// The account of calls.
    pub ledger: Ledger,
    /// The first key.
    pub admin: Admin,
    /// How calls are driven.
    pub engine: headworks_engine::Config,
    /// Streams that clients may come back to.
    pub streams: headworks_engine::StreamsConfig,
    /// Answers that may be given again.
    pub response_cache: headworks_engine::AnswersConfig,
    /// What becomes of calls that budgets do not cover.
    pub budget: headworks_engine::BudgetConfig,
    /// Budgets' thresholds told to a webhook.
    pub alerts: crate::alerts::Config,
    /// Connections to providers.
    pub upstream: headworks_upstream::Config,
    /// What the gateway writes about itself.
    pub log: Log,
    /// Providers: changes to those of the catalogue, and new ones.
    pub providers: BTreeMap<String, HostOverride>,
}

/// `[store]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// `sled:PATH`, or `memory:` for a gateway that forgets. Default `sled:./headworks-data`.
    pub url: String,
}

impl Default for Store {
    fn default() -> Self {
        Self { url: "sled:./headworks-data".to_owned() }
    }
}

/// `[ledger]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ledger {
    /// `after` (default): every answer has its intent on disk before it is seen, its full record shortly after.
    /// `before`: the full record is on disk before the answer's end.
    pub ack: Ack,
    /// Days that records of calls are kept; sums over them stay. 0 (default): for ever.
    pub retention_days: u32,
    /// Days that sums are told apart by minutes. Default 7; 0: for ever.
    pub minute_days: u32,
    /// Days that sums are told apart by hours. Default 400; 0: for ever.
    pub hour_days: u32,
}

impl Default for Ledger {
    fn default() -> Self {
        let Keep { minute_days, hour_days } = Keep::default();
        Self { ack: Ack::default(), retention_days: 0, minute_days, hour_days }
    }
}

/// `[admin]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Environment variable that may hold an admin key, 16 characters or more. Default `HEADWORKS_ADMIN_KEY`.
    pub key_env: String,
}

impl Default for Admin {
    fn default() -> Self {
        Self { key_env: "HEADWORKS_ADMIN_KEY".to_owned() }
    }
}

/// `[log]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `headworks_engine=debug`. Default `info`.
    pub level: String,
    /// `text` or `json`. Default `text`.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub struct ConfigError {
    source_name: String,
    line: Option<usize>,
    message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.source_name, self.message),
            None => write!(f, "{}: {}", self.source_name, self.message),
        }
    }
}

/// The prefix of environment variables that set a field.
const PREFIX: &str = "HEADWORKS__";

impl Config {
    /// Reads the file named, or `HEADWORKS_CONFIG`, or `./headworks.toml` where it is there, and the environment over it.
    pub fn load(named: Option<&Path>, env: &BTreeMap<String, String>) -> Result<(Self, Option<PathBuf>), ConfigError> {
        let file = match named.map(Path::to_path_buf).or_else(|| env.get("HEADWORKS_CONFIG").map(PathBuf::from)) {
            Some(path) => Some(path),
            None => Some(PathBuf::from("headworks.toml")).filter(|path| path.is_file()),
        };
        let text = match &file {
            Some(path) => std::fs::read_to_string(path).map_err(|error| ConfigError {
                source_name: path.display().to_string(),
                line: None,
                message: format!("cannot be read: {error}"),
            })?,
            None => String::new(),
        };
        let name = file.as_ref().map_or_else(|| "configuration".to_owned(), |path| path.display().to_string());
        Ok((Self::parse(&name, &text, env)?, file))
    }

    /// Reads text and environment.
    pub fn parse(name: &str, text: &str, env: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        // First by itself, so that an error has the file's line.
        let _: Config = toml::from_str(text).map_err(|error| from_toml(name, text, &error))?;
        let mut table: toml::Table = toml::from_str(text).map_err(|error| from_toml(name, text, &error))?;
        let mut last = None;
        for (variable, value) in env {
            let Some(path) = variable.strip_prefix(PREFIX) else { continue };
            let path: Vec<String> = path.split("__").map(str::to_lowercase).collect();
            set(&mut table, &path, value).map_err(|message| ConfigError { source_name: variable.clone(), line: None, message })?;
            last = Some(variable.clone());
            // Each by itself, so that an error names its variable.
            toml::Value::Table(table.clone()).try_into::<Config>().map_err(|error| ConfigError {
                source_name: variable.clone(),
                line: None,
                message: hint(error.message()),
            })?;
        }
        let config: Config = toml::Value::Table(table).try_into().map_err(|error: toml::de::Error| ConfigError {
            source_name: last.unwrap_or_else(|| name.to_owned()),
            line: None,
            message: hint(error.message()),
        })?;
        config.check().map_err(|message| ConfigError { source_name: name.to_owned(), line: None, message })?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        self.engine.check()?;
        if self.server.max_body_bytes < 1024 {
            return Err("server.max_body_bytes must be 1024 or more".to_owned());
        }
        if self.server.listen.parse::<std::net::SocketAddr>().is_err() {
            return Err(format!("server.listen: \"{}\" is not an address such as 127.0.0.1:8080", self.server.listen));
        }
        if !self.server.admin_listen.is_empty() && self.server.admin_listen.parse::<std::net::SocketAddr>().is_err() {
            return Err(format!("server.admin_listen: \"{}\" is not an address such as 127.0.0.1:8081", self.server.admin_listen));
        }
        match self.store.url.split_once(':') {
            Some(("sled", path)) if !path.is_empty() => Ok(()),
            Some(("memory", "")) => Ok(()),
            Some(("postgres" | "postgresql", _)) => Err("store.url: the gateway does not run on postgres: yet; use sled:PATH".to_owned()),
            _ => Err(format!("store.url: \"{}\" is neither sled:PATH nor memory:", self.store.url)),
        }
    }
}

fn from_toml(name: &str, text: &str, error: &toml::de::Error) -> ConfigError {
    let line = error.span().map(|span| text.get(..span.start).unwrap_or_default().matches('\n').count() + 1);
    ConfigError { source_name: name.to_owned(), line, message: hint(error.message()) }
}

/// Puts a value at a path; numbers and booleans are what they look like, `[..]` is a list.
fn set(table: &mut toml::Table, path: &[String], value: &str) -> Result<(), String> {
    let Some((last, parents)) = path.split_last().filter(|(last, _)| !last.is_empty()) else {
        return Err("names no field".to_owned());
    };
    let mut here = table;
    for parent in parents {
        let entry = here.entry(parent.clone()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        here = entry.as_table_mut().ok_or_else(|| format!("{parent} is a value, not a section"))?;
    }
    let looks = format!("v = {value}").parse::<toml::Table>().ok().and_then(|mut t| t.remove("v"));
    let parsed = match looks {
        Some(value @ (toml::Value::Integer(_) | toml::Value::Boolean(_) | toml::Value::Array(_) | toml::Value::Float(_))) => value,
        _ => toml::Value::String(value.to_owned()),
    };
    // A field that wants text may have been given something that looks like a number.
    let parsed = match (here.get(last), parsed) {
        (Some(toml::Value::String(_)), other) if !other.is_str() => toml::Value::String(value.to_owned()),
        (_, parsed) => parsed,
    };
    here.insert(last.clone(), parsed);
    Ok(())
}

/// Adds the nearest known field to serde's word about an unknown one.
fn hint(message: &str) -> String {
    let message = message.trim();
    let Some(rest) = message.strip_prefix("unknown field `") else { return message.to_owned() };
    let Some((wrong, known)) = rest.split_once('`') else { return message.to_owned() };
    let nearest = known.split('`').skip(1).step_by(2).min_by_key(|field| distance(wrong, field));
    match nearest {
        Some(field) => format!("unknown field \"{wrong}\"; did you mean \"{field}\"?"),
        None => message.to_owned(),
    }
}

fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut previous = i;
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
        for (j, y) in b.bytes().enumerate() {
            let (left, here) = (row.get(j).copied().unwrap_or(0), row.get(j + 1).copied().unwrap_or(0));
            if let Some(cell) = row.get_mut(j + 1) {
                *cell = (previous + usize::from(x != y)).min(here + 1).min(left + 1);
            }
            previous = here;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn defaults_are_what_the_contract_says() {
        let config = Config::parse("x", "", &env(&[])).unwrap();
        assert_eq!(config.server.listen, "127.0.0.1:8080");
        assert_eq!(config.store.url, "sled:./headworks-data");
        assert_eq!(config.ledger.ack, Ack::After);
        assert_eq!(config.server.max_body_bytes, 64 << 20);
    }

    #[test]
    fn the_environment_stands_over_the_file() {
        let config = Config::parse(
            "x",
            "[server]\nlisten = \"127.0.0.1:1\"\n",
            &env(&[
                ("HEADWORKS__SERVER__LISTEN", "127.0.0.1:2"),
                ("HEADWORKS__LEDGER__ACK", "before"),
                ("HEADWORKS__ENGINE__MAX_ATTEMPTS", "7"),
                ("OTHER", "x"),
            ]),
        )
        .unwrap();
        assert_eq!((config.server.listen.as_str(), config.ledger.ack, config.engine.max_attempts), ("127.0.0.1:2", Ack::Before, 7));
    }

    #[test]
    fn errors_name_file_line_field_and_what_would_be_right() {
        let table = [
            ("[server]\nlisen = \"x\"\n", "headworks.toml:2: unknown field \"lisen\"; did you mean \"listen\"?"),
            ("[server]\nlisten = 5\n", "headworks.toml:2: "),
            ("[server\n", "headworks.toml:1: "),
            ("[engine]\nmax_attempts = 0\n", "engine.max_attempts must be 1 or more"),
            ("[store]\nurl = \"oracle:x\"\n", "store.url: \"oracle:x\" is neither"),
            ("[server]\nlisten = \"localhost\"\n", "server.listen: \"localhost\" is not an address"),
        ];
        for (text, wanted) in table {
            let error = Config::parse("headworks.toml", text, &env(&[])).unwrap_err().to_string();
            assert!(error.contains(wanted), "{text:?} gave {error:?}");
        }
        let error = Config::parse("f", "", &env(&[("HEADWORKS__SERVER__LISEN", "x")])).unwrap_err().to_string();
        assert_eq!(error, "HEADWORKS__SERVER__LISEN: unknown field \"lisen\"; did you mean \"listen\"?");
    }
}
