//! The child of a Sample: its Deployment.

use operon_plugin::{Value, json};

/// The Deployment of this name, with `count` replicas: the template, or the
/// built-in one, whose Pods carry the name as a label.
///
/// The template has to be an object whose `metadata` and `spec`, where it has
/// them, are objects.
pub(crate) fn manifest(template: Option<Value>, name: &str, namespace: Option<&str>, count: u32) -> Value {
    let mut deployment = template.unwrap_or_else(|| built_in(name));
    deployment["metadata"]["name"] = name.into();
    deployment["metadata"]["namespace"] = namespace.into();
    deployment["spec"]["replicas"] = count.into();
    deployment
}

fn built_in(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "labels": { "app": name } },
        "spec": {
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": {
                    "containers": [{
                        "name": "nginx",
                        "image": "nginx:1.27-alpine",
                        "ports": [{ "containerPort": 80 }],
                    }],
                },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_deployment_runs_nginx_and_selects_its_own_pods() {
        let deployment = manifest(None, "demo-deploy", Some("demo"), 2);
        let labels = json!({ "app": "demo-deploy" });
        assert_eq!(
            deployment,
            json!({
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": { "name": "demo-deploy", "namespace": "demo", "labels": labels },
                "spec": {
                    "replicas": 2,
                    "selector": { "matchLabels": labels },
                    "template": {
                        "metadata": { "labels": labels },
                        "spec": { "containers": [{
                            "name": "nginx",
                            "image": "nginx:1.27-alpine",
                            "ports": [{ "containerPort": 80 }],
                        }] },
                    },
                },
            })
        );
    }

    #[test]
    fn a_template_keeps_all_but_name_namespace_and_replicas() {
        let template = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": { "name": "x", "namespace": "y", "labels": { "tier": "web" } },
            "spec": { "replicas": 9, "paused": true },
        });
        assert_eq!(
            manifest(Some(template), "web", Some("demo"), 0),
            json!({
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": { "name": "web", "namespace": "demo", "labels": { "tier": "web" } },
                "spec": { "replicas": 0, "paused": true },
            })
        );
    }

    #[test]
    fn a_template_may_lack_metadata() {
        let template = json!({ "kind": "Deployment", "spec": {} });
        let deployment = manifest(Some(template), "web", Some("demo"), 1);
        let metadata = json!({ "name": "web", "namespace": "demo" });
        assert_eq!(deployment["metadata"], metadata);
    }
}
