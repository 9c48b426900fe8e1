//! Takes finalizer and record away from one object, against whoever else changes it at that moment.

use std::time::Duration;

use kube::{
    Client,
    api::{Patch, PatchParams},
};
use operon_core::{names::PluginIdentity, release::Hold};

use super::search::Found;
use crate::cluster::api;

/// How often it is tried, 3 s together: what fails that often is no race.
const ATTEMPTS: u32 = 6;

/// The first pause between two attempts; it doubles.
const PAUSE: Duration = Duration::from_millis(100);

/// Fails with the API server's last word. An object that is gone, or made anew under its name, is held no more.
pub(super) async fn remove(client: &Client, plugin: &PluginIdentity, found: &Found) -> kube::Result<()> {
    let api = api(client, &found.kind, found.key.namespace.as_deref());
    let params = PatchParams { field_manager: Some(plugin.record_manager()), ..PatchParams::default() };
    let mut hold = found.hold.clone();
    let mut attempt = 1;
    loop {
        let patch = Patch::<serde_json::Value>::Json(hold.release(plugin, &found.uid));
        let error = match api.patch_metadata(&found.key.name, &params, &patch).await {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
            Err(error) => error,
        };
        if attempt == ATTEMPTS || !may_do_again(&error) {
            return Err(error);
        }
        tokio::time::sleep(PAUSE * 2_u32.pow(attempt - 1)).await;
        attempt += 1;
        // Left as it is where it can't be read: the patch then has the same tests to pass.
        if let Ok(read) = api.get_metadata_opt(&found.key.name).await {
            let now = read.map(|read| read.metadata).filter(|metadata| metadata.uid.as_ref() == Some(&found.uid));
            let now = now.and_then(|metadata| {
                Hold::of(plugin, &metadata.finalizers.unwrap_or_default(), &metadata.annotations.unwrap_or_default())
            });
            match now {
                Some(now) => hold = now,
                None => return Ok(()),
            }
        }
    }
}

/// 422 says that a test of the patch failed: somebody changed the object since it was read.
fn may_do_again(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => matches!(status.code, 408 | 409 | 422 | 429 | 500..),
        _ => true,
    }
}
