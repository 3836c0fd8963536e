//! `thinkingConfig`: words for newer models, tokens for older ones.

use headworks_core::{Capability, ChatRequest, Effort, ModelId, Target};

use super::signature::generation;
use crate::{Note, spell::Object};

/// Gemini's own levels, in order ("Thinking levels").
const LEVELS: [Effort; 4] = [Effort::Minimal, Effort::Low, Effort::Medium, Effort::High];

/// How the model is told to think.
enum Told {
    Level(Effort),
    /// Tokens; 0: not at all; -1: as it sees fit.
    Budget(i64),
    Nothing,
}

/// Writes `thinkingConfig` where the request asks for something.
pub(super) fn config(g: &mut Object<'_>, target: &Target, request: &ChatRequest, notes: &mut Vec<Note>) {
    let reasoning = &request.reasoning;
    let asked = reasoning.effort.is_some() || reasoning.budget_tokens.is_some();
    if !asked && reasoning.include.is_none() {
        return;
    }
    let id = &target.id;
    let off = reasoning.effort == Some(Effort::None) || reasoning.budget_tokens == Some(0);
    if target.model.as_ref().is_some_and(|m| m.capabilities.reasoning == Capability::No) {
        // The field alone is an error where a model cannot think.
        if asked && !off {
            notes.push(Note::parameter("reasoning", format!("{id} does not think"), "what was said about reasoning was left out"));
        }
        return;
    }
    let told = told(target, request, notes);
    g.obj("thinkingConfig", |t| {
        t.val("includeThoughts", reasoning.include.unwrap_or(!off));
        match told {
            Told::Level(level) => t.str("thinkingLevel", word(level)),
            Told::Budget(tokens) => t.val("thinkingBudget", tokens),
            Told::Nothing => {}
        }
    });
}

fn told(target: &Target, request: &ChatRequest, notes: &mut Vec<Note>) -> Told {
    let id = &target.id;
    let reasoning = &request.reasoning;
    let range = target.model.as_ref().map(|m| &m.reasoning);
    let words: &[Effort] = match range {
        Some(range) if !range.efforts.is_empty() => &range.efforts,
        // Nobody says: by the family. Low and high are what all of Gemini 3 takes.
        _ if range.is_none_or(|r| r.budget.is_none()) && generation(target).is_some_and(|n| n >= 3) => &[Effort::Low, Effort::High],
        _ => &[],
    };
    let bounds = range.and_then(|r| r.budget);
    let toggle = range.is_none_or(|r| r.toggle);
    match (reasoning.budget_tokens, reasoning.effort) {
        (Some(budget), _) if words.is_empty() || bounds.is_some() => Told::Budget(within(budget, bounds, toggle, id, notes)),
        (Some(budget), _) => level(word_of(budget), words, id, notes),
        (None, Some(effort)) if !words.is_empty() => level(effort, words, id, notes),
        (None, Some(effort)) => Told::Budget(within(budget_of(effort, bounds), bounds, toggle, id, &mut Vec::new())),
        (None, None) => Told::Nothing,
    }
}

/// The nearest level that the model takes.
fn level(wanted: Effort, words: &[Effort], id: &ModelId, notes: &mut Vec<Note>) -> Told {
    let place = |effort: Effort| LEVELS.iter().position(|l| *l >= effort).unwrap_or(LEVELS.len() - 1);
    let at = place(wanted);
    let taken = LEVELS.iter().copied().filter(|l| words.contains(l)).min_by_key(|l| (place(*l).abs_diff(at), std::cmp::Reverse(place(*l))));
    match taken {
        Some(level) => {
            if wanted == Effort::None {
                notes.push(Note::parameter("reasoning", format!("{id} always thinks"), &format!("reasoning was set to {}", word(level))));
            } else if level != wanted {
                notes.push(Note::parameter("reasoning", format!("{id} has no reasoning effort {}", word(wanted)), &format!("{} was sent", word(level))));
            }
            Told::Level(level)
        }
        None => Told::Nothing,
    }
}

const fn word(effort: Effort) -> &'static str {
    match effort {
        Effort::None => "none",
        Effort::Minimal => "minimal",
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::XHigh => "xhigh",
        Effort::Max => "max",
    }
}

/// The nearest word for a budget of tokens.
const fn word_of(budget: i64) -> Effort {
    match budget {
        0 => Effort::None,
        1..=1024 => Effort::Low,
        1025..=12_288 => Effort::Medium,
        _ => Effort::High,
    }
}

/// Tokens for a word, where models take tokens: what Google's own OpenAI face maps them to.
fn budget_of(effort: Effort, bounds: Option<(i64, i64)>) -> i64 {
    match effort {
        Effort::None => 0,
        Effort::Minimal | Effort::Low => 1024,
        Effort::Medium => 8192,
        Effort::High => 24_576,
        Effort::XHigh | Effort::Max => bounds.map(|(_, most)| most).filter(|most| *most > 0).unwrap_or(24_576),
    }
}

fn within(budget: i64, bounds: Option<(i64, i64)>, toggle: bool, id: &ModelId, notes: &mut Vec<Note>) -> i64 {
    let (least, most) = bounds.unwrap_or((0, 0));
    let fits = match budget {
        i64::MIN..0 => -1,
        // 2.5 Flash Lite takes 0 or at least 512; 2.5 Pro cannot be turned off.
        0 if toggle => 0,
        tokens if most > 0 => tokens.clamp(least.min(most), most),
        tokens => tokens.max(least),
    };
    if budget >= 0 && fits != budget {
        notes.push(Note::parameter("reasoning", format!("{id} thinks with {least} to {most} tokens"), &format!("{fits} was sent for {budget}")));
    }
    fits
}
