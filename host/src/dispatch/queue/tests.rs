use std::{collections::BTreeSet, future::poll_fn};

use tokio::time::{Instant, timeout};

use super::*;
use operon_core::{decide::Situation, digest::Digest, essence::Essence, record::HandledBy};

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

/// An object whose turn it is and that waits for nothing.
fn turn(hints: Hints, attempt: u32) -> Turn<&'static str> {
    Turn { key: "a", hints, attempt, held: None, urgency: Urgency::Change }
}

fn subject(essence: &str) -> Subject {
    let essence = Essence { text: essence.into(), digest: Digest::of(essence) };
    let situation = Situation {
        deleting: false,
        finalizer: false,
        selected: true,
        paused: false,
        children_differ: false,
        essence: &essence,
        record: None,
        by: &HandledBy { plugin: Digest::of("p"), settings: Digest::of("s") },
        on: &BTreeSet::new(),
        hints: NONE,
    };
    Subject::of("u", &situation)
}

async fn due(queue: &mut Queue<&'static str>) -> Duration {
    let start = Instant::now();
    poll_fn(|cx| queue.poll_due(cx)).await;
    start.elapsed()
}

#[tokio::test]
async fn first_come_first_served_and_once_however_often_it_changed() {
    let mut queue = queue(&["a", "b", "a"]);
    assert_eq!(queue.pop(), Some(turn(NONE, 0)));
    assert_eq!(queue.pop().unwrap().key, "b");
    assert_eq!(queue.pop(), None);
}

#[tokio::test]
async fn what_changes_while_it_waits_for_a_sweep_waits_no_longer() {
    let mut queue = Queue::new();
    for key in ["first", "second", "changed"] {
        queue.push(key, NONE, Urgency::Sweep);
    }
    assert_eq!(queue.pop_changed(), None, "none of them has changed");
    queue.push("changed", CHILD, Urgency::Change);
    let turn = queue.pop_changed().unwrap();
    assert_eq!((turn.key, turn.hints, turn.urgency), ("changed", CHILD, Urgency::Change));
    assert_eq!(queue.pop().unwrap().key, "first");
    assert_eq!(queue.pop().unwrap().urgency, Urgency::Sweep);
    queue.done(&"changed", CHILD, Next::Rest);
    assert_eq!(queue.pop(), None, "it has had its turn");
}

#[tokio::test]
async fn a_change_goes_before_a_sweep() {
    let mut queue = Queue::new();
    queue.push("swept", NONE, Urgency::Sweep);
    queue.push("changed", NONE, Urgency::Change);
    assert_eq!(queue.pop().unwrap().key, "changed");
}

#[tokio::test]
async fn an_object_never_runs_twice_at_once_and_a_change_meanwhile_runs_it_again() {
    let mut queue = queue(&["a"]);
    queue.pop();
    queue.push("a", CHILD, Urgency::Change);
    assert_eq!(queue.pop(), None);
    queue.done(&"a", NONE, Next::Rest);
    assert_eq!(queue.pop(), Some(turn(CHILD, 0)));
    queue.done(&"a", CHILD, Next::Rest);
    assert_eq!((queue.pop(), queue.entries.len()), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_is_tried_again_with_its_hints_and_its_count() {
    let mut queue = queue(&[]);
    queue.push("a", CHILD, Urgency::Change);
    let Turn { key, hints, .. } = queue.pop().unwrap();
    queue.done(&key, hints, Next::Retry(Duration::from_secs(3), Some(subject("x"))));
    assert_eq!(queue.pop(), None);
    let waited = due(&mut queue).await;
    assert!((3000..3100).contains(&waited.as_millis()), "{waited:?}");
    assert_eq!(queue.pop(), Some(turn(CHILD, 1)));
    queue.done(&"a", CHILD, Next::Rest);
    queue.push("a", NONE, Urgency::Change);
    assert_eq!(queue.pop(), Some(turn(NONE, 0)), "a success ends the count");
}

#[tokio::test(start_paused = true)]
async fn what_comes_before_the_retry_is_told_what_is_waited_with_and_loses_nothing() {
    let mut queue = queue(&["a"]);
    queue.pop();
    queue.done(&"a", CHILD, Next::Retry(Duration::from_secs(3), Some(subject("x"))));
    queue.push("a", REQUEUED, Urgency::Change);
    let both = Hints { requeued: true, ..CHILD };
    let early = Turn { key: "a", hints: both, attempt: 1, held: Some(subject("x")), urgency: Urgency::Change };
    assert_eq!(queue.pop(), Some(early));
    queue.done(&"a", both, Next::Wait);
    assert_eq!(queue.pop(), None);
    let waited = due(&mut queue).await;
    assert!((3000..3100).contains(&waited.as_millis()), "{waited:?}");
    assert_eq!(queue.pop(), Some(turn(both, 1)));
}

#[tokio::test(start_paused = true)]
async fn another_subject_does_not_wait_for_the_retry_and_ends_it() {
    let mut queue = queue(&["a"]);
    queue.pop();
    queue.done(&"a", CHILD, Next::Retry(Duration::from_secs(3), Some(subject("x"))));
    queue.push("a", NONE, Urgency::Change);
    assert_eq!(queue.pop().unwrap().hints, CHILD);
    queue.done(&"a", CHILD, Next::Rest);
    assert!(timeout(Duration::from_secs(9), due(&mut queue)).await.is_err(), "the retry is over");
    queue.push("a", NONE, Urgency::Change);
    assert_eq!(queue.pop(), Some(turn(NONE, 0)));
}

#[tokio::test(start_paused = true)]
async fn what_is_held_is_not_counted_as_failed_and_runs_when_it_is_due() {
    let mut queue = queue(&["a"]);
    queue.pop();
    queue.done(&"a", CHILD, Next::Hold(Duration::from_secs(3), subject("x")));
    queue.push("a", CHILD, Urgency::Change);
    assert_eq!(queue.pop().unwrap().held, Some(subject("x")));
    queue.done(&"a", CHILD, Next::Wait);
    due(&mut queue).await;
    assert_eq!(queue.pop(), Some(turn(CHILD, 0)));
}

#[tokio::test]
async fn what_waits_without_a_timer_keeps_its_hints_until_it_comes_again() {
    let mut queue = queue(&[]);
    queue.push("a", CHILD, Urgency::Change);
    queue.pop();
    queue.done(&"a", CHILD, Next::Wait);
    assert_eq!(queue.pop(), None);
    queue.push("a", NONE, Urgency::Change);
    assert_eq!(queue.pop(), Some(turn(CHILD, 0)));
    queue.done(&"a", CHILD, Next::Keep);
    assert_eq!(queue.entries.len(), 0);
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
    assert_eq!(queue.pop(), Some(turn(REQUEUED, 0)));
    queue.done(&"a", REQUEUED, Next::Rest);
    assert!(!queue.has_timer(&"a"));
}
