//! `operon status` and `operon approve`: how plugins are, and letting a held version run.
//!
//! Both go by the resource `plugins.operon.dev`, with the caller's own rights, so that they work from anybody's machine.

use std::process::ExitCode;

use anyhow::bail;
use k8s_openapi::jiff::Timestamp;
use kube::{
    Api, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use operon_core::{digest::Digest, names::PluginIdentity};
use serde_json::json;

use super::{
    package::{print, with_client},
    table::table,
};
use crate::{
    args::{Approve, Status},
    state::resource::{PluginState, PluginStatus},
};

/// Prints a table of all plugins of all hosts, and why those that are not up to date are not.
pub fn status(args: &Status) -> ExitCode {
    with_client(&args.login, async |client| {
        let states = Api::<PluginState>::all(client).list(&ListParams::default()).await.map_err(explain)?;
        print(&describe(&states.items, Timestamp::now()))
    })
}

/// Lets a version run that is held because it would delete many children.
pub fn approve(args: &Approve) -> ExitCode {
    with_client(&args.login, async |client| {
        let name = PluginIdentity::new(&args.host, args.plugin.as_str()).label;
        let api = Api::<PluginState>::all(client);
        let Some(state) = api.get_opt(&name).await.map_err(explain)? else {
            bail!("there is no plugin {name}; list them with: kubectl get plugins.operon.dev");
        };
        let digest = chosen(&state, args.digest.as_deref())?;
        let mut approved = state.spec.approved.clone();
        if !approved.contains(&digest) {
            approved.push(digest.clone());
        }
        // Fails where somebody else has changed it meanwhile: no approval is lost.
        let version = state.resource_version();
        let patch = json!({"metadata": {"resourceVersion": version}, "spec": {"approved": approved}});
        api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await?;
        print(&format!("The plugin {name} may run the version {digest}: its host puts it in place.\n"))
    })
}

/// The digest of the held version that is meant: the one that begins so, or the only one.
fn chosen(state: &PluginState, wanted: Option<&str>) -> anyhow::Result<String> {
    let held = state.status.iter().flat_map(|status| &status.held);
    let held: Vec<_> = held.filter(|held| held.reason == "WouldPrune").map(|held| held.digest.as_str()).collect();
    let begins = |digest: &str, wanted: &str| {
        digest.starts_with(wanted) || digest.strip_prefix("sha256:").is_some_and(|hex| hex.starts_with(wanted))
    };
    let fitting: Vec<_> = held.iter().filter(|digest| wanted.is_none_or(|wanted| begins(digest, wanted))).collect();
    match (fitting.as_slice(), wanted) {
        ([digest], _) => Ok((**digest).to_owned()),
        // Before the host has seen it, a whole digest can be approved as well.
        ([], Some(wanted)) if wanted.parse::<Digest>().is_ok() => Ok(wanted.to_owned()),
        ([], _) => {
            bail!("no such version is held because of children that it would delete; held are: [{}]", held.join(", "))
        }
        (_, _) => bail!("several versions are held; say which with --digest: {}", held.join(", ")),
    }
}

fn describe(states: &[PluginState], now: Timestamp) -> String {
    let head = ["NAME", "READY", "UP-TO-DATE", "VERSION", "DIGEST", "OBJECTS", "ERRORS", "AGE"];
    let none = PluginStatus::default();
    let rows = states.iter().map(|state| {
        let status = state.status.as_ref().unwrap_or(&none);
        let condition = |type_: &str| {
            let found = status.conditions.iter().find(|condition| condition.type_ == type_);
            found.map_or("Unknown", |condition| &condition.status).to_owned()
        };
        let running = status.running.as_deref().and_then(|text| text.parse::<Digest>().ok());
        let made = state.metadata.creation_timestamp.as_ref();
        [
            state.name_any(),
            condition("Ready"),
            condition("UpToDate"),
            status.version.clone().unwrap_or_else(|| "-".into()),
            running.map_or("-".into(), |digest| digest.short().to_owned()),
            status.objects.to_string(),
            status.errors.to_string(),
            made.map_or("-".into(), |made| age(now, made.0)),
        ]
    });
    let mut text = table(&head, &rows.collect::<Vec<_>>());
    for state in states {
        let conditions = state.status.iter().flat_map(|status| &status.conditions);
        for condition in conditions.filter(|condition| condition.type_ == "UpToDate" && condition.status != "True") {
            let line = [&state.name_any(), &condition.reason, &condition.message].map(String::as_str).join(": ");
            text.extend(["\n", &line, "\n"]);
        }
    }
    text
}

/// As kubectl tells ages: in the largest unit.
fn age(now: Timestamp, then: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(then.as_second()).max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}

/// What is missing, where that is the resource itself.
pub(super) fn explain(error: kube::Error) -> anyhow::Error {
    match error {
        kube::Error::Api(status) if status.code == 404 => {
            anyhow::anyhow!(
                "the API server has no resource plugins.operon.dev; to have it: kubectl apply -f deploy/crds/plugins.operon.dev.yaml"
            )
        }
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::resource::{Held, PluginSpec};

    fn state(held: &[(&str, &str)]) -> PluginState {
        let held = held.iter().map(|(text, reason)| Held {
            digest: Digest::of(text).to_string(),
            reason: (*reason).into(),
            message: String::new(),
            since: Timestamp::UNIX_EPOCH,
        });
        let status = PluginStatus { held: held.collect(), ..PluginStatus::default() };
        PluginState { status: Some(status), ..PluginState::new("default.sample", PluginSpec::default()) }
    }

    #[test]
    fn the_held_version_that_is_meant_is_found_by_the_beginning_of_its_digest_or_as_the_only_one() {
        let (a, b) = (Digest::of("a"), Digest::of("b"));
        let one = state(&[("a", "WouldPrune"), ("c", "Crashed")]);
        assert_eq!(chosen(&one, None).unwrap(), a.as_str());
        assert_eq!(chosen(&one, Some(a.short())).unwrap(), a.as_str());
        assert_eq!(chosen(&one, Some(b.as_str())).unwrap(), b.as_str(), "a whole digest, before it is held");
        assert!(chosen(&one, Some(Digest::of("c").short())).is_err(), "what crashes is not let run");
        let two = state(&[("a", "WouldPrune"), ("b", "WouldPrune")]);
        assert!(chosen(&two, None).unwrap_err().to_string().contains("--digest"));
        assert_eq!(chosen(&two, Some(&a.as_str()[..20])).unwrap(), a.as_str());
    }

    #[test]
    fn ages_are_told_in_their_largest_unit() {
        let ages = [(5, "5s"), (119, "119s"), (120, "2m"), (7200, "2h"), (172_800, "2d")];
        for (seconds, text) in ages {
            assert_eq!(age(Timestamp::from_second(seconds).unwrap(), Timestamp::UNIX_EPOCH), text);
        }
    }

    #[test]
    fn why_a_plugin_is_not_up_to_date_is_told_below_the_table() {
        let mut state = state(&[]);
        let condition = crate::state::resource::Condition {
            type_: "UpToDate".into(),
            status: "False".into(),
            reason: "NotLoaded".into(),
            message: "it is no component".into(),
            last_transition_time: Timestamp::UNIX_EPOCH,
        };
        state.status.as_mut().unwrap().conditions.push(condition);
        let text = describe(&[state], Timestamp::UNIX_EPOCH);
        assert!(text.contains("default.sample  Unknown  False"), "{text}");
        assert!(text.ends_with("\ndefault.sample: NotLoaded: it is no component\n"), "{text}");
    }
}
