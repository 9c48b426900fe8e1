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

use operon_core::decide::{Hints, Subject};
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
    /// What it waits with until the timer: before, only another subject is worth a call.
    held: Option<Subject>,
}

/// An object whose turn it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Turn<K> {
    /// Which.
    pub(super) key: K,
    /// What is known of it.
    pub(super) hints: Hints,
    /// Failed calls before, in a row.
    pub(super) attempt: u32,
    /// It is not due yet: only what is about something else than this is to be called now.
    pub(super) held: Option<Subject>,
    /// Which line it stood in.
    pub(super) urgency: Urgency,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum State {
    #[default]
    Idle,
    Ready(Urgency),
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
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Next {
    /// Nothing is due.
    Rest,
    /// The same again after a time, and nothing about this subject before: it failed.
    Retry(Duration, Option<Subject>),
    /// Done, but nothing about this subject before a time is over: it comes too often.
    Hold(Duration, Subject),
    /// To be called again after a time.
    Requeue(Duration),
    /// There was nothing to do: what is due stays due.
    Keep,
    /// Not now: what it ran with is still to be done, when it is due or comes again.
    Wait,
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
                entry.state = State::Ready(urgency);
                self.line(urgency).push_back(key);
            }
            // Its place in the line of the sweep is passed over when it comes.
            State::Ready(Urgency::Sweep) if urgency == Urgency::Change => {
                entry.state = State::Ready(urgency);
                self.changed.push_back(key);
            }
            State::Running => entry.state = State::RunningAgain,
            State::Ready(_) | State::RunningAgain => {}
        }
    }

    /// Takes the next object. It runs until [`Queue::done`].
    pub(super) fn pop(&mut self) -> Option<Turn<K>> {
        self.pop_changed().or_else(|| self.pop_from(Urgency::Sweep))
    }

    /// The same, of those that have changed only.
    pub(super) fn pop_changed(&mut self) -> Option<Turn<K>> {
        self.pop_from(Urgency::Change)
    }

    fn pop_from(&mut self, urgency: Urgency) -> Option<Turn<K>> {
        loop {
            let key = self.line(urgency).pop_front()?;
            if let Some(entry) = self.entries.get_mut(&key).filter(|entry| entry.state == State::Ready(urgency)) {
                entry.state = State::Running;
                let (hints, held) = (std::mem::take(&mut entry.hints), entry.held.clone());
                return Some(Turn { key, hints, attempt: entry.attempt, held, urgency });
            }
        }
    }

    /// An object has run, with these hints.
    pub(super) fn done(&mut self, key: &K, ran_with: Hints, next: Next) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        if !matches!(next, Next::Keep | Next::Wait) {
            entry.held = None;
            if let Some(timer) = entry.timer.take() {
                self.later.remove(&timer.key);
            }
        }
        let mut timer = |after, hints| Some(Timer { key: self.later.insert(key.clone(), after), hints });
        match next {
            Next::Retry(after, subject) => {
                entry.attempt = entry.attempt.saturating_add(1);
                // What it ran with is still to be done, whichever comes first: the retry, or another subject.
                entry.hints = entry.hints.and(ran_with);
                entry.timer = timer(after, Hints::default());
                entry.held = subject;
            }
            Next::Hold(after, subject) => {
                entry.attempt = 0;
                entry.timer = timer(after, Hints::default());
                entry.held = Some(subject);
            }
            Next::Requeue(after) => {
                entry.attempt = 0;
                entry.timer = timer(after, Hints { requeued: true, ..Hints::default() });
            }
            Next::Rest => entry.attempt = 0,
            Next::Wait => entry.hints = entry.hints.and(ran_with),
            Next::Keep => {}
        }
        match std::mem::take(&mut entry.state) {
            State::RunningAgain => self.push(key.clone(), Hints::default(), Urgency::Change),
            _ if entry.timer.is_none() && entry.hints == Hints::default() => {
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
                let timer = self.entries.get_mut(&key).and_then(|entry| {
                    entry.held = None;
                    entry.timer.take()
                });
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
mod tests;
