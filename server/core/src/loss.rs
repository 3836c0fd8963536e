use std::sync::Arc;

/// What becomes of a request where a target cannot express all of it. Tools, parts of messages and the schema of an
/// answer are never left out, whatever is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnLoss {
    /// Parameters and keywords of schemas are left out; the route notes it.
    Drop,
    /// The call is refused if a target of its plan would lose something.
    Refuse,
    /// The target is skipped.
    Skip,
}

impl OnLoss {
    /// Every one.
    pub const ALL: [OnLoss; 3] = [OnLoss::Drop, OnLoss::Refuse, OnLoss::Skip];

    /// The word for it, as clients write it.
    pub const fn name(self) -> &'static str {
        match self {
            OnLoss::Drop => "drop",
            OnLoss::Refuse => "refuse",
            OnLoss::Skip => "skip",
        }
    }

    /// The one with this word, in whatever case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name().eq_ignore_ascii_case(name))
    }
}

/// What kind of thing a target cannot express.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LossKind {
    /// A parameter, or its value as asked.
    Parameter,
    /// A keyword of a JSON Schema.
    SchemaKeyword,
    /// A part of a message.
    Part,
    /// A tool, or which of them must be called.
    Tool,
    /// The form of the answer.
    Output,
}

/// Something of a request that a target cannot express.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// What it is.
    pub kind: LossKind,
    /// The parameter by OpenAI's name, the keyword, or where the part stands: `messages[0].content[1]`.
    pub name: Arc<str>,
    /// What the target does not take, for people; names the target.
    pub message: Arc<str>,
    /// It cannot be left out without changing what is asked.
    pub essential: bool,
}
