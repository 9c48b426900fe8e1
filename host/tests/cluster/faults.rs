//! Everything goes wrong between host and API server, each thing alone and all mixed: nothing is lost.
//!
//! `proxy` makes it go wrong. Ten Samples are created, changed and half of them deleted; what is asserted is what their users see.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use kube::api::{DynamicObject, ListParams};

use crate::{
    host::{Host, config, own_deployments},
    proxy::{Asked, Fault, Plan, Proxy, QUICK, SILENT, Verb, seed},
    world::{World, wasm, within},
};

/// What all Samples have to be like in the end is waited for this long.
const BOUND: Duration = Duration::from_mins(2);
/// Of a watch that is silently dead, the host has to notice within this time.
const SILENCE: Duration = Duration::from_secs(90);
/// Requests that suffer where faults come by chance.
const CHANCE: f64 = 0.25;

/// Each `name: faults` is a test of the host with one kind of fault.
macro_rules! survives {
    ($($name:ident: $($fault:expr),+;)+) => {$(
        #[tokio::test]
        async fn $name() {
            let faults = [$($fault),+];
            let scene = Scene::new(stringify!($name), Plan::chance(CHANCE, &faults), 10).await;
            scene.live().await;
            scene.has_suffered(&faults);
            scene.has_let_go_last();
        }
    )+};
}

survives! {
    dropped_connections_lose_nothing: Fault::Refused;
    answers_cut_in_the_middle_lose_nothing: Fault::Cut;
    answers_that_lag_lose_nothing: Fault::Latency;
    server_errors_lose_nothing: Fault::Status(500), Fault::Status(503);
    too_many_requests_lose_nothing: Fault::Status(429);
    writes_whose_answer_is_lost_lose_nothing: Fault::LostAnswer;
    conflicts_lose_nothing: Fault::Conflict;
    watches_answered_with_410_lose_nothing: Fault::Expired;
    watches_that_end_with_410_lose_nothing: Fault::ExpiredEvent;
    truncated_answers_lose_nothing: Fault::Truncated;
    garbage_in_place_of_answers_loses_nothing: Fault::Garbage;
    garbage_in_place_of_events_of_a_watch_loses_nothing: Fault::GarbageEvent;
}

#[tokio::test]
async fn all_faults_mixed_lose_nothing() {
    let scene = Scene::new("mixed", Plan::chance(CHANCE, &QUICK), 10).await;
    scene.live().await;
    scene.has_let_go_last();
    let kinds = scene.proxy.plan().injected.len();
    assert!(kinds >= 8, "only {kinds} kinds of faults");
}

/// Each `name: fault, of what` is a test where each of these goes silent the first time.
macro_rules! notices_within_90_s {
    ($($name:ident: $fault:expr, $only:expr;)+) => {$(
        #[tokio::test]
        async fn $name() {
            let scene = Scene::new(stringify!($name), Plan::first(&[$fault]).only($only), 10).await;
            scene.live_at_once(SILENCE).await;
            scene.has_suffered(&[$fault]);
        }
    )+};
}

notices_within_90_s! {
    watches_that_say_nothing_are_noticed: Fault::Silent, |_| true;
    watches_that_fall_silent_are_noticed: Fault::FallsSilent, |_| true;
    watches_that_are_never_answered_are_noticed: Fault::Unanswered, |asked| asked.verb == Verb::Watch;
    lists_that_are_never_answered_are_noticed: Fault::Unanswered, |asked| asked.verb == Verb::List;
    questions_for_kinds_that_are_never_answered_are_noticed: Fault::Unanswered, |asked| asked.resource.is_empty();
    writes_that_are_never_answered_are_noticed: Fault::Unanswered, Asked::is_write;
}

#[tokio::test]
async fn an_event_that_nobody_takes_holds_up_nothing() {
    let reports = |asked: &Asked| asked.resource.starts_with("events.");
    let scene = Scene::new("deaf-events", Plan::chance(1.0, &[Fault::Unanswered]).only(reports), 1).await;
    scene.world.apply_sample(&name(0), "many").await;
    scene.world.message(&name(0), "many").await;
    scene.apply(1).await;
    scene.converges(scene.all(1), BOUND / 6).await;
    assert!(scene.proxy.plan().injected.contains_key(&Fault::Unanswered), "no Event was written");
}

#[tokio::test]
async fn a_sample_does_not_go_before_its_child_whose_delete_is_answered_with_409() {
    let deletes = |asked: &Asked| asked.verb == Verb::Delete;
    let scene = Scene::new("delete-409", Plan::first(&[Fault::Conflict]).only(deletes), 4).await;
    scene.live().await;
    scene.has_suffered(&[Fault::Conflict]);
    scene.has_let_go_last();
}

