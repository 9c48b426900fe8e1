//! Was anything handled again that had been recorded as handled? The host's logs against the records that the proxy saw.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader},
    path::PathBuf,
};

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use crate::proxy::{Log, Recorded};

/// A run of the host: when it was started, and its log, which has to have the lines `calling` of level `debug`.
pub(crate) struct Run {
    pub(crate) started: Timestamp,
    pub(crate) log: PathBuf,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Of plugins.
    pub(crate) calls: usize,
    /// Records that the API server took.
    pub(crate) records: usize,
    /// For a person to read; should be empty.
    pub(crate) handled_twice: Vec<String>,
}

/// When a record was there, and when the host knew.
#[derive(Default)]
struct Known {
    written: Option<Timestamp>,
    told: Option<Timestamp>,
}

impl Ledger {
    /// Goes through all runs.
    pub(crate) fn read(log: &Log, runs: &[Run]) -> Self {
        let mut known: HashMap<&Recorded, Known> = HashMap::new();
        let mut ledger = Self::default();
        for entry in log.entries.iter().filter(|entry| entry.happened()) {
            let Some(recorded) = &entry.asked.recorded else { continue };
            ledger.records += 1;
            let known = known.entry(recorded).or_default();
            known.written.get_or_insert(entry.answered);
            if entry.told {
                known.told.get_or_insert(entry.answered);
            }
        }
        for (nth, run) in runs.iter().enumerate() {
            for line in BufReader::new(File::open(&run.log).unwrap()).lines() {
                let Some(call) = Call::read(&line.unwrap()) else { continue };
                ledger.calls += 1;
                let Some(known) = known.get(&call.of).filter(|_| ["created", "updated"].contains(&&*call.cause)) else {
                    continue;
                };
                // A write of a run that was killed may happen after the next has begun, which then can't know of it.
                let before_it_began = known.written.is_some_and(|written| written < run.started);
                if before_it_began || known.told.is_some_and(|told| told < call.at) {
                    ledger.handled_twice.push(format!("run {nth}: {} {} at {}", call.cause, call.object, call.at));
                }
            }
        }
        ledger
    }
}

/// A call of a plugin.
struct Call {
    at: Timestamp,
    object: String,
    cause: String,
    of: Recorded,
}

impl Call {
    fn read(line: &str) -> Option<Self> {
        let line: Value = serde_json::from_str(line).ok().filter(|line: &Value| line["message"] == "calling")?;
        let field = |name: &str| Some(line[name].as_str()?.to_owned());
        Some(Self {
            at: field("timestamp")?.parse().ok()?,
            object: field("object")?,
            cause: field("cause")?,
            of: Recorded { uid: field("uid")?, essence: field("essence")? },
        })
    }
}

#[test]
fn a_call_for_what_was_recorded_before_is_found_and_one_that_could_not_know_is_not() {
    use crate::proxy::Entry;
    let at = |second: i64| Timestamp::from_second(1_700_000_000 + second).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let run = |nth: usize, started: i64, calls: &[(i64, &str, &str)]| {
        let log = folder.path().join(nth.to_string());
        let line = |(second, cause, essence): &(i64, &str, &str)| {
            let (at, object) = (at(*second).to_string(), "n/o");
            serde_json::json!({
                "timestamp": at, "message": "calling", "object": object, "uid": "u", "cause": cause, "essence": essence,
            })
        };
        let lines: Vec<_> = calls.iter().map(|call| line(call).to_string()).collect();
        std::fs::write(&log, lines.join("\n")).unwrap();
        Run { started: at(started), log }
    };
    let record = |essence: &str, second: i64, told: bool| {
        let recorded = Recorded { uid: "u".into(), essence: essence.into() };
        Entry::of_record(recorded, at(second), told)
    };
    let log = Log { entries: vec![record("a", 5, true), record("b", 15, false)] };
    let runs = [
        run(0, 0, &[(1, "created", "a"), (7, "child-changed", "a"), (8, "updated", "b")]),
        run(1, 10, &[(16, "updated", "b")]),
        run(2, 20, &[(21, "child-changed", "b"), (22, "updated", "c")]),
    ];
    let good = Ledger::read(&log, &runs);
    assert_eq!((good.calls, good.records, good.handled_twice.len()), (6, 2, 0), "{good:?}");
    let bad = [run(3, 0, &[(6, "created", "a")]), run(4, 16, &[(17, "updated", "b")])];
    assert_eq!(Ledger::read(&log, &bad).handled_twice.len(), 2);
}
