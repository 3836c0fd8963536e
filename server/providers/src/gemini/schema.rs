//! JSON Schema in the form that Gemini takes, with its meaning kept.
//!
//! `parametersJsonSchema` and `responseJsonSchema` take JSON Schema itself (Gemini API reference,
//! `FunctionDeclaration` and `GenerationConfig`), with a list of keywords that count. So references
//! are put in place, `const` becomes `enum`, and what only other dialects know is respelled. What
//! repeats inside itself stays a reference into `$defs`: Google takes those, and unrolls them.

use std::collections::{BTreeSet, HashMap};

use headworks_core::{Json, LossKind};

use super::node::Node;
use crate::Note;

/// Values in a schema beyond which references are no longer put in place.
const LARGEST: usize = 20_000;

/// Keywords whose values are one schema.
const ONE: [&str; 11] = [
    "additionalProperties",
    "additionalItems",
    "not",
    "if",
    "then",
    "else",
    "contains",
    "propertyNames",
    "unevaluatedProperties",
    "unevaluatedItems",
    "contentSchema",
];
/// Keywords whose values are schemas by name.
const NAMED: [&str; 3] = ["properties", "patternProperties", "dependentSchemas"];
/// Keywords that say nothing about what is valid, or only name the schema.
const DROPPED: [&str; 8] = ["$defs", "definitions", "$schema", "$id", "$anchor", "$dynamicAnchor", "$comment", "$vocabulary"];
/// What the reference lists as followed, and notes for readers.
const FOLLOWED: [&str; 23] = [
    "$ref",
    "type",
    "format",
    "title",
    "description",
    "enum",
    "items",
    "prefixItems",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "anyOf",
    "oneOf",
    "properties",
    "additionalProperties",
    "required",
    "propertyOrdering",
    "default",
    "example",
    "examples",
    "readOnly",
    "deprecated",
];

/// What a schema is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// The arguments of a tool.
    Arguments,
    /// The form of an answer.
    Answer,
}

/// `schema` as Gemini takes it. What it will not enforce is said in `notes`, after `what`.
pub(super) fn accepted(schema: &Json, purpose: Use, what: &str, notes: &mut Vec<Note>) -> String {
    // What cannot be read as a tree (nested too deep) goes as it is: Google says what is wrong with it.
    let Ok(root) = schema.read::<Node>() else { return schema.as_str().to_owned() };
    let mut work = Work {
        root: &root,
        purpose,
        open: Vec::new(),
        kept: Vec::new(),
        names: HashMap::new(),
        sizes: HashMap::new(),
        cyclic: BTreeSet::new(),
        left: LARGEST,
        ignored: BTreeSet::new(),
    };
    let mut out = work.schema(&root);
    let mut definitions = Vec::new();
    // Transforming a definition may show others that must stay.
    while let Some((reference, name)) = work.kept.get(definitions.len()).cloned() {
        let found = work.find(&reference).unwrap_or(&Node::Null);
        work.open = vec![reference];
        definitions.push((name, work.schema(found)));
    }
    if let Node::Object(members) = &mut out {
        if purpose == Use::Arguments && !members.iter().any(|(name, _)| name == "type" || name == "$ref" || name == "anyOf" || name == "oneOf") {
            members.insert(0, ("type".to_owned(), Node::text("object")));
        }
        if !definitions.is_empty() {
            members.push(("$defs".to_owned(), Node::Object(definitions)));
        }
    }
    if !work.ignored.is_empty() {
        let list: Vec<&str> = work.ignored.iter().map(String::as_str).collect();
        let cause = format!("{what}: Gemini does not promise to enforce {}", list.join(", "));
        notes.push(Note::lost(LossKind::SchemaKeyword, list, cause, "the schema was sent all the same"));
    }
    let mut bytes = Vec::new();
    out.write(&mut bytes);
    String::from_utf8(bytes).unwrap_or_default()
}

struct Work<'a> {
    root: &'a Node,
    purpose: Use,
    /// References being put in place, outermost first.
    open: Vec<String>,
    /// References that stay, and their names in `$defs`.
    kept: Vec<(String, String)>,
    /// The same, by reference.
    names: HashMap<String, String>,
    /// How many values a reference stands for.
    sizes: HashMap<String, usize>,
    /// Names in `$defs` of what repeats inside itself.
    cyclic: BTreeSet<String>,
    /// Values that may still be added by putting references in place.
    left: usize,
    ignored: BTreeSet<String>,
}

