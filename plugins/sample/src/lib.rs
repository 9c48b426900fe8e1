//! The Sample operator: for each `Sample` one Deployment of nginx, with as many
//! replicas as the Sample's `spec.count` says, and a status that says so.
//!
//! `count` reads what is asked for, `settings` how the operator is set up,
//! `name` and `deployment` make the answer, `message` the status.

#![cfg_attr(target_family = "wasm", no_std)]

extern crate alloc;

mod count;
mod deployment;
mod found;
mod message;
mod name;
mod settings;

use alloc::string::String;

use operon_plugin::{Cause, Description, Event, Failure, Handler, PatchSet, Value, json};
use settings::Settings;

/// The second build, which the demo puts in the place of the first.
const V2: bool = cfg!(feature = "v2");

struct Sample;

impl Handler for Sample {
    fn describe() -> Description {
        let version = if V2 { "0.2.0" } else { env!("CARGO_PKG_VERSION") };
        Description::new("sample", version)
            .settings_schema(&settings::schema())
            .requires("deployments.v1.apps", &["apply", "delete"])
    }

    fn validate(settings: Value) -> Result<(), String> {
        Settings::read(settings).map(|_| ())
    }

    fn handle(event: Event) -> Result<PatchSet, Failure> {
        if event.cause == Cause::Deleted {
            return Ok(PatchSet::new().no_children());
        }
        let settings = Settings::read(event.settings()?).map_err(Failure::reject)?;
        let sample: Value = event.object()?;
        let count = count::read(&sample, settings.max_count).map_err(reject)?;
        let name = settings.deployment.of(&event.object.name).map_err(reject)?;

        let message = if V2 {
            message::scaled_from(&event, &name, count, settings.max_count)
        } else {
            Some(message::scaled(&name, count))
        };
        let namespace = event.object.namespace.as_deref();
        let deployment = deployment::manifest(settings.template, &name, namespace, count);
        let answer = PatchSet::new().child(&deployment);
        Ok(match message {
            Some(message) => answer.status(&status(&message)),
            None => answer,
        })
    }
}

operon_plugin::export!(Sample, no_std);

/// A rejection that the Sample's status shows as well.
fn reject(message: String) -> Failure {
    let status = status(&message);
    Failure::reject(message).status(&status)
}

fn status(message: &str) -> Value {
    json!({ "sample_create": { "message": message } })
}

#[cfg(test)]
mod tests;
