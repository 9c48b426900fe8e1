//! Which version of a plugin runs, which would take its place again, and which are held.
//!
//! A new version is on trial as long as the former is kept: few calls at once, and if it crashes or breaks a limit, the former is
//! put back at once and the new one is held, that is, not run again. After enough good calls it stands by itself.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use crate::digest::Digest;

/// Good calls after which a version stands by itself.
pub const GOOD: u32 = 20;
/// Where there are few objects: after this time one good call is enough.
pub const LONG: Duration = Duration::from_mins(10);
/// Calls at once of a version on trial: as many as may fail before the former is back.
pub const CALLS: usize = 4;
/// Held versions that are remembered; the oldest go first.
const REMEMBERED: usize = 10;

/// Would a version that deletes so many of a plugin's children do more than anybody may want? More than a fifth, and at least 5.
pub fn is_too_much(pruned: usize, children: usize) -> bool {
    pruned >= 5 && pruned.saturating_mul(5) > children
}

/// How the versions of a plugin stand; `P` is one that can be called.
#[derive(Clone, Debug)]
pub struct Standing<P> {
    running: Option<Running<P>>,
    held: BTreeMap<Digest, Hold>,
    last_good: Option<Digest>,
    /// What the source holds, where that is known.
    pub wanted: Option<Digest>,
    /// Why what the source holds does not run.
    pub trouble: Option<Trouble>,
}

#[derive(Clone, Debug)]
struct Running<P> {
    digest: Digest,
    version: P,
    since: SystemTime,
    good: u32,
    /// What is put back where this one fails.
    former: Option<(Digest, P)>,
}

/// Why a version is not run, and since when.
#[derive(Clone, Debug, PartialEq)]
pub struct Hold {
    /// Why.
    pub why: Trouble,
    /// Since when.
    pub since: SystemTime,
}

/// One word for machines, the rest for persons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// As in a condition of Kubernetes.
    pub reason: String,
    /// What is wrong, and the way out.
    pub message: String,
}

/// What a crash means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The version goes on: it stands by itself, or there is no other.
    Stays,
    /// Its former is in its place.
    PutBack,
    /// It does not run any more.
    Over,
}

impl<P> Default for Standing<P> {
    fn default() -> Self {
        Self { running: None, held: BTreeMap::new(), last_good: None, wanted: None, trouble: None }
    }
}

impl<P: Clone> Standing<P> {
    /// As it was before a restart.
    pub fn restored(held: BTreeMap<Digest, Hold>, last_good: Option<Digest>) -> Self {
        Self { held, last_good, ..Self::default() }
    }

    /// The version that runs.
    pub fn running(&self) -> Option<&P> {
        self.running.as_ref().map(|running| &running.version)
    }

    /// Its digest.
    pub fn digest(&self) -> Option<&Digest> {
        self.running.as_ref().map(|running| &running.digest)
    }

