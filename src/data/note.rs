//! What there is to say of how data was read.

use std::fmt;

/// A line for the user, and the option that says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What was done or guessed.
    pub text: String,
    /// The field of [`super::Options`] that overrules it, if one does.
    pub option: Option<&'static str>,
}

impl Note {
    /// A note on a guess that `option` overrules; no option where it is empty.
    pub(super) fn new(text: String, option: &'static str) -> Self {
        Self { text, option: Some(option).filter(|option| !option.is_empty()) }
    }

    /// Whether it says this.
    pub fn contains(&self, part: &str) -> bool {
        self.text.contains(part)
    }
}

/// A note on what nothing overrules.
impl From<String> for Note {
    fn from(text: String) -> Self {
        Self { text, option: None }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}
