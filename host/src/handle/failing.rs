//! Which objects of a plugin fail, and which of them crash it.

use std::collections::HashMap;

use crate::{dispatch::Key, plugin::CallError};

/// Objects whose last event was not handled.
#[derive(Debug, Default)]
pub struct Failing {
    /// True: the call crashed or broke a limit.
    objects: HashMap<Key, bool>,
}

impl Failing {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.objects.len()
    }

    /// The last call for it crashed: if another version does so as well, the object is the reason.
    pub(super) fn crashed(&self, key: &Key) -> bool {
        self.objects.get(key).copied().unwrap_or_default()
    }

    /// Its plugin was called.
    pub(super) fn called(&mut self, key: &Key, error: Option<&CallError>) {
        let crashed = matches!(error, Some(CallError::Trap(_) | CallError::Limit(_)));
        match self.objects.get_mut(key) {
            Some(known) => *known = crashed,
            None if crashed => drop(self.objects.insert(key.clone(), true)),
            None => {}
        }
    }

    /// Its event was not handled.
    pub(super) fn failed(&mut self, key: &Key) {
        self.objects.entry(key.clone()).or_default();
    }

    /// Its event was handled, or there is none.
    pub(super) fn mended(&mut self, key: &Key) {
        self.objects.remove(key);
    }
}
