//! Profiles of the shared files `~/.aws/config` and `~/.aws/credentials` ("Configuration and credential file settings").

use std::{collections::BTreeMap, path::PathBuf};

use crate::auth::secrets::Secrets;

/// All profiles, credentials over configuration.
#[derive(Debug, Default)]
pub(super) struct Profiles(BTreeMap<String, BTreeMap<String, String>>);

impl Profiles {
    /// Reads both files where they are. A file that somebody named must be there.
    pub(super) fn read(secrets: &Secrets) -> Result<Self, String> {
        let mut out = Self::default();
        for (variable, name, prefixed) in [("AWS_CONFIG_FILE", "config", true), ("AWS_SHARED_CREDENTIALS_FILE", "credentials", false)] {
            let named = secrets.env(variable).map(PathBuf::from);
            let Some(path) = named.clone().or_else(|| Some(PathBuf::from(secrets.env("HOME")?).join(".aws").join(name))) else { continue };
            match std::fs::read_to_string(&path) {
                Ok(text) => out.add(&text, prefixed),
                Err(error) if named.is_some() => return Err(format!("cannot read {} ({variable}): {error}", path.display())),
                Err(_) => {}
            }
        }
        Ok(out)
    }

    /// The profile with this name.
    pub(super) fn get(&self, name: &str) -> Option<&BTreeMap<String, String>> {
        self.0.get(name)
    }

    /// `[default]` and `[profile NAME]`, or without the word in the file of credentials.
    fn add(&mut self, text: &str, prefixed: bool) {
        let mut section: Option<String> = None;
        for line in text.lines() {
            let nested = line.starts_with([' ', '\t']);
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
                let name = name.trim();
                section = match name.strip_prefix("profile").filter(|rest| rest.starts_with([' ', '\t'])) {
                    Some(rest) if prefixed => Some(rest.trim().trim_matches('"').to_owned()),
                    _ if !prefixed || name == "default" => Some(name.to_owned()),
                    // `[sso-session x]`, `[services x]`.
                    _ => None,
                };
                continue;
            }
            // Lines of a nested table belong to the setting above them.
            if nested {
                continue;
            }
            if let (Some(section), Some((key, value))) = (&section, line.split_once('=')) {
                let value = value.split(" #").next().unwrap_or_default().trim();
                self.0.entry(section.clone()).or_default().insert(key.trim().to_ascii_lowercase(), value.to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sections_are_found_in_both_files() {
        let mut profiles = Profiles::default();
        profiles.add(
            "# note\n[default]\nregion = eu-west-1\ns3 =\n  max = 1\n[profile dev]\nrole_arn=arn:aws:iam::1:role/x\nsource_profile = default\n\
             [profile \"two words\"]\na = b\n[sso-session s]\nsso_region = x\n[other]\nk = v\n",
            true,
        );
        profiles.add("[default]\naws_access_key_id = A # mine\naws_secret_access_key=s=x+/\n[plain]\naws_access_key_id = B\n", false);
        let default = profiles.get("default").unwrap();
        assert_eq!((default["region"].as_str(), default["aws_access_key_id"].as_str(), default["aws_secret_access_key"].as_str()), ("eu-west-1", "A", "s=x+/"));
        assert!(!default.contains_key("max"));
        assert_eq!(profiles.get("dev").unwrap()["source_profile"], "default");
        assert_eq!(profiles.get("two words").unwrap()["a"], "b");
        assert_eq!(profiles.get("plain").unwrap()["aws_access_key_id"], "B");
        assert!(profiles.get("other").is_none() && profiles.get("s").is_none());
    }
}
