//! A lane for each plugin: what changed for it, one event of an object at a time, many objects side by side.
//!
//! A lane has its own queue and its own slots, so a slow or failing plugin holds up nobody else. Why not kube-runtime's `Controller`: it keeps
//! objects as trees in a reflector, hands one object type to one reconciler, and knows no cause, no hints and no
//! plugin that is replaced; what of it fits (the watcher, the Recorder) is used.

pub mod guard;
mod queue;

use std::{collections::HashMap, future::poll_fn, sync::Arc, time::Duration};

use operon_core::{
    decide::Hints,
    object::ObjectKey,
    standing::{CALLS, Standing},
};
use queue::{Next, Queue, Turn, Urgency};
use tokio::{
    sync::{
        mpsc::{UnboundedReceiver, unbounded_channel},
        watch,
    },
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    delay::{backoff, jittered},
    handle::{Handler, Outcome},
    plugin::Plugin,
};

/// An object of a plugin: the place of its watch in the config, and where it is.
pub type Key = (usize, ObjectKey);

/// The delay after a first failure; each further one doubles it.
const BACKOFF: Duration = Duration::from_secs(1);
/// What waits for a person is tried less often.
const SLOW_BACKOFF: Duration = Duration::from_secs(5);
/// What a plugin may ask for: less would be a loop without end, more the timers can't hold.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_hours(24 * 365);
/// No delay of ours is longer.
const BACKOFF_LIMIT: Duration = Duration::from_mins(5);

/// What a lane hears of the stores.
enum Signal {
    /// An object of a watch changed or went, or was there at the start.
    Object(Key, Hints),
    /// A child of the object of this uid changed or went.
    Child(Box<str>),
    /// The labels of a namespace may have changed, and with them what is selected.
    Namespace(Box<str>),
}

/// The events of one plugin.
pub struct Lane {
    handler: Arc<Handler>,
    standing: watch::Receiver<Standing<Arc<Plugin>>>,
    concurrency: usize,
    signals: UnboundedReceiver<Signal>,
}

impl Lane {
    /// Listens to the stores from now on; to be made before they are fed.
    pub fn new(handler: Arc<Handler>, concurrency: usize) -> Self {
        let (sender, signals) = unbounded_channel();
        for (place, watched) in handler.watches.iter().enumerate() {
            watched.store.subscribe(sender.clone(), move |change| {
                let hints = Hints { resumed: change.initial, ..Hints::default() };
                Signal::Object((place, change.key.clone()), hints)
            });
        }
        // Plugins that select namespaces by their labels share one store of them.
        if let Some(namespaces) = handler.watches.iter().find_map(|watched| watched.namespaces.as_ref()) {
            namespaces.subscribe(sender.clone(), |change| Signal::Namespace(change.key.name.clone()));
        }
        for store in handler.writer.children.values() {
            let ours = format!("{}/", handler.writer.plugin.label);
            store.subscribe(sender.clone(), move |change| {
                // What is there at the start is compared with the record when its owner has its turn.
                let news = change.owner.as_deref().filter(|_| !change.initial);
                let uid = news.and_then(|owner| owner.strip_prefix(&ours));
                Signal::Child(uid.unwrap_or_default().into())
            });
        }
        Self { standing: handler.slot.subscribe(), handler, concurrency, signals }
    }

    /// Runs until `stop`, then until what is in flight has ended.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut queue: Queue<Key> = Queue::new();
        let mut running = JoinSet::new();
        // What each task works on, also where it panics.
        let mut tasks = HashMap::new();
        let (mut ready, mut swept) = (false, 0);
        // A version that is in place before its sweep may have handled some objects already.
        let mut swept_for = None;
        let known = self.handler.clone();
        let mut known = Box::pin(async move { known.synced().await });
        let suspended = self.handler.config.suspend;
        if suspended {
            tracing::warn!(plugin = %self.handler.config.name, "the plugin is suspended: its events wait");
        }
        loop {
            let (version, on_trial) = {
                let standing = self.standing.borrow();
                (standing.running().cloned(), standing.on_trial())
            };
            if let Some(plugin) = version.filter(|_| ready && !suspended) {
                // As many as may fail before the former version is back.
                let most = if on_trial { self.concurrency.min(CALLS) } else { self.concurrency };
                // Half of the slots are left to what changes: nobody waits for a sweep, and it would write as fast as it can.
                let sweeps = (most / 2).max(1);
                while running.len() < most
                    && let Some(turn) = if swept < sweeps { queue.pop() } else { queue.pop_changed() }
                {
                    swept += usize::from(turn.urgency == Urgency::Sweep);
                    let (handler, plugin, of_task) = (self.handler.clone(), plugin.clone(), turn.clone());
                    let task = running.spawn(async move {
                        let Turn { key, hints, attempt, held, .. } = turn;
                        handler.handle(&plugin, &key, hints, attempt, held.as_ref()).await
                    });
                    tasks.insert(task.id(), of_task);
                }
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(done) = running.join_next_with_id() => {
                    let (task, outcome) = match done {
                        Ok((task, outcome)) => (task, outcome),
                        Err(panicked) => {
                            tracing::error!(plugin = %self.handler.writer.plugin.plugin, "handling an event: {panicked}");
                            (panicked.id(), Outcome::Retry { after: None, slow: true, subject: None })
                        }
                    };
                    if let Some(Turn { key, hints, attempt, urgency, .. }) = tasks.remove(&task) {
                        swept -= usize::from(urgency == Urgency::Sweep);
                        let next = next(outcome, attempt, queue.has_timer(&key));
                        queue.done(&key, hints, next);
                    }
                }
                Some(signal) = self.signals.recv() => self.hear(&mut queue, signal),
                () = &mut known, if !ready => ready = true,
                Ok(()) = self.standing.changed() => {
                    let now = self.standing.borrow().digest().cloned();
                    if now != swept_for {
                        swept_for = now;
                        self.sweep(&mut queue);
                    }
                }
                () = poll_fn(|cx| queue.poll_due(cx)) => {}
            }
        }
        while running.join_next().await.is_some() {}
    }

    fn hear(&self, queue: &mut Queue<Key>, signal: Signal) {
        match signal {
            // All objects at a start are a sweep: what changes meanwhile is waited for by somebody.
            Signal::Object(key, hints) if hints.resumed => queue.push(key, hints, Urgency::Sweep),
            Signal::Object(key, hints) => queue.push(key, hints, Urgency::Change),
            Signal::Child(uid) => {
                let hints = Hints { child_changed: true, ..Hints::default() };
                let watches = self.handler.watches.iter().enumerate();
                for (place, key) in watches.filter_map(|(place, watched)| Some((place, watched.store.key_of(&uid)?))) {
                    queue.push((place, key), hints, Urgency::Change);
                }
            }
            Signal::Namespace(name) => {
                let watches = self.handler.watches.iter().enumerate();
                for (place, watched) in watches.filter(|(_, watched)| watched.namespaces.is_some()) {
                    let keys = watched.store.keys().into_iter();
                    for key in keys.filter(|key| key.namespace.as_ref() == Some(&name)) {
                        queue.push((place, key), Hints::default(), Urgency::Sweep);
                    }
                }
            }
        }
    }

    /// Another version is in place: each object may have to be handled by it.
    fn sweep(&self, queue: &mut Queue<Key>) {
        for (place, watched) in self.handler.watches.iter().enumerate() {
            for key in watched.store.keys() {
                queue.push((place, key), Hints::default(), Urgency::Sweep);
            }
        }
    }
}