    /// The former is kept, in case.
    pub fn on_trial(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.former.is_some())
    }

    /// The last version that has shown itself good.
    pub fn last_good(&self) -> Option<&Digest> {
        self.last_good.as_ref()
    }

    /// All that are held.
    pub fn held(&self) -> &BTreeMap<Digest, Hold> {
        &self.held
    }

    /// Puts a version in place, on trial where another ran. One that has shown itself good needs none.
    pub fn put(&mut self, digest: Digest, version: P, now: SystemTime) {
        let former = self.running.take().filter(|running| running.digest != digest);
        // A version on trial that is replaced has shown nothing yet: what it replaced is still the one to go back to.
        let former = former.map(|running| running.former.unwrap_or((running.digest, running.version)));
        let former = former.filter(|(former, _)| *former != digest && self.last_good.as_ref() != Some(&digest));
        self.running = Some(Running { digest, version, since: now, good: 0, former });
    }

    /// A call of this version ended well; true where that changes how it stands.
    pub fn succeeded(&mut self, digest: &Digest, now: SystemTime) -> bool {
        let Some(running) = self.running.as_mut().filter(|running| running.digest == *digest) else { return false };
        running.good = running.good.saturating_add(1);
        let long = now.duration_since(running.since).is_ok_and(|since| since >= LONG);
        if running.good < GOOD && !long || self.last_good.as_ref() == Some(digest) {
            return false;
        }
        running.former = None;
        self.last_good = Some(digest.clone());
        true
    }

    /// A call of this version crashed or broke a limit, and it was the version's fault.
    pub fn crashed(&mut self, digest: &Digest, now: SystemTime, message: impl FnOnce() -> String) -> Crash {
        let Some(running) = self.running.as_mut().filter(|running| running.digest == *digest) else {
            return if self.held.contains_key(digest) { Crash::Over } else { Crash::Stays };
        };
        let Some((former, version)) = running.former.take() else { return Crash::Stays };
        self.running = Some(Running { digest: former, version, since: now, good: 0, former: None });
        self.hold(digest.clone(), Trouble { reason: "Crashed".into(), message: message() }, now);
        Crash::PutBack
    }

    /// Holds a version that does not run. The one that does is then the one to go back to, also after a restart.
    pub fn hold(&mut self, digest: Digest, why: Trouble, now: SystemTime) {
        if let Some(running) = &self.running {
            self.last_good = Some(running.digest.clone());
        }
        if self.wanted.as_ref() == Some(&digest) {
            self.trouble = Some(why.clone());
        }
        self.held.insert(digest, Hold { why, since: now });
        while self.held.len() > REMEMBERED {
            let oldest = self.held.iter().min_by_key(|(_, hold)| hold.since).map(|(digest, _)| digest.clone());
            oldest.map(|digest| self.held.remove(&digest));
        }
    }

    /// A person lets it run.
    pub fn free(&mut self, digest: &Digest) {
        self.held.remove(digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn standing(running: &[&'static str]) -> Standing<&'static str> {
        let mut standing = Standing::default();
        for name in running {
            standing.put(Digest::of(name), *name, NOW);
            if *name != running[running.len() - 1] {
                succeed(&mut standing, name, GOOD);
            }
        }
        standing
    }

    fn succeed(standing: &mut Standing<&'static str>, name: &str, times: u32) {
        for _ in 0..times {
            standing.succeeded(&Digest::of(name), NOW);
        }
    }

    fn crash(standing: &mut Standing<&'static str>, name: &str) -> Crash {
        standing.crashed(&Digest::of(name), NOW, || format!("{name} crashed"))
    }

    #[test]
    fn the_first_version_is_on_no_trial_and_stays_though_it_crashes() {
        let mut standing = standing(&["a"]);
        assert!(!standing.on_trial());
        assert_eq!(crash(&mut standing, "a"), Crash::Stays);
        assert_eq!((standing.running(), standing.held().len()), (Some(&"a"), 0));
    }

    #[test]
    fn a_version_that_crashes_on_trial_is_held_and_the_former_put_back() {
        let mut standing = standing(&["a", "b"]);
        standing.wanted = Some(Digest::of("b"));
        succeed(&mut standing, "b", GOOD - 1);
        assert!(standing.on_trial());
        assert_eq!(crash(&mut standing, "b"), Crash::PutBack);
        assert_eq!((standing.running(), standing.on_trial()), (Some(&"a"), false));
        assert_eq!(crash(&mut standing, "b"), Crash::Over, "a call that was under way");
        let hold = &standing.held()[&Digest::of("b")];
        assert_eq!(hold.why, Trouble { reason: "Crashed".into(), message: "b crashed".into() });
        assert_eq!(standing.trouble.as_ref(), Some(&hold.why));
        assert_eq!(standing.last_good(), Some(&Digest::of("a")));
        standing.free(&Digest::of("b"));
        assert!(standing.held().is_empty());
    }

    #[test]
    fn after_enough_good_calls_a_version_stands_by_itself() {
        let mut standing = standing(&["a", "b"]);
        succeed(&mut standing, "b", GOOD - 1);
        assert_eq!(standing.last_good(), Some(&Digest::of("a")));
        assert!(standing.succeeded(&Digest::of("b"), NOW));
        assert!(!standing.succeeded(&Digest::of("b"), NOW), "that is no news any more");
        assert_eq!((standing.last_good(), standing.on_trial()), (Some(&Digest::of("b")), false));
        assert_eq!(crash(&mut standing, "b"), Crash::Stays);
        assert_eq!(standing.running(), Some(&"b"));
    }

    #[test]
    fn where_there_are_few_objects_one_good_call_after_a_long_time_is_enough() {
        let mut standing = standing(&["a", "b"]);
        assert!(!standing.succeeded(&Digest::of("b"), NOW + LONG - Duration::from_secs(1)));
        assert!(standing.succeeded(&Digest::of("b"), NOW + LONG));
        assert!(!standing.on_trial());
    }

    #[test]
    fn the_calls_of_a_former_version_count_for_nothing() {
        let mut standing = standing(&["a", "b"]);
        succeed(&mut standing, "a", GOOD);
        assert!(standing.on_trial());
        assert_eq!(crash(&mut standing, "a"), Crash::Stays);
        assert_eq!(standing.running(), Some(&"b"));
    }

    #[test]
    fn a_version_on_trial_that_is_replaced_is_not_what_is_put_back() {
        let mut standing = standing(&["a", "b"]);
        standing.put(Digest::of("c"), "c", NOW);
        assert_eq!(crash(&mut standing, "c"), Crash::PutBack);
        assert_eq!(standing.running(), Some(&"a"));
    }

    #[test]
    fn going_back_to_what_has_shown_itself_good_needs_no_trial() {
        let mut standing = standing(&["a", "b"]);
        standing.put(Digest::of("a"), "a", NOW);
        assert!(!standing.on_trial());
        standing.put(Digest::of("a"), "a again", NOW);
        assert_eq!((standing.running(), standing.on_trial()), (Some(&"a again"), false));
    }

    #[test]
    fn more_than_a_fifth_and_at_least_five_children_are_too_much() {
        assert!(!is_too_much(4, 4));
        assert!(is_too_much(5, 5));
        assert!(is_too_much(5, 24));
        assert!(!is_too_much(5, 25));
        assert!(is_too_much(21, 100));
    }

    #[test]
    fn the_oldest_holds_are_forgotten_first() {
        let why = || Trouble { reason: "Crashed".into(), message: String::new() };
        let first = Hold { why: why(), since: NOW };
        let held = BTreeMap::from([(Digest::of("first"), first)]);
        let mut standing = Standing::<()>::restored(held.clone(), Some(Digest::of("good")));
        assert_eq!(standing.held(), &held);
        assert_eq!(standing.last_good(), Some(&Digest::of("good")));
        for nth in 0..REMEMBERED {
            standing.hold(Digest::of(nth.to_string()), why(), NOW + Duration::from_secs(nth as u64 + 1));
        }
        assert_eq!(standing.held().len(), REMEMBERED);
        assert!(!standing.held().contains_key(&Digest::of("first")));
    }

    #[test]
    fn going_back_to_the_former_while_the_new_one_is_on_trial_needs_no_trial_either() {
        let mut standing = Standing::default();
        for name in ["a", "b"] {
            standing.put(Digest::of(name), name, NOW);
        }
        assert_eq!((standing.on_trial(), standing.digest()), (true, Some(&Digest::of("b"))));
        standing.put(Digest::of("a"), "a", NOW);
        assert_eq!((standing.on_trial(), standing.digest()), (false, Some(&Digest::of("a"))));
    }
}
