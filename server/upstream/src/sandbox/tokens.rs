/// The longest token, in bytes.
const LONGEST: usize = 16;

/// Cuts text into tokens: a word with the white space before it, cut after 16
/// bytes. Together they are the text again; there are never more than its bytes.
pub(super) fn split(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let (mut start, mut in_word) = (0, false);
    for (at, char) in text.char_indices() {
        let space = char.is_whitespace();
        if at > start && ((space && in_word) || at + char.len_utf8() - start > LONGEST) {
            tokens.extend(text.get(start..at));
            start = at;
        }
        in_word = !space;
    }
    tokens.extend(text.get(start..).filter(|rest| !rest.is_empty()));
    tokens
}

/// How many tokens a text is.
pub(super) fn count(text: &str) -> u64 {
    split(text).len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_into_words() {
        for (text, tokens) in [
            ("", vec![]),
            ("hello", vec!["hello"]),
            ("hello  big world\n", vec!["hello", "  big", " world", "\n"]),
            (" a", vec![" a"]),
            ("abcdefghijklmnopqrst", vec!["abcdefghijklmnop", "qrst"]),
            ("ééééééééé x", vec!["éééééééé", "é", " x"]),
        ] {
            assert_eq!(split(text), tokens, "{text:?}");
            assert_eq!(split(text).concat(), text);
        }
    }
}
