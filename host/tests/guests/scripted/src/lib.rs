//! A guest for tests: the object's `spec` says what the plugin does.
//!
//! `children`: manifests to return; `sleepMs`: how long to take; `trap`: crash; `status`: what to return as status.

use std::{thread, time::Duration};

use operon_plugin::{Cause, Description, Event, Failure, Handler, PatchSet, Value};
use serde::Deserialize;

#[derive(Deserialize)]
struct Scripted {
    #[serde(default)]
    spec: Spec,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    children: Vec<Value>,
    sleep_ms: u64,
    trap: bool,
    status: Option<Value>,
}

struct Script;

impl Handler for Script {
    fn describe() -> Description {
        Description::new("scripted", env!("CARGO_PKG_VERSION"))
    }

    fn handle(event: Event) -> Result<PatchSet, Failure> {
        if event.cause == Cause::Deleted {
            return Ok(PatchSet::new().no_children());
        }
        let Scripted { spec } = event.object()?;
        thread::sleep(Duration::from_millis(spec.sleep_ms));
        assert!(!spec.trap, "the object asks for a trap");
        let set = PatchSet::new().children(&spec.children);
        Ok(match &spec.status {
            Some(status) => set.status(status),
            None => set,
        })
    }
}

operon_plugin::export!(Script);
