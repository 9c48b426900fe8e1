//! `operon check`: what it prints, and its exit codes. No cluster is asked.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

fn operon(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_operon")).args(args).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn every_broken_config_is_refused_with_its_mistakes_and_code_1() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("core/tests/broken");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        let text = fs::read_to_string(&file).unwrap();
        let output = operon(&["check", "--config", file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1), "{}", file.display());
        let printed = stderr(&output);
        for expected in text.lines().map_while(|line| line.strip_prefix("# ")) {
            let expected = expected.strip_prefix("operon.yaml").unwrap();
            assert!(printed.contains(expected), "{}: {expected:?} is not in {printed}", file.display());
        }
        count += 1;
    }
    assert!(count >= 12, "only {count} files");
}

#[test]
fn the_config_of_the_demo_is_good_and_wrong_usage_is_code_2() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/demo/operon.yaml");
    let output = operon(&["check", "--config", demo.to_str().unwrap()]);
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    assert_eq!(operon(&["check"]).status.code(), Some(2));
    assert_eq!(operon(&["chekc"]).status.code(), Some(2));
}

#[test]
fn a_plugin_file_that_is_no_component_or_refuses_its_settings_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/plugins");
    fs::write(folder.path().join("garbage.wasm"), "garbage").unwrap();
    fs::copy(plugins.join("sample.wasm"), folder.path().join("sample.wasm")).unwrap();
    let check = |file: &str, settings: &str| {
        let config = format!(
            "apiVersion: operon.dev/v1alpha1\nkind: HostConfig\nplugins:\n- name: p\n  source: {{ file: {file} }}\n  \
             watch: [{{ resource: samples.v1.nuvolaris.org }}]\n  settings: {settings}\n"
        );
        let config_file = folder.path().join("operon.yaml");
        fs::write(&config_file, config).unwrap();
        let cache = folder.path().join("cache");
        let output =
            operon(&["check", "--config", config_file.to_str().unwrap(), "--cache-dir", cache.to_str().unwrap()]);
        (output.status.code(), stderr(&output))
    };
    assert_eq!(check("sample.wasm", "{}").0, Some(0));
    for (file, settings, part) in [
        ("garbage.wasm", "{}", "no component"),
        ("absent.wasm", "{}", "can't be read"),
        ("sample.wasm", "{ max-count: many }", "refuses its settings"),
    ] {
        let (code, printed) = check(file, settings);
        assert_eq!(code, Some(1));
        assert!(
            printed.contains("operon.yaml: plugins[0].source.file: plugin p, ")
                && printed.contains(file)
                && printed.contains(part),
            "{printed}"
        );
    }
}
