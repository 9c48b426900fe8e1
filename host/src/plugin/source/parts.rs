//! The parts of a package: fetched by name, checked, joined, verified.

use futures::future::try_join_all;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use operon_core::{
    digest::Digest,
    package::{PART_KEY, PartRef, Version},
};

use super::{
    Component, SourceError,
    error::{PartFault, PartName},
};

/// Parts that are asked for at the same time.
const AT_ONCE: usize = 4;

/// A part of a version, with its number from 1.
pub(crate) struct Part<'a> {
    pub(crate) version: &'a Version,
    pub(crate) number: usize,
    pub(crate) named: &'a PartRef,
}

/// Fetches a version and takes it only if it is whole.
pub(crate) async fn fetch(api: &Api<ConfigMap>, version: &Version) -> Result<Component, SourceError> {
    let parts: Vec<_> = version.parts.iter().zip(1..).map(|(named, number)| Part { version, number, named }).collect();
    // No part has more than the 1 MiB of a ConfigMap, and there are 64 at most: so is the memory that this can take.
    let mut stored = Vec::new();
    for some in parts.chunks(AT_ONCE) {
        let fetches: Vec<_> = some.iter().map(|part| part.fetch(api)).collect();
        for bytes in try_join_all(fetches).await? {
            stored.extend(bytes);
        }
    }
    let version = version.clone();
    let wanted = version.digest.clone();
    let verified = tokio::task::spawn_blocking(move || Component::verified(stored, &version)).await;
    verified.map_err(std::io::Error::other)?.map_err(|error| SourceError::Package { wanted, error })
}

impl Part<'_> {
    async fn fetch(&self, api: &Api<ConfigMap>) -> Result<Vec<u8>, SourceError> {
        match api.get_opt(&self.named.name).await {
            Ok(Some(map)) => self.bytes(map),
            Ok(None) => Err(self.fault(PartFault::Missing)),
            Err(error) => Err(self.fault(PartFault::Unread(error))),
        }
    }

    /// The bytes in its ConfigMap, if they are those that the head names.
    pub(crate) fn bytes(&self, map: ConfigMap) -> Result<Vec<u8>, SourceError> {
        let bytes = map.binary_data.and_then(|mut data| data.remove(PART_KEY));
        let bytes = bytes.ok_or_else(|| self.fault(PartFault::NoKey))?.0;
        let found = Digest::of(&bytes);
        if found == self.named.digest {
            Ok(bytes)
        } else {
            Err(self.fault(PartFault::Wrong { found, expected: self.named.digest.clone() }))
        }
    }

    fn fault(&self, fault: PartFault) -> SourceError {
        let (number, of, name) = (self.number, self.version.parts.len(), self.named.name.clone());
        let part = Box::new(PartName { number, of, name, wanted: self.version.digest.clone() });
        SourceError::Part { part, fault }
    }
}
