//! The guard against loops: a plugin whose own writes call it again and again.
//!
//! Counted are calls that wrote something and were made for a change of a child, or for a change of the object that the
//! plugin's own patch made. A change by somebody else begins the count anew. What a plugin asks for itself by an interval is no loop,
//! nor are calls that write nothing: a rollout makes dozens of them.

use std::{collections::HashMap, hash::Hash, time::Duration};

use operon_core::{cause::Cause, digest::Digest};
use tokio::time::Instant;

/// Calls within the window that are no loop yet.
pub const CALLS: u32 = 20;
/// How long a call counts.
const WINDOW: Duration = Duration::from_mins(5);

/// The counts of one plugin's objects.
pub struct Guard<K> {
    windows: HashMap<K, Window>,
}

impl<K> Default for Guard<K> {
    fn default() -> Self {
        Self { windows: HashMap::new() }
    }
}

/// What is counted of an object.
struct Window {
    since: Instant,
    calls: u32,
    /// The essence that the plugin's own patch gave the object.
    left: Option<Digest>,
}

/// A call that has ended well.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// Why it was made.
    pub cause: Cause,
    /// What it was made for.
    pub essence: &'a Digest,
    /// It changed children.
    pub wrote: bool,
    /// The essence that it gave the object, where that is another.
    pub left: Option<Digest>,
}

impl<K: Hash + Eq + Clone> Guard<K> {
    /// Counts a call; where it is one too many, returns how many too many there have been before it.
    pub fn count(&mut self, key: &K, call: Call) -> Option<u32> {
        let now = Instant::now();
        let Call { cause, essence, wrote, left } = call;
        self.windows.retain(|_, window| now.duration_since(window.since) < WINDOW);
        let by_itself = |window: &Window| window.left.as_ref() == Some(essence);
        let own = cause == Cause::ChildChanged || self.windows.get(key).is_some_and(by_itself);
        if !own && cause != Cause::Requeued {
            self.windows.remove(key);
        }
        let counts = own && (wrote || left.is_some());
        if !counts && left.is_none() {
            return None;
        }
        let window = self.windows.entry(key.clone()).or_insert_with(|| Window { since: now, calls: 0, left: None });
        window.left = left;
        window.calls += u32::from(counts);
        window.calls.checked_sub(CALLS + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> Guard<&'static str> {
        Guard::default()
    }

    fn call(cause: Cause, essence: &Digest, wrote: bool) -> Call<'_> {
        Call { cause, essence, wrote, left: None }
    }

    #[tokio::test(start_paused = true)]
    async fn the_twenty_first_write_for_a_changed_child_is_one_too_many() {
        let (mut guard, essence) = (guard(), Digest::of("a"));
        let mut loops = || guard.count(&"obj", call(Cause::ChildChanged, &essence, true));
        let counts: Vec<_> = (0..23).map(|_| loops()).collect();
        assert_eq!(counts[..20], [None; 20]);
        assert_eq!(counts[20..], [Some(0), Some(1), Some(2)]);
        tokio::time::advance(WINDOW).await;
        assert_eq!(loops(), None, "a call counts for five minutes");
    }

    #[tokio::test(start_paused = true)]
    async fn what_writes_nothing_and_what_others_changed_is_no_loop() {
        let (mut guard, essence) = (guard(), Digest::of("a"));
        for _ in 0..50 {
            assert_eq!(guard.count(&"quiet", call(Cause::ChildChanged, &essence, false)), None);
            assert_eq!(guard.count(&"timer", call(Cause::Requeued, &essence, true)), None);
        }
        assert!(guard.windows.is_empty(), "what is not counted is not kept");
        for round in 0..50 {
            let cause = if round % 20 == 19 { Cause::Updated } else { Cause::ChildChanged };
            assert_eq!(guard.count(&"edited", call(cause, &essence, true)), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_plugin_that_patches_its_own_object_again_and_again_loops() {
        let mut guard = guard();
        let essence = |round: u32| Digest::of(round.to_string());
        let mut patch = |round| {
            let now = essence(round);
            guard.count(&"obj", Call { left: Some(essence(round + 1)), ..call(Cause::Updated, &now, false) })
        };
        let counts: Vec<_> = (0..22).map(&mut patch).collect();
        assert_eq!(counts[..21], [None; 21], "the first was made for somebody else's change");
        assert_eq!(counts[21], Some(0));
        assert_eq!(patch(100), None, "somebody else has changed it");
    }
}