/// `make soak`: more objects, more rounds, silence as well.
#[tokio::test]
#[ignore = "takes minutes: make soak"]
async fn soak_all_faults_mixed() {
    const ROUNDS: u64 = 10;
    let faults = [QUICK.as_slice(), QUICK.as_slice(), QUICK.as_slice(), SILENT.as_slice()].concat();
    let scene = Scene::new("soak-mixed", Plan::chance(0.1, &faults), 100).await;
    for _ in 0..ROUNDS {
        scene.live_at_once(SILENCE * 4).await;
    }
    // Each round makes all, changes all, and deletes half.
    println!("changes: {}", ROUNDS * scene.size * 5 / 2);
    println!("faults injected: {:?}", scene.proxy.plan().injected);
    println!("writes: {}", scene.proxy.log().writes().count());
    println!("events lost: 0, OPERON_TEST_SEED={}", seed());
}

/// A host behind a proxy, some Samples.
struct Scene {
    world: World,
    proxy: Proxy,
    _host: Host,
    size: u64,
}

impl Scene {
    async fn new(test: &str, plan: Plan, size: u64) -> Self {
        let short: String = test.replace('_', "-").chars().take(30).collect();
        let world = World::new(short.trim_matches('-')).await;
        world.put_plugin(&world.namespace, "plugin", wasm("sample.wasm")).await;
        let proxy = Proxy::start(&world, plan).await;
        let host = Host::start_with(&config(&world, &own_deployments()), &proxy.kubeconfig);
        // What is made before the first list would need no watch.
        within(BOUND, async || {
            let so = !proxy.log().watches("samples.nuvolaris.org").is_empty();
            (so || proxy.plan().injected.contains_key(&Fault::Unanswered)).then_some(())
        })
        .await
        .expect("the host watches Samples");
        Self { world, proxy, _host: host, size }
    }

    /// Creates, changes and deletes, and waits each time until all is as it should be.
    async fn live(&self) {
        self.apply(1).await;
        self.converges(self.all(1), BOUND).await;
        self.apply(11).await;
        self.converges(self.all(11), BOUND).await;
        self.delete_half().await;
        self.converges(self.half(11), BOUND).await;
    }

    /// The same, with no wait in between.
    async fn live_at_once(&self, bound: Duration) {
        self.apply(1).await;
        self.apply(11).await;
        self.delete_half().await;
        self.converges(self.half(11), bound).await;
    }

    async fn apply(&self, more: u64) {
        self.proxy.plan().next_round();
        for nth in 0..self.size {
            self.world.apply_sample(&name(nth), nth + more).await;
        }
    }

    async fn delete_half(&self) {
        self.proxy.plan().next_round();
        for nth in (0..self.size).step_by(2) {
            self.world.delete_sample(&name(nth)).await;
        }
    }

    fn all(&self, more: u64) -> BTreeMap<String, u64> {
        (0..self.size).map(|nth| (name(nth), nth + more)).collect()
    }

    fn half(&self, more: u64) -> BTreeMap<String, u64> {
        (1..self.size).step_by(2).map(|nth| (name(nth), nth + more)).collect()
    }

    /// Waits until there are just these Samples, and just their Deployments with these counts.
    async fn converges(&self, wanted: BTreeMap<String, u64>, bound: Duration) {
        let start = Instant::now();
        let (samples, deployments, params) = (self.world.samples(), self.world.deployments(), ListParams::default());
        let mut found = (BTreeSet::new(), BTreeMap::new());
        let so = within(bound, async || {
            let live = samples.list(&params).await.ok()?.items.into_iter().filter_map(|live| live.metadata.name);
            found = (live.collect(), deployments.list(&params).await.ok()?.items.iter().map(count).collect());
            (found.0.iter().eq(wanted.keys()) && found.1 == wanted).then_some(())
        });
        let so = so.await;
        assert!(so.is_some(), "waited {bound:?} in vain for {wanted:?}: there are {found:?}");
        eprintln!("{}: as it should be after {:?}", self.world.namespace, start.elapsed());
    }

    /// No Sample was let go before the API server had said that its child is gone.
    fn has_let_go_last(&self) {
        let log = self.proxy.log();
        for (nth, released) in log.entries.iter().enumerate() {
            if released.asked.verb == Verb::Patch && released.asked.is_record() && released.happened() {
                let name = &released.asked.name;
                let deleted = log.entries.iter().take(nth).any(|entry| {
                    let Asked { verb, resource, name: child, .. } = &entry.asked;
                    (*verb, resource.as_str(), child) == (Verb::Delete, "deployments.apps", name)
                        && (entry.happened() || entry.status == 404)
                });
                assert!(deleted, "{name} was let go while its child was there");
            }
        }
    }

    /// The faults did happen, each of them.
    fn has_suffered(&self, faults: &[Fault]) {
        let injected = &self.proxy.plan().injected;
        eprintln!("{injected:?}");
        for fault in faults {
            assert!(injected.contains_key(fault), "{fault:?} of {injected:?}");
        }
    }
}

fn name(nth: u64) -> String {
    format!("s{nth:03}")
}

fn count(deployment: &DynamicObject) -> (String, u64) {
    (
        deployment.metadata.name.clone().unwrap_or_default(),
        deployment.data["spec"]["replicas"].as_u64().unwrap_or_default(),
    )
}