/// When an object is next due.
fn next(outcome: Outcome, attempt: u32, has_timer: bool) -> Next {
    let within = |after: Duration| after.clamp(SHORTEST, LONGEST);
    match outcome {
        Outcome::Done { requeue_after: None } => Next::Rest,
        Outcome::Done { requeue_after: Some(after) } => Next::Requeue(within(after)),
        // After a start it is not known how much of the interval is over.
        Outcome::Nothing { requeue_after: Some(interval) } if !has_timer => {
            Next::Requeue(within(within(interval).mul_f64(rand::random())))
        }
        Outcome::Nothing { .. } => Next::Keep,
        Outcome::Wait => Next::Wait,
        Outcome::Loop { excess, subject } => Next::Hold(jittered(backoff(BACKOFF, excess, BACKOFF_LIMIT)), subject),
        Outcome::Retry { after: Some(after), subject, .. } => Next::Retry(within(after), subject),
        Outcome::Retry { after: None, slow, subject } => {
            let first = if slow { SLOW_BACKOFF } else { BACKOFF };
            Next::Retry(jittered(backoff(first, attempt, BACKOFF_LIMIT)), subject)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(attempt: u32, slow: bool) -> Duration {
        let Next::Retry(after, _) = next(Outcome::Retry { after: None, slow, subject: None }, attempt, false) else {
            panic!("it is tried again")
        };
        after
    }

    #[test]
    fn retries_double_to_five_minutes_give_or_take_a_quarter() {
        for (attempt, slow, seconds) in
            [(0, false, 1), (3, false, 8), (0, true, 5), (20, false, 300), (u32::MAX, true, 300)]
        {
            let delay = retry(attempt, slow).as_secs_f64() / f64::from(seconds);
            assert!((0.75..=1.25).contains(&delay), "{attempt} {slow} {delay}");
        }
    }

    #[test]
    fn a_plugins_own_word_on_the_delay_is_taken() {
        let outcome = Outcome::Retry { after: Some(Duration::from_millis(700)), slow: false, subject: None };
        assert_eq!(next(outcome, 5, false), Next::Retry(Duration::from_millis(700), None));
    }

    #[test]
    fn an_interval_that_no_timer_can_hold_or_that_is_none_is_brought_into_bounds() {
        let requeue = |after| next(Outcome::Done { requeue_after: Some(after) }, 0, false);
        assert_eq!(requeue(Duration::from_millis(u64::MAX)), Next::Requeue(LONGEST));
        assert_eq!(requeue(Duration::ZERO), Next::Requeue(SHORTEST));
    }

    #[test]
    fn a_recorded_interval_is_due_within_itself_after_a_start_and_never_set_twice() {
        let interval = Duration::from_secs(10);
        let nothing = Outcome::Nothing { requeue_after: Some(interval) };
        assert!(matches!(next(nothing.clone(), 0, false), Next::Requeue(after) if after <= interval));
        assert_eq!(next(nothing.clone(), 0, true), Next::Keep);
        assert_eq!(next(Outcome::Nothing { requeue_after: None }, 0, false), Next::Keep);
    }

    #[test]
    fn a_success_rests_or_is_called_again_after_its_interval() {
        let done = |requeue_after| next(Outcome::Done { requeue_after }, 3, true);
        assert_eq!(done(None), Next::Rest);
        assert_eq!(done(Some(Duration::from_secs(1))), Next::Requeue(Duration::from_secs(1)));
    }
}
