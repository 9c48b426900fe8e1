//! Where a plugin's bytes come from: a ConfigMap, watched through the API, or a file.
//!
//! A ConfigMap is watched, never mounted: a mount lags by minutes. One that goes leaves the running plugin as it is.

use std::{
    io::{self, Cursor, Read},
    path::Path,
    pin::Pin,
    sync::Arc,
};

use futures::{Stream, StreamExt, stream};
use k8s_openapi::api::core::v1::{ConfigMap, ObjectReference};
use kube::{
    Api, Client, Resource,
    runtime::{WatchStreamExt, watcher},
};
use operon_core::{
    config::{ConfigMapKey, ConfigMapSource, Source},
    digest::Digest,
};

/// The key that is taken where a ConfigMap has several and the config names none.
const KEY: &str = "plugin.wasm";

/// Seconds that a watch lasts before it is asked for anew, so that one that is silently dead does not last.
const WATCH_SECONDS: u32 = 45;

/// What a source holds now.
pub struct Fetched {
    /// The component, or why there is none.
    pub bytes: Result<Component, SourceError>,
    /// Where Events about it go.
    pub reference: Option<ObjectReference>,
}

/// The bytes of a component, unchecked. A clone shares them.
#[derive(Clone)]
pub struct Component {
    /// Of the bytes.
    pub digest: Digest,
    /// How many.
    pub size: u64,
    stored: Stored,
}

#[derive(Clone)]
struct Stored(Arc<Vec<u8>>);

impl AsRef<[u8]> for Stored {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Why a source has no component.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file that can't be read.
    #[error("can't be read: {0}")]
    File(#[from] std::io::Error),
    /// There is no such ConfigMap.
    #[error(
        "is not there; make it with: kubectl create configmap {name} --namespace {namespace} --from-file={KEY}=FILE"
    )]
    NoConfigMap {
        /// Where it should be.
        namespace: String,
        /// What it should be called.
        name: String,
    },
    /// None of its keys can be the component.
    #[error("has no component: found the binaryData keys [{found}], expected {expected}")]
    NoKey {
        /// The keys that are there.
        found: String,
        /// What is looked for.
        expected: String,
    },
}

impl Component {
    fn new(bytes: Vec<u8>) -> Self {
        Self { digest: Digest::of(&bytes), size: bytes.len() as u64, stored: Stored(Arc::new(bytes)) }
    }

    /// Reads a file, as it is now.
    pub fn read(file: &Path) -> Result<Self, SourceError> {
        Ok(Self::new(std::fs::read(file)?))
    }

    /// The bytes, from the first.
    pub fn reader(&self) -> io::Result<impl Read + Send + 'static> {
        Ok(Cursor::new(self.stored.clone()))
    }
}

/// Yields what the source holds now, and again whenever that changes.
pub fn watch(client: &Client, source: &Source) -> Pin<Box<dyn Stream<Item = Fetched> + Send>> {
    match source {
        Source::File(file) => {
            let fetched = Fetched { bytes: Component::read(file), reference: None };
            stream::iter([fetched]).chain(stream::pending()).boxed()
        }
        Source::ConfigMap(source) => {
            let api = Api::<ConfigMap>::namespaced(client.clone(), source.namespace.as_str());
            let only_it = format!("metadata.name={}", source.name);
            let config = watcher::Config::default().fields(&only_it).timeout(WATCH_SECONDS);
            let source = source.clone();
            watcher(api, config)
                .default_backoff()
                .scan(false, move |found, event| {
                    let fetched = from_event(&source, found, event);
                    std::future::ready(Some(fetched))
                })
                .filter_map(std::future::ready)
                .boxed()
        }
    }
}

