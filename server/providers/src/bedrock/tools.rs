//! Tools and their choice in Converse's words.

use headworks_core::{CacheMark, ChatRequest, DialectName, Fault, Json, Target, Tool, ToolChoice};

use super::{
    encode::Additional,
    model::{Family, family},
    turns::{Block, Kind, Turn, legal},
};
use crate::{Note, dialect::missing, spell::object};

/// Tools that Claude knows by Anthropic's definition and the client runs: they pass through Converse as the maker's own.
const ANTHROPIC_CLIENT_TOOLS: &[&str] = &["bash_", "text_editor_", "computer_", "memory_"];

/// The tools of a request.
#[derive(Debug, Default)]
pub(super) struct Tools {
    /// `toolConfig.tools`, spelled.
    pub specs: Vec<Block>,
    /// `toolConfig.toolChoice`.
    pub choice: Option<String>,
}

/// Spells the tools. What goes beside `toolConfig` is put into `fields`.
pub(super) fn tools(target: &Target, request: &ChatRequest, turns: &[Turn], fields: &mut Additional, notes: &mut Vec<Note>) -> Result<Tools, Fault> {
    let claude = family(&target.upstream_name) == Family::Claude;
    let mut out = Tools::default();
    let mut anthropic = Vec::new();
    let history = turns.iter().flat_map(|t| &t.blocks).any(|b| matches!(b.kind, Kind::Call(_) | Kind::Result(_)));
    let none = request.tool_choice == Some(ToolChoice::None);
    // Where no tool may be called and none was, there is nothing to declare.
    let declared: &[Tool] = if none && !history { &[] } else { &request.tools };
    for tool in declared {
        match tool {
            Tool::Function { name, description, parameters, strict, cache } => {
                out.specs.push(spec(name, description.as_deref(), parameters.as_ref(), *strict, *cache))
            }
            Tool::Hosted { dialect: DialectName::Bedrock, json } => {
                out.specs.push(Block { json: json.as_str().to_owned(), bytes: json.as_str().len(), cache: CacheMark::None, markable: true, kind: Kind::Other });
            }
            Tool::Hosted { dialect: DialectName::Anthropic, json }
                if claude && kind(json).is_some_and(|k| ANTHROPIC_CLIENT_TOOLS.iter().any(|t| k.starts_with(t))) =>
            {
                anthropic.push(json.clone());
            }
            Tool::Hosted { .. } => {
                return Err(missing(target, "tools", "a tool that another provider runs cannot be used here"));
            }
        }
    }
    if !anthropic.is_empty() {
        fields.put("tools", format!("[{}]", anthropic.iter().map(Json::as_str).collect::<Vec<_>>().join(",")));
        let betas: Vec<String> = anthropic.iter().filter_map(|json| beta(&kind(json)?)).map(|beta| format!("\"{beta}\"")).collect();
        if !betas.is_empty() {
            fields.put("anthropic_beta", format!("[{}]", betas.join(",")));
        }
    }
    if history && out.specs.is_empty() {
        // Bedrock refuses calls in the history where no tool is declared.
        out.specs = recalled(request);
        notes.push(Note::aside(format!("{} wants the tools of the history declared; they were, without their schemas", target.id)));
    }
    if out.specs.is_empty() && anthropic.is_empty() {
        if matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_))) {
            notes.push(Note::aside("tool_choice without tools was left out".to_owned()));
        }
        return Ok(out);
    }
    choose(target, request, claude, fields, &mut out, notes);
    Ok(out)
}

fn choose(target: &Target, request: &ChatRequest, claude: bool, fields: &mut Additional, out: &mut Tools, notes: &mut Vec<Note>) {
    let id = &target.id;
    let single = request.parallel_tool_calls == Some(false);
    let choice = if request.tools.is_empty() { Some(&ToolChoice::None) } else { request.tool_choice.as_ref() };
    if claude && (single || choice == Some(&ToolChoice::None)) {
        // Converse has no words for these; Claude's own are.
        let (kind, name) = match choice {
            None | Some(ToolChoice::Auto) => ("auto", None),
            Some(ToolChoice::None) => ("none", None),
            Some(ToolChoice::Required) => ("any", None),
            Some(ToolChoice::Named(name)) => ("tool", Some(legal(name))),
        };
        let mut json = Vec::new();
        object(&mut json, |o| {
            o.str("type", kind);
            o.opt_str("name", name.as_deref());
            if single && kind != "none" {
                o.val("disable_parallel_tool_use", true);
            }
        });
        fields.put("tool_choice", String::from_utf8(json).unwrap_or_default());
        return;
    }
    if single {
        notes.push(Note::parameter("parallel_tool_calls", format!("{id} cannot be told to call one tool at a time"), "parallel_tool_calls was left out"));
    }
    out.choice = match choice {
        None => None,
        Some(ToolChoice::Auto) => Some(r#"{"auto":{}}"#.to_owned()),
        Some(ToolChoice::Required) => Some(r#"{"any":{}}"#.to_owned()),
        Some(ToolChoice::Named(name)) => Some(format!(r#"{{"tool":{{"name":"{}"}}}}"#, legal(name))),
        Some(ToolChoice::None) => {
            if !request.tools.is_empty() {
                notes.push(Note::parameter(
                    "tool_choice",
                    format!("{id} cannot be told to call no tool while its history holds calls"),
                    "tool_choice was left out",
                ));
            }
            None
        }
    };
}

fn spec(name: &str, description: Option<&str>, parameters: Option<&Json>, strict: Option<bool>, cache: CacheMark) -> Block {
    let schema = parameters.map_or(r#"{"type":"object","properties":{}}"#, Json::as_str);
    Block::new(Kind::Other, name.len() + description.map_or(0, str::len) + schema.len(), cache, |o| {
        o.obj("toolSpec", |t| {
            t.str("name", &legal(name));
            t.opt_str("description", description.filter(|text| !text.is_empty()));
            t.obj("inputSchema", |s| s.raw("json", schema));
            t.opt("strict", strict.filter(|strict| *strict));
        });
    })
}

/// The tools that the history calls, once each.
fn recalled(request: &ChatRequest) -> Vec<Block> {
    let mut names: Vec<&str> = Vec::new();
    for part in request.messages.iter().flat_map(|m| &m.parts) {
        if let headworks_core::PartKind::ToolCall { name, .. } = &part.kind
            && !names.contains(&name.as_str())
        {
            names.push(name);
        }
    }
    if names.is_empty() {
        names.push("tool");
    }
    names.into_iter().map(|name| spec(name, None, None, None, CacheMark::None)).collect()
}

/// The `type` of a definition.
fn kind(json: &Json) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Typed {
        r#type: String,
    }
    json.read::<Typed>().ok().map(|typed| typed.r#type)
}

/// The beta that a tool of Anthropic's belongs to: `computer_20250124` is `computer-use-2025-01-24`.
fn beta(kind: &str) -> Option<String> {
    if kind.starts_with("memory_") {
        return Some("context-management-2025-06-27".to_owned());
    }
    let date = kind.strip_prefix("computer_").filter(|date| date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit()))?;
    Some(format!("computer-use-{}-{}-{}", date.get(..4)?, date.get(4..6)?, date.get(6..)?))
}
