//! Vectors on the wire, form by form. A dialect names the form that its hosts speak.

pub(crate) mod bedrock;
pub(crate) mod cohere;
mod door;
pub(crate) mod gemini;
pub(crate) mod openai;
mod purpose;
#[cfg(test)]
mod tests;
pub mod vector;
pub(crate) mod vertex;
mod voyage;
mod whole;

pub use door::EmbedDoor;
use headworks_core::{EmbedInput, EmbedRequest, Fault, Target};
pub(crate) use purpose::Purpose;
pub use voyage::Voyage;
pub(crate) use whole::{Answer, Whole};

use crate::{Note, dialect::missing};

/// The target has no way to say something that cannot be left out.
fn lacks(target: &Target, what: &str) -> Fault {
    missing(target, "input", what)
}

/// The inputs as texts, for hosts that take no tokens.
fn texts<'a>(target: &Target, request: &'a EmbedRequest) -> Result<Vec<&'a str>, Fault> {
    let text = |input: &'a EmbedInput| match input {
        EmbedInput::Text(text) => Ok(text.as_str()),
        EmbedInput::Tokens(_) => Err(lacks(target, "input holds tokens, and this model takes text only; send the texts themselves")),
    };
    request.inputs.iter().map(text).collect()
}

/// What is left out of every host that has no word for it.
fn left_out(target: &Target, request: &EmbedRequest, names: &[(&str, bool)], notes: &mut Vec<Note>) {
    for (name, set) in names {
        if *set {
            notes.push(Note::not_taken(target, name));
        }
    }
    for name in request.extra.keys() {
        notes.push(Note::unknown(target, name));
    }
}
