//! Conditions on a request.

use std::{fmt, sync::Arc};

use headworks_core::{Window, matches_pattern};

use crate::{PolicyTarget, Size};

/// A branch of a conditional policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Branch {
    /// All must hold.
    pub conditions: Vec<Condition>,
    /// Where they do.
    pub target: PolicyTarget,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// What is looked at.
    pub test: Test,
    /// It holds where the test does not.
    pub negated: bool,
}

/// What a condition looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// Pattern of the model asked for.
    Model(Arc<str>),
    /// At least so many estimated tokens of input.
    MinInput(i64),
    /// At most so many estimated tokens of input.
    MaxInput(i64),
    /// It carries tools, or carries none.
    Tools(bool),
    /// It carries pictures, or carries none.
    Images(bool),
    /// It carries this tag.
    Tag(Arc<str>),
    /// It comes by the key with this id.
    Key(Arc<str>),
    /// Key or request ask for this region.
    Region(Arc<str>),
    /// It comes at this time.
    Time(Window),
}

/// What conditions look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    pub asked: &'a str,
    pub size: Size,
    pub tools: bool,
    pub images: bool,
    pub tags: &'a [Arc<str>],
    pub key_id: &'a str,
    pub regions: [&'a [Arc<str>]; 2],
    pub unix_seconds: i64,
}

impl Condition {
    pub(crate) fn holds(&self, facts: &Facts<'_>) -> bool {
        let holds = match &self.test {
            Test::Model(pattern) => matches_pattern(pattern, facts.asked),
            Test::MinInput(least) => facts.size.input >= *least,
            Test::MaxInput(most) => facts.size.input <= *most,
            Test::Tools(wanted) => facts.tools == *wanted,
            Test::Images(wanted) => facts.images == *wanted,
            Test::Tag(tag) => facts.tags.contains(tag),
            Test::Key(id) => **id == *facts.key_id,
            Test::Region(region) => facts.regions.iter().any(|list| list.contains(region)),
            Test::Time(window) => window.holds(facts.unix_seconds),
        };
        holds != self.negated
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negated {
            f.write_str("not: ")?;
        }
        match &self.test {
            Test::Model(pattern) => write!(f, "model asked for is {pattern}"),
            Test::MinInput(least) => write!(f, "input has at least {least} tokens"),
            Test::MaxInput(most) => write!(f, "input has at most {most} tokens"),
            Test::Tools(true) => f.write_str("has tools"),
            Test::Tools(false) => f.write_str("has no tools"),
            Test::Images(true) => f.write_str("has pictures"),
            Test::Images(false) => f.write_str("has no pictures"),
            Test::Tag(tag) => write!(f, "has the tag {tag}"),
            Test::Key(id) => write!(f, "comes by key {id}"),
            Test::Region(region) => write!(f, "asks for the region {region}"),
            Test::Time(w) => write!(f, "comes from {:02}:{:02} to {:02}:{:02} UTC", w.from / 60, w.from % 60, w.until / 60, w.until % 60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wednesday 7 January 2026, 00:00 UTC.
    const WEDNESDAY: i64 = 1_767_744_000;

    #[test]
    fn windows_by_table() {
        let at = |day: i64, hour: i64, minute: i64| WEDNESDAY + day * 86_400 + hour * 3600 + minute * 60;
        let office = Window { days: 0b001_1111, from: 9 * 60, until: 17 * 60 };
        let night = Window { days: 0b001_0000, from: 22 * 60, until: 6 * 60 }; // Friday night
        let whole = Window { days: 0b111_1111, from: 0, until: 1440 };
        for (window, moment, wanted) in [
            (office, at(0, 9, 0), true),
            (office, at(0, 8, 59), false),
            (office, at(0, 16, 59), true),
            (office, at(0, 17, 0), false),
            (office, at(3, 12, 0), false),
            (night, at(2, 22, 0), true),
            (night, at(3, 5, 59), true),
            (night, at(3, 6, 0), false),
            (night, at(3, 22, 0), false),
            (night, at(2, 5, 0), false),
            (whole, at(5, 23, 59), true),
            (whole, -1, true),
        ] {
            assert_eq!(window.holds(moment), wanted, "{window:?} {}", moment - WEDNESDAY);
        }
    }

    #[test]
    fn conditions_by_table() {
        let tags = ["batch".into()];
        let regions = ["eu".into()];
        let facts = Facts {
            asked: "openai/gpt-5",
            size: Size { input: 1000, output: 10 },
            tools: true,
            images: false,
            tags: &tags,
            key_id: "key_1",
            regions: [&[], &regions],
            unix_seconds: WEDNESDAY,
        };
        let window = |from, until| Test::Time(Window { days: 0b111_1111, from, until });
        for (test, wanted) in [
            (Test::Model("openai/*".into()), true),
            (Test::Model("anthropic/*".into()), false),
            (Test::MinInput(1000), true),
            (Test::MinInput(1001), false),
            (Test::MaxInput(1000), true),
            (Test::MaxInput(999), false),
            (Test::Tools(true), true),
            (Test::Tools(false), false),
            (Test::Images(true), false),
            (Test::Images(false), true),
            (Test::Tag("batch".into()), true),
            (Test::Tag("other".into()), false),
            (Test::Key("key_1".into()), true),
            (Test::Key("key_2".into()), false),
            (Test::Region("eu".into()), true),
            (Test::Region("us".into()), false),
            (window(0, 1), true),
            (window(1, 2), false),
        ] {
            let condition = Condition { test, negated: false };
            assert_eq!(condition.holds(&facts), wanted, "{condition}");
            assert_eq!(Condition { negated: true, ..condition.clone() }.holds(&facts), !wanted, "not {condition}");
        }
    }
}
