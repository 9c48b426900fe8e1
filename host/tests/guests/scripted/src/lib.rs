//! A guest for tests: the object's `spec` says what the plugin does; where the object has none, the setting `script`.
//!
//! A test makes another version of it by writing into the compiled component, see [`VERSION`].

use std::{collections::BTreeMap, hint::black_box, thread, time::Duration};

use operon_plugin::{Cause, Description, Event, Failure, Handler, ObjectRef, PatchSet, Value, json, serde_json};
use serde::Deserialize;

/// Where tests write what makes a version, as JSON after the mark: so that one build is as many versions as they like.
static VERSION: [u8; 2048] = {
    let mut room = [b' '; 2048];
    let (mark, rest) = room.split_at_mut(MARK.len());
    mark.copy_from_slice(MARK);
    rest[0] = b'{';
    rest[1] = b'}';
    room
};
const MARK: &[u8] = b"OPERON-TEST-VERSION:";

/// What makes a version.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Version {
    /// What it says that it is.
    name: Option<String>,
    /// What it does for a cause, or for `any`, whatever the object says.
    on: BTreeMap<String, Script>,
    /// What `describe` does.
    describe: Script,
    /// What it says to all settings.
    refuses: Option<String>,
}

impl Version {
    fn read() -> Self {
        let begin = MARK.len();
        serde_json::from_slice(&black_box(&VERSION)[begin..]).unwrap_or_else(|error| unreachable!("{error}"))
    }
}

/// What to do.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Script {
    /// How long to take first.
    sleep_ms: u64,
    /// Crash.
    trap: bool,
    /// Fail with this message.
    fail: Option<Fail>,
    /// Manifests; none leaves the children alone.
    children: Option<Vec<Value>>,
    /// Gives each child and each patched object the time of the call as an annotation.
    fresh: bool,
    patches: Vec<Patch>,
    status: Option<Value>,
    /// Tells in `status.echo` what the event was.
    echo: bool,
    requeue_after_ms: Option<u64>,
    /// What to do for a deletion; without it: no children.
    deleted: Option<Box<Script>>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Fail {
    message: String,
    #[serde(default)]
    reject: bool,
    after_ms: Option<u64>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum Patch {
    Apply(Value),
    Create(Value),
    Merge(Targeted),
    Json(Targeted),
    StrategicMerge(Targeted),
    Delete(Target),
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Target {
    api_version: String,
    kind: String,
    namespace: Option<String>,
    name: String,
}

#[derive(Clone, Deserialize)]
struct Targeted {
    target: Target,
    subresource: Option<String>,
    body: Value,
}

struct Scripted;

impl Handler for Scripted {
    fn describe() -> Description {
        let Version { name, describe, .. } = Version::read();
        describe.begin();
        Description::new("scripted", name.as_deref().unwrap_or(env!("CARGO_PKG_VERSION")))
    }

    fn validate(_settings: Value) -> Result<(), String> {
        Version::read().refuses.map_or(Ok(()), Err)
    }

    fn handle(event: Event) -> Result<PatchSet, Failure> {
        let mut version = Version::read();
        let own = version.on.remove(name(event.cause)).or_else(|| version.on.remove("any"));
        let script = own.map_or_else(|| script(&event), Ok)?;
        match (event.cause, script.deleted.clone()) {
            (Cause::Deleted, None) => Ok(PatchSet::new().no_children()),
            (Cause::Deleted, Some(script)) => script.play(&event),
            _ => script.play(&event),
        }
    }
}

fn script(event: &Event) -> Result<Script, Failure> {
    #[derive(Deserialize)]
    struct Object {
        spec: Option<Script>,
    }
    #[derive(Deserialize)]
    struct Settings {
        #[serde(default)]
        script: Script,
    }
    match event.object::<Object>()?.spec {
        Some(script) => Ok(script),
        None => Ok(event.settings::<Settings>()?.script),
    }
}

fn name(cause: Cause) -> &'static str {
    match cause {
        Cause::Created => "created",
        Cause::Updated => "updated",
        Cause::Deleted => "deleted",
        Cause::ChildChanged => "child-changed",
        Cause::Requeued => "requeued",
        Cause::PluginChanged => "plugin-changed",
        Cause::Resumed => "resumed",
    }
}

impl Script {
    fn begin(&self) {
        thread::sleep(Duration::from_millis(self.sleep_ms));
        assert!(!self.trap, "a trap was asked for");
    }

    fn play(mut self, event: &Event) -> Result<PatchSet, Failure> {
        self.begin();
        if let Some(fail) = self.fail {
            return Err(fail.failure());
        }
        let mut set = PatchSet::new();
        if let Some(mut children) = self.children {
            for child in children.iter_mut().filter(|_| self.fresh) {
                freshen(child, event);
            }
            set = set.children(&children);
        }
        for mut patch in self.patches {
            if let (true, Patch::Merge(Targeted { body, .. })) = (self.fresh, &mut patch) {
                freshen(body, event);
            }
            set = patch.add_to(set);
        }
        if self.echo {
            let status = self.status.get_or_insert_with(|| json!({}));
            status["echo"] = json!({
                "cause": name(event.cause),
                "version": Version::read().name,
                "attempt": event.attempt,
                "previous": event.previous::<Value>(),
                "children": event.children.len(),
            });
        }
        if let Some(status) = &self.status {
            set = set.status(status);
        }
        Ok(match self.requeue_after_ms {
            Some(after) => set.requeue_after(Duration::from_millis(after)),
            None => set,
        })
    }
}

fn freshen(object: &mut Value, event: &Event) {
    object["metadata"]["annotations"]["fresh"] = event.now_ms.to_string().into();
}

impl Fail {
    fn failure(self) -> Failure {
        match (self.reject, self.after_ms) {
            (true, _) => Failure::reject(self.message),
            (false, Some(after)) => Failure::retry(self.message).after(Duration::from_millis(after)),
            (false, None) => Failure::retry(self.message),
        }
    }
}

impl Patch {
    fn add_to(self, set: PatchSet) -> PatchSet {
        use operon_plugin::Patch as Wit;
        match self {
            Self::Apply(manifest) => set.apply(&manifest),
            Self::Create(manifest) => set.create(&manifest),
            Self::Merge(targeted) => set.patch(Wit::MergePatch(targeted.into())),
            Self::Json(targeted) => set.patch(Wit::JsonPatch(targeted.into())),
            Self::StrategicMerge(targeted) => set.patch(Wit::StrategicMergePatch(targeted.into())),
            Self::Delete(target) => set.delete(target.into()),
        }
    }
}

impl From<Targeted> for operon_plugin::Targeted {
    fn from(Targeted { target, subresource, body }: Targeted) -> Self {
        Self { target: target.into(), subresource, body: body.to_string(), ignore_missing: false }
    }
}

impl From<Target> for ObjectRef {
    fn from(target: Target) -> Self {
        let object = Self::new(target.api_version, target.kind, target.name);
        match target.namespace {
            Some(namespace) => object.in_namespace(namespace),
            None => object,
        }
    }
}

operon_plugin::export!(Scripted);
