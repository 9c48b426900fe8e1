//! A package in the cluster: its head, replaced at once and by one at a time, and its parts.
//!
//! Parts are written before the head that names them, and removed only where no head names them and nobody is about to: who finds a
//! part that is there already touches it before it names it, and who removes parts says which version of each it saw. So no head ever
//! names a part that is not there, whoever is killed and however many push at once.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, bail};
use k8s_openapi::{
    ByteString,
    api::core::v1::ConfigMap,
    jiff::{SignedDuration, Timestamp},
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions},
};
use operon_core::{
    config::ConfigMapName,
    digest::Digest,
    names::{PACKAGE_LABEL, TOUCHED},
    package::{HEAD_KEY, Head, PART_KEY, Packed, PartRef, Place, is_part_of, label},
};
use serde_json::json;

use crate::plugin::source::{Content, content};

/// The field manager of what these commands write.
const MANAGER: &str = "operon-push";

/// Where a package is, or will be.
pub(super) struct Store {
    api: Api<ConfigMap>,
    pub(super) place: Place,
}

/// What is there now.
pub(super) struct Found {
    pub(super) head: Option<Head>,
    /// The key of a plain component that the head takes the place of.
    pub(super) plain: Option<String>,
    map: Option<ConfigMap>,
}

impl Store {
    pub(super) fn new(client: Client, place: Place) -> Self {
        Self { api: Api::namespaced(client, place.namespace.as_str()), place }
    }

    /// What the ConfigMap holds; refuses one that is something else.
    pub(super) async fn read(&self) -> anyhow::Result<Found> {
        let place = &self.place;
        let map = self.api.get_opt(place.name.as_str()).await.with_context(|| format!("reading ConfigMap {place}"))?;
        let Some(map) = map else { return Ok(Found { head: None, plain: None, map: None }) };
        let is_empty = |map: &ConfigMap| {
            map.data.as_ref().is_none_or(BTreeMap::is_empty) && map.binary_data.as_ref().is_none_or(BTreeMap::is_empty)
        };
        match content(&map, None) {
            Ok(Content::Package(head)) => Ok(Found { head: Some(head), plain: None, map: Some(map) }),
            Ok(Content::Component { key, .. }) => Ok(Found { head: None, plain: Some(key), map: Some(map) }),
            Err(_) if is_empty(&map) => Ok(Found { head: None, plain: None, map: Some(map) }),
            Err(error) => bail!("ConfigMap {place} {error}: it is not overwritten; delete it, or name another"),
        }
    }

    /// The head of a package that is there.
    pub(super) async fn package(&self) -> anyhow::Result<(Head, Found)> {
        let place = &self.place;
        let found = self.read().await?;
        match found.head.clone() {
            Some(head) => Ok((head, found)),
            None if found.map.is_none() => bail!("there is no ConfigMap {place}"),
            None => bail!(
                "ConfigMap {place} is no package: it has no {HEAD_KEY}, and so no other versions; operon push makes it one"
            ),
        }
    }

    /// Puts a part there, or makes sure that it stays. True where it was written.
    pub(super) async fn put_part(&self, part: &PartRef, bytes: &[u8]) -> anyhow::Result<bool> {
        let context = || format!("writing ConfigMap {}/{}", self.place.namespace, part.name);
        loop {
            match self.api.create(&post(), &self.part(part, bytes)).await {
                Ok(_) => return Ok(true),
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(error) => return Err(error).with_context(context),
            }
            let touched = json!({"metadata": {"annotations": {TOUCHED: Timestamp::now().to_string()}}});
            let params = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
            let map = match self.api.patch(&part.name, &params, &Patch::Merge(touched)).await {
                Ok(map) => map,
                // Somebody has removed it in between.
                Err(kube::Error::Api(status)) if status.code == 404 => continue,
                Err(error) => return Err(error).with_context(context),
            };
            let there = map.binary_data.as_ref().and_then(|data| data.get(PART_KEY));
            if there.is_none_or(|there| Digest::of(&there.0) != part.digest) {
                bail!(
                    "ConfigMap {}/{} is there already, and is not the part that it should be: delete it and push again",
                    self.place.namespace,
                    part.name
                );
            }
            return Ok(false);
        }
    }