impl<'a> Work<'a> {
    fn find(&self, reference: &str) -> Option<&'a Node> {
        self.root.pointer(reference.strip_prefix('#')?)
    }

    fn schema(&mut self, node: &Node) -> Node {
        match node {
            Node::Object(members) => match node.get("$ref").and_then(Node::as_str) {
                Some(reference) => self.reference(reference, members),
                None => self.members(members),
            },
            // `true` allows anything, as an empty schema does.
            Node::Bool(true) => Node::Object(Vec::new()),
            other => other.clone(),
        }
    }

    fn reference(&mut self, reference: &str, members: &[(String, Node)]) -> Node {
        let beside: Vec<(String, Node)> = members.iter().filter(|(name, _)| name != "$ref").cloned().collect();
        let Some(found) = self.find(reference) else {
            self.ignored.insert(format!("the reference {reference}"));
            return self.members(&beside);
        };
        let cycle = self.open.iter().any(|open| open == reference);
        let size = *self.sizes.entry(reference.to_owned()).or_insert_with(|| found.size());
        if cycle || size > self.left {
            let name = self.keep(reference);
            if cycle {
                self.cyclic.insert(name.clone());
            }
            let bare = Node::Object(vec![("$ref".to_owned(), Node::Text(format!("#/$defs/{name}")))]);
            // A reference must stand alone; what stood beside it moves around it.
            return match self.members(&beside) {
                Node::Object(mut around) if !around.is_empty() => {
                    around.push(("anyOf".to_owned(), Node::Array(vec![bare])));
                    Node::Object(around)
                }
                _ => bare,
            };
        }
        self.left -= size;
        self.open.push(reference.to_owned());
        let mut out = self.schema(found);
        self.open.pop();
        if let (Node::Object(out), Node::Object(beside)) = (&mut out, self.members(&beside)) {
            overlay(out, beside);
        }
        out
    }

    /// The name in `$defs` of a reference that stays.
    fn keep(&mut self, reference: &str) -> String {
        if let Some(name) = self.names.get(reference) {
            return name.clone();
        }
        let last = reference.rsplit('/').next().unwrap_or_default();
        let mut name: String = last.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        if name.is_empty() {
            name.push_str("root");
        }
        if self.kept.iter().any(|(_, taken)| *taken == name) {
            name = format!("{name}_{}", self.kept.len());
        }
        self.names.insert(reference.to_owned(), name.clone());
        self.kept.push((reference.to_owned(), name.clone()));
        name
    }

    fn members(&mut self, members: &[(String, Node)]) -> Node {
        let mut out: Vec<(String, Node)> = Vec::with_capacity(members.len());
        let mut nullable = false;
        let mut all = Vec::new();
        for (name, value) in members {
            let word = name.as_str();
            match (word, value) {
                (word, _) if DROPPED.contains(&word) => {}
                ("const", Node::Array(_) | Node::Object(_)) => {
                    self.ignored.insert("const".to_owned());
                    out.push((name.clone(), value.clone()));
                }
                ("const", value) => constant(&mut out, members, value),
                // OpenAPI's word for what JSON Schema says with a list of types.
                ("nullable", Node::Bool(value)) => nullable = *value,
                ("items", Node::Array(list)) => out.push(("prefixItems".to_owned(), self.list(list))),
                ("items", value) => out.push((name.clone(), self.schema(value))),
                ("prefixItems" | "anyOf" | "oneOf", Node::Array(list)) => out.push((name.clone(), self.list(list))),
                ("allOf", Node::Array(list)) => all.extend(list.iter().cloned()),
                (word, Node::Object(named)) if NAMED.contains(&word) => {
                    if word != "properties" {
                        self.ignored.insert(word.to_owned());
                    }
                    let named = named.iter().map(|(key, value)| (key.clone(), self.schema(value))).collect();
                    out.push((name.clone(), Node::Object(named)));
                }
                (word, value @ Node::Object(_)) if ONE.contains(&word) => {
                    if word != "additionalProperties" {
                        self.ignored.insert(word.to_owned());
                    }
                    let inner = self.schema(value);
                    out.push((name.clone(), inner));
                }
                (word, value) => {
                    if !FOLLOWED.contains(&word) && !word.starts_with("x-") {
                        self.ignored.insert(word.to_owned());
                    }
                    out.push((name.clone(), value.clone()));
                }
            }
        }
        for part in all {
            if let Node::Object(part) = self.schema(&part) {
                join(&mut out, part);
            }
        }
        if nullable {
            allow_null(&mut out);
        }
        if self.purpose == Use::Answer {
            self.release(&mut out);
        }
        Node::Object(out)
    }

    fn list(&mut self, list: &[Node]) -> Node {
        Node::Array(list.iter().map(|item| self.schema(item)).collect())
    }

    /// In answers, what repeats inside itself may only stand in properties that are not required.
    fn release(&mut self, members: &mut [(String, Node)]) {
        if self.cyclic.is_empty() {
            return;
        }
        let repeating: Vec<String> = members
            .iter()
            .filter(|(name, _)| name == "properties")
            .flat_map(|(_, named)| if let Node::Object(named) = named { named.as_slice() } else { &[] })
            .filter(|(_, value)| repeats(value, &self.cyclic))
            .map(|(name, _)| name.clone())
            .collect();
        for (_, required) in members.iter_mut().filter(|(name, _)| name == "required") {
            if let Node::Array(names) = required {
                let before = names.len();
                names.retain(|name| name.as_str().is_none_or(|name| !repeating.iter().any(|r| r == name)));
                if names.len() < before {
                    self.ignored.insert("required where a schema repeats inside itself".to_owned());
                }
            }
        }
    }
}

