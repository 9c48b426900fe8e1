//! What the cluster should be like: the answer to an event, built step by step.

use alloc::{format, string::String, vec::Vec};
use core::time::Duration;

use serde::Serialize;

use crate::bindings::operon::plugin::types;
use crate::{Deletion, Failure, Notice, ObjectRef, Patch, Propagation, Targeted};

/// The answer to an event. Empty, it leaves everything as it is.
///
/// Objects can be anything that serde makes JSON: a `json!` value, a type of
/// the plugin's own, one of `k8s-openapi`. One that can't be made JSON (a map
/// whose keys aren't strings) turns the whole answer into a rejection.
///
/// ```
/// use core::time::Duration;
/// use operon_plugin::{Notice, PatchSet, json};
///
/// let set = PatchSet::new()
///     .child(&json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "web" } }))
///     .status(&json!({ "ready": true }))
///     .notice(Notice::normal("Configured", "web has its ConfigMap"))
///     .requeue_after(Duration::from_secs(60));
/// assert_eq!(set.build()?.requeue_after_ms, Some(60_000));
/// # Ok::<(), operon_plugin::Failure>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct PatchSet {
    set: types::PatchSet,
    /// Why the first value that couldn't be made JSON couldn't.
    unwritable: Option<serde_json::Error>,
}

impl Default for PatchSet {
    fn default() -> Self {
        Self::new()
    }
}

impl PatchSet {
    /// The answer that leaves everything as it is.
    pub fn new() -> Self {
        Self {
            set: types::PatchSet {
                children: None,
                patches: Vec::new(),
                status: None,
                notices: Vec::new(),
                requeue_after_ms: None,
            },
            unwritable: None,
        }
    }

    /// One more of the children that the object should have. As soon as an
    /// answer has one, children of earlier calls that it lacks are deleted.
    pub fn child<T: Serialize + ?Sized>(self, manifest: &T) -> Self {
        self.children([manifest])
    }

    /// More of the children that the object should have; without a single one,
    /// as [`no_children`](Self::no_children).
    pub fn children<T: Serialize>(mut self, manifests: impl IntoIterator<Item = T>) -> Self {
        let mut children = self.set.children.take().unwrap_or_default();
        for manifest in manifests {
            children.extend(self.text(&manifest));
        }
        self.set.children = Some(children);
        self
    }

    /// The object should have no children: those of earlier calls are deleted.
    /// The usual answer to [`Cause::Deleted`](crate::Cause::Deleted).
    pub fn no_children(mut self) -> Self {
        self.set.children = Some(Vec::new());
        self
    }

    /// Applies an object that is no child: it is never deleted by the host.
    pub fn apply<T: Serialize + ?Sized>(mut self, manifest: &T) -> Self {
        let text = self.text(manifest);
        self.set.patches.extend(text.map(Patch::Apply));
        self
    }

    /// Creates an object that is no child; fails where it exists.
    pub fn create<T: Serialize + ?Sized>(mut self, manifest: &T) -> Self {
        let text = self.text(manifest);
        self.set.patches.extend(text.map(Patch::Create));
        self
    }

    /// JSON merge patch of an object that has to exist.
    pub fn merge_patch<T: Serialize + ?Sized>(self, target: ObjectRef, body: &T) -> Self {
        self.targeted(Patch::MergePatch, target, body)
    }

    /// JSON patch of an object that has to exist: a list of operations, with a
    /// `test` where repeating them would do harm.
    pub fn json_patch<T: Serialize + ?Sized>(self, target: ObjectRef, operations: &T) -> Self {
        self.targeted(Patch::JsonPatch, target, operations)
    }

    /// Strategic merge patch of an object of a built-in kind that has to exist.
    pub fn strategic_merge_patch<T: Serialize + ?Sized>(self, target: ObjectRef, body: &T) -> Self {
        self.targeted(Patch::StrategicMergePatch, target, body)
    }

    /// Deletes an object, if it is there, and in the background what it owns.
    pub fn delete(self, target: ObjectRef) -> Self {
        self.patch(Patch::Delete(Deletion { target, propagation: Propagation::Background, ignore_missing: true }))
    }

    /// Any patch, with all that can be said of it: a subresource, whether a
    /// missing target counts as done.
    pub fn patch(mut self, patch: Patch) -> Self {
        self.set.patches.push(patch);
        self
    }

    /// The whole status that the plugin writes: a field that an earlier call
    /// wrote and this one leaves out is removed.
    pub fn status<T: Serialize + ?Sized>(mut self, status: &T) -> Self {
        self.set.status = self.text(status);
        self
    }

    /// A message for people.
    pub fn notice(mut self, notice: Notice) -> Self {
        self.set.notices.push(notice);
        self
    }

    /// Call again after this time, unless something changes first.
    pub fn requeue_after(mut self, delay: Duration) -> Self {
        self.set.requeue_after_ms = Some(milliseconds(delay));
        self
    }

