//! Keeps the state of a plugin true: written when it changes, its counts now and then.

use std::{sync::Arc, time::Duration};

use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::{
    known::Known,
    resource::{PluginState, PluginStatus},
    status::{Counts, status},
};
use crate::handle::Handler;

/// How often counts are looked at.
const COUNTS: Duration = Duration::from_secs(10);
/// What changes within this time is written at once.
const PAUSE: Duration = Duration::from_millis(100);
/// What can't be written is tried again after this time.
const AGAIN: Duration = Duration::from_secs(30);

/// Writes the state of one plugin.
pub struct StateWriter {
    /// As who.
    pub client: Client,
    /// Whose.
    pub handler: Arc<Handler>,
    /// What was written before the start.
    pub known: Known,
}

impl StateWriter {
    /// Runs as long as the host.
    pub async fn run(mut self) {
        let name = self.handler.writer.plugin.label.clone();
        let mut written = self.known.left(&name).await.and_then(|state| state.status);
        let mut standing = self.handler.slot.subscribe();
        let mut told = false;
        loop {
            let counts = Counts { objects: self.handler.objects(), errors: self.handler.errors() };
            let source = self.handler.config.source.to_string();
            let now = status(source, &standing.borrow_and_update(), counts, written.as_ref());
            if written.as_ref() != Some(&now) {
                match self.write(&name, &now).await {
                    Ok(()) => written = Some(now),
                    Err(error) => {
                        if !told {
                            tell(&name, &error);
                        }
                        told = true;
                        sleep(AGAIN).await;
                        continue;
                    }
                }
            }
            // Whoever waits for it hears the end of it either way.
            let _ = timeout(COUNTS, standing.changed()).await;
            sleep(PAUSE).await;
        }
    }

    async fn write(&self, name: &str, status: &PluginStatus) -> kube::Result<()> {
        let api = Api::<PluginState>::all(self.client.clone());
        let params = PatchParams::apply(&format!("operon-state/{name}")).force();
        let body = |fields: Value| {
            let mut body = json!({"apiVersion": "operon.dev/v1alpha1", "kind": "Plugin", "metadata": {"name": name}});
            body["status"] = fields;
            Patch::Apply(body)
        };
        let status = json!(status);
        match api.patch_status(name, &params, &body(status.clone())).await {
            Err(kube::Error::Api(answer)) if answer.code == 404 => {
                let object = json!({
                    "apiVersion": "operon.dev/v1alpha1", "kind": "Plugin", "metadata": {"name": name}, "spec": {},
                });
                api.patch(name, &params, &Patch::Apply(object)).await?;
                api.patch_status(name, &params, &body(status)).await?;
            }
            written => drop(written?),
        }
        Ok(())
    }
}

fn tell(name: &str, error: &kube::Error) {
    let missing = matches!(error, kube::Error::Api(status) if status.code == 404);
    if missing {
        tracing::warn!(
            "the API server has no resource plugins.operon.dev, so the state of {name} is not told there, and a restart forgets \
             which versions were held; to have it: kubectl apply -f deploy/crds/plugins.operon.dev.yaml"
        );
    } else {
        tracing::warn!("the state of {name} could not be written, it is tried again: {error}");
    }
}
