//! The host is killed with SIGKILL again and again, at random moments and exactly around its writes, while all kinds of changes go on.
//!
//! Afterwards nothing is lost, nothing is left, and nothing was handled again that had been recorded as handled (`ledger`).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{
    host::{Host, config, own_deployments},
    ledger::{Ledger, Run},
    proxy::{Moment, Plan, Proxy, QUICK, SILENT, seed},
    world::{World, wasm, within},
};

#[tokio::test]
async fn twenty_kills_during_a_thousand_changes_lose_nothing_and_repeat_nothing() {
    let chaos = Chaos { changes: 1000, kills: 20, objects: 15, bound: Duration::from_mins(1) };
    chaos.run("chaos", Plan::none()).await;
}

/// `make soak`.
#[tokio::test]
#[ignore = "takes a quarter of an hour: make soak"]
async fn soak_200_kills_during_10_000_changes_with_all_faults_mixed() {
    let faults = [QUICK.as_slice(), QUICK.as_slice(), SILENT.as_slice()].concat();
    let chaos = Chaos { changes: 10_000, kills: 200, objects: 50, bound: Duration::from_mins(5) };
    chaos.run("chaos-soak", Plan::chance(0.05, &faults)).await;
}

/// So many change things at once, each its own Samples.
const CHANGERS: u32 = 4;

/// How much of it.
struct Chaos {
    changes: u32,
    kills: u32,
    /// Samples of each changer, at most.
    objects: u32,
    /// What the end is waited for.
    bound: Duration,
}

impl Chaos {
    async fn run(&self, test: &str, plan: Plan) {
        let begun = Instant::now();
        let world = World::new(test).await;
        world.put_plugin(&world.namespace, "plugin", wasm("sample.wasm")).await;
        let proxy = Proxy::start(&world, plan).await;
        let mut started = vec![Timestamp::now()];
        let mut host = Host::start_with(&config(&world, &own_deployments()), &proxy.kubeconfig);

        let (made, killed) = (watch::Sender::new(0), watch::Sender::new(0));
        let changers = (1..=CHANGERS).map(|nth| {
            let dice = StdRng::seed_from_u64(seed().wrapping_mul(nth.into()));
            self.change(
                Changer { world: &world, nth, dice, wanted: BTreeMap::new(), history: Vec::new() },
                &made,
                killed.subscribe(),
            )
        });
        let (counts, at) = tokio::join!(
            futures::future::join_all(changers),
            self.kill(&mut host, &proxy, &mut started, &killed, made.subscribe())
        );
        proxy.plan().calm();
        let changed = begun.elapsed();
        let (counts, histories): (Vec<_>, Vec<_>) = counts.into_iter().unzip();
        let counts: BTreeMap<_, _> = counts.into_iter().flatten().collect();
        let killed = started.iter().map(|started| format!("{started} killed and restarted"));
        let history: Vec<_> = histories.into_iter().flatten().chain(killed).collect();
        self.comes_to(&world, &counts, &history).await;
        for name in counts.keys() {
            world.delete_sample(name).await;
        }
        self.comes_to(&world, &BTreeMap::new(), &history).await;
        assert_eq!(host.terminate().await, Some(0));

        let runs: Vec<_> = started.into_iter().zip(host.logs()).map(|(started, log)| Run { started, log }).collect();
        let ledger = Ledger::read(&proxy.log(), &runs);
        let Ledger { calls, records, handled_twice } = &ledger;
        assert!(handled_twice.is_empty(), "handled again: {handled_twice:#?}");
        assert!(
            *calls >= *records && *records > counts.len(),
            "{calls} calls, {records} records: is the log complete?"
        );
        println!("changes: {} in {changed:.1?}, all as it should be after {:.1?}", self.changes, begun.elapsed());
        println!("kills: {}, of these around a write: {}: {at:?}", self.kills, at.values().sum::<u32>());
        println!("faults injected: {:?}", proxy.plan().injected);
        println!("calls: {calls}, writes: {}, records: {records}", proxy.log().writes().count());
        println!("handled again: 0, events lost: 0, OPERON_TEST_SEED={}", seed());
    }

    /// Makes a share of the changes, none ahead of the kills between them; returns what there should be in the end, and what was done.
    async fn change(
        &self,
        mut changer: Changer<'_>,
        made: &watch::Sender<u32>,
        mut killed: watch::Receiver<u32>,
    ) -> (BTreeMap<String, u64>, Vec<String>) {
        for nth in 0..self.changes / CHANGERS {
            let due = nth * CHANGERS * self.kills / self.changes;
            killed.wait_for(|killed| *killed >= due).await.unwrap();
            loop {
                let (name, what, made) = changer.change(nth, self.objects).await;
                if made {
                    changer.history.push(format!("{} {name}: {what}", Timestamp::now()));
                    break;
                }
            }
            made.send_modify(|made| *made += 1);
        }
        (changer.wanted, changer.history)
    }

