//! Which object is next: one entry an object, however often it changes; first come, first served; due times for retries.
//!
//! kube-runtime's `Scheduler` keeps what is due in a hash set and hands it out in the set's order, so an object can wait long behind
//! younger ones; here order is kept, and what a sweep over all objects asks for (a swapped plugin, a start) stands behind what
//! has changed.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    task::{Context, Poll},
    time::Duration,
};

use operon_core::decide::Hints;
use tokio_util::time::{DelayQueue, delay_queue};

/// Objects that wait, that run, and that are due later.
pub(super) struct Queue<K> {
    entries: HashMap<K, Entry>,
    changed: VecDeque<K>,
    swept: VecDeque<K>,
    later: DelayQueue<K>,
}

/// What is known of an object that waits or runs, or is due.
#[derive(Default)]
struct Entry {
    hints: Hints,
    /// Failed calls in a row.
    attempt: u32,
    state: State,
    timer: Option<Timer>,
}

#[derive(Default, PartialEq)]
enum State {
    #[default]
    Idle,
    Ready,
    Running,
    /// Something happened to it while it ran.
    RunningAgain,
}

struct Timer {
    key: delay_queue::Key,
    /// What is added to the hints when it fires.
    hints: Hints,
}

/// Whether a request comes of a change or of a sweep over all objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Somebody waits for it.
    Change,
    /// Nobody does.
    Sweep,
}

/// What becomes of an object that has run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Next {
    /// Nothing is due.
    Rest,
    /// The same again after a time: it failed.
    Retry(Duration),
    /// To be called again after a time.
    Requeue(Duration),
    /// There was nothing to do: what is due stays due.
    Keep,
}

impl<K: Hash + Eq + Clone> Queue<K> {
    /// Empty.
    pub(super) fn new() -> Self {
        Self { entries: HashMap::new(), changed: VecDeque::new(), swept: VecDeque::new(), later: DelayQueue::new() }
    }

    /// Asks for an object; `hints` are added to what is known of it.
    pub(super) fn push(&mut self, key: K, hints: Hints, urgency: Urgency) {
        let entry = self.entries.entry(key.clone()).or_default();
        entry.hints = entry.hints.and(hints);
        match entry.state {
            State::Idle => {
                entry.state = State::Ready;
                self.line(urgency).push_back(key);
            }
            State::Running => entry.state = State::RunningAgain,
            State::Ready | State::RunningAgain => {}
        }
    }

    /// Takes the next object, with its hints and the number of failed calls before. It runs until [`Queue::done`].
    pub(super) fn pop(&mut self) -> Option<(K, Hints, u32)> {
        let key = self.changed.pop_front().or_else(|| self.swept.pop_front())?;
        let entry = self.entries.get_mut(&key)?;
        entry.state = State::Running;
        Some((key, std::mem::take(&mut entry.hints), entry.attempt))
    }

