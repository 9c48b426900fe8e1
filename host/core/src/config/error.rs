//! What is wrong with a config file, and where: one line for each mistake.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// A place in a text, as editors count: from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
}

/// The way to a field from the top of the file; prints as `plugins[0].watch[1].resource`.
///
/// Each step borrows the one before, so that walking down costs nothing.
#[derive(Clone, Copy, Debug)]
pub(super) enum FieldPath<'a> {
    Top,
    Field(&'a FieldPath<'a>, &'a str),
    Item(&'a FieldPath<'a>, usize),
}

impl<'a> FieldPath<'a> {
    pub(super) fn field(&'a self, name: &'a str) -> Self {
        Self::Field(self, name)
    }

    pub(super) fn item(&'a self, index: usize) -> Self {
        Self::Item(self, index)
    }
}

impl fmt::Display for FieldPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top => Ok(()),
            Self::Field(Self::Top, name) => write!(f, "{}", name.escape_debug()),
            Self::Field(parent, name) => write!(f, "{parent}.{}", name.escape_debug()),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// One mistake, without the name of the file.
#[derive(Debug)]
pub(super) struct Mistake {
    pub(super) position: Option<Position>,
    pub(super) path: String,
    pub(super) reason: String,
}

/// One mistake in a config file; prints as `operon.yaml:7:15: plugins[0].watch[0].resource: found ..., expected ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The config file.
    pub file: PathBuf,
    /// Where in it; none where the file as a whole is at fault.
    pub position: Option<Position>,
    /// The field; empty at the top of the file.
    pub path: String,
    /// What was found, and what is allowed.
    pub reason: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(Position { line, column }) = self.position {
            write!(f, "{line}:{column}:")?;
        }
        if !self.path.is_empty() {
            write!(f, " {}:", self.path)?;
        }
        write!(f, " {}", self.reason)
    }
}

impl std::error::Error for ConfigError {}

/// All mistakes that were found in a config file, at least one, in the order of the file; prints one a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    pub(super) fn new(file: &Path, mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort_by_key(|mistake| mistake.position.map(|at| (at.line, at.column)));
        let errors = mistakes.into_iter().map(|mistake| ConfigError {
            file: file.to_owned(),
            position: mistake.position,
            path: mistake.path,
            reason: mistake.reason,
        });
        Self(errors.collect())
    }

    /// The mistakes, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