    /// Kills and restarts; returns around which writes.
    async fn kill(
        &self,
        host: &mut Host,
        proxy: &Proxy,
        started: &mut Vec<Timestamp>,
        killed: &watch::Sender<u32>,
        mut made: watch::Receiver<u32>,
    ) -> BTreeMap<String, u32> {
        let mut dice = StdRng::seed_from_u64(seed().wrapping_add(1));
        let mut at = BTreeMap::new();
        for nth in 0..self.kills {
            let due = nth * self.changes / self.kills;
            made.wait_for(|made| *made >= due).await.unwrap();
            if dice.random() {
                tokio::time::sleep(Duration::from_millis(dice.random_range(0..3000))).await;
                host.kill();
            } else {
                let moment = if dice.random() { Moment::Before } else { Moment::After };
                let stopped = proxy.stop_at(dice.random_range(0..12), moment);
                let stopped = tokio::time::timeout(Duration::from_secs(5), stopped).await;
                host.kill();
                if let Ok(Ok(stopped)) = stopped {
                    *at.entry(format!("{moment:?} {}", stopped.at)).or_default() += 1;
                }
            }
            proxy.plan().next_round();
            started.push(Timestamp::now());
            host.restart();
            killed.send_replace(nth + 1);
        }
        at
    }

    /// Waits until there are just these Samples, and just their Deployments with these counts.
    async fn comes_to(&self, world: &World, wanted: &BTreeMap<String, u64>, history: &[String]) {
        let (samples, deployments, params) = (world.samples(), world.deployments(), ListParams::default());
        let mut lost = Vec::new();
        let so = within(self.bound, async || {
            let live = samples.list(&params).await.ok()?.items.into_iter().filter_map(|live| live.metadata.name);
            let live: BTreeSet<String> = live.collect();
            let children: BTreeMap<_, _> = deployments.list(&params).await.ok()?.items.iter().map(count).collect();
            let all: BTreeSet<_> = live.iter().chain(wanted.keys()).chain(children.keys()).collect();
            let is_wanted =
                |name: &str| live.contains(name) == wanted.contains_key(name) && children.get(name) == wanted.get(name);
            let others = all.into_iter().filter(|name| !is_wanted(name));
            lost = others.map(|name| (name.clone(), live.contains(name), children.get(name).copied())).collect();
            lost.is_empty().then_some(())
        });
        if so.await.is_none() {
            for (name, is_there, count) in &lost {
                eprintln!("{name}: wanted {:?}, is there: {is_there}, its child has {count:?}", wanted.get(name));
                history.iter().filter(|line| line.contains(name.as_str())).for_each(|line| eprintln!("{line}"));
            }
            history.iter().filter(|line| line.contains("killed")).for_each(|line| eprintln!("{line}"));
            panic!("waited {:?} in vain for {} objects: {lost:?}", self.bound, lost.len());
        }
    }
}

/// Who changes things.
struct Changer<'a> {
    world: &'a World,
    nth: u32,
    dice: StdRng,
    /// The Samples that there should be, with their counts.
    wanted: BTreeMap<String, u64>,
    history: Vec<String>,
}

impl Changer<'_> {
    /// Tries a change of any kind; false where it can't be made now.
    async fn change(&mut self, nth: u32, objects: u32) -> (String, &'static str, bool) {
        let name = format!("c{}-{:02}", self.nth, self.dice.random_range(0..objects));
        let count = u64::from(self.dice.random_range(0..50_u32));
        // No essence is there twice.
        let unique = json!({"annotations": {"test/change": nth.to_string()}});
        let (samples, deployments) = (self.world.samples(), self.world.deployments());
        let merge = async |api: &kube::Api<_>, patch: Value| {
            let patched = api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await;
            patched.map(|_: DynamicObject| ()).is_ok()
        };
        let (what, made) = match self.dice.random_range(0..10_u32) {
            _ if !self.wanted.contains_key(&name) => {
                let mut sample = self.world.sample(&name, &json!({ "count": count }));
                sample["metadata"]["annotations"] = unique["annotations"].clone();
                let sample: DynamicObject = serde_json::from_value(sample).unwrap();
                // The one before it may still be on its way out.
                let made = samples.create(&PostParams::default(), &sample).await.is_ok();
                if made {
                    self.wanted.insert(name.clone(), count);
                }
                ("created", made)
            }
            0..5 => {
                assert!(
                    merge(&samples, json!({"metadata": unique, "spec": {"count": count}})).await,
                    "{name} is there"
                );
                self.wanted.insert(name.clone(), count);
                ("count", true)
            }
            5..7 => {
                samples.delete(&name, &DeleteParams::default()).await.unwrap();
                self.wanted.remove(&name);
                ("deleted", true)
            }
            7 => ("its child deleted", deployments.delete(&name, &DeleteParams::default()).await.is_ok()),
            _ => ("its child scaled", merge(&deployments, json!({"spec": {"replicas": 77}})).await),
        };
        (name, what, made)
    }
}

fn count(deployment: &DynamicObject) -> (String, u64) {
    let name = deployment.metadata.name.clone().unwrap_or_default();
    (name, deployment.data["spec"]["replicas"].as_u64().unwrap_or_default())
}
