//! A ConfigMap: watched through the API, never mounted, since a mount lags by minutes. One that goes leaves the plugin as it is.
//!
//! It holds the component itself, or the head of a package. Of a package, only the head is watched: its parts are fetched when the
//! head names another component, and until all of them are there.

use std::{collections::BTreeMap, time::Duration};

use futures::{Stream, StreamExt, stream};
use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, ObjectReference},
};
use kube::{
    Api, Client, Resource,
    runtime::{WatchStreamExt, watcher},
};
use operon_core::{
    config::{ConfigMapKey, ConfigMapSource},
    digest::Digest,
    package::{Encoding, HEAD_KEY, Head, Version},
};
use tokio::time::{Instant, timeout_at};

use super::{Component, Fetched, SourceError, parts};
use crate::delay::{backoff, jittered};

/// The keys that are taken where a ConfigMap has several and the config names none; the first that is there.
const KEYS: [&str; 3] = ["plugin.wasm", "plugin.wasm.zst", "plugin.wasm.gz"];
/// What the only key may end with that is taken otherwise.
const ENDS: [&str; 3] = [".wasm", ".wasm.zst", ".wasm.gz"];

/// Seconds that a watch lasts before it is asked for anew, so that one that is silently dead does not last.
const WATCH_SECONDS: u32 = 45;

/// Delay before parts that could not be had are asked for again; it doubles, up to the second.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_LIMIT: Duration = Duration::from_mins(1);

/// What a ConfigMap holds.
pub(crate) enum Content {
    Package(Head),
    Component { key: String, stored: Vec<u8> },
}

type Events = stream::BoxStream<'static, watcher::Result<watcher::Event<ConfigMap>>>;

struct Watched {
    api: Api<ConfigMap>,
    source: ConfigMapSource,
    pin: Option<Digest>,
    events: Events,
    /// The list that is under way, or the watch after it, has shown the ConfigMap.
    found: bool,
    /// The component of a package that was yielded last, unless something was wrong since.
    served: Option<Digest>,
    /// The last thing that was wrong, so that it is told once.
    told: Option<String>,
    /// A package whose parts are asked for again.
    awaited: Option<Awaited>,
}

struct Awaited {
    version: Version,
    reference: ObjectReference,
    failures: u32,
    at: Instant,
}

pub(super) fn watch(
    client: &Client,
    source: ConfigMapSource,
    pin: Option<Digest>,
) -> impl Stream<Item = Fetched> + Send + use<> {
    let api = Api::<ConfigMap>::namespaced(client.clone(), source.namespace.as_str());
    let only_it = format!("metadata.name={}", source.name);
    let config = watcher::Config::default().fields(&only_it).timeout(WATCH_SECONDS);
    let events = watcher(api.clone(), config).default_backoff().boxed();
    let watched = Watched { api, source, pin, events, found: false, served: None, told: None, awaited: None };
    stream::unfold(watched, |mut watched| async move {
        let fetched = watched.next().await?;
        Some((fetched, watched))
    })
}

impl Watched {
    async fn next(&mut self) -> Option<Fetched> {
        loop {
            let fetched = match self.awaited.take() {
                None => {
                    let event = self.events.next().await?;
                    self.take(event).await
                }
                Some(awaited) => match timeout_at(awaited.at, self.events.next()).await {
                    Ok(event) => {
                        // Unless the event is about the package itself, it waits on.
                        self.awaited = Some(awaited);
                        self.take(event?).await
                    }
                    Err(_) => Some(self.fetch(awaited.version, awaited.reference, awaited.failures).await),
                },
            };
            if let Some(fetched) = fetched.filter(|fetched| self.is_news(fetched)) {
                return Some(fetched);
            }
        }
    }

    /// What an event of the watch changes.
    async fn take(&mut self, event: watcher::Result<watcher::Event<ConfigMap>>) -> Option<Fetched> {
        match event {
            Ok(watcher::Event::Apply(map) | watcher::Event::InitApply(map)) => {
                self.found = true;
                self.read(map).await
            }
            Ok(watcher::Event::Init) => {
                self.found = false;
                None
            }
            Ok(watcher::Event::InitDone) if self.found => None,
            Ok(watcher::Event::InitDone | watcher::Event::Delete(_)) => {
                self.awaited = None;
                let (namespace, name) = (self.source.namespace.to_string(), self.source.name.to_string());
                Some(Fetched::new(Err(SourceError::NoConfigMap { namespace, name }), None))
            }
            Err(error) => {
                let ConfigMapSource { namespace, name, .. } = &self.source;
                tracing::warn!(configmap = %format_args!("{namespace}/{name}"), "watching the plugin's ConfigMap: {error}");
                None
            }
        }
    }

