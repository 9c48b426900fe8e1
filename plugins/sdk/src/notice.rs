//! Messages to the people who look after an object.

use alloc::string::String;

use crate::{Notice, Severity};

impl Notice {
    /// For information. The reason is one word in CamelCase.
    pub fn normal(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Normal, reason, message)
    }

    /// Somebody should look at it. The reason is one word in CamelCase.
    pub fn warning(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, reason, message)
    }

    fn new(severity: Severity, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity, reason: reason.into(), message: message.into() }
    }
}