    fn part(&self, part: &PartRef, bytes: &[u8]) -> ConfigMap {
        let binary_data = BTreeMap::from([(PART_KEY.to_owned(), ByteString(bytes.to_vec()))]);
        ConfigMap {
            metadata: ObjectMeta {
                name: Some(part.name.clone()),
                labels: Some(self.labels()),
                ..ObjectMeta::default()
            },
            binary_data: Some(binary_data),
            immutable: Some(true),
            ..ConfigMap::default()
        }
    }

    fn labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(PACKAGE_LABEL.to_owned(), label(&self.place.name))])
    }

    /// Puts the head in place of what was found; false where that is no longer there.
    pub(super) async fn put_head(&self, found: Found, head: &Head) -> anyhow::Result<bool> {
        let is_new = found.map.is_none();
        let mut map = found.map.unwrap_or_default();
        map.metadata.name = Some(self.place.name.to_string());
        map.metadata.managed_fields = None;
        map.labels_mut().extend(self.labels());
        map.data.get_or_insert_default().insert(HEAD_KEY.into(), head.write());
        if let (Some(plain), Some(data)) = (&found.plain, &mut map.binary_data) {
            data.remove(plain);
        }
        let written = if is_new {
            self.api.create(&post(), &map).await
        } else {
            // With the version that was read: fails where it is another by now.
            self.api.replace(self.place.name.as_str(), &post(), &map).await
        };
        match written {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 409 || !is_new && status.code == 404 => Ok(false),
            Err(error) => Err(error).with_context(|| format!("writing ConfigMap {}", self.place)),
        }
    }

    /// Removes parts that no version of the head names, and that nobody has written or touched for this long; says how many.
    pub(super) async fn tidy(&self, unused_for: Duration) -> anyhow::Result<usize> {
        let ours = ListParams::default().labels(&format!("{PACKAGE_LABEL}={}", label(&self.place.name)));
        // First the parts, then the head: what is named later was touched later, and is another version then.
        let parts = self.api.list(&ours).await.context("listing parts")?;
        let Some(head) = self.read().await?.head else { return Ok(0) };
        let (named, now) = (head.part_names(), Timestamp::now());
        let mut removed = 0;
        for part in parts.items {
            let name = part.name_any();
            if !is_part_of(&self.place.name, &name) || named.contains(&*name) || !is_unused(&part, now, unused_for) {
                continue;
            }
            let preconditions = Preconditions { uid: part.uid(), resource_version: part.resource_version() };
            let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
            match self.api.delete(&name, &params).await {
                Ok(_) => removed += 1,
                // Gone, or touched.
                Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => {}
                Err(error) => return Err(error).with_context(|| format!("removing ConfigMap {name}")),
            }
        }
        Ok(removed)
    }
}

fn post() -> PostParams {
    PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() }
}

fn is_unused(part: &ConfigMap, now: Timestamp, unused_for: Duration) -> bool {
    let made = part.metadata.creation_timestamp.as_ref().map(|made| made.0);
    let touched = part.annotations().get(TOUCHED).and_then(|text| text.parse::<Timestamp>().ok());
    let Some(last) = made.max(touched) else { return false };
    SignedDuration::try_from(unused_for).is_ok_and(|unused_for| now.duration_since(last) >= unused_for)
}

/// The parts of a packed component, under this head.
pub(super) fn pack(head: &ConfigMapName, stored: Vec<u8>) -> anyhow::Result<Packed> {
    Ok(Packed::new(head, stored, operon_core::package::Encoding::Zstd)?)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    #[test]
    fn a_part_is_unused_when_it_was_neither_made_nor_touched_for_long_enough() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let part = |made: i64, touched: Option<i64>| ConfigMap {
            metadata: ObjectMeta {
                creation_timestamp: Some(Time(at(made))),
                annotations: touched.map(|touched| BTreeMap::from([(TOUCHED.to_owned(), at(touched).to_string())])),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        };
        let unused = |part: &ConfigMap| is_unused(part, at(1000), Duration::from_mins(1));
        assert!(unused(&part(940, None)));
        assert!(!unused(&part(941, None)));
        assert!(!unused(&part(100, Some(990))), "it is about to be named");
        assert!(unused(&part(100, Some(900))));
        assert!(!unused(&ConfigMap::default()), "in doubt it stays");
    }
}
