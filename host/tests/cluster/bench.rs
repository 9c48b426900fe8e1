//! Benchmarks of what `make test` shows to work: not run by it, and no timed tests. `make bench` prints their tables.

use std::{collections::HashMap, time::Instant};

use futures::{StreamExt, stream};
use k8s_openapi::{api::core::v1::ConfigMap, jiff::Timestamp};
use kube::{
    Api,
    api::{DeleteParams, ListParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    host::Host,
    scripted::{map, scripted, scripted_world, several},
    world::{World, eventually},
};

/// Objects of a burst.
const BURST: usize = 1000;
/// Requests that the benchmark itself has under way at once.
const PARALLEL: usize = 32;
/// Runs of each kind, one after the other in turn.
const RUNS: usize = 5;
/// Single events of a run.
const EVENTS: usize = 30;
/// Objects that keep a neighbour busy.
const BUSY: usize = 100;

#[tokio::test]
#[ignore = "a benchmark: make bench-converge"]
async fn a_thousand_at_once_created_bereft_of_their_children_and_deleted() {
    let (world, host) = scripted("burst", &json!({})).await;
    host.says("the plugin is in place").await;
    let mut lines = Vec::new();
    let samples = world.samples();
    let start = Instant::now();
    stream::iter(0..BURST)
        .for_each_concurrent(PARALLEL, async |index| {
            let name = format!("obj-{index}");
            let sample = world.sample(&name, &json!({"children": [map(&name, &json!({"a": "1"}))]}));
            let sample = serde_json::from_value(sample).unwrap();
            samples.create(&PostParams::default(), &sample).await.unwrap();
        })
        .await;
    eventually("all are handled", async || (handled(&host, "created") >= BURST).then_some(())).await;
    lines.push(("created", start.elapsed()));
    let children: Api<ConfigMap> = world.maps();
    let ours = ListParams::default().labels("operon.dev/plugin");
    let start = Instant::now();
    children.delete_collection(&DeleteParams::default(), &ours).await.unwrap();
    eventually("all children are back", async || {
        let uids = children.list_metadata(&ours).await.ok()?.items.len();
        (uids == BURST && handled(&host, "child-changed") >= BURST).then_some(())
    })
    .await;
    lines.push(("children deleted by hand", start.elapsed()));
    let start = Instant::now();
    samples.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    eventually("all are gone", async || {
        samples.list_metadata(&ListParams::default().limit(1)).await.ok()?.items.is_empty().then_some(())
    })
    .await;
    lines.push(("deleted", start.elapsed()));
    println!("\n{BURST} objects with a ConfigMap each, at once:");
    for (what, time) in &lines {
        #[expect(clippy::cast_precision_loss, reason = "a thousand")]
        let rate = BURST as f64 / time.as_secs_f64();
        println!("{what:<26} {:>6.1} s {rate:>7.0} objects/s {:>5.2} of creation", time.as_secs_f64(), {
            lines[0].1.as_secs_f64() / time.as_secs_f64()
        });
    }
}

/// How many events of this cause the log tells of.
fn handled(host: &Host, cause: &str) -> usize {
    let cause = format!("\"cause\":\"{cause}\",\"result\":\"done\"");
    host.log().lines().filter(|line| line.contains(&cause)).count()
}

#[tokio::test]
#[ignore = "a benchmark: make bench-fairness"]
async fn single_events_of_a_plugin_alone_and_beside_one_that_sleeps_and_one_that_fails() {
    let world = scripted_world("fair").await;
    let watch = |role: &str| json!([{"resource": "samples.v1.nuvolaris.org", "namespaces": [world.namespace], "labelSelector": format!("role={role}")}]);
    let good = ("good", json!({"watch": watch("good")}));
    let alone = several(&world, std::slice::from_ref(&good));
    let sleeper = json!({"watch": watch("sleeper"), "limits": {"time": "1s"}});
    let crowded = several(&world, &[good, ("sleeper", sleeper), ("failing", json!({"watch": watch("failing")}))]);
    for index in 0..BUSY {
        for (role, spec) in
            [("sleeper", json!({"sleepMs": 60_000})), ("failing", json!({"fail": {"message": "no", "afterMs": 100}}))]
        {
            world.apply(&labelled(&world, &format!("{role}-{index}"), role, &spec)).await;
        }
    }
    let mut medians: HashMap<&str, Vec<f64>> = HashMap::new();
    for run in 0..RUNS {
        for (what, config) in [("alone", &alone), ("beside both", &crowded)] {
            let host = Host::start_with(config, &world.kubeconfig);
            host.says("the plugin is in place").await;
            let name = format!("good-{run}");
            for event in 0..EVENTS {
                let spec = json!({"children": [map(&name, &json!({"a": format!("{what} {event}")}))]});
                world.apply(&labelled(&world, &name, "good", &spec)).await;
                world.data(&name, "a", Some(&format!("{what} {event}"))).await;
            }
            let latency = latencies(&host, &name);
            assert!(latency.len() >= EVENTS, "{} of {EVENTS} events in the log", latency.len());
            medians.entry(what).or_default().push(median(latency));
        }
    }
    let (alone, beside) = (median(medians["alone"].clone()), median(medians["beside both"].clone()));
    println!("\nfrom the change seen to the request sent, median of {RUNS} runs of {EVENTS} events:");
    println!("{:<14} {alone:>7.2} ms   runs: {:.2?}", "alone", medians["alone"]);
    println!(
        "{:<14} {beside:>7.2} ms   runs: {:.2?}   {:.2} of alone",
        "beside both",
        medians["beside both"],
        beside / alone
    );
}

pub(crate) fn labelled(world: &World, name: &str, role: &str, spec: &Value) -> Value {
    let mut sample = world.sample(name, spec);
    sample["metadata"]["labels"] = json!({ "role": role });
    sample
}

/// Milliseconds from each change of an object that a watch showed to the request for its child.
pub(crate) fn latencies(host: &Host, name: &str) -> Vec<f64> {
    let log = host.log();
    let mut seen = None;
    let mut latencies = Vec::new();
    for line in log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        if !line["object"].as_str().is_some_and(|object| object.ends_with(&format!("/{name}"))) {
            continue;
        }
        let at: Timestamp = line["timestamp"].as_str().unwrap().parse().unwrap();
        match line["message"].as_str() {
            Some("seen") if line["resource"] == "samples.v1.nuvolaris.org" => seen = Some(at),
            Some(message) if message.starts_with("applying") => {
                latencies.extend(seen.take().map(|seen: Timestamp| at.duration_since(seen).as_secs_f64() * 1000.0));
            }
            _ => {}
        }
    }
    latencies
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