    async fn read(&mut self, map: ConfigMap) -> Option<Fetched> {
        self.awaited = None;
        let reference = map.object_ref(&());
        let key = self.source.key.as_ref().map(ConfigMapKey::as_str);
        let (key, stored) = match content(&map, key) {
            Ok(Content::Package(head)) => {
                let version = head.current;
                if let Some(pin) = self.pin.clone().filter(|pin| *pin != version.digest) {
                    let error = SourceError::Pinned { found: version.digest, pinned: pin };
                    return Some(Fetched::new(Err(error), Some(reference)));
                }
                if self.served.as_ref() == Some(&version.digest) {
                    return None;
                }
                return Some(self.fetch(version, reference, 0).await);
            }
            Ok(Content::Component { key, stored }) => (key, stored),
            Err(error) => return Some(Fetched::new(Err(error), Some(reference))),
        };
        let encoding = Encoding::of_name(&key);
        let component = tokio::task::spawn_blocking(move || Component::new(stored, encoding)).await;
        let component = match component {
            Ok(component) => component.map_err(|error| SourceError::Unpack { what: key, error }),
            Err(failed) => Err(SourceError::File(std::io::Error::other(failed))),
        };
        let component = component.and_then(|component| component.pinned(self.pin.as_ref()));
        Some(Fetched::new(component, Some(reference)))
    }

    /// Fetches the parts; where that fails, it is tried again unless only another head can help.
    async fn fetch(&mut self, version: Version, reference: ObjectReference, failures: u32) -> Fetched {
        let fetched = parts::fetch(&self.api, &version).await;
        if matches!(fetched, Err(SourceError::Part { .. } | SourceError::File(_))) {
            let at = Instant::now() + jittered(backoff(AGAIN, failures, AGAIN_LIMIT));
            let (reference, failures) = (reference.clone(), failures.saturating_add(1));
            self.awaited = Some(Awaited { version, reference, failures, at });
        }
        Fetched::new(fetched, Some(reference))
    }

    /// The same error again is none.
    fn is_news(&mut self, fetched: &Fetched) -> bool {
        match &fetched.bytes {
            Ok(component) => {
                self.told = None;
                self.served = Some(component.digest.clone());
                true
            }
            Err(error) => {
                self.served = None;
                let error = error.to_string();
                self.told.replace(error.clone()) != Some(error)
            }
        }
    }
}

/// What a ConfigMap holds: a package, otherwise the key that the config names, otherwise a usual one, otherwise the only one.
pub(crate) fn content(map: &ConfigMap, key: Option<&str>) -> Result<Content, SourceError> {
    if let Some(head) = map.data.as_ref().and_then(|texts| texts.get(HEAD_KEY)) {
        return Head::read(head).map(Content::Package).map_err(SourceError::Head);
    }
    let none = BTreeMap::new();
    let data = map.binary_data.as_ref().unwrap_or(&none);
    let usual = || KEYS.into_iter().find(|key| data.contains_key(*key)).or_else(|| only_component(data));
    let wanted = key.or_else(usual);
    if let Some((key, ByteString(bytes))) = wanted.and_then(|key| data.get_key_value(key)) {
        return Ok(Content::Component { key: key.clone(), stored: bytes.clone() });
    }
    // `--from-file` puts what is valid UTF-8 here; a component never is, so this names the key in the error.
    let texts = map.data.as_ref().into_iter().flat_map(|texts| texts.keys());
    let found = data.keys().chain(texts).map(String::as_str).collect::<Vec<_>>().join(", ");
    let expected = match key {
        Some(key) => format!("{key}, as the config says"),
        None => format!("{}, or a single one that ends so", KEYS.join(" or ")),
    };
    Err(SourceError::NoKey { found, expected })
}

