//! Who the host is to the API server: a service account in a pod, otherwise a kubeconfig.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use kube::{
    Client, Config,
    client::ClientBuilder,
    config::{KubeConfigOptions, Kubeconfig},
};
use tower::timeout::TimeoutLayer;

/// A connection that can't be made in this time is given up and tried again by who needed it.
const CONNECT: Duration = Duration::from_secs(10);
/// Nor is one waited for that says nothing for so long, as a watch may; it lasts 45 s.
const SILENCE: Duration = Duration::from_mins(1);
/// For the head of an answer, kube's own retries of 429 and 503 included: a write that is never answered would hold its object up.
const ANSWER: Duration = Duration::from_secs(30);

/// How to log in, as the command line says.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Login {
    /// Kubeconfig file [default: the service account in a pod, otherwise $KUBECONFIG or ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig [default: its current context]
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
}

impl Login {
    /// Makes a client; nothing is sent yet.
    pub async fn client(&self) -> anyhow::Result<Client> {
        let options = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        let mut config = match (&self.kubeconfig, &self.context) {
            (Some(file), _) => {
                let read = Kubeconfig::read_from(file).with_context(|| format!("reading {}", file.display()))?;
                let config = Config::from_custom_kubeconfig(read, &options).await;
                config.with_context(|| format!("using {}", file.display()))?
            }
            // Who names a context means a kubeconfig, also in a pod.
            (None, Some(_)) => Config::from_kubeconfig(&options).await.context("using the kubeconfig")?,
            (None, None) => Config::infer().await.context("found neither a service account nor a kubeconfig")?,
        };
        config.connect_timeout = Some(CONNECT);
        config.read_timeout = Some(SILENCE);
        config.reset_reader_on_write = true;
        Ok(ClientBuilder::try_from(config)?.with_layer(&TimeoutLayer::new(ANSWER)).build())
    }
}
