//! The config file from outside: good ones, broken ones, and the schema that editors check them by.
//!
//! Each file in `broken/` says in the comments at its top what it has to be refused with, line by line. Files named
//! `text-*` are no YAML mapping, the schema refuses `field-*` as well, and `rule-*` is beyond what a schema can say.

#![expect(clippy::unwrap_used, reason = "also in what the tests share")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use operon_core::{
    cause::Cause,
    config::{HostConfig, JsonPointer, Limits, PluginConfig, Source, Verb, schema},
    digest::Digest,
    quantity::{Bytes, Millis},
};
use serde_json::{Value, json};

const FILE: &str = "operon.yaml";
const MINIMAL: &str = include_str!("valid/minimal.yaml");
const FULL: &str = include_str!("valid/full.yaml");

fn parse(text: &str) -> HostConfig {
    HostConfig::parse(text, Path::new(FILE)).unwrap()
}

fn refusal(text: &str) -> String {
    HostConfig::parse(text, Path::new(FILE)).unwrap_err().to_string()
}

/// Name and text of every broken file whose name starts so.
fn broken(prefix: &str) -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let name = |file: &PathBuf| file.file_stem().unwrap().to_str().unwrap().to_owned();
    let files = files.filter(|file| name(file).starts_with(prefix));
    files.map(|file| (name(&file), fs::read_to_string(file).unwrap())).collect()
}

