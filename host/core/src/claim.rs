//! Whose is it? A child is written only where it is ours, or a person says that it shall be.

use crate::{
    names::{ADOPT, OWNER_LABEL, PLUGIN_LABEL, PluginIdentity},
    object::Head,
};

/// What an existing object is to a plugin that wants it as a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Made by this plugin for this object.
    Ours,
    /// A person gave it to this plugin, by the annotation `operon.dev/adopt`, and nobody controls it.
    Adopted,
    /// Somebody else's; in words, for a message.
    Theirs(String),
}

/// Decides by both labels, then by the annotation.
pub fn claim(live: &Head, plugin: &PluginIdentity, owner_uid: &str) -> Claim {
    let label = |name| live.labels.get(name).map(String::as_str);
    if label(PLUGIN_LABEL) == Some(&plugin.label) && label(OWNER_LABEL) == Some(owner_uid) {
        return Claim::Ours;
    }
    let controller = live.owner_references.iter().find(|owner| owner.controller == Some(true));
    match controller {
        Some(owner) if owner.uid != owner_uid => {
            let by = label(PLUGIN_LABEL).map(|plugin| format!(" (plugin {plugin})")).unwrap_or_default();
            Claim::Theirs(format!("it belongs to {} {:?}{by}", owner.kind, owner.name))
        }
        _ if live.annotations.get(ADOPT) == Some(&plugin.plugin) => Claim::Adopted,
        _ => Claim::Theirs(match (label(PLUGIN_LABEL), label(OWNER_LABEL)) {
            (Some(other), Some(uid)) => format!("plugin {other} made it for the object with uid {uid}"),
            _ => format!("no plugin of Operon made it; to hand it over, annotate it with {ADOPT}={}", plugin.plugin),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::OwnerReference;

    fn live(labels: &[(&str, &str)], adopt: Option<&str>, controller: Option<&str>) -> Head {
        Head {
            labels: labels.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
            annotations: adopt.map(|v| (ADOPT.to_string(), v.to_string())).into_iter().collect(),
            owner_references: controller
                .map(|uid| OwnerReference {
                    kind: "Sample".into(),
                    name: "first".into(),
                    uid: uid.into(),
                    controller: Some(true),
                })
                .into_iter()
                .collect(),
            ..Head::default()
        }
    }

    fn claimed(live: &Head) -> Claim {
        claim(live, &PluginIdentity::new("default", "sample"), "u1")
    }

    const PLUGIN: (&str, &str) = (PLUGIN_LABEL, "default.sample");

    #[test]
    fn ours_is_what_carries_both_labels() {
        assert_eq!(claimed(&live(&[PLUGIN, (OWNER_LABEL, "u1")], None, Some("u1"))), Claim::Ours);
        for labels in [&[PLUGIN][..], &[(OWNER_LABEL, "u1")], &[(PLUGIN_LABEL, "other.sample"), (OWNER_LABEL, "u1")]] {
            assert!(matches!(claimed(&live(labels, None, None)), Claim::Theirs(_)));
        }
    }

    #[test]
    fn somebody_elses_is_refused_naming_the_owner() {
        let theirs = claimed(&live(&[PLUGIN, (OWNER_LABEL, "u2")], None, Some("u2")));
        assert_eq!(theirs, Claim::Theirs("it belongs to Sample \"first\" (plugin default.sample)".into()));
        let unowned = claimed(&live(&[PLUGIN, (OWNER_LABEL, "u2")], None, None));
        assert_eq!(unowned, Claim::Theirs("plugin default.sample made it for the object with uid u2".into()));
    }

    #[test]
    fn a_person_can_hand_it_over_unless_somebody_controls_it() {
        assert_eq!(claimed(&live(&[], Some("sample"), None)), Claim::Adopted);
        assert!(matches!(claimed(&live(&[], Some("other"), None)), Claim::Theirs(_)));
        assert!(matches!(claimed(&live(&[], Some("sample"), Some("u2"))), Claim::Theirs(_)));
    }

    #[test]
    fn what_its_own_owner_controls_can_be_handed_over() {
        assert_eq!(claimed(&live(&[], Some("sample"), Some("u1"))), Claim::Adopted);
    }
}
