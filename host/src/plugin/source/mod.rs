//! Where a plugin's bytes come from: a ConfigMap, watched through the API, or a file, looked at twice a second.
//!
//! A source yields what it holds whenever that changes, or why it has nothing; whoever runs the plugin leaves it running then.
//!
//! | module | what |
//! | --- | --- |
//! | `component` | the bytes, as they are stored, and their digest |
//! | `configmap`, `parts` | a ConfigMap with a component, or the head of a package and its parts |
//! | `file` | a file |
//! | `error` | why there is no component |

mod component;
mod configmap;
mod error;
mod file;
mod parts;

use std::pin::Pin;

use futures::Stream;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use operon_core::{config::Source, digest::Digest};

pub(crate) use self::configmap::{Content, content};
pub use self::{component::Component, error::SourceError};

/// What a source holds now.
pub struct Fetched {
    /// The component, or why there is none.
    pub bytes: Result<Component, SourceError>,
    /// Digest of the component that the source wants to be run, also where it can't be had; none where that isn't known.
    pub wanted: Option<Digest>,
    /// Where Events about it go.
    pub reference: Option<ObjectReference>,
}

impl Fetched {
    /// With the digest of what was found.
    fn new(bytes: Result<Component, SourceError>, reference: Option<ObjectReference>) -> Self {
        let wanted = match &bytes {
            Ok(component) => Some(component.digest.clone()),
            Err(error) => error.wanted().cloned(),
        };
        Self { bytes, wanted, reference }
    }
}

/// Yields what the source holds now, and again whenever that changes. With a `pin`, no other component is yielded.
pub fn watch(client: &Client, source: &Source, pin: Option<&Digest>) -> Pin<Box<dyn Stream<Item = Fetched> + Send>> {
    match source {
        Source::File(file) => Box::pin(file::watch(file.clone(), pin.cloned())),
        Source::ConfigMap(source) => Box::pin(configmap::watch(client, source.clone(), pin.cloned())),
    }
}