fn only_component(data: &BTreeMap<String, ByteString>) -> Option<&str> {
    let mut keys = data.keys().filter(|key| ENDS.iter().any(|end| key.ends_with(end)));
    let only = keys.next()?;
    keys.next().is_none().then_some(only)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(keys: &[&str]) -> ConfigMap {
        let binary_data = keys.iter().map(|key| (key.to_string(), ByteString(key.as_bytes().to_vec())));
        ConfigMap { binary_data: Some(binary_data.collect()), ..ConfigMap::default() }
    }

    fn taken(keys: &[&str], key: Option<&str>) -> Result<String, String> {
        match content(&map(keys), key) {
            Ok(Content::Component { key, stored }) => {
                assert_eq!(stored, key.as_bytes());
                Ok(key)
            }
            Ok(Content::Package(_)) => panic!("there is no head"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn the_named_key_is_taken_else_the_usual_one_else_the_only_one_that_ends_so() {
        for (keys, key, want) in [
            (&["a.wasm", "plugin.wasm"][..], Some("a.wasm"), "a.wasm"),
            (&["a.wasm", "plugin.wasm", "plugin.wasm.zst"], None, "plugin.wasm"),
            (&["a.wasm", "plugin.wasm.zst"], None, "plugin.wasm.zst"),
            (&["a.wasm", "plugin.wasm.gz"], None, "plugin.wasm.gz"),
            (&["a.wasm", "notes.bin"], None, "a.wasm"),
            (&["a.wasm.zst"], None, "a.wasm.zst"),
            (&["odd"], Some("odd"), "odd"),
        ] {
            assert_eq!(taken(keys, key).unwrap(), want, "{keys:?}");
        }
    }

    #[test]
    fn a_configmap_without_the_key_or_with_several_says_what_it_has() {
        let missing = "has no component: found the keys [a.wasm], expected b.wasm, as the config says";
        assert_eq!(taken(&["a.wasm"], Some("b.wasm")).unwrap_err(), missing);
        let several = taken(&["a.wasm", "b.wasm.gz"], None).unwrap_err();
        assert!(several.contains("found the keys [a.wasm, b.wasm.gz], expected plugin.wasm or"), "{several}");
        assert!(taken(&[], None).is_err());
        assert!(taken(&["plugin.exe"], None).is_err());
    }

    #[test]
    fn a_head_is_a_package_whatever_else_is_there_and_a_wrong_one_is_not_passed_by() {
        let digest = Digest::of("");
        let head = format!(r#"{{"digest":"{digest}","size":1,"parts":[{{"name":"a","digest":"{digest}"}}]}}"#);
        let with = |head: &str| {
            let data = Some(BTreeMap::from([(HEAD_KEY.to_owned(), head.to_owned())]));
            content(&ConfigMap { data, ..map(&["plugin.wasm"]) }, Some("plugin.wasm"))
        };
        assert!(matches!(with(&head), Ok(Content::Package(head)) if head.current.digest == digest));
        let error = with("{}").err().unwrap().to_string();
        assert!(error.starts_with("is a package with a wrong operon.json: missing field"), "{error}");
    }

    fn watched() -> Watched {
        let config = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
        let client = Client::try_from(config).unwrap();
        Watched {
            api: Api::namespaced(client, "operon-system"),
            source: ConfigMapSource {
                namespace: "operon-system".parse().unwrap(),
                name: "sample-plugin".parse().unwrap(),
                key: None,
            },
            pin: None,
            events: stream::pending().boxed(),
            found: false,
            served: None,
            told: None,
            awaited: None,
        }
    }

    #[tokio::test]
    async fn a_configmap_that_is_not_there_is_told_once() {
        let mut watched = watched();
        let events = [
            (watcher::Event::Init, None),
            (watcher::Event::InitDone, Some(false)),
            (watcher::Event::Init, None),
            (watcher::Event::InitDone, None),
            (watcher::Event::Apply(map(&["plugin.wasm"])), Some(true)),
            (watcher::Event::Delete(map(&["plugin.wasm"])), Some(false)),
            (watcher::Event::Init, None),
            (watcher::Event::InitApply(map(&["plugin.wasm"])), Some(true)),
            (watcher::Event::InitDone, None),
        ];
        for (event, want) in events {
            let said = format!("{event:?}");
            let fetched = watched.take(Ok(event)).await.filter(|fetched| watched.is_news(fetched));
            assert_eq!(fetched.map(|fetched| fetched.bytes.is_ok()), want, "{said}");
        }
    }

    #[tokio::test]
    async fn a_pinned_source_yields_nothing_else_and_says_what_it_has() {
        let mut watched = Watched { pin: Some(Digest::of("another")), ..watched() };
        let fetched = watched.read(map(&["plugin.wasm"])).await.unwrap();
        let error = fetched.bytes.err().unwrap().to_string();
        let (found, pinned) = (Digest::of("plugin.wasm"), Digest::of("another"));
        assert!(error.contains(&format!("holds {found}, but the config has digest: {pinned}")), "{error}");
        assert_eq!(fetched.wanted, Some(found));
        watched.pin = Some(Digest::of("plugin.wasm"));
        assert!(watched.read(map(&["plugin.wasm"])).await.unwrap().bytes.is_ok());
    }
}
