//! The resource that tells how a plugin is: `plugins.operon.dev`, written by the host, read by kubectl and by our own commands.

use k8s_openapi::jiff::Timestamp;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a person asks of a plugin. The host makes the object; it is called `<host>.<plugin>`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "operon.dev",
    version = "v1alpha1",
    kind = "Plugin",
    root = "PluginState",
    status = "PluginStatus",
    derive = "Default",
    derive = "PartialEq",
    doc = "How a plugin of an Operon host is; written by the host",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version"),
    printcolumn(name = "Digest", type_ = "string", json_path = ".status.running"),
    printcolumn(name = "Held", type_ = "string", json_path = ".status.held[*].reason"),
    printcolumn(name = "Objects", type_ = "integer", json_path = ".status.objects"),
    printcolumn(name = "Errors", type_ = "integer", json_path = ".status.errors"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct PluginSpec {
    /// Digests of versions that may run although they would delete many children; `operon approve` writes it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved: Vec<String>,
}

/// What the host says of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PluginStatus {
    /// Where its bytes come from, as in `ConfigMap operon-system/sample-plugin`.
    pub source: String,
    /// Digest of the component that the source holds; none where it can't be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<String>,
    /// Digest of the component that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<String>,
    /// What the component that runs calls its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Digest of the last version that has shown itself good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_good: Option<String>,
    /// Versions that are not run, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Held>,
    /// Objects that the plugin handles.
    #[serde(default)]
    pub objects: u64,
    /// Those of them whose last call failed.
    #[serde(default)]
    pub errors: u64,
    /// `Ready`: a version runs. `UpToDate`: it is the one that the source holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// A version that is not run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// Of the component.
    pub digest: String,
    /// One word: `Crashed`, `WouldPrune`.
    pub reason: String,
    /// For a person.
    pub message: String,
    /// Since when.
    #[schemars(with = "String")]
    pub since: Timestamp,
}

/// One side of how it is, in Kubernetes' usual form (`metav1.Condition`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// `Ready` or `UpToDate`.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// One word.
    pub reason: String,
    /// For a person.
    pub message: String,
    /// When `status` last became another.
    #[schemars(with = "String")]
    pub last_transition_time: Timestamp,
}
