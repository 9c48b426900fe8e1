//! From where a watch feeds a store.

use std::collections::BTreeSet;

use operon_core::{config::Namespace, object::ObjectKey};

/// A watch that feeds a store: one for all namespaces, or one for each that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(pub Option<Box<str>>);

impl Scope {
    /// The scopes that a list of namespaces asks for; no list: all namespaces, in one.
    pub fn each(namespaces: Option<&BTreeSet<Namespace>>) -> Vec<Self> {
        match namespaces {
            None => vec![Self(None)],
            Some(namespaces) => namespaces.iter().map(|name| Self(Some(name.as_str().into()))).collect(),
        }
    }

    /// One for all namespaces makes the others needless.
    pub fn fewest(scopes: BTreeSet<Self>) -> BTreeSet<Self> {
        let all = Self(None);
        if scopes.contains(&all) { BTreeSet::from([all]) } else { scopes }
    }

    /// Does this watch show what is there? What is cluster-scoped, every watch of its resource shows.
    pub(super) fn covers(&self, key: &ObjectKey) -> bool {
        self.0.is_none() || key.namespace.is_none() || self.0 == key.namespace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_watch_of_all_namespaces_makes_those_of_single_ones_needless() {
        let named: BTreeSet<Namespace> = ["a", "b"].map(|name| name.parse().unwrap()).into();
        let two = Scope::fewest(Scope::each(Some(&named)).into_iter().collect());
        assert_eq!(two.len(), 2);
        let one = Scope::fewest(Scope::each(Some(&named)).into_iter().chain(Scope::each(None)).collect());
        assert_eq!(one, BTreeSet::from([Scope(None)]));
    }
}
