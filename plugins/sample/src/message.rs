//! What a Sample's status says once it is handled.

use alloc::{format, string::String};

use operon_plugin::{Cause, Event};

use crate::count;

/// What the Deployment was scaled to.
pub(crate) fn scaled(name: &str, count: u32) -> String {
    format!("{name} scaled to {}", replicas(count))
}

/// The second build's message: also from what the Deployment was scaled, where
/// that is known. None leaves the status alone.
pub(crate) fn scaled_from(event: &Event, name: &str, count: u32, max: u32) -> Option<String> {
    // Nobody asked for another count. The message of the last change stands.
    if let Cause::ChildChanged | Cause::Requeued | Cause::Resumed = event.cause {
        return None;
    }
    let before = event.previous().and_then(|sample| count::read(&sample, max).ok());
    Some(match before {
        None => scaled(name, count),
        Some(before) if before == count => format!("{name} stays at {}", replicas(count)),
        Some(before) => format!("{name} scaled from {before} to {}", replicas(count)),
    })
}

fn replicas(count: u32) -> String {
    let noun = if count == 1 { "replica" } else { "replicas" };
    format!("{count} {noun}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use operon_plugin::{Value, json};

    fn sample(count: impl Into<Value>) -> Value {
        json!({ "spec": { "count": count.into() } })
    }

    fn updated(before: impl Into<Value>) -> Event {
        Event::new(Cause::Updated, &sample(3)).with_previous(&sample(before))
    }

    fn message(event: &Event, count: u32) -> Option<String> {
        scaled_from(event, "demo-deploy", count, 1000)
    }

    #[test]
    fn one_replica_is_singular() {
        assert_eq!(scaled("web", 0), "web scaled to 0 replicas");
        assert_eq!(scaled("web", 1), "web scaled to 1 replica");
        assert_eq!(scaled("web", 2), "web scaled to 2 replicas");
    }

    #[test]
    fn the_second_build_says_what_the_count_was_before() {
        let expected = "demo-deploy scaled from 2 to 3 replicas";
        assert_eq!(message(&updated(2), 3).as_deref(), Some(expected));
        let expected = "demo-deploy scaled from 2 to 1 replica";
        assert_eq!(message(&updated(2), 1).as_deref(), Some(expected));
    }

    #[test]
    fn the_second_build_says_that_a_count_stays() {
        let expected = "demo-deploy stays at 3 replicas";
        assert_eq!(message(&updated(3), 3).as_deref(), Some(expected));
    }

    #[test]
    fn a_count_before_that_is_unknown_or_was_rejected_is_not_named() {
        let expected = "demo-deploy scaled to 3 replicas";
        let created = Event::new(Cause::Created, &sample(3));
        assert_eq!(message(&created, 3).as_deref(), Some(expected));
        for rejected in [json!("many"), json!(1001)] {
            let event = updated(rejected);
            assert_eq!(message(&event, 3).as_deref(), Some(expected));
        }
    }

    #[test]
    fn the_second_build_keeps_its_message_until_the_next_change() {
        for cause in [Cause::ChildChanged, Cause::Requeued, Cause::Resumed] {
            let event = Event::new(cause, &sample(3)).with_previous(&sample(3));
            assert_eq!(message(&event, 3), None);
        }
    }
}
