//! Where the versions of a plugin are put in place, for the lane that calls them and for those that tell how it stands.
//!
//! The rules are [`operon_core::standing`]'s. Calls that are under way end on the version that they began with; its memory goes
//! with the last of them.

use std::{sync::Arc, time::SystemTime};

use operon_core::{
    digest::Digest,
    standing::{Crash, Standing, Trouble},
};
use tokio::sync::watch;

use super::Plugin;

/// How the versions of a plugin stand; shared.
pub struct Slot(watch::Sender<Standing<Arc<Plugin>>>);

impl Slot {
    /// Nothing runs yet.
    pub fn new() -> Self {
        Self(watch::Sender::new(Standing::default()))
    }

    /// Hears of every change but of calls that change nothing.
    pub fn subscribe(&self) -> watch::Receiver<Standing<Arc<Plugin>>> {
        self.0.subscribe()
    }

    /// Looks at it as it is.
    pub fn with<T>(&self, look: impl FnOnce(&Standing<Arc<Plugin>>) -> T) -> T {
        look(&self.0.borrow())
    }

    /// Changes it.
    pub fn change(&self, change: impl FnOnce(&mut Standing<Arc<Plugin>>)) {
        self.0.send_modify(change);
    }

    /// Puts a version in place, at once.
    pub fn put(&self, plugin: Plugin) {
        self.change(|standing| {
            standing.trouble = None;
            standing.put(plugin.digest.clone(), Arc::new(plugin), SystemTime::now());
        });
    }

    /// What the source holds does not run.
    pub fn refuse(&self, why: Trouble) {
        self.change(|standing| standing.trouble = Some(why));
    }

    /// Holds a version that does not run.
    pub fn hold(&self, digest: Digest, why: Trouble) {
        self.change(|standing| standing.hold(digest, why, SystemTime::now()));
    }

    /// A call of this version ended well.
    pub fn succeeded(&self, digest: &Digest) {
        self.0.send_if_modified(|standing| standing.succeeded(digest, SystemTime::now()));
    }

    /// A call of this version crashed or broke a limit, and not because of its object.
    pub fn crashed(&self, digest: &Digest, message: impl FnOnce() -> String) -> Crash {
        let mut crash = Crash::Stays;
        self.0.send_if_modified(|standing| {
            crash = standing.crashed(digest, SystemTime::now(), message);
            crash == Crash::PutBack
        });
        crash
    }
}

impl Default for Slot {
    fn default() -> Self {
        Self::new()
    }
}
