/// The longest text made, in bytes.
const LONGEST: usize = 4_096;
/// The most atoms looked at: patterns come from callers, and repetitions inside repetitions multiply.
const STEPS: usize = 100_000;

/// A text that a regular expression matches, the `nth` of several where it leaves a choice.
/// Understands literals, `.`, classes, groups, alternatives, repetitions, `\d \w \s` and the
/// anchors at both ends; says what it does not.
pub(super) fn matching(pattern: &str, nth: usize) -> Result<String, String> {
    let chars: Vec<char> = pattern.chars().collect();
    let mut reader = Reader { chars: &chars, at: 0, nth, depth: 0, steps: STEPS };
    let made = reader.alternatives()?;
    match reader.peek() {
        None => Ok(made),
        Some(char) => Err(format!("\"{char}\" is out of place")),
    }
}

struct Reader<'a> {
    chars: &'a [char],
    at: usize,
    nth: usize,
    depth: usize,
    steps: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.at += 1;
        Some(char)
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    /// The first of several alternatives.
    fn alternatives(&mut self) -> Result<String, String> {
        self.depth += 1;
        if self.depth > 32 {
            return Err("too many groups inside each other".to_owned());
        }
        let first = self.sequence()?;
        while self.eat('|') {
            self.sequence()?;
        }
        self.depth -= 1;
        Ok(first)
    }

    fn sequence(&mut self) -> Result<String, String> {
        let mut made = String::new();
        while let Some(char) = self.peek() {
            if char == '|' || char == ')' {
                break;
            }
            let (start, nth) = (self.at, self.nth);
            let Some(atom) = self.atom()? else {
                // An anchor: right at the ends, where the text begins and ends anyway.
                let inner = match char {
                    '^' => !made.is_empty(),
                    _ => !matches!(self.peek(), None | Some('|' | ')')),
                };
                if inner {
                    return Err(format!("\"{char}\" in the middle is not understood by the sandbox"));
                }
                continue;
            };
            let count = self.repetition()?;
            if count.saturating_mul(atom.len()) > LONGEST {
                return Err("it asks for too long a text".to_owned());
            }
            let end = self.at;
            if count > 0 {
                made.push_str(&atom);
            } else {
                self.nth = nth;
            }
            // Each anew, so that the places of a repetition can differ.
            for _ in 1..count {
                self.at = start;
                if let Some(atom) = self.atom()? {
                    made.push_str(&atom);
                }
            }
            self.at = end;
            if made.len() > LONGEST {
                return Err("it asks for too long a text".to_owned());
            }
        }
        Ok(made)
    }

    /// A text for the next atom; `None` for an anchor.
    fn atom(&mut self) -> Result<Option<String>, String> {
        let one = |char: char| Ok(Some(char.to_string()));
        self.steps = self.steps.checked_sub(1).ok_or("it is too complicated")?;
        match self.next() {
            Some('^' | '$') => Ok(None),
            Some('.') => one('a'),
            Some('(') => {
                if self.eat('?') {
                    if self.eat('<') {
                        if matches!(self.peek(), Some('=' | '!')) {
                            return Err("looking behind is not understood by the sandbox".to_owned());
                        }
                        while self.next().is_some_and(|char| char != '>') {}
                    } else if !self.eat(':') {
                        return Err("this kind of group is not understood by the sandbox".to_owned());
                    }
                }
                let made = self.alternatives()?;
                if self.eat(')') { Ok(Some(made)) } else { Err("a group is not closed".to_owned()) }
            }
            Some('[') => self.class().map(Some),
            Some('\\') => match self.next() {
                Some(letter) => match set(letter) {
                    Some(set) => Ok(Some(self.pick(set))),
                    None => literal(letter).map(|char| Some(char.to_string())),
                },
                None => Err("it ends with a backslash".to_owned()),
            },
            Some(char @ ('*' | '+' | '?')) => Err(format!("\"{char}\" repeats nothing")),
            Some(char) => one(char),
            None => Ok(Some(String::new())),
        }
    }

    fn pick(&mut self, set: &str) -> String {
        let count = set.chars().count().max(1);
        let nth = self.nth % count;
        // The next place takes the next digit of the number, so to say.
        self.nth /= count;
        set.chars().nth(nth).map(String::from).unwrap_or_default()
    }

    fn class(&mut self) -> Result<String, String> {
        let negated = self.eat('^');
        let mut ranges: Vec<(char, char)> = Vec::new();
        let mut first = true;
        loop {
            let Some(char) = self.next() else {
                return Err("a class is not closed".to_owned());
            };
            if char == ']' && !first {
                break;
            }
            first = false;
            let low = match char {
                '\\' => match self.next() {
                    Some(letter) => match set(letter) {
                        Some(set) => {
                            ranges.extend(set.chars().map(|char| (char, char)));
                            continue;
                        }
                        None => literal(letter)?,
                    },
                    None => return Err("it ends with a backslash".to_owned()),
                },
                other => other,
            };
            let high = match (self.peek(), self.chars.get(self.at + 1)) {
                (Some('-'), Some(end)) if *end != ']' => {
                    self.at += 1;
                    match self.next() {
                        Some('\\') => self.next().map_or(Err("it ends with a backslash".to_owned()), literal)?,
                        Some(end) => end,
                        None => low,
                    }
                }
                _ => low,
            };
            if high < low {
                return Err(format!("the range {low}-{high} is empty"));
            }
            ranges.push((low, high));
        }
        let within = |char: char| ranges.iter().any(|(low, high)| (*low..=*high).contains(&char));
        let mut set: String = ('a'..='z')
            .chain('A'..='Z')
            .chain('0'..='9')
            .chain((' '..='~').filter(|char| !char.is_ascii_alphanumeric()))
            .filter(|char| within(*char) != negated)
            .collect();
        if set.is_empty() && !negated {
            set.extend(ranges.iter().map(|(low, _)| *low));
        }
        if set.is_empty() {
            return Err("a class leaves no common character".to_owned());
        }
        Ok(self.pick(&set))
    }

    /// How often the atom before is to stand: as seldom as allowed, but where nothing is needed, once.
    fn repetition(&mut self) -> Result<usize, String> {
        let count = match self.peek() {
            Some('*' | '+') => {
                self.at += 1;
                1
            }
            Some('?') => {
                self.at += 1;
                1
            }
            Some('{') => {
                self.at += 1;
                let mut inner = String::new();
                loop {
                    match self.next() {
                        Some('}') => break,
                        Some(char) => inner.push(char),
                        None => return Err("a repetition is not closed".to_owned()),
                    }
                }
                let (least, most) = inner.split_once(',').unwrap_or((&inner, &inner));
                let most: usize = if most.is_empty() { LONGEST } else { most.parse().map_err(|_| format!("{{{inner}}} is not a repetition"))? };
                let least: usize = least.parse().map_err(|_| format!("{{{inner}}} is not a repetition"))?;
                least.max(usize::from(most > 0))
            }
            _ => return Ok(1),
        };
        // Lazy or possessive: the same texts.
        if !self.eat('?') {
            self.eat('+');
        }
        Ok(count)
    }
}

