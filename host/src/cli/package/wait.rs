//! `--wait`: until the hosts run what was asked for, or say why they don't.

use std::time::Duration;

use anyhow::bail;
use kube::{Api, Client, ResourceExt, api::ListParams};
use operon_core::{digest::Digest, package::Place};
use tokio::time::{Instant, sleep};

use super::print;
use crate::{
    args::Wait,
    cli::state::explain,
    state::resource::{Condition, PluginState},
};

/// How often the states are asked for.
const POLL: Duration = Duration::from_millis(200);

/// How a host stands to a version.
enum Stand<'a> {
    Runs,
    Refuses(&'a Condition),
    NotYet,
}

/// Waits until each plugin that comes from there runs this version; fails with the host's own reason.
pub(super) async fn wait(client: &Client, place: &Place, digest: &Digest, wait: &Wait) -> anyhow::Result<()> {
    let (api, begun) = (Api::<PluginState>::all(client.clone()), Instant::now());
    let source = format!("ConfigMap {place}");
    loop {
        let states = api.list(&ListParams::default()).await.map_err(explain)?.items;
        let ours = states.iter().filter(|state| state.status.as_ref().is_some_and(|status| status.source == source));
        let ours: Vec<_> = ours.collect();
        for state in &ours {
            if let Stand::Refuses(condition) = stand(state, digest) {
                bail!("{} does not run it: {}: {}", state.name_any(), condition.reason, condition.message);
            }
        }
        let waiting: Vec<_> = ours.iter().filter(|state| !matches!(stand(state, digest), Stand::Runs)).collect();
        if !ours.is_empty() && waiting.is_empty() {
            let names: Vec<_> = ours.iter().map(|state| state.name_any()).collect();
            return print(&format!("it runs: {}\n", names.join(", ")));
        }
        if begun.elapsed() >= wait.timeout.as_duration() {
            let names: Vec<_> = waiting.iter().map(|state| state.name_any()).collect();
            match names.as_slice() {
                [] => bail!("waited {} in vain: no host has told of a plugin from {source}", wait.timeout),
                names => bail!("waited {} in vain for: {}", wait.timeout, names.join(", ")),
            }
        }
        sleep(POLL).await;
    }
}

fn stand<'a>(state: &'a PluginState, digest: &Digest) -> Stand<'a> {
    let Some(status) = &state.status else { return Stand::NotYet };
    let up_to_date = status.conditions.iter().find(|condition| condition.type_ == "UpToDate");
    match up_to_date {
        _ if status.wanted.as_deref() != Some(digest.as_str()) => Stand::NotYet,
        Some(condition) if condition.status == "True" => Stand::Runs,
        // It is on its way.
        Some(condition) if condition.reason == "Loading" => Stand::NotYet,
        Some(condition) => Stand::Refuses(condition),
        None => Stand::NotYet,
    }
}