/// Whether a reference to something that repeats inside itself stands in `node`.
fn repeats(node: &Node, cyclic: &BTreeSet<String>) -> bool {
    match node {
        Node::Object(members) => members.iter().any(|(name, value)| match value {
            Node::Text(to) if name == "$ref" => to.strip_prefix("#/$defs/").is_some_and(|name| cyclic.contains(name)),
            value => repeats(value, cyclic),
        }),
        Node::Array(items) => items.iter().any(|item| repeats(item, cyclic)),
        _ => false,
    }
}

/// `const` as an `enum` of one; null is a type.
fn constant(out: &mut Vec<(String, Node)>, members: &[(String, Node)], value: &Node) {
    let kind = match value {
        Node::Null => "null",
        Node::Bool(_) => "boolean",
        Node::Number(number) if number.is_f64() => "number",
        Node::Number(_) => "integer",
        _ => "string",
    };
    if !members.iter().any(|(name, _)| name == "type") {
        out.push(("type".to_owned(), Node::text(kind)));
    }
    if *value != Node::Null {
        out.retain(|(name, _)| name != "enum");
        out.push(("enum".to_owned(), Node::Array(vec![value.clone()])));
    }
}

fn allow_null(out: &mut [(String, Node)]) {
    let null = Node::text("null");
    match out.iter_mut().find(|(name, _)| matches!(name.as_str(), "type" | "anyOf" | "oneOf")) {
        Some((name, kind)) if name == "type" => match kind {
            Node::Array(kinds) if kinds.contains(&null) => {}
            Node::Array(kinds) => kinds.push(null.clone()),
            one => *one = Node::Array(vec![one.clone(), null.clone()]),
        },
        Some((_, Node::Array(choices))) => choices.push(Node::Object(vec![("type".to_owned(), null.clone())])),
        _ => return,
    }
    if let Some((_, Node::Array(values))) = out.iter_mut().find(|(name, _)| name == "enum")
        && !values.contains(&Node::Null)
    {
        values.push(Node::Null);
    }
}

/// What stands beside a reference replaces what it says.
fn overlay(out: &mut Vec<(String, Node)>, beside: Vec<(String, Node)>) {
    for (name, value) in beside {
        match out.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => out.push((name, value)),
        }
    }
}

/// Both must hold: properties and required add up, elsewhere what stands already stays.
fn join(out: &mut Vec<(String, Node)>, part: Vec<(String, Node)>) {
    for (name, value) in part {
        match (name.as_str(), out.iter_mut().find(|(known, _)| *known == name).map(|(_, old)| old), value) {
            ("properties", Some(Node::Object(old)), Node::Object(new)) => {
                for (key, value) in new {
                    if !old.iter().any(|(known, _)| *known == key) {
                        old.push((key, value));
                    }
                }
            }
            ("required", Some(Node::Array(old)), Node::Array(new)) => {
                for key in new {
                    if !old.contains(&key) {
                        old.push(key);
                    }
                }
            }
            (_, Some(_), _) => {}
            (_, None, value) => out.push((name, value)),
        }
    }
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