/// `found`: the list that is under way, or the watch after it, has shown the ConfigMap.
fn from_event(
    source: &ConfigMapSource,
    found: &mut bool,
    event: watcher::Result<watcher::Event<ConfigMap>>,
) -> Option<Fetched> {
    let gone = || {
        let (namespace, name) = (source.namespace.to_string(), source.name.to_string());
        Some(Fetched { bytes: Err(SourceError::NoConfigMap { namespace, name }), reference: None })
    };
    match event {
        Ok(watcher::Event::Apply(map) | watcher::Event::InitApply(map)) => {
            *found = true;
            let reference = Some(map.object_ref(&()));
            Some(Fetched { bytes: component(map, source.key.as_ref().map(ConfigMapKey::as_str)), reference })
        }
        Ok(watcher::Event::Init) => {
            *found = false;
            None
        }
        Ok(watcher::Event::InitDone) if !*found => gone(),
        Ok(watcher::Event::InitDone) => None,
        Ok(watcher::Event::Delete(_)) => gone(),
        Err(error) => {
            tracing::warn!(configmap = %format_args!("{}/{}", source.namespace, source.name), "watching the plugin's ConfigMap: {error}");
            None
        }
    }
}

/// Takes the key that the config names, otherwise `plugin.wasm`, otherwise the only one.
fn component(mut map: ConfigMap, key: Option<&str>) -> Result<Component, SourceError> {
    let mut data = map.binary_data.take().unwrap_or_default();
    // `--from-file` puts what is valid UTF-8 here; a component never is, so this names the key in the error below.
    let texts = map.data.as_ref().into_iter().flat_map(|texts| texts.keys());
    let found = data.keys().chain(texts).map(String::as_str).collect::<Vec<_>>().join(", ");
    let wanted = match key {
        Some(key) => Some(key.to_owned()),
        None if data.contains_key(KEY) => Some(KEY.to_owned()),
        None if data.len() == 1 => data.keys().next().cloned(),
        None => None,
    };
    let bytes = wanted.as_ref().and_then(|key| data.remove(key));
    let expected = || key.map_or_else(|| format!("{KEY}, or a single key"), ToOwned::to_owned);
    bytes.map(|bytes| Component::new(bytes.0)).ok_or_else(|| SourceError::NoKey { found, expected: expected() })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    fn map(keys: &[&str]) -> ConfigMap {
        let binary_data = keys.iter().map(|key| (key.to_string(), ByteString(key.as_bytes().to_vec())));
        ConfigMap { binary_data: Some(binary_data.collect()), ..ConfigMap::default() }
    }

    fn taken(keys: &[&str], key: Option<&str>) -> Result<Vec<u8>, String> {
        component(map(keys), key).map(|component| component.stored.0.to_vec()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_named_key_is_taken_else_the_usual_one_else_the_only_one() {
        assert_eq!(taken(&["a.wasm", "plugin.wasm"], Some("a.wasm")).unwrap(), b"a.wasm");
        assert_eq!(taken(&["a.wasm", "plugin.wasm"], None).unwrap(), b"plugin.wasm");
        assert_eq!(taken(&["a.wasm"], None).unwrap(), b"a.wasm");
    }

    #[test]
    fn a_configmap_without_the_key_says_what_it_has() {
        let missing = "has no component: found the binaryData keys [a.wasm], expected b.wasm";
        assert_eq!(taken(&["a.wasm"], Some("b.wasm")).unwrap_err(), missing);
        assert!(taken(&["a.wasm", "b.wasm"], None).unwrap_err().ends_with("expected plugin.wasm, or a single key"));
        assert!(taken(&[], None).is_err());
    }

    #[test]
    fn a_configmap_that_is_not_there_is_told_once_a_list() {
        let source = ConfigMapSource {
            namespace: "operon-system".parse().unwrap(),
            name: "sample-plugin".parse().unwrap(),
            key: None,
        };
        let mut found = false;
        let mut step = |event| from_event(&source, &mut found, Ok(event)).map(|fetched| fetched.bytes.is_ok());
        assert_eq!(step(watcher::Event::Init), None);
        assert_eq!(step(watcher::Event::InitDone), Some(false));
        assert_eq!(step(watcher::Event::Apply(map(&["plugin.wasm"]))), Some(true));
        assert_eq!(step(watcher::Event::Delete(map(&["plugin.wasm"]))), Some(false));
        assert_eq!(step(watcher::Event::Init), None);
        assert_eq!(step(watcher::Event::InitApply(map(&["plugin.wasm"]))), Some(true));
        assert_eq!(step(watcher::Event::InitDone), None);
    }
}
