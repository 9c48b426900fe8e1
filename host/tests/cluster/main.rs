//! The host against a real API server, each test in a namespace of its own with a host of its own.
//!
//! `make test` starts the control plane and names it in `OPERON_TEST_KUBECONFIG`. `host` runs the binary, `world` is what a person
//! would do with `kubectl`; the other files are the tests, by what they show.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "also in what the tests share")]

mod bench;
mod bench_swap;
mod causes;
mod chaos;
mod check;
mod children;
mod faults;
mod host;
mod ledger;
mod namespaces;
mod outage;
mod patches;
mod plugins;
mod proxy;
mod push;
mod release;
mod restarts;
mod sample;
mod scripted;
mod shapes;
mod swap;
mod world;
mod writes;
