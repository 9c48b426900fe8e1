//! What a state says, made of how a plugin stands.

use std::{sync::Arc, time::SystemTime};

use k8s_openapi::jiff::Timestamp;
use operon_core::{
    digest::Digest,
    standing::{Standing, Trouble},
};

use super::resource::{Condition, Held, PluginStatus};
use crate::plugin::Plugin;

/// What is counted of a plugin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) objects: usize,
    pub(super) errors: usize,
}

/// `former`: what was said before; a condition that is as it was keeps its time.
pub(super) fn status(
    source: String,
    standing: &Standing<Arc<Plugin>>,
    counts: Counts,
    former: Option<&PluginStatus>,
) -> PluginStatus {
    let text = |digest: &Digest| digest.to_string();
    let held = standing.held().iter().map(|(digest, hold)| Held {
        digest: text(digest),
        reason: hold.why.reason.clone(),
        message: hold.why.message.clone(),
        since: time(hold.since),
    });
    let former = |type_: &str| former.iter().flat_map(|f| &f.conditions).find(|condition| condition.type_ == type_);
    let condition = |type_: &str, is: Result<(&str, String), Trouble>| {
        let (status, reason, message) = match is {
            Ok((reason, message)) => ("True", reason.to_owned(), message),
            Err(Trouble { reason, message }) => ("False", reason, message),
        };
        let same = former(type_).filter(|former| former.status == status);
        let last_transition_time = same.map_or_else(Timestamp::now, |former| former.last_transition_time);
        Condition { type_: type_.into(), status: status.into(), reason, message, last_transition_time }
    };
    PluginStatus {
        source,
        wanted: standing.wanted.as_ref().map(text),
        running: standing.digest().map(text),
        version: standing.running().map(|plugin| plugin.version.clone()),
        last_good: standing.last_good().map(text),
        held: held.collect(),
        objects: counts.objects as u64,
        errors: counts.errors as u64,
        conditions: vec![condition("Ready", ready(standing)), condition("UpToDate", up_to_date(standing))],
    }
}

fn ready(standing: &Standing<Arc<Plugin>>) -> Result<(&'static str, String), Trouble> {
    match standing.running() {
        Some(_) if standing.on_trial() => Ok(("OnTrial", "a new version runs; the former is kept for now".into())),
        Some(_) => Ok(("Running", "a version runs".into())),
        None => {
            let why = standing.trouble.as_ref().map_or("the source has not been read yet", |trouble| &trouble.message);
            Err(Trouble { reason: "NoVersion".into(), message: format!("no version runs, events wait: {why}") })
        }
    }
}

fn up_to_date(standing: &Standing<Arc<Plugin>>) -> Result<(&'static str, String), Trouble> {
    match &standing.trouble {
        Some(trouble) => Err(trouble.clone()),
        None if standing.digest().is_some() && standing.digest() == standing.wanted.as_ref() => {
            Ok(("Running", "the version that the source holds runs".into()))
        }
        None => {
            Err(Trouble { reason: "Loading".into(), message: "the version that the source holds is loaded".into() })
        }
    }
}

fn time(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or_default()
}