#[test]
fn every_broken_file_is_refused_with_file_place_field_and_reason() {
    let files = broken("");
    assert!(files.len() >= 16, "only {} files", files.len());
    for (name, text) in files {
        let expected: Vec<_> = text.lines().map_while(|line| line.strip_prefix("# ")).collect();
        assert!(!expected.is_empty(), "{name} does not say what is wrong with it");
        assert_eq!(refusal(&text).lines().collect::<Vec<_>>(), expected, "{name}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let errors = HostConfig::load(Path::new("no/such.yaml")).unwrap_err();
    assert!(errors.to_string().starts_with("no/such.yaml: can't be read: "), "{errors}");
}

#[test]
fn a_mistake_is_one_line_whatever_the_file_holds() {
    for odd in ["\"a\\nb\": 1", "kind: \"a\\nb\"", "kind: !\"a\\nb\" c", "kind: 'a\n\n b'", "a: \u{7}"] {
        let errors = HostConfig::parse(odd, Path::new(FILE)).unwrap_err();
        assert_eq!(errors.to_string().lines().count(), errors.iter().count(), "{odd}: {errors}");
    }
}

#[test]
fn an_alias_is_what_it_stands_for_and_its_mistakes_are_where_they_were_written() {
    let text = MINIMAL.replace("name: sample", "name: &name Sample").replace("resource: samples", "resource: *name #");
    let errors = refusal(&text);
    let places: Vec<_> = errors.lines().filter_map(|line| line.split(": ").next()).collect();
    assert_eq!(places, ["operon.yaml:5:15", "operon.yaml:5:15"], "{errors}");
}

#[test]
fn a_minimal_config_gets_the_defaults() {
    let config = parse(MINIMAL);
    assert_eq!(config.host.as_str(), "default");
    let [PluginConfig { owns, settings, grants, limits, watch, dry_run, suspend, digest, .. }] = &config.plugins[..]
    else {
        panic!("{config:?}");
    };
    assert!(!dry_run && !suspend && digest.is_none());
    assert!(owns.is_empty() && settings.is_empty() && grants.is_empty());
    assert_eq!(
        *limits,
        Limits {
            memory: Bytes(64 << 20),
            time: Millis(5_000),
            input: Bytes(8 << 20),
            output: Bytes(4 << 20),
            concurrency: 16
        }
    );
    let causes = [Cause::Created, Cause::Updated, Cause::Deleted, Cause::PluginChanged];
    assert_eq!(watch[0].on, BTreeSet::from(causes));
    assert!(watch[0].namespaces.is_none() && watch[0].label_selector.is_none() && watch[0].ignore.is_empty());
}

#[test]
fn a_full_config_is_read_field_by_field() {
    let config = parse(FULL);
    assert_eq!(config.host.as_str(), "blue");
    let plugin = &config.plugins[0];
    assert_eq!(plugin.source.to_string(), "ConfigMap operon-system/sample-plugin");
    assert_eq!(plugin.digest, Some(Digest::of("")));
    let watch = &plugin.watch[0];
    assert_eq!(watch.resource.to_string(), "samples.v1.nuvolaris.org");
    assert_eq!(watch.namespaces.as_ref().unwrap().len(), 2);
    assert!(!watch.label_selector.as_ref().unwrap().matches(&BTreeMap::new()));
    assert_eq!(watch.on, BTreeSet::from([Cause::Created, Cause::Resumed]));
    assert!(plugin.dry_run && plugin.suspend);
    assert_eq!(plugin.watch[1].namespace_selector.as_ref().unwrap().as_str(), "team=blue");
    let ignored: Vec<_> = watch.ignore.iter().map(JsonPointer::as_str).collect();
    assert_eq!(ignored, ["/metadata/annotations/example.com~1seen"]);
    assert!(plugin.owns.contains(&"services.v1.".parse().unwrap()));
    assert_eq!(plugin.grants[2].verbs, BTreeSet::from([Verb::Apply, Verb::Create, Verb::Patch, Verb::Delete]));
    assert_eq!(
        plugin.limits,
        Limits {
            memory: Bytes(128 << 20),
            time: Millis(1_500),
            input: Bytes(1 << 20),
            output: Bytes(65_536),
            concurrency: 4
        }
    );
}

#[test]
fn settings_are_read_as_yaml_1_2_means_them() {
    assert_eq!(
        Value::Object(parse(FULL).plugins[0].settings.clone()),
        json!({
            "deployment": "demo-deploy",
            "enabled": "yes",
            "replicas": 2,
            "ratio": 0.5,
            "mode": "0755",
            "none": null,
            "template": { "ports": [80, "443"] },
        })
    );
}

#[test]
fn a_relative_path_starts_at_the_folder_of_the_config_file() {
    let source = |text, file| HostConfig::parse(text, Path::new(file)).unwrap().plugins.remove(0).source;
    assert_eq!(source(MINIMAL, "etc/operon.yaml"), Source::File("etc/plugins/sample.wasm".into()));
    assert_eq!(source(MINIMAL, FILE), Source::File("plugins/sample.wasm".into()));
    let absolute = MINIMAL.replace("plugins/sample.wasm", "/opt/sample.wasm");
    assert_eq!(source(&absolute, "etc/operon.yaml"), Source::File("/opt/sample.wasm".into()));
}

/// Does the schema take this text? It has to be YAML.
fn schema_takes(text: &str) -> bool {
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("config.json", schema()).unwrap();
    let config = compiler.compile("config.json", &mut schemas).unwrap();
    let value: Value = serde_saphyr::from_str(text).unwrap();
    schemas.validate(&value, config).is_ok()
}

#[test]
fn the_schema_takes_what_the_host_takes() {
    assert!(schema_takes(MINIMAL) && schema_takes(FULL));
}

#[test]
fn the_schema_refuses_each_broken_field() {
    for (name, text) in broken("field-") {
        assert!(!schema_takes(&text), "{name}");
    }
}

/// What a reference leads to.
fn resolve<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    schema["$ref"].as_str().map_or(schema, |reference| root.pointer(&reference[1..]).unwrap())
}

/// The fields of a mapping; of all choices, where there is one.
fn properties(schema: &Value) -> BTreeMap<&String, &Value> {
    let choices = schema["oneOf"].as_array().into_iter().flatten();
    choices.chain([schema]).filter_map(|choice| choice["properties"].as_object()).flatten().collect()
}

/// Each mapping of a config by its JSON pointer, with the fields that the schema has for it; settings are free.
fn mappings(schema: &Value, root: &Value, value: &Value, at: &str, found: &mut BTreeMap<String, BTreeSet<String>>) {
    let schema = resolve(schema, root);
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                mappings(&schema["items"], root, item, &format!("{at}/{index}"), found);
            }
        }
        Value::Object(fields) if schema["additionalProperties"] != json!(true) => {
            let properties = properties(schema);
            found.insert(at.to_owned(), properties.keys().copied().cloned().collect());
            for (name, field) in fields {
                mappings(properties[name], root, field, &format!("{at}/{name}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn schema_and_host_know_the_same_fields() {
    let full: Value = serde_saphyr::from_str(FULL).unwrap();
    let mut found = BTreeMap::new();
    mappings(&schema(), &schema(), &full, "", &mut found);
    assert!(found.len() > 8, "{found:?}");
    for (pointer, names) in found {
        let mut config = full.clone();
        config.pointer_mut(&pointer).unwrap()["zzz"] = json!(1);
        let refusal = refusal(&config.to_string());
        let allowed = refusal.rsplit("expected one of ").next().unwrap().split(", ").map(str::to_owned);
        assert_eq!(allowed.collect::<BTreeSet<_>>(), names, "{pointer}: {refusal}");
    }
}

#[test]
fn the_schema_leaves_no_mapping_open_but_the_settings() {
    fn walk(schema: &Value, at: &str) {
        if schema["type"] == "object" {
            let open = at.ends_with("/settings");
            assert_eq!(schema["additionalProperties"], json!(open), "{at}");
        }
        match schema {
            Value::Object(fields) => fields.iter().for_each(|(name, field)| walk(field, &format!("{at}/{name}"))),
            Value::Array(items) => items.iter().for_each(|item| walk(item, at)),
            _ => {}
        }
    }
    walk(&schema(), "");
}

#[test]
fn every_field_of_the_schema_is_described() {
    fn walk(schema: &Value, at: &str) {
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let described = field["description"].is_string() || at.starts_with("/$defs/Source");
            assert!(described, "{at}.{name}");
        }
        for (name, part) in schema.as_object().into_iter().flatten() {
            walk(part, &format!("{at}/{name}"));
        }
    }
    walk(&schema(), "");
}
