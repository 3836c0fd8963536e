//! The calls of an answer, as a decoder counts them.

use headworks_core::Str;

/// The ids of an answer's calls: each its own (F6), also where a host gives none, or one twice.
#[derive(Default)]
pub(crate) struct Ids(Vec<Str>);

impl Ids {
    /// The index of the next call, and its id: the host's, or one made of `stem`.
    pub(crate) fn next(&mut self, told: Option<Str>, stem: &str) -> (u32, Str) {
        let at = self.0.len();
        let mut id = told.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("{stem}_{at}").into());
        while self.0.contains(&id) {
            id = format!("{id}_{at}").into();
        }
        // Copied: a piece of a read would keep all of it in memory for as long as the answer lasts.
        self.0.push(Str::from(&*id));
        (u32::try_from(at).unwrap_or(u32::MAX), id)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

/// Whether pieces make one whole JSON object so far. Nothing else is read of them.
#[derive(Default)]
pub(crate) struct Whole {
    depth: u32,
    begun: bool,
    text: bool,
    escape: bool,
}

impl Whole {
    /// Reads the next piece.
    pub(crate) fn read(&mut self, piece: &str) {
        let mut rest = piece.as_bytes();
        while let Some((byte, after)) = rest.split_first() {
            rest = after;
            match byte {
                _ if self.escape => self.escape = false,
                b'"' => self.text = !self.text,
                b'\\' if self.text => self.escape = true,
                _ if self.text => rest = memchr::memchr2(b'"', b'\\', rest).and_then(|at| rest.get(at..)).unwrap_or_default(),
                b'{' | b'[' => {
                    self.begun = true;
                    self.depth = self.depth.saturating_add(1);
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    /// True once nothing is open that began.
    pub(crate) fn is_whole(&self) -> bool {
        self.begun && self.depth == 0 && !self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f6_every_call_has_an_id_of_its_own() {
        let mut ids = Ids::default();
        let got: Vec<_> = [Some("a"), None, Some("a"), Some(""), Some("call_1")].map(|id| ids.next(id.map(Str::from), "call")).into();
        let named: Vec<_> = got.iter().map(|(at, id)| (*at, id.as_str())).collect();
        assert_eq!(named, [(0, "a"), (1, "call_1"), (2, "a_2"), (3, "call_3"), (4, "call_1_4")]);
        assert_eq!(ids.count(), 5);
    }

    #[test]
    fn an_object_is_whole_when_all_of_it_is_there_however_it_is_cut() {
        for (text, wanted) in [(r#"{"a":"}\"{é","b":[{}]}"#, true), (r#" {} "#, true), ("", false), (r#"{"a":{}"#, false), (r#"{"a":"}"#, false), ("7", false)]
        {
            for size in 1..=text.len().max(1) {
                let mut whole = Whole::default();
                let pieces: Vec<char> = text.chars().collect();
                pieces.chunks(size).for_each(|piece| whole.read(&piece.iter().collect::<String>()));
                assert_eq!(whole.is_whole(), wanted, "{text} in pieces of {size}");
            }
        }
    }
}
