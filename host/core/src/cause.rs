//! Why a plugin is called.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a plugin is called for an object.
///
/// The order is the order in which waiting causes merge: of two, the smaller one is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The object is being deleted and waits for the host's finalizer.
    Deleted,
    /// The plugin has never handled the object.
    Created,
    /// The essence differs from the one that the plugin last handled.
    Updated,
    /// A child that the plugin made for the object changed.
    ChildChanged,
    /// The interval that the plugin asked for has passed.
    Requeued,
    /// The plugin or its settings differ from those that last handled the object.
    PluginChanged,
    /// The host has started.
    Resumed,
}

impl Cause {
    /// The name that the config file, the interface and the logs use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Created => "created",
            Self::Updated => "updated",
            Self::ChildChanged => "child-changed",
            Self::Requeued => "requeued",
            Self::PluginChanged => "plugin-changed",
            Self::Resumed => "resumed",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
