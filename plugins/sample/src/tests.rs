//! The plugin as the host sees it: events in, patch sets out.

use operon_plugin::{Cause, Event, Handler, Next, Value, json, serde_json};

use crate::{Sample, V2};

fn sample(count: impl Into<Value>) -> Value {
    json!({
        "apiVersion": "nuvolaris.org/v1",
        "kind": "Sample",
        "metadata": { "name": "obj", "namespace": "demo", "uid": "u", "generation": 1 },
        "spec": { "count": count.into() },
    })
}

/// The children and the status of the answer.
fn answer(event: Event) -> (Vec<Value>, Option<Value>) {
    let set = Sample::handle(event).unwrap().build().unwrap();
    assert!(set.patches.is_empty() && set.notices.is_empty());
    assert_eq!(set.requeue_after_ms, None);
    let read = |text: String| serde_json::from_str(&text).unwrap();
    let children = set.children.unwrap().into_iter().map(read).collect();
    (children, set.status.map(read))
}

fn message(status: &Value) -> &str {
    status["sample_create"]["message"].as_str().unwrap()
}

#[test]
fn every_cause_but_deleted_is_answered_with_the_deployment() {
    for cause in
        [Cause::Created, Cause::Updated, Cause::ChildChanged, Cause::Requeued, Cause::PluginChanged, Cause::Resumed]
    {
        let (children, _) = answer(Event::new(cause, &sample(2)));
        let [deployment] = children.as_slice() else {
            panic!("{cause:?}: {children:?}");
        };
        assert_eq!(deployment["kind"], "Deployment");
        assert_eq!(deployment["metadata"]["name"], "demo-deploy");
        assert_eq!(deployment["metadata"]["namespace"], "demo");
        assert_eq!(deployment["spec"]["replicas"], 2);
    }
}

#[test]
fn a_created_sample_says_what_it_is_scaled_to() {
    let (_, status) = answer(Event::new(Cause::Created, &sample(2)));
    let expected = json!({ "sample_create": { "message": "demo-deploy scaled to 2 replicas" } });
    assert_eq!(status, Some(expected));
}

#[test]
fn the_builds_differ_in_version_and_in_the_message_of_an_update() {
    let event = Event::new(Cause::Updated, &sample(3)).with_previous(&sample(2));
    let (_, status) = answer(event);
    let (version, expected) = if V2 {
        ("0.2.0", "demo-deploy scaled from 2 to 3 replicas")
    } else {
        ("0.1.0", "demo-deploy scaled to 3 replicas")
    };
    assert_eq!(Sample::describe().version, version);
    assert_eq!(message(&status.unwrap()), expected);
}

#[test]
fn a_deleted_sample_has_no_children_whatever_its_count() {
    for count in [json!(2), json!("many")] {
        let (children, status) = answer(Event::new(Cause::Deleted, &sample(count)));
        assert!(children.is_empty());
        assert_eq!(status, None);
    }
}

#[test]
fn a_wrong_count_is_rejected_and_the_status_says_why() {
    let failure = Sample::handle(Event::new(Cause::Updated, &sample("many"))).unwrap_err();
    let expected = "spec.count is \"many\": expected a whole number from 0 to 1000";
    assert_eq!(failure.next, Next::Reject);
    assert_eq!(failure.message, expected);
    let status: Value = serde_json::from_str(&failure.status.unwrap()).unwrap();
    assert_eq!(message(&status), expected);
}

#[test]
fn samples_with_names_of_their_own_share_no_pods() {
    let settings = json!({ "deployment": "{name}-deploy" });
    let event = Event::new(Cause::Created, &sample(1)).with_settings(&settings);
    let (children, status) = answer(event);
    assert_eq!(children[0]["metadata"]["name"], "obj-deploy");
    assert_eq!(children[0]["spec"]["selector"]["matchLabels"]["app"], "obj-deploy");
    assert_eq!(message(&status.unwrap()), "obj-deploy scaled to 1 replica");
}

#[test]
fn a_sample_that_can_get_no_name_is_rejected() {
    let settings = json!({ "deployment": "{name}-deploy" });
    let mut sample = sample(1);
    sample["metadata"]["name"] = "x".repeat(60).into();
    let event = Event::new(Cause::Created, &sample).with_settings(&settings);
    let failure = Sample::handle(event).unwrap_err();
    assert_eq!(failure.next, Next::Reject);
    assert!(failure.message.starts_with("the name of the Deployment would be "));
    assert!(failure.status.is_some());
}

#[test]
fn template_and_maximum_come_from_the_settings() {
    let settings = json!({
        "template": { "apiVersion": "apps/v1", "kind": "Deployment", "spec": { "paused": true } },
        "max-count": 2,
    });
    let event = |count| Event::new(Cause::Created, &sample(count)).with_settings(&settings);
    let (children, _) = answer(event(2));
    assert_eq!(children[0]["spec"], json!({ "paused": true, "replicas": 2 }));
    let failure = Sample::handle(event(3)).unwrap_err();
    assert!(failure.message.ends_with("from 0 to 2"));
}

#[test]
fn settings_are_refused_alike_before_and_during_an_event() {
    let settings = json!({ "colour": "red" });
    let message = Sample::validate(settings.clone()).unwrap_err();
    assert!(message.starts_with("unknown setting \"colour\""));
    let event = Event::new(Cause::Created, &sample(1)).with_settings(&settings);
    assert_eq!(Sample::handle(event).unwrap_err().message, message);
    assert_eq!(Sample::validate(json!({})), Ok(()));
}

#[test]
fn the_description_asks_for_deployments_and_nothing_else() {
    let description = Sample::describe();
    assert_eq!(description.name, "sample");
    let [rule] = description.requires.as_slice() else {
        panic!("{:?}", description.requires);
    };
    assert_eq!(rule.resource, "deployments.v1.apps");
    assert_eq!(rule.verbs, ["apply", "delete"]);
    let schema = description.settings_schema.unwrap();
    assert!(serde_json::from_str::<Value>(&schema).is_ok());
}
