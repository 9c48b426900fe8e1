//! Why a source has no component: each says what was found and what to do. They go on after "the plugin's source".

use operon_core::{
    digest::Digest,
    package::{HEAD_KEY, HeadError, PART_KEY, UnpackError},
};

/// Why a source has no component.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file that can't be read, or bytes that could not be unpacked for want of memory or threads.
    #[error("can't be read: {0}")]
    File(#[from] std::io::Error),
    /// A file above the limit.
    #[error("can't be taken: it has {size} bytes, and {limit} are the most that a component may have")]
    LargeFile {
        /// Of the file.
        size: u64,
        /// What is taken.
        limit: u64,
    },
    /// There is no such ConfigMap.
    #[error(
        "is not there; make it with: operon push FILE --to {namespace}/{name}, or: kubectl create configmap {name} --namespace {namespace} --from-file=plugin.wasm=FILE"
    )]
    NoConfigMap {
        /// Where it should be.
        namespace: String,
        /// What it should be called.
        name: String,
    },
    /// None of its keys can be the component, or several can.
    #[error("has no component: found the keys [{found}], expected {expected}")]
    NoKey {
        /// The keys that are there.
        found: String,
        /// What is looked for.
        expected: String,
    },
    /// A key or file whose bytes don't unpack.
    #[error("can't be taken: {what}: {error}")]
    Unpack {
        /// The key, or the file.
        what: String,
        /// Why not.
        error: UnpackError,
    },
    /// The head of a package is wrong.
    #[error("is a package with a wrong {HEAD_KEY}: {0}; push it again")]
    Head(HeadError),
    /// A part of a package can't be had.
    #[error("is a package that can't be run: {part}, {fault}")]
    Part {
        /// Which one.
        part: Box<PartName>,
        /// What is wrong.
        fault: PartFault,
    },
    /// All parts are there, but together they are not what the head says.
    #[error("is a package that can't be run: {error}; push it again")]
    Package {
        /// What the head says that it is.
        wanted: Digest,
        /// What is wrong.
        error: UnpackError,
    },
    /// The config asks for another one.
    #[error(
        "holds {found}, but the config has digest: {pinned} and nothing else is run; push that one, or change the config"
    )]
    Pinned {
        /// What is there.
        found: Digest,
        /// What the config says.
        pinned: Digest,
    },
}

/// A part, as a person finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartName {
    /// From 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
    /// Of its ConfigMap.
    pub name: String,
    /// Digest of the component that the head names.
    pub wanted: Digest,
}

/// What is wrong with a part.
#[derive(Debug, thiserror::Error)]
pub enum PartFault {
    /// There is no such ConfigMap.
    #[error("is not there: apply it, or push again; it is looked for again")]
    Missing,
    /// The API server does not give it.
    #[error("can't be read, which is tried again: {0}")]
    Unread(kube::Error),
    /// It holds no part.
    #[error("has no binaryData key `{PART_KEY}`: delete it and push again")]
    NoKey,
    /// It holds something else.
    #[error("has bytes with the digest {found}, where {HEAD_KEY} says {expected}: delete it and push again")]
    Wrong {
        /// Of what is there.
        found: Digest,
        /// What the head says.
        expected: Digest,
    },
}

impl std::fmt::Display for PartName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "part {} of {}, ConfigMap {}", self.number, self.of, self.name)
    }
}

impl SourceError {
    /// The component that the source wants to be run, where it says so.
    pub(super) fn wanted(&self) -> Option<&Digest> {
        match self {
            Self::Part { part, .. } => Some(&part.wanted),
            Self::Package { wanted, .. } => Some(wanted),
            Self::Pinned { found, .. } => Some(found),
            _ => None,
        }
    }
}