    /// An object has run, with these hints.
    pub(super) fn done(&mut self, key: &K, ran_with: Hints, next: Next) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        if next != Next::Keep
            && let Some(timer) = entry.timer.take()
        {
            self.later.remove(&timer.key);
        }
        let mut timer = |after, hints| Some(Timer { key: self.later.insert(key.clone(), after), hints });
        match next {
            Next::Retry(after) => {
                entry.attempt = entry.attempt.saturating_add(1);
                // What it ran with is still to be done, whichever comes first: the retry, or a change.
                entry.hints = entry.hints.and(ran_with);
                entry.timer = timer(after, Hints::default());
            }
            Next::Requeue(after) => {
                entry.attempt = 0;
                entry.timer = timer(after, Hints { requeued: true, ..Hints::default() });
            }
            Next::Rest => entry.attempt = 0,
            Next::Keep => {}
        }
        match std::mem::take(&mut entry.state) {
            State::RunningAgain => self.push(key.clone(), Hints::default(), Urgency::Change),
            _ if entry.timer.is_none() => {
                self.entries.remove(key);
            }
            _ => {}
        }
    }

    /// Moves what is due to the waiting ones; ready when something was, pending until the next is due.
    pub(super) fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.later.poll_expired(cx) {
            Poll::Ready(Some(due)) => {
                let key = due.into_inner();
                let timer = self.entries.get_mut(&key).and_then(|entry| entry.timer.take());
                self.push(key, timer.map(|timer| timer.hints).unwrap_or_default(), Urgency::Change);
                Poll::Ready(())
            }
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    /// Has the object a due time?
    pub(super) fn has_timer(&self, key: &K) -> bool {
        self.entries.get(key).is_some_and(|entry| entry.timer.is_some())
    }

    fn line(&mut self, urgency: Urgency) -> &mut VecDeque<K> {
        match urgency {
            Urgency::Change => &mut self.changed,
            Urgency::Sweep => &mut self.swept,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::{Instant, timeout};

    use super::*;

    const NONE: Hints = Hints { child_changed: false, requeued: false, resumed: false };
    const CHILD: Hints = Hints { child_changed: true, ..NONE };
    const REQUEUED: Hints = Hints { requeued: true, ..NONE };

    fn queue(keys: &[&'static str]) -> Queue<&'static str> {
        let mut queue = Queue::new();
        for key in keys {
            queue.push(*key, NONE, Urgency::Change);
        }
        queue
    }

    async fn due(queue: &mut Queue<&'static str>) -> Duration {
        let start = Instant::now();
        poll_fn(|cx| queue.poll_due(cx)).await;
        start.elapsed()
    }

    #[tokio::test]
    async fn first_come_first_served_and_once_however_often_it_changed() {
        let mut queue = queue(&["a", "b", "a"]);
        assert_eq!(queue.pop(), Some(("a", NONE, 0)));
        assert_eq!(queue.pop(), Some(("b", NONE, 0)));
        assert_eq!(queue.pop(), None);
    }

    #[tokio::test]
    async fn a_change_goes_before_a_sweep() {
        let mut queue = Queue::new();
        queue.push("swept", NONE, Urgency::Sweep);
        queue.push("changed", NONE, Urgency::Change);
        assert_eq!(queue.pop().unwrap().0, "changed");
    }

    #[tokio::test]
    async fn an_object_never_runs_twice_at_once_and_a_change_meanwhile_runs_it_again() {
        let mut queue = queue(&["a"]);
        queue.pop();
        queue.push("a", CHILD, Urgency::Change);
        assert_eq!(queue.pop(), None);
        queue.done(&"a", NONE, Next::Rest);
        assert_eq!(queue.pop(), Some(("a", CHILD, 0)));
        queue.done(&"a", CHILD, Next::Rest);
        assert_eq!((queue.pop(), queue.entries.len()), (None, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_call_is_tried_again_with_its_hints_and_its_count() {
        let mut queue = queue(&[]);
        queue.push("a", CHILD, Urgency::Change);
        let (key, hints, _) = queue.pop().unwrap();
        queue.done(&key, hints, Next::Retry(Duration::from_secs(3)));
        assert_eq!(queue.pop(), None);
        let waited = due(&mut queue).await;
        assert!((3000..3100).contains(&waited.as_millis()), "{waited:?}");
        assert_eq!(queue.pop(), Some(("a", CHILD, 1)));
        queue.done(&"a", CHILD, Next::Rest);
        queue.push("a", NONE, Urgency::Change);
        assert_eq!(queue.pop(), Some(("a", NONE, 0)), "a success ends the count");
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_does_not_wait_for_the_retry_and_takes_its_hints() {
        let mut queue = queue(&["a"]);
        queue.pop();
        queue.done(&"a", CHILD, Next::Retry(Duration::from_secs(3)));
        queue.push("a", NONE, Urgency::Change);
        assert_eq!(queue.pop(), Some(("a", CHILD, 1)));
        queue.done(&"a", CHILD, Next::Rest);
        assert!(timeout(Duration::from_secs(9), due(&mut queue)).await.is_err(), "the retry is over");
    }

    #[tokio::test(start_paused = true)]
    async fn a_requeue_is_due_once_and_survives_what_was_nothing_to_do() {
        let mut queue = queue(&["a"]);
        queue.pop();
        queue.done(&"a", NONE, Next::Requeue(Duration::from_secs(5)));
        queue.push("a", NONE, Urgency::Change);
        queue.pop();
        queue.done(&"a", NONE, Next::Keep);
        assert!(queue.has_timer(&"a"));
        due(&mut queue).await;
        assert_eq!(queue.pop(), Some(("a", REQUEUED, 0)));
        queue.done(&"a", REQUEUED, Next::Rest);
        assert!(!queue.has_timer(&"a"));
    }
}
