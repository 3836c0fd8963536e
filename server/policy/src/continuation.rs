//! Going on where another target's answer broke off: what is asked of the next one, and how the pieces are joined.

mod seam;

use headworks_core::{ChatRequest, DialectName, Effort, Message, MessageRole, Output, Part, Target};

pub use seam::Seam;

/// How a target is asked to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Nothing was said yet: it is asked anew.
    Anew,
    /// The text so far stands at the end as its own last message, and it writes on.
    Prefill,
    /// It is shown the text so far and told to go on.
    Instruct,
}

/// Whether an answer to this request can be gone on with at all: one streamed answer of free text. An answer in JSON
/// cannot: no target goes on with half an object under a schema.
pub fn can_continue(request: &ChatRequest) -> bool {
    request.stream && request.sampling.n.unwrap_or(1) == 1 && request.output == Output::Text && request.sampling.logprobs != Some(true)
}

/// The form for a target after this text.
pub fn form(target: &Target, request: &ChatRequest, said: &str) -> Form {
    match said.trim().is_empty() {
        true => Form::Anew,
        false if takes_prefill(target, request) => Form::Prefill,
        false => Form::Instruct,
    }
}

/// Hosts that go on with an assistant's last message say so in their quirks. Claude did up to version 4.5, and not
/// while it thinks: <https://docs.claude.com/en/docs/about-claude/models/whats-new-claude-4-6>.
fn takes_prefill(target: &Target, request: &ChatRequest) -> bool {
    if target.host.quirks.prefill {
        return true;
    }
    let claude = matches!(target.dialect, Some(DialectName::Anthropic | DialectName::Bedrock | DialectName::Vertex));
    let thinks = request.reasoning.effort.is_some_and(|effort| effort != Effort::None) || request.reasoning.budget_tokens.is_some_and(|budget| budget != 0);
    claude && !thinks && claude_version(&target.upstream_name).is_some_and(|version| version <= (4, 5))
}

/// `claude-3-5-haiku-20241022` is 3.5, `claude-sonnet-4@20250514` is 4.0.
fn claude_version(name: &str) -> Option<(u32, u32)> {
    let (_, after) = name.split_once("claude")?;
    let mut numbers = after.split(|c: char| !c.is_ascii_alphanumeric()).skip_while(|word| word.parse::<u32>().is_err());
    // Dates are numbers too.
    let mut small = || numbers.next().and_then(|word| word.parse::<u32>().ok()).filter(|number| *number < 100);
    let major = small()?;
    Some((major, small().unwrap_or(0)))
}

/// How many characters of the end a target is told to begin with, at most.
const ANCHOR: usize = 60;

/// The request that makes a target go on after `said`, of which the client has every character.
pub fn ask(request: &ChatRequest, form: Form, said: &str, written: usize) -> ChatRequest {
    let mut next = request.clone();
    // The client's own bytes say nothing of what was answered since.
    next.original = None;
    if let Some(most) = &mut next.sampling.max_tokens {
        // Four bytes a token, as estimates are made everywhere; what is left may be little, but is never nothing.
        *most = most.saturating_sub(i64::try_from(written / 4).unwrap_or(i64::MAX)).max(1);
    }
    let mut say = |role, text: String| next.messages.push(Message { role, parts: vec![Part::text(text)], name: None, extra: vec![] });
    match form {
        Form::Anew => {}
        // No provider takes a last message that ends in white space.
        Form::Prefill => say(MessageRole::Assistant, said.trim_end().to_owned()),
        Form::Instruct => {
            say(MessageRole::Assistant, said.trim_end().to_owned());
            say(
                MessageRole::User,
                format!(
                    "Your last message was cut off by a technical fault. Write the rest of it, as if there had been no interruption. \
                     Begin by repeating its last words exactly:\n{}\nand go on from there in the same sentence, language and formatting. \
                     Repeat nothing else, and do not mention the interruption.",
                    anchor(said)
                ),
            );
        }
    }
    next
}

/// The last words of a text, from the beginning of a word.
fn anchor(said: &str) -> &str {
    let said = said.trim_end();
    let line = said.rsplit('\n').next().unwrap_or(said);
    let from = line.len().saturating_sub(ANCHOR);
    let starts = line.char_indices().filter(|(at, c)| *at >= from && c.is_whitespace()).map(|(at, c)| at + c.len_utf8());
    if from == 0 { line } else { starts.into_iter().next().and_then(|at| line.get(at..)).unwrap_or(line) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn claude_goes_on_up_to_version_4_5() {
        for (name, version) in [
            ("claude-3-haiku-20240307", Some((3, 0))),
            ("claude-3-5-sonnet-20241022", Some((3, 5))),
            ("claude-sonnet-4@20250514", Some((4, 0))),
            ("anthropic.claude-opus-4-1-20250805-v1:0", Some((4, 1))),
            ("claude-sonnet-4-5", Some((4, 5))),
            ("claude-opus-4-6", Some((4, 6))),
            ("us.anthropic.claude-opus-5-v1:0", Some((5, 0))),
            ("claude-mythos", None),
            ("gpt-4o", None),
        ] {
            assert_eq!(claude_version(name), version, "{name}");
        }
    }

    #[test]
    fn what_is_left_to_write_is_what_is_asked_for() {
        let request = ChatRequest { stream: true, ..ChatRequest::default() };
        let mut limited = request.clone();
        limited.sampling.max_tokens = Some(100);
        assert_eq!(ask(&limited, Form::Prefill, "Two words ", 40).sampling.max_tokens, Some(90));
        assert_eq!(ask(&limited, Form::Prefill, "Two words ", 4_000).sampling.max_tokens, Some(1));
        let prefilled = ask(&request, Form::Prefill, "Two words \n", 11);
        assert!(matches!(&prefilled.messages[..], [Message { role: MessageRole::Assistant, parts, .. }] if *parts == [Part::text("Two words")]));
        let told = ask(&request, Form::Instruct, "First line.\nThe quick brown fo", 30);
        assert!(matches!(&told.messages[..], [_, Message { role: MessageRole::User, parts, .. }] if format!("{parts:?}").contains("The quick brown fo")));
        assert!(ask(&request, Form::Anew, "", 0).messages.is_empty());
    }

    #[test]
    fn the_anchor_begins_with_a_word_and_keeps_to_the_last_line() {
        assert_eq!(anchor("one\ntwo three  "), "two three");
        let long = anchor("Grüße an alle, die diesen recht langen Satz bis zu seinem unerwarteten Ende lesen");
        assert!(long.len() <= ANCHOR && !long.starts_with(char::is_whitespace) && long.ends_with("Ende lesen"), "{long}");
        let word = "x".repeat(200);
        assert_eq!(anchor(&word), word);
    }

    #[test]
    fn only_one_streamed_answer_of_free_text_is_gone_on_with() {
        let plain = ChatRequest { stream: true, ..ChatRequest::default() };
        assert!(can_continue(&plain));
        let changed = |change: fn(&mut ChatRequest)| {
            let mut request = plain.clone();
            change(&mut request);
            can_continue(&request)
        };
        assert!(!changed(|r| r.stream = false));
        assert!(!changed(|r| r.sampling.n = Some(2)));
        assert!(!changed(|r| r.output = Output::Json));
        assert!(!changed(|r| r.sampling.logprobs = Some(true)));
    }
}
