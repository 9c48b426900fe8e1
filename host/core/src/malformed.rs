//! The error of every type that is read from a short text: names, resource names, quantities, selectors, pointers.

/// A text that is not of the form that its type asks for.
///
/// Prints as `found "samples", expected plural.version.group`; who reports it says where the text stood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("found {found:?}, expected {expected}")]
pub struct Malformed {
    found: String,
    expected: String,
}

impl Malformed {
    /// `expected` completes "expected ...", with an example where the form is not obvious.
    pub fn new(found: &str, expected: impl Into<String>) -> Self {
        Self { found: found.to_owned(), expected: expected.into() }
    }

    /// What the type asks for.
    pub fn expected(&self) -> &str {
        &self.expected
    }
}
