//! What a request asks for, read as the API server reads it: from its method, path, query, and for a record its body.

use std::fmt;

use serde_json::Value;

use super::http::Request;

/// What is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Apply,
    Patch,
    Delete,
}

/// A request, as far as faults and counters care.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) verb: Verb,
    /// `plural.group`; empty where the API server is asked what it serves.
    pub(crate) resource: String,
    pub(crate) name: String,
    pub(crate) subresource: String,
    pub(crate) manager: String,
    pub(crate) dry_run: bool,
    /// Of a watch: where it begins.
    pub(crate) version: String,
    /// Of a watch or a list; the path where the API server is asked what it serves.
    selector: String,
    /// Of an apply of finalizer and record: what it says was handled.
    pub(crate) recorded: Option<Recorded>,
}

/// What a record names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Recorded {
    pub(crate) uid: String,
    pub(crate) essence: String,
}

impl Asked {
    pub(super) fn read(request: &Request) -> Self {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let query = |key: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            let mut values = pairs.filter(|(found, _)| *found == key).map(|(_, value)| value.replace("%2F", "/"));
            values.next().unwrap_or_default()
        };
        let mut segments = path.split('/').filter(|segment| !segment.is_empty());
        let group = match segments.next() {
            Some("apis") => segments.next().unwrap_or_default(),
            _ => "",
        };
        let rest: Vec<&str> = segments.skip(1).collect();
        let rest = match rest.as_slice() {
            ["namespaces", _, rest @ ..] if !rest.is_empty() => rest,
            rest => rest,
        };
        let segment = |place: usize| rest.get(place).copied().unwrap_or_default().to_owned();
        let name = segment(1);
        let resource = rest.first().map(|plural| format!("{plural}.{group}")).unwrap_or_default();
        let verb = match request.method.as_str() {
            "GET" if query("watch") == "true" => Verb::Watch,
            "GET" if name.is_empty() && !resource.is_empty() => Verb::List,
            "POST" => Verb::Create,
            "PUT" => Verb::Update,
            "PATCH" if request.content_type.contains("apply-patch") => Verb::Apply,
            "PATCH" => Verb::Patch,
            "DELETE" => Verb::Delete,
            _ => Verb::Get,
        };
        let mut asked = Self {
            // Of a delete it is in the body.
            dry_run: query("dryRun") == "All" || verb == Verb::Delete && contains(&request.body, "dryRun"),
            manager: query("fieldManager"),
            version: query("resourceVersion"),
            selector: if resource.is_empty() { path.into() } else { query("labelSelector") + &query("fieldSelector") },
            subresource: segment(2),
            recorded: None,
            verb,
            resource,
            name,
        };
        if asked.is_record() {
            asked.recorded = recorded(&request.body);
        }
        asked
    }

    pub(super) fn record(recorded: Recorded) -> Self {
        let (resource, name, subresource, manager, version, selector) = Default::default();
        let (verb, recorded) = (Verb::Apply, Some(recorded));
        Self { verb, resource, name, subresource, manager, dry_run: false, version, selector, recorded }
    }

    /// Something that changes an object; Events, leases, states of plugins and dry runs are apart.
    pub(crate) fn is_write(&self) -> bool {
        let apart = ["events.", "events.events.k8s.io", "leases.coordination.k8s.io", "plugins.operon.dev"];
        self.changes() && !self.dry_run && !apart.contains(&self.resource.as_str())
    }

    /// Anything but a read.
    pub(crate) fn changes(&self) -> bool {
        !matches!(self.verb, Verb::Get | Verb::List | Verb::Watch)
    }

    /// The host's finalizer on an object.
    pub(crate) fn is_finalizer(&self) -> bool {
        self.manager.starts_with("operon-finalizer/")
    }

    /// The host's record on an object, and the end of record and finalizer.
    pub(crate) fn is_record(&self) -> bool {
        self.manager.starts_with("operon-record/") && self.subresource.is_empty()
    }

    /// Such as `Apply samples.nuvolaris.org by operon-record`: of no object in particular.
    pub(crate) fn kind(&self) -> String {
        let Self { verb, resource, manager, .. } = self;
        let manager = manager.split('/').next().unwrap_or_default();
        format!("{verb:?} {resource} by {}", if manager.is_empty() { "operon" } else { manager })
    }

    /// The same for all requests that ask for the same thing.
    pub(super) fn what(&self) -> String {
        format!("{self} {}", self.selector)
    }
}

/// Such as `apply deployments.apps/obj by operon/default.sample`.
impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verb, resource, name, subresource, manager, .. } = self;
        write!(f, "{verb:?} {resource}")?;
        for part in [name, subresource].into_iter().filter(|part| !part.is_empty()) {
            write!(f, "/{part}")?;
        }
        if manager.is_empty() { Ok(()) } else { write!(f, " by {manager}") }
    }
}

fn contains(body: &[u8], word: &str) -> bool {
    body.windows(word.len()).any(|window| window == word.as_bytes())
}

fn recorded(body: &[u8]) -> Option<Recorded> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let annotations = body.pointer("/metadata/annotations")?.as_object()?;
    let (_, record) = annotations.iter().find(|(key, _)| key.starts_with("operon.dev/"))?;
    let record: Value = serde_json::from_str(record.as_str()?).ok()?;
    let field = |name: &str| Some(record[name].as_str()?.to_owned());
    Some(Recorded { uid: field("uid")?, essence: field("essenceDigest")? })
}
