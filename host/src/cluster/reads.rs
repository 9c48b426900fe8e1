//! What plugins read of the cluster: one object or a page of them, live, and only what their grants allow.

use std::collections::BTreeSet;

use kube::{Client, api::ListParams};
use operon_core::{
    answer::ObjectRef,
    config::{Grant, Verb},
    kind::Kind,
    manifest::{check_name, check_namespace},
    policy::{Access, Policy},
    resource::ResourceName,
};

use super::{Wire, api, discovery::Discovery};

/// Objects of a page where the plugin names no limit, and at most.
const PAGE: u32 = 500;

/// The reads of one plugin.
pub struct Reads {
    /// As who.
    pub client: Client,
    /// To find the kinds.
    pub discovery: Discovery,
    /// What the config allows.
    pub grants: Vec<Grant>,
    /// Bytes of an answer, at most.
    pub limit: usize,
}

/// Which objects.
#[derive(Clone, Debug)]
pub struct Query {
    /// `plural.version.group`.
    pub resource: String,
    /// None: all namespaces.
    pub namespace: Option<String>,
    /// As `kubectl -l` takes it; evaluated by the API server.
    pub label_selector: Option<String>,
    /// Objects at most.
    pub limit: Option<u32>,
    /// Where the last page ended.
    pub continue_token: Option<String>,
}

/// A part of the answer.
pub struct Page {
    /// The objects' JSON.
    pub items: Vec<String>,
    /// Where the next page begins.
    pub continue_token: Option<String>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// By the config, or by the API server's RBAC.
    #[error("{0}")]
    NotGranted(String),
    /// No such object or resource.
    #[error("not found")]
    NotFound,
    /// Above the limit.
    #[error("{0}")]
    TooLarge(String),
    /// The API server did not answer.
    #[error("{0}")]
    Unavailable(String),
}

impl Reads {
    /// One object.
    pub async fn get(&self, object: &ObjectRef) -> Result<String, ReadError> {
        check_name(object).map_err(|_| ReadError::NotFound)?;
        let found = self.discovery.kind(&object.api_version, &object.kind).await;
        let kind = found.map_err(refused)?.ok_or(ReadError::NotFound)?;
        self.check(&kind, object.namespace.as_deref(), Verb::Get)?;
        let wire = api(&self.client, &kind, object.namespace.as_deref()).get(&object.name).await.map_err(refused)?;
        let text = lean(&wire, &kind)?;
        self.fits(text.len())?;
        Ok(text)
    }

    /// A page of objects.
    pub async fn find(&self, query: Query) -> Result<Page, ReadError> {
        query.namespace.as_deref().map_or(Ok(()), check_namespace).map_err(|_| ReadError::NotFound)?;
        let name: ResourceName = query.resource.parse().map_err(|_| ReadError::NotFound)?;
        let kind = self.discovery.resource(&name).await.map_err(refused)?.ok_or(ReadError::NotFound)?;
        self.check(&kind, query.namespace.as_deref(), Verb::List)?;
        let params = ListParams {
            label_selector: query.label_selector,
            limit: Some(query.limit.unwrap_or(PAGE).clamp(1, PAGE)),
            continue_token: query.continue_token,
            ..ListParams::default()
        };
        let list = api(&self.client, &kind, query.namespace.as_deref()).list(&params).await.map_err(refused)?;
        let items = list.items.iter().map(|wire| lean(wire, &kind)).collect::<Result<Vec<_>, _>>()?;
        self.fits(items.iter().map(String::len).sum())?;
        Ok(Page { items, continue_token: list.metadata.continue_.filter(|token| !token.is_empty()) })
    }

    fn check(&self, kind: &Kind, namespace: Option<&str>, verb: Verb) -> Result<(), ReadError> {
        let policy = Policy { owns: &BTreeSet::new(), grants: &self.grants };
        let access = Access { resource: &kind.resource, namespace, verb };
        policy.check(&access).map_err(|denied| ReadError::NotGranted(denied.to_string()))
    }

    fn fits(&self, bytes: usize) -> Result<(), ReadError> {
        if bytes <= self.limit {
            return Ok(());
        }
        let limit = self.limit;
        Err(ReadError::TooLarge(format!(
            "the answer is {bytes} bytes, limits.output is {limit}; ask for smaller pages"
        )))
    }
}

fn lean(wire: &Wire, kind: &Kind) -> Result<String, ReadError> {
    let object = wire.decode(kind).map_err(|error| ReadError::Unavailable(error.to_string()))?;
    Ok(object.text().to_owned())
}

fn refused(error: kube::Error) -> ReadError {
    match error {
        kube::Error::Api(status) if status.code == 404 => ReadError::NotFound,
        kube::Error::Api(status) if status.code == 403 => ReadError::NotGranted(status.message),
        error => ReadError::Unavailable(error.to_string()),
    }
}
