/// The longest token, in bytes.
const LONGEST: usize = 16;

/// Cuts text into tokens: a word with the white space before it, cut after 16
/// bytes. Together they are the text again; there are never more than its bytes.
pub(super) fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (token, after) = rest.split_at_checked(first(rest))?;
        rest = after;
        (!token.is_empty()).then_some(token)
    })
}

/// Where the first token ends.
fn first(text: &str) -> usize {
    let mut in_word = false;
    for (at, char) in text.char_indices() {
        let space = char.is_whitespace();
        if (space && in_word) || at + char.len_utf8() > LONGEST {
            return at;
        }
        in_word = !space;
    }
    text.len()
}

/// How many tokens a text is.
pub(super) fn count(text: &str) -> u64 {
    split(text).count() as u64
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
            assert_eq!(split(text).collect::<Vec<_>>(), tokens, "{text:?}");
            assert_eq!(split(text).collect::<String>(), text);
        }
    }
}