fn set(letter: char) -> Option<&'static str> {
    match letter {
        'd' => Some("0123456789"),
        'w' => Some("abcdefghijklmnopqrstuvwxyz0123456789_"),
        's' => Some(" "),
        'D' => Some("abcdefghijklmnopqrstuvwxyz"),
        'S' => Some("abcdefghijklmnopqrstuvwxyz0123456789"),
        'W' => Some("-.,"),
        _ => None,
    }
}

fn literal(letter: char) -> Result<char, String> {
    match letter {
        'n' => Ok('\n'),
        't' => Ok('\t'),
        'r' => Ok('\r'),
        letter if letter.is_ascii_alphanumeric() => Err(format!("\\{letter} is not understood by the sandbox")),
        other => Ok(other),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn texts_match_their_patterns() {
        for (pattern, nth, made) in [
            ("^abc$", 0, "abc"),
            ("^[A-Z]{3}-\\d{4}$", 0, "AAA-0000"),
            ("^[A-Z]{3}-\\d{4}$", 27, "BBA-0000"),
            ("(foo|bar)+x?", 0, "foox"),
            ("^(?:a|b)[^0-9]\\.$", 0, "aa."),
            ("[\\w.-]+@[\\w-]+\\.com", 1, "b@a.com"),
            ("^\\+?[1-9]\\d{1,14}$", 0, "+10"),
            ("a{0}b{0,2}", 0, "b"),
            ("[]x-]", 0, "x"),
            ("(?<year>\\d{4})", 0, "0000"),
        ] {
            assert_eq!(matching(pattern, nth).unwrap(), made, "{pattern}");
        }
        for pattern in [
            "(?=a)b",
            "a\\b",
            "(",
            "[a",
            "a{",
            "*",
            "a)",
            "a$b",
            "\\",
            "(((a{4000}){4000}){4000})",
            "[b-a]",
            "(a|(a|(a|b){4000}){4000}){4000}",
            "((((){4000}){4000}){4000})",
        ] {
            assert!(matching(pattern, 0).is_err(), "{pattern}");
        }
        assert!(matching(&"(".repeat(100_000), 0).is_err());
    }
}
