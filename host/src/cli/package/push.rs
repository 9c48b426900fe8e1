//! `operon push`: a component into a ConfigMap, whole or not at all.

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context, bail};
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use operon_core::{
    config::{Limits, PluginConfig, Source},
    package::{Encoding, Head, Packed, Version, compress},
};

use super::{print, store, store::Store, wait::wait, with_client};
use crate::{
    args::Push,
    plugin::{
        compile::{Compiler, cache::Cache},
        loader::Loader,
        sandbox::Sandbox,
        source::Component,
    },
};

/// How often a push begins anew because others push as well.
const TRIES: usize = 10;

/// Checks a component as the host would, writes it, and says what changed.
pub fn push(args: &Push) -> ExitCode {
    with_client(&args.login, async |client| run(args, client).await)
}

async fn run(args: &Push, client: Client) -> anyhow::Result<()> {
    let component = Component::read(&args.file).map_err(|error| anyhow::anyhow!("{} {error}", args.file.display()))?;
    let name = check(args, &component).await.with_context(|| args.file.display().to_string())?;
    let store = Store::new(client.clone(), args.to.clone());
    let digest = component.digest.clone();
    let found = store.read().await?;
    if found.head.as_ref().is_some_and(|head| head.current.digest == digest) {
        print(&format!("{}: unchanged, {digest} is there already\n", args.to))?;
        return if args.wait.wait { wait(&client, &args.to, &digest, &args.wait).await } else { Ok(()) };
    }
    let packed = pack(args, component).await?;
    let version = Version {
        plugin: args.plugin.as_ref().map(|plugin| plugin.as_str().to_owned()),
        version: Some(Version::text(&name)),
        pushed_at: Some(Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
        ..packed.version.clone()
    };
    let (mut found, mut written) = (Some(found), 0);
    for _ in 0..TRIES {
        let now = match found.take() {
            Some(found) => found,
            None => store.read().await?,
        };
        for (part, bytes) in packed.parts() {
            written += usize::from(store.put_part(part, bytes).await?);
        }
        let (before, plain) = (now.head.clone(), now.plain.clone());
        let head = match &before {
            Some(head) => head.pushed(version.clone(), args.keep),
            None => Head::new(version.clone()),
        };
        // Otherwise somebody else has pushed: theirs is the version before ours then.
        if store.put_head(now, &head).await? {
            let removed = store.tidy(args.unused_for.as_duration()).await?;
            print(&told(args, &packed, &head, before.as_ref(), plain.as_deref(), (written, removed)))?;
            return if args.wait.wait { wait(&client, &args.to, &digest, &args.wait).await } else { Ok(()) };
        }
    }
    bail!("ConfigMap {} is written by others all the time: it was tried {TRIES} times; push again", args.to)
}

/// What it calls its version; refuses what no host would load.
async fn check(args: &Push, component: &Component) -> anyhow::Result<String> {
    let sandbox = Arc::new(Sandbox::new().context("starting the WebAssembly engine")?);
    let cache = Cache::open_or_temporary(&args.cache.path()).context("making a folder for compiled plugins")?;
    let compiler = Arc::new(Compiler::new(cache, sandbox.compatibility())?);
    let name = match &args.plugin {
        Some(name) => name.clone(),
        None => "push".parse().context("the name of no plugin")?,
    };
    let config = PluginConfig {
        name,
        source: Source::File(args.file.clone()),
        digest: None,
        watch: Vec::new(),
        owns: std::collections::BTreeSet::new(),
        settings: serde_json::Map::new(),
        grants: Vec::new(),
        limits: Limits::default(),
        dry_run: false,
        suspend: false,
    };
    let loader = Loader { config, compiler, sandbox, reads: None };
    let (plugin, _) = loader.describe(component).await?;
    Ok(plugin.version)
}

async fn pack(args: &Push, component: Component) -> anyhow::Result<Packed> {
    let (name, size) = (args.to.name.clone(), component.size);
    let tell = std::io::stderr().is_terminal() && size > 4 << 20;
    let packed = tokio::task::spawn_blocking(move || {
        if component.encoding() == Encoding::Zstd {
            return store::pack(&name, component.stored().to_vec());
        }
        let mut wasm = Vec::new();
        std::io::Read::read_to_end(&mut component.reader()?, &mut wasm)?;
        let stored = compress(&wasm, |done| {
            if tell {
                // Nobody may be there to read it.
                let _ = write!(std::io::stderr(), "\rcompressing: {} %", 100 * done / wasm.len().max(1));
            }
        })?;
        store::pack(&name, stored)
    });
    let packed = packed.await??;
    if tell {
        let _ = writeln!(std::io::stderr());
    }
    Ok(packed)
}

/// For a person: what was before, what is now.
fn told(
    args: &Push,
    packed: &Packed,
    head: &Head,
    before: Option<&Head>,
    plain: Option<&str>,
    (written, removed): (usize, usize),
) -> String {
    let Version { digest, size, parts, version, .. } = &head.current;
    let was = match (before, plain) {
        (Some(before), _) => format!("before: {}", one_line(&before.current)),
        (None, Some(key)) => format!("before: a component under the key {key}, which is removed"),
        (None, None) => "before: nothing".to_owned(),
    };
    let version = version.as_deref().unwrap_or_default();
    let (stored, parts) = (packed.stored_size(), parts.len());
    let left = if removed > 0 { format!(", {removed} that no version needs removed") } else { String::new() };
    format!(
        "{}: version {version}, {digest}\n{was}\n{size} bytes, {stored} compressed, parts: {parts}, {written} of them new{left}; former versions kept: {}\n",
        args.to,
        head.history.len()
    )
}

pub(super) fn one_line(version: &Version) -> String {
    format!("version {}, {}", version.version.as_deref().unwrap_or("?"), version.digest)
}
