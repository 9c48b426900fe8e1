//! What the store tells of watches, of own writes, and of both in any order.

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;

const ALL: Scope = Scope(None);

fn object(name: &str, uid: &str, version: u64, owner: Option<&str>) -> Object {
    let labels =
        owner.map(|uid| format!(r#","labels":{{"{PLUGIN_LABEL}":"p","{OWNER_LABEL}":"{uid}"}}"#)).unwrap_or_default();
    let text = format!(
        r#"{{"metadata":{{"name":"{name}","namespace":"demo","uid":"{uid}","resourceVersion":"{version}"{labels}}}}}"#
    );
    Object::decode(&text, "v1", "X").unwrap()
}

fn store() -> (Store, UnboundedReceiver<String>) {
    let store = Store::new("samples.v1.nuvolaris.org".parse().unwrap(), [ALL]);
    let (sender, receiver) = unbounded_channel();
    store.subscribe(sender, |change| {
        let owner = change.owner.as_deref().map(|owner| format!(" of {owner}")).unwrap_or_default();
        format!("{}{owner}", change.key.name)
    });
    (store, receiver)
}

fn heard(receiver: &mut UnboundedReceiver<String>) -> Vec<String> {
    std::iter::from_fn(|| receiver.try_recv().ok()).collect()
}

fn version(store: &Store, name: &str) -> Option<u64> {
    let key = ObjectKey { namespace: Some("demo".into()), name: name.into() };
    store.get(&key).map(|object| object.resource_version.0)
}

#[test]
fn what_a_list_does_not_show_is_gone() {
    let (store, mut changes) = store();
    store.shown(&ALL, object("a", "1", 1, None));
    store.shown(&ALL, object("b", "2", 2, None));
    heard(&mut changes);
    store.list_begins(&ALL);
    store.shown(&ALL, object("a", "1", 1, None));
    store.list_ends(&ALL);
    assert_eq!((version(&store, "a"), version(&store, "b")), (Some(1), None));
    assert_eq!(heard(&mut changes), ["b"], "what a relist shows unchanged is no change");
    assert_eq!(store.key_of("2"), None);
}

#[test]
fn an_own_write_is_known_at_once_and_is_no_change_when_the_watch_brings_it() {
    let (store, mut changes) = store();
    store.shown(&ALL, object("a", "1", 1, None));
    store.wrote(object("a", "1", 5, None), Made::ByUs);
    assert_eq!(version(&store, "a"), Some(5));
    heard(&mut changes);
    store.shown(&ALL, object("a", "1", 5, None));
    assert_eq!((version(&store, "a"), heard(&mut changes).len()), (Some(5), 0));
    store.shown(&ALL, object("a", "1", 6, None));
    assert_eq!(heard(&mut changes), ["a"]);
}

#[test]
fn a_version_that_an_own_write_was_answered_with_is_told_where_it_may_be_somebody_elses() {
    let (store, mut changes) = store();
    let store = Arc::new(store);
    store.shown(&ALL, object("a", "1", 1, None));
    heard(&mut changes);
    // Nothing changed by the write: the answer is the version that somebody has made just before.
    store.wrote(object("a", "1", 5, None), Made::ByAnybody);
    assert_eq!(version(&store, "a"), Some(5));
    store.shown(&ALL, object("a", "1", 5, None));
    assert_eq!(heard(&mut changes), ["a"]);
    let under_way = store.writing(&object("a", "1", 1, None).key);
    store.shown(&ALL, object("a", "1", 6, None));
    store.wrote(object("a", "1", 6, None), Made::ByAnybody);
    drop(under_way);
    assert_eq!(heard(&mut changes), ["a"], "also where it was shown before the answer came");
}

#[test]
fn what_somebody_changed_just_before_an_own_write_is_told_though_the_write_is_newer() {
    let (store, mut changes) = store();
    store.shown(&ALL, object("a", "1", 1, None));
    store.wrote(object("a", "1", 5, None), Made::ByUs);
    heard(&mut changes);
    store.shown(&ALL, object("a", "1", 3, None));
    assert_eq!((version(&store, "a"), heard(&mut changes)), (Some(5), vec!["a".to_owned()]));
    store.list_begins(&ALL);
    store.shown(&ALL, object("a", "1", 5, None));
    assert_eq!(heard(&mut changes), ["a"], "a list hides what came before");
    store.list_ends(&ALL);
}

#[test]
fn a_late_answer_does_not_bring_back_what_the_watch_has_seen_go() {
    let (store, _changes) = store();
    store.shown(&ALL, object("a", "1", 1, None));
    store.gone(&ALL, &object("a", "1", 6, None));
    store.wrote(object("a", "1", 5, None), Made::ByUs);
    assert_eq!(version(&store, "a"), None);
}

#[test]
fn a_successor_of_the_same_name_is_not_taken_for_its_predecessor() {
    let (store, _changes) = store();
    store.shown(&ALL, object("a", "2", 9, None));
    store.deleted(&object("a", "1", 1, None).key, "1");
    store.gone(&ALL, &object("a", "1", 10, None));
    assert_eq!(version(&store, "a"), Some(9));
}

#[test]
fn what_a_watch_shows_late_does_not_bring_back_what_an_own_write_has_ended() {
    let (store, mut changes) = store();
    store.shown(&ALL, object("a", "1", 1, None));
    heard(&mut changes);
    store.deleted(&object("a", "1", 1, None).key, "1");
    store.shown(&ALL, object("a", "1", 2, None));
    assert_eq!((version(&store, "a"), heard(&mut changes).len()), (None, 0));
    store.gone(&ALL, &object("a", "1", 3, None));
    store.shown(&ALL, object("a", "2", 4, None));
    assert_eq!(
        (version(&store, "a"), heard(&mut changes)),
        (Some(4), vec!["a".to_owned()]),
        "its successor is another"
    );
    assert!(store.read(|state| state.ended.is_empty()));
}

#[test]
fn children_are_found_by_their_owner_and_tell_of_it() {
    let (store, mut changes) = store();
    store.shown(&ALL, object("b", "2", 2, Some("u")));
    store.wrote(object("a", "1", 3, Some("u")), Made::ByUs);
    let names: Vec<_> = store.children_of("p/u").iter().map(|child| child.key.name.to_string()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(heard(&mut changes), ["b of p/u"]);
    store.shown(&ALL, object("b", "2", 4, None));
    store.gone(&ALL, &object("a", "1", 5, Some("u")));
    store.wrote(object("c", "3", 6, Some("u")), Made::ByUs);
    store.deleted(&object("c", "3", 6, None).key, "3");
    assert!(store.children_of("p/u").is_empty());
    assert_eq!(heard(&mut changes), ["b", "a of p/u"]);
}

#[test]
fn a_store_of_two_namespaces_is_synced_when_both_are_listed() {
    let scopes = ["a", "b"].map(|namespace| Scope(Some(namespace.into())));
    let store = Store::new("samples.v1.nuvolaris.org".parse().unwrap(), scopes.clone());
    store.list_begins(&scopes[0]);
    store.list_ends(&scopes[0]);
    assert!(!*store.synced.borrow());
    store.clear(&scopes[1]);
    assert!(*store.synced.borrow());
}

#[test]
fn a_list_of_one_namespace_leaves_the_others_alone() {
    let scopes = ["demo", "other"].map(|namespace| Scope(Some(namespace.into())));
    let store = Store::new("samples.v1.nuvolaris.org".parse().unwrap(), scopes.clone());
    store.shown(&scopes[0], object("a", "1", 1, None));
    store.clear(&scopes[1]);
    assert_eq!(version(&store, "a"), Some(1));
}

#[test]
fn what_a_watch_shows_of_a_write_before_it_is_answered_is_no_change_either() {
    let (store, mut changes) = store();
    let store = Arc::new(store);
    let key = object("a", "1", 1, None).key;
    let under_way = store.writing(&key);
    store.shown(&ALL, object("a", "1", 5, None));
    assert!(heard(&mut changes).is_empty(), "whose it is is not known yet");
    store.wrote(object("a", "1", 5, None), Made::ByUs);
    drop(under_way);
    assert!(heard(&mut changes).is_empty());
    let under_way = store.writing(&key);
    store.gone(&ALL, &object("a", "1", 6, None));
    store.deleted(&key, "1");
    drop(under_way);
    assert!(heard(&mut changes).is_empty());
}

#[test]
fn what_somebody_else_does_while_a_write_is_under_way_is_told_once_when_it_ends() {
    let (store, mut changes) = store();
    let store = Arc::new(store);
    let key = object("a", "1", 1, None).key;
    let (first, second) = (store.writing(&key), store.writing(&key));
    store.shown(&ALL, object("a", "1", 4, None));
    store.shown(&ALL, object("a", "1", 5, None));
    store.shown(&ALL, object("a", "1", 6, None));
    store.wrote(object("a", "1", 5, None), Made::ByUs);
    drop(first);
    assert!(heard(&mut changes).is_empty(), "another write is under way");
    drop(second);
    assert_eq!(heard(&mut changes), ["a"]);
    let lost = store.writing(&key);
    store.shown(&ALL, object("a", "1", 7, None));
    drop(lost);
    assert_eq!(heard(&mut changes), ["a"], "a write whose answer is lost leaves what it made to be looked at");
}
