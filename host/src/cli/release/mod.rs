//! `operon release`: takes a plugin's finalizer and record off the objects that carry them, with the caller's own rights.
//!
//! For when no host is there to do it: a plugin that is uninstalled, or one whose answer to a deletion never comes. The config only
//! says what the host is called and where to look first: objects are looked for in all resources that are served, since they
//! may be held from a time when the config was another.

mod remove;
mod search;
mod text;

use std::{
    io::{self, BufRead, IsTerminal, Write},
    process::ExitCode,
};

use anyhow::Context;
use futures::{StreamExt, stream};
use kube::Client;
use operon_core::{
    config::{HostConfig, PluginConfig},
    names::PluginIdentity,
};

use self::search::{Findings, Found, Search};
use crate::{args::Release, cluster::survey::survey};

/// Objects that are patched at the same time.
const AT_ONCE: usize = 8;

/// Shows what there is and, after a yes, removes it. Ends with 1 where something could not be removed, or could not be looked
/// through although it is likely to be there.
pub fn release(args: &Release) -> ExitCode {
    match run(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Release) -> anyhow::Result<bool> {
    let config = HostConfig::load(&args.config)?;
    let runtime = tokio::runtime::Runtime::new().context("starting the executor")?;
    let ask = || {
        let terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
        if terminal { confirm(io::stdin().lock(), io::stdout()) } else { Ok(false) }
    };
    runtime.block_on(async {
        let client = args.login.client().await?;
        let plugin = PluginIdentity::new(config.host.as_str(), args.plugin.as_str());
        let entry = config.plugins.iter().find(|plugin| plugin.name == args.plugin);
        let findings = search(args, &client, &plugin, entry).await?;
        let complete = !findings.unread.iter().any(|unread| unread.matters);
        for line in text::unread(&findings.unread) {
            complain(&line);
        }
        let found = findings.found;
        let mut out = io::stdout();
        let note = plugin.finalizer();
        if found.is_empty() {
            writeln!(out, "No object that was looked at carries the finalizer or the record {note}.")?;
            if entry.is_none() {
                let names: Vec<_> = config.plugins.iter().map(|plugin| plugin.name.as_str()).collect();
                writeln!(out, "The config has no plugin {}, only: {}.", args.plugin, names.join(", "))?;
            }
            return Ok(complete);
        }
        write!(out, "{}", text::table(&found))?;
        writeln!(out, "\n{} with the finalizer or the record {note}.", text::objects(found.len()))?;
        writeln!(out, "A host that still runs the plugin takes its objects again: stop it first, or take the plugin out of its config.")?;
        if !args.yes && !ask()? {
            writeln!(out, "Nothing was changed. To remove them, add --yes.")?;
            return Ok(complete);
        }
        let failed = remove_all(&client, &plugin, &found).await;
        writeln!(out, "Removed from {}.", text::objects(found.len() - failed.len()))?;
        write!(out, "{}", text::children(&plugin, entry))?;
        for (found, error) in &failed {
            complain(&format!("Not removed from {} {}: {error}", found.kind.resource, found.key));
        }
        Ok(complete && failed.is_empty())
    })
}

async fn search(
    args: &Release,
    client: &Client,
    plugin: &PluginIdentity,
    config: Option<&PluginConfig>,
) -> anyhow::Result<Findings> {
    let survey = survey(client).await.context("asking the API server what it serves")?;
    let search = Search {
        client,
        plugin,
        config,
        namespace: args.namespace.as_ref(),
        name: args.name.as_deref(),
        resource: args.resource.as_ref(),
    };
    let findings = search.run(&survey).await;
    if let Some(name) = &args.resource {
        let known = survey.kinds.iter().any(|kind| kind.resource.same_resource(name)) || !findings.unread.is_empty();
        anyhow::ensure!(known, "the API server serves no resource {name} whose objects can be listed and patched");
    }
    Ok(findings)
}

/// Those that failed, with the reason.
async fn remove_all<'a>(client: &Client, plugin: &PluginIdentity, found: &'a [Found]) -> Vec<(&'a Found, kube::Error)> {
    let removals = found.iter().map(async |found| (found, remove::remove(client, plugin, found).await));
    let ended = stream::iter(removals).buffered(AT_ONCE);
    ended.filter_map(async |(found, result)| Some((found, result.err()?))).collect().await
}

/// Only a whole `yes` is one.
fn confirm(mut answers: impl BufRead, mut out: impl Write) -> io::Result<bool> {
    write!(out, "Remove them (yes/no)? ")?;
    out.flush()?;
    let mut answer = String::new();
    answers.read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}

/// To standard error, whoever still reads it.
fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::confirm;

    #[test]
    fn nothing_but_yes_is_a_yes() {
        for (answer, want) in [("yes\n", true), (" yes \r\n", true), ("y\n", false), ("", false), ("no\n", false)] {
            let mut asked = Vec::new();
            assert_eq!(confirm(answer.as_bytes(), &mut asked).unwrap(), want, "{answer:?}");
            assert_eq!(asked, b"Remove them (yes/no)? ");
        }
    }
}