    /// What the host gets, with objects as JSON text. The exported handler does
    /// this; it is public for tests.
    ///
    /// # Errors
    ///
    /// A rejection where a value can't be made JSON.
    pub fn build(self) -> Result<types::PatchSet, Failure> {
        match self.unwritable {
            None => Ok(self.set),
            Some(error) => Err(Failure::reject(format!("the answer can't be made JSON: {error}"))),
        }
    }

    fn targeted<T: Serialize + ?Sized>(mut self, patch: fn(Targeted) -> Patch, target: ObjectRef, body: &T) -> Self {
        if let Some(body) = self.text(body) {
            self.set.patches.push(patch(Targeted { target, subresource: None, body, ignore_missing: false }));
        }
        self
    }

    fn text<T: Serialize + ?Sized>(&mut self, value: &T) -> Option<String> {
        match serde_json::to_string(value) {
            Ok(text) => Some(text),
            Err(error) => {
                self.unwritable.get_or_insert(error);
                None
            }
        }
    }
}

/// A duration as the interface has it, cut off at half a billion years.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::testing::UNWRITABLE;
    use crate::{Value, json};

    fn config_map() -> ObjectRef {
        ObjectRef::new("v1", "ConfigMap", "web").in_namespace("demo")
    }

    fn only_patch(set: PatchSet) -> Patch {
        let [patch] = set.build().unwrap().patches.try_into().unwrap();
        patch
    }

    #[test]
    fn an_empty_answer_leaves_children_and_status_alone() {
        let set = PatchSet::default().build().unwrap();
        assert_eq!((set.children, set.status), (None, None));
    }

    #[test]
    fn children_add_up() {
        let set = PatchSet::new().child(&json!(1)).children([json!(2), json!(3)]);
        assert_eq!(set.build().unwrap().children.unwrap(), ["1", "2", "3"]);
    }

    #[test]
    fn a_list_of_no_children_prunes_all() {
        let none: [Value; 0] = [];
        let set = PatchSet::new().children(none).build().unwrap();
        assert_eq!(set.children, Some(Vec::new()));
        let set = PatchSet::new().child(&json!(1)).no_children();
        assert_eq!(set.build().unwrap().children, Some(Vec::new()));
    }

    #[test]
    fn patches_keep_their_order() {
        let set = PatchSet::new().create(&json!(1)).apply(&json!(2)).delete(config_map());
        let patches = set.build().unwrap().patches;
        assert_eq!(patches[0], Patch::Create("1".to_string()));
        assert_eq!(patches[1], Patch::Apply("2".to_string()));
        assert!(matches!(patches[2], Patch::Delete(_)));
    }

    #[test]
    fn a_targeted_patch_wants_its_target_to_exist() {
        let body = json!({ "data": null });
        let expected = Targeted {
            target: config_map(),
            subresource: None,
            body: "{\"data\":null}".to_string(),
            ignore_missing: false,
        };
        assert_eq!(only_patch(PatchSet::new().merge_patch(config_map(), &body)), Patch::MergePatch(expected.clone()));
        assert_eq!(only_patch(PatchSet::new().json_patch(config_map(), &body)), Patch::JsonPatch(expected.clone()));
        assert_eq!(
            only_patch(PatchSet::new().strategic_merge_patch(config_map(), &body)),
            Patch::StrategicMergePatch(expected)
        );
    }

    #[test]
    fn a_deletion_may_be_repeated() {
        let Patch::Delete(deletion) = only_patch(PatchSet::new().delete(config_map())) else {
            panic!("not a deletion");
        };
        assert!(deletion.ignore_missing);
        assert_eq!(deletion.propagation, Propagation::Background);
    }

    #[test]
    fn the_last_status_stands() {
        let set = PatchSet::new().status(&json!({ "a": 1 })).status(&json!({}));
        assert_eq!(set.build().unwrap().status.as_deref(), Some("{}"));
    }

    #[test]
    fn a_value_that_is_no_json_rejects_the_answer() {
        for set in [
            PatchSet::new().child(&UNWRITABLE),
            PatchSet::new().apply(&UNWRITABLE),
            PatchSet::new().merge_patch(config_map(), &UNWRITABLE),
            PatchSet::new().status(&UNWRITABLE).status(&json!({})),
        ] {
            let failure = set.child(&json!({})).build().unwrap_err();
            assert_eq!(failure.next, crate::Next::Reject);
            assert!(failure.message.starts_with("the answer can't be made JSON: "));
        }
    }

    #[test]
    fn a_duration_too_long_for_the_interface_is_cut_off() {
        assert_eq!(milliseconds(Duration::from_micros(1_999)), 1);
        assert_eq!(milliseconds(Duration::MAX), u64::MAX);
    }
}
