//! Writes of ours that are under way, and the news that a watch brings of their objects meanwhile.
//!
//! A watch may show what a write made before the write is answered. Whether it was ours is known with the answer: until then
//! nobody is told.

use std::{collections::HashMap, sync::Arc};

use operon_core::object::{ObjectKey, ResourceVersion};

use super::{Change, Store};

/// A write that is under way; it ends with this value.
pub struct Flight {
    pub(super) store: Arc<Store>,
    pub(super) key: ObjectKey,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.store.landed(&self.key);
    }
}

/// All writes to the objects of a store that are under way.
#[derive(Default)]
pub(super) struct Flights(HashMap<ObjectKey, Held>);

/// What is held back of an object.
#[derive(Default)]
struct Held {
    writes: usize,
    news: Vec<(Mark, Change)>,
}

/// What tells one piece of news from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// This version was shown.
    Shown(ResourceVersion),
    /// The object of this uid is gone.
    Gone(Box<str>),
}

impl Flights {
    /// A write begins.
    pub(super) fn begin(&mut self, key: &ObjectKey) {
        self.0.entry(key.clone()).or_default().writes += 1;
    }

    /// Takes news that has to wait; returns what has not.
    pub(super) fn hold(&mut self, mark: Mark, change: Change) -> Option<Change> {
        let Some(held) = self.0.get_mut(&change.key) else { return Some(change) };
        held.news.push((mark, change));
        None
    }

    /// A write was answered: this news is of our own making.
    pub(super) fn is_ours(&mut self, key: &ObjectKey, mark: &Mark) {
        if let Some(held) = self.0.get_mut(key) {
            held.news.retain(|(known, _)| known != mark);
        }
    }

    /// A write ends; returns what is to be told now.
    pub(super) fn end(&mut self, key: &ObjectKey) -> Option<Change> {
        let held = self.0.get_mut(key)?;
        held.writes = held.writes.saturating_sub(1);
        if held.writes > 0 {
            return None;
        }
        // One change is as good as several: who is told looks at what is there now.
        self.0.remove(key)?.news.pop().map(|(_, change)| change)
    }
}
