//! How the operator is set up: the plugin's settings in the host's config.

use alloc::{format, string::String};

use operon_plugin::{Value, json};

use crate::found::found;
use crate::name::NameTemplate;

/// The most replicas that Kubernetes can count.
const MOST_REPLICAS: u32 = i32::MAX.unsigned_abs();

const DEFAULT_NAME: &str = "demo-deploy";
const DEFAULT_MAX_COUNT: u32 = 1000;

/// The settings, checked.
#[derive(Debug, PartialEq)]
pub(crate) struct Settings {
    /// The Deployment to start from in place of the built-in one.
    pub(crate) template: Option<Value>,
    /// What the Deployment is called.
    pub(crate) deployment: NameTemplate,
    /// The largest `spec.count` allowed.
    pub(crate) max_count: u32,
}

impl Settings {
    /// # Errors
    ///
    /// A message that names the setting, what was found and what is allowed.
    pub(crate) fn read(settings: Value) -> Result<Self, String> {
        let Value::Object(settings) = settings else {
            return Err(format!("the settings are {}: expected an object", found(&settings)));
        };
        let mut read =
            Self { template: None, deployment: NameTemplate::new(DEFAULT_NAME)?, max_count: DEFAULT_MAX_COUNT };
        for (setting, value) in settings {
            match setting.as_str() {
                "template" => read.template = Some(template(value)?),
                "deployment" => read.deployment = deployment(&value)?,
                "max-count" => read.max_count = max_count(&value)?,
                _ => {
                    return Err(format!("unknown setting \"{setting}\": expected template, deployment or max-count"));
                }
            }
        }
        Ok(read)
    }
}

/// The JSON Schema of the settings.
pub(crate) fn schema() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "template": {
                "description": "A Deployment in place of the built-in one. Its name, namespace \
                                and replicas are set for each Sample, its labels stay.",
                "type": "object",
                "required": ["apiVersion", "kind", "spec"],
                "properties": {
                    "apiVersion": { "const": "apps/v1" },
                    "kind": { "const": "Deployment" },
                    "metadata": { "type": "object" },
                    "spec": { "type": "object" },
                },
            },
            "deployment": {
                "description": "The name of the Deployment. {name} in it stands for the name \
                                of the Sample.",
                "type": "string",
                "default": DEFAULT_NAME,
            },
            "max-count": {
                "description": "The largest spec.count allowed.",
                "type": "integer",
                "minimum": 0,
                "maximum": MOST_REPLICAS,
                "default": DEFAULT_MAX_COUNT,
            },
        },
    })
}

fn template(value: Value) -> Result<Value, String> {
    let wrong = |field: &str, allowed: &str| {
        let was = value.pointer(field).map_or("missing".into(), found);
        let field = field.replace('/', ".");
        Err(format!("template{field} is {was}: expected {allowed}"))
    };
    if !value.is_object() {
        return wrong("", "an object");
    }
    if value["apiVersion"] != "apps/v1" {
        return wrong("/apiVersion", "\"apps/v1\"");
    }
    if value["kind"] != "Deployment" {
        return wrong("/kind", "\"Deployment\"");
    }
    if !value["spec"].is_object() {
        return wrong("/spec", "an object");
    }
    if value.get("metadata").is_some_and(|metadata| !metadata.is_object()) {
        return wrong("/metadata", "an object");
    }
    Ok(value)
}

fn deployment(value: &Value) -> Result<NameTemplate, String> {
    let Some(name) = value.as_str() else {
        let found = found(value);
        return Err(format!("deployment is {found}: expected a name"));
    };
    NameTemplate::new(name).map_err(|error| format!("deployment: {error}"))
}

fn max_count(value: &Value) -> Result<u32, String> {
    value.as_u64().and_then(|count| u32::try_from(count).ok()).filter(|count| *count <= MOST_REPLICAS).ok_or_else(
        || {
            let found = found(value);
            format!("max-count is {found}: expected a whole number from 0 to {MOST_REPLICAS}")
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment_template() -> Value {
        json!({ "apiVersion": "apps/v1", "kind": "Deployment", "spec": {} })
    }

    #[test]
    fn every_setting_has_a_default() {
        let settings = Settings::read(json!({})).unwrap();
        assert_eq!(settings.template, None);
        assert_eq!(settings.deployment.of("obj"), Ok("demo-deploy".into()));
        assert_eq!(settings.max_count, 1000);
    }

    #[test]
    fn every_setting_can_be_set() {
        let settings = Settings::read(json!({
            "template": deployment_template(),
            "deployment": "{name}-web",
            "max-count": 5,
        }));
        let settings = settings.unwrap();
        assert_eq!(settings.template, Some(deployment_template()));
        assert_eq!(settings.deployment.of("obj"), Ok("obj-web".into()));
        assert_eq!(settings.max_count, 5);
    }

    #[test]
    fn wrong_settings_are_refused_naming_the_setting_what_was_found_and_what_is_allowed() {
        let with = |field: &str, value: Value| {
            let mut template = deployment_template();
            template[field] = value;
            json!({ "template": template })
        };
        let number = "expected a whole number from 0 to 2147483647";
        for (settings, message) in [
            (json!([]), "the settings are a list: expected an object"),
            (json!({ "maxCount": 5 }), "unknown setting \"maxCount\": expected template, deployment or max-count"),
            (json!({ "max-count": -1 }), &format!("max-count is -1: {number}")),
            (json!({ "max-count": "5" }), &format!("max-count is \"5\": {number}")),
            (json!({ "max-count": 2_147_483_648_u32 }), &format!("max-count is 2147483648: {number}")),
            (json!({ "deployment": 5 }), "deployment is 5: expected a name"),
            (json!({ "template": "nginx" }), "template is \"nginx\": expected an object"),
            (json!({ "template": {} }), "template.apiVersion is missing: expected \"apps/v1\""),
            (with("apiVersion", json!("v1")), "template.apiVersion is \"v1\": expected \"apps/v1\""),
            (with("kind", json!("StatefulSet")), "template.kind is \"StatefulSet\": expected \"Deployment\""),
            (with("spec", json!([])), "template.spec is a list: expected an object"),
            (with("metadata", json!(null)), "template.metadata is null: expected an object"),
        ] {
            assert_eq!(Settings::read(settings), Err(message.into()));
        }
    }

    #[test]
    fn a_deployment_that_makes_no_dns_name_is_refused() {
        let message = Settings::read(json!({ "deployment": "Demo" })).unwrap_err();
        assert!(message.starts_with("deployment: \"Demo\" makes no DNS name: "));
    }

    #[test]
    fn the_schema_knows_exactly_the_settings() {
        let schema = schema();
        let known: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
        assert_eq!(known, ["deployment", "max-count", "template"]);
        assert_eq!(schema["additionalProperties"], false);
    }
}
