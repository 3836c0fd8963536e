//! Joins the text of a target to that of the one before, without repeating or losing a word.

use super::Form;

/// How far back a repetition is looked for, bytes.
const REACH: usize = 400;

/// What is known of a text in two halves: the first, and as much of the second as it takes to see where it joins.
#[derive(Clone, Debug)]
pub struct Seam {
    form: Form,
    /// White space at the end of the first half, which the target was not shown.
    lead: String,
    /// What the second half may repeat, longest first: each an end of the first half that begins with a word.
    ends: Vec<String>,
    /// The first half ends in the middle of a word, or at the end of one without the space after it.
    open_word: bool,
    /// The second half so far, while its place is not known.
    heard: String,
    settled: bool,
}

impl Seam {
    /// After this text, a target was asked in this form.
    pub fn new(form: Form, said: &str) -> Self {
        let trimmed = said.trim_end();
        let lead = said.get(trimmed.len()..).unwrap_or_default().to_owned();
        let ends = if form == Form::Instruct { ends(trimmed) } else { Vec::new() };
        let open_word = lead.is_empty() && trimmed.ends_with(char::is_alphanumeric);
        Self { form, lead, ends, open_word, heard: String::new(), settled: form == Form::Anew }
    }

    /// More of the second half; returns what belongs after the first. Empty: not known yet.
    pub fn push(&mut self, piece: &str) -> String {
        if self.settled {
            return piece.to_owned();
        }
        self.heard.push_str(piece);
        self.settle(false)
    }

    /// The second half is over, or something other than text follows: returns what was held back.
    pub fn flush(&mut self) -> String {
        if self.settled { String::new() } else { self.settle(true) }
    }

    fn settle(&mut self, last: bool) -> String {
        match self.form {
            Form::Anew => {}
            Form::Prefill => {
                // The client has the white space already: whatever of it comes again is dropped.
                let same = self.heard.bytes().zip(self.lead.bytes()).take_while(|(a, b)| a == b).count();
                if !last && same == self.heard.len() && same < self.lead.len() {
                    return String::new();
                }
                self.settled = true;
                return self.heard.split_off(same);
            }
            Form::Instruct => {
                let start = self.heard.len() - self.heard.trim_start().len();
                let said = self.heard.get(start..).unwrap_or_default();
                let whole = self.ends.iter().find(|end| said.starts_with(end.as_str()));
                let longer = self.ends.iter().any(|end| whole.is_none_or(|whole| end.len() > whole.len()) && end.starts_with(said));
                if longer && !last {
                    return String::new();
                }
                if let Some(end) = whole {
                    // From here on it writes on as one that was shown the text: the white space may come again.
                    self.heard = said.get(end.len()..).unwrap_or_default().to_owned();
                    self.form = Form::Prefill;
                    return self.settle(last);
                }
                self.settled = true;
                // It did not repeat what it was told to: it goes on with a word of its own.
                if !self.lead.is_empty() {
                    return said.to_owned();
                }
                let glued = self.open_word && start == 0 && said.starts_with(char::is_alphanumeric);
                let heard = std::mem::take(&mut self.heard);
                return if glued { format!(" {heard}") } else { heard };
            }
        }
        self.settled = true;
        std::mem::take(&mut self.heard)
    }
}

/// The ends of a text that begin with a word, longest first, and the whole of it, should the target start over.
fn ends(text: &str) -> Vec<String> {
    let from = text.len().saturating_sub(REACH);
    let mut ends: Vec<String> = Vec::new();
    if from > 0 {
        ends.push(text.to_owned());
    }
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        if at >= from && !c.is_whitespace() && (before.is_whitespace() || !before.is_alphanumeric() && c.is_alphanumeric()) {
            ends.extend(text.get(at..).map(str::to_owned));
        }
        before = c;
    }
    ends
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    /// Both halves joined, the second cut at every place.
    fn joined(form: Form, first: &str, second: &str) -> String {
        let whole = |cuts: &[usize]| {
            let mut seam = Seam::new(form, first);
            let mut out = first.to_owned();
            let mut from = 0;
            for at in cuts.iter().copied().chain([second.len()]) {
                out.push_str(&seam.push(&second[from..at]));
                from = at;
            }
            out.push_str(&seam.flush());
            out
        };
        let once = whole(&[]);
        for at in (0..second.len()).filter(|at| second.is_char_boundary(*at)) {
            assert_eq!(whole(&[at]), once, "{second:?} cut at {at}");
        }
        let all: Vec<usize> = (0..second.len()).filter(|at| second.is_char_boundary(*at)).collect();
        assert_eq!(whole(&all), once, "{second:?} in single characters");
        once
    }

    #[test]
    fn told_to_go_on() {
        let fox = "The quick brown fox jumps.";
        for (first, second) in [
            // It repeats the last words, as it was told.
            ("The quick brown fo", "quick brown fox jumps."),
            ("The quick brown", "The quick brown fox jumps."),
            ("The quick brown ", "quick brown fox jumps."),
            // It starts over.
            ("The quick brown fo", "The quick brown fox jumps."),
            // The last word alone, or only the half of it.
            ("The quick brown fo", "fox jumps."),
            ("The quick brown fo", " fox jumps."),
            // Nothing is repeated.
            ("The quick brown", " fox jumps."),
            ("The quick brown ", "fox jumps."),
            ("The quick brown", "fox jumps."),
            ("The quick brown ", " fox jumps."),
        ] {
            assert_eq!(joined(Form::Instruct, first, second), fox, "{first:?} + {second:?}");
        }
        // A repetition that is longer than what is left is no repetition.
        assert_eq!(joined(Form::Instruct, "a b", "c"), "a b c");
        assert_eq!(joined(Form::Instruct, "Say (yes", "(yes) or no"), "Say (yes) or no");
        assert_eq!(joined(Form::Instruct, "1. One\n2. Tw", "2. Two\n3. Three"), "1. One\n2. Two\n3. Three");
        assert_eq!(joined(Form::Instruct, "Grüße an", "Grüße an alle"), "Grüße an alle");
        assert_eq!(joined(Form::Instruct, "end", ""), "end");
        let long = "word ".repeat(500);
        assert_eq!(joined(Form::Instruct, &long, &format!("{long}more")), format!("{long}more"));
    }

    #[test]
    fn written_on_from_the_last_message() {
        for (first, second, whole) in [
            ("The quick", " brown", "The quick brown"),
            ("The qui", "ck brown", "The quick brown"),
            // The space at the end was not shown to it.
            ("The quick ", " brown", "The quick brown"),
            ("The quick ", "brown", "The quick brown"),
            ("One.\n\n", "\n\nTwo.", "One.\n\nTwo."),
            ("One.\n", "\n\nTwo.", "One.\n\nTwo."),
            ("One. ", "\nTwo.", "One. \nTwo."),
            // It repeats what it likes: that is its text.
            ("ha ", "ha ha", "ha ha ha"),
        ] {
            assert_eq!(joined(Form::Prefill, first, second), whole, "{first:?} + {second:?}");
        }
        assert_eq!(joined(Form::Anew, "  ", "Hello"), "  Hello");
    }
}
