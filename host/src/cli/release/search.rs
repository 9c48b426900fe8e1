//! Finds what a plugin holds: in one resource, or in all that the API server serves. Only metadata is asked for, in pages.

use std::{collections::BTreeMap, sync::Arc};

use kube::{Client, api::ListParams, core::ObjectMeta};
use operon_core::{
    config::{Namespace, PluginConfig},
    kind::Kind,
    names::PluginIdentity,
    object::ObjectKey,
    release::Hold,
    resource::ResourceName,
};

use crate::cluster::{api, survey::Survey};

/// Objects in one answer of the API server.
const PAGE: u32 = 500;

/// What is looked for.
pub(super) struct Search<'a> {
    pub(super) client: &'a Client,
    pub(super) plugin: &'a PluginIdentity,
    /// Its entry of the config, where it has one.
    pub(super) config: Option<&'a PluginConfig>,
    /// None: in all of them.
    pub(super) namespace: Option<&'a Namespace>,
    /// None: of any name.
    pub(super) name: Option<&'a str>,
    /// None: of all resources.
    pub(super) resource: Option<&'a ResourceName>,
}

/// An object that the plugin holds.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) kind: Arc<Kind>,
    pub(super) key: ObjectKey,
    pub(super) uid: String,
    pub(super) hold: Hold,
    pub(super) deleting: bool,
}

/// What was found, and what is not known.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// By resource, namespace and name.
    pub(super) found: Vec<Found>,
    pub(super) unread: Vec<Unread>,
}

/// Something that could not be looked through.
#[derive(Debug)]
pub(super) struct Unread {
    /// Resource, or group and version.
    pub(super) what: String,
    pub(super) why: Why,
    /// Objects of the plugin may well be there: without it, the work is not done.
    pub(super) matters: bool,
}

/// Why it could not.
#[derive(Debug)]
pub(super) enum Why {
    /// The caller has not the right to list it.
    Forbidden,
    /// Nor in all namespaces; but those that the config names were looked through.
    OnlyIn(Vec<String>),
    /// Anything else, in the words of who refused.
    Failed(String),
}

impl Search<'_> {
    /// Looks through all of it. A resource that can't be listed doesn't end the search.
    pub(super) async fn run(&self, survey: &Survey) -> Findings {
        let mut findings = Findings::default();
        for (api_version, why) in &survey.unread {
            let there = |name: &ResourceName| name.api_version() == *api_version;
            let matters = self.resource.map_or_else(|| self.watched().any(there), there);
            if matters || self.resource.is_none() {
                let (what, why) = (api_version.clone(), Why::Failed(why.clone()));
                findings.unread.push(Unread { what, why, matters });
            }
        }
        let mut found = BTreeMap::new();
        for kind in survey.kinds.iter().filter(|kind| self.wants(kind)) {
            self.look_through(kind, &mut found, &mut findings.unread).await;
        }
        findings.found = found.into_values().collect();
        let place = |found: &Found| (found.kind.resource.clone(), found.key.clone());
        findings.found.sort_by_key(place);
        findings
    }

    fn wants(&self, kind: &Kind) -> bool {
        self.resource.is_none_or(|name| name.same_resource(&kind.resource))
            && (kind.namespaced || self.namespace.is_none())
    }

    fn watched(&self) -> impl Iterator<Item = &ResourceName> {
        self.config.into_iter().flat_map(|plugin| &plugin.watch).map(|watch| &watch.resource)
    }

    async fn look_through(&self, kind: &Arc<Kind>, found: &mut BTreeMap<String, Found>, unread: &mut Vec<Unread>) {
        let matters = self.resource.is_some() || self.watched().any(|name| name.same_resource(&kind.resource));
        let resource = kind.resource.to_string();
        let namespace = self.namespace.map(Namespace::as_str);
        let Err(error) = self.list(kind, namespace, found).await else { return };
        // Its CRD went since it was asked what is served, and all its objects with it.
        if matches!(&error, kube::Error::Api(status) if status.code == 404) {
            return;
        }
        let forbidden = is_forbidden(&error);
        let elsewhere = if forbidden && namespace.is_none() { self.namespaces_of(kind) } else { Vec::new() };
        if elsewhere.is_empty() {
            let why = if forbidden { Why::Forbidden } else { Why::Failed(error.to_string()) };
            unread.push(Unread { what: resource, why, matters: matters || !forbidden });
            return;
        }
        for namespace in &elsewhere {
            if let Err(error) = self.list(kind, Some(namespace), found).await {
                let what = format!("{resource} in {namespace}");
                unread.push(Unread { what, why: Why::Failed(error.to_string()), matters: true });
            }
        }
        unread.push(Unread { what: resource, why: Why::OnlyIn(elsewhere), matters: false });
    }

    /// The namespaces that the config gives for the resource. An object outside of them can be held as well: the config may have
    /// been another when it was.
    fn namespaces_of(&self, kind: &Kind) -> Vec<String> {
        let watches = self.config.into_iter().flat_map(|plugin| &plugin.watch);
        let here = watches.filter(|watch| watch.resource.same_resource(&kind.resource));
        here.filter_map(|watch| watch.namespaces.as_ref()).flatten().map(ToString::to_string).collect()
    }

    /// By uid, since some objects are served as two resources.
    async fn list(
        &self,
        kind: &Arc<Kind>,
        namespace: Option<&str>,
        found: &mut BTreeMap<String, Found>,
    ) -> kube::Result<()> {
        let mut params = ListParams::default().limit(PAGE);
        if let Some(name) = self.name {
            params = params.fields(&format!("metadata.name={name}"));
        }
        loop {
            let page = api(self.client, kind, namespace).list_metadata(&params).await?;
            let objects = page.items.into_iter().filter_map(|item| self.held(kind, item.metadata));
            for object in objects {
                found.entry(object.uid.clone()).or_insert(object);
            }
            match page.metadata.continue_ {
                Some(token) if !token.is_empty() => params.continue_token = Some(token),
                _ => return Ok(()),
            }
        }
    }

    fn held(&self, kind: &Arc<Kind>, metadata: ObjectMeta) -> Option<Found> {
        let name = metadata.name?;
        if self.name.is_some_and(|wanted| wanted != name) {
            return None;
        }
        let (finalizers, annotations) =
            (metadata.finalizers.unwrap_or_default(), metadata.annotations.unwrap_or_default());
        Some(Found {
            hold: Hold::of(self.plugin, &finalizers, &annotations)?,
            kind: kind.clone(),
            key: ObjectKey { namespace: metadata.namespace.map(Into::into), name: name.into() },
            uid: metadata.uid?,
            deleting: metadata.deletion_timestamp.is_some(),
        })
    }
}

fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}
