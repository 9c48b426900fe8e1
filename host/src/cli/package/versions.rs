//! `operon versions` and `operon rollback`: which versions a package has, and going back to one.

use std::process::ExitCode;

use anyhow::bail;
use operon_core::package::{Head, Version};

use super::{print, push::one_line, store::Store, wait::wait, with_client};
use crate::{
    args::{Rollback, Versions},
    cli::table::table,
};

/// How often a rollback begins anew because others write the head as well.
const TRIES: usize = 10;

/// Prints all versions of a package, the newest push first.
pub fn versions(args: &Versions) -> ExitCode {
    with_client(&args.login, async |client| {
        let (head, _) = Store::new(client, args.of.clone()).package().await?;
        print(&rows(&head))
    })
}

/// Serves a former version again; all others are kept.
pub fn rollback(args: &Rollback) -> ExitCode {
    with_client(&args.login, async |client| {
        let store = Store::new(client.clone(), args.of.clone());
        for _ in 0..TRIES {
            let (head, found) = store.package().await?;
            let to = chosen(&head, args.to_digest.as_deref())?.digest.clone();
            let Some(back) = head.rolled_back(&to) else { bail!("the package has no version {to}") };
            if back.current == head.current || store.put_head(found, &back).await? {
                print(&format!("{}: {}\nbefore: {}\n", args.of, one_line(&back.current), one_line(&head.current)))?;
                return if args.wait.wait { wait(&client, &args.of, &to, &args.wait).await } else { Ok(()) };
            }
        }
        bail!("ConfigMap {} is written by others all the time: it was tried {TRIES} times", args.of)
    })
}

/// The one whose digest begins so, otherwise the one before.
fn chosen<'a>(head: &'a Head, wanted: Option<&str>) -> anyhow::Result<&'a Version> {
    let Some(wanted) = wanted else {
        let none = || anyhow::anyhow!("no version was pushed before {}", one_line(&head.current));
        return head.previous().ok_or_else(none);
    };
    let begins = |version: &&Version| {
        let digest = version.digest.as_str();
        digest.starts_with(wanted) || digest.strip_prefix("sha256:").is_some_and(|hex| hex.starts_with(wanted))
    };
    let fitting: Vec<_> = head.versions().into_iter().filter(begins).collect();
    match fitting.as_slice() {
        [version] => Ok(version),
        [] => bail!(
            "no version of the package has a digest that begins with {wanted}; it has:\n{}",
            rows(head).trim_end()
        ),
        _ => bail!("{} versions have a digest that begins with {wanted}: give more of it", fitting.len()),
    }
}

fn rows(head: &Head) -> String {
    let rows = head.versions().into_iter().map(|version| {
        let served = if version.digest == head.current.digest { "*" } else { "" };
        [
            served.to_owned(),
            version.version.clone().unwrap_or_else(|| "-".into()),
            version.digest.to_string(),
            version.pushed_at.clone().unwrap_or_else(|| "-".into()),
            version.size.to_string(),
        ]
    });
    table(&["SERVED", "VERSION", "DIGEST", "PUSHED", "BYTES"], &rows.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use operon_core::{digest::Digest, package::Packed};

    use super::*;

    fn head(names: &[&str]) -> Head {
        let version = |name: &str| {
            let stored = name.as_bytes().to_vec();
            let packed = Packed::new(&"a".parse().unwrap(), stored, operon_core::package::Encoding::None).unwrap();
            Version { version: Some(name.into()), pushed_at: Some("2026-01-02T03:04:05Z".into()), ..packed.version }
        };
        names[1..].iter().fold(Head::new(version(names[0])), |head, name| head.pushed(version(name), 5))
    }

    #[test]
    fn the_version_before_is_meant_unless_the_beginning_of_a_digest_says_which() {
        let head = head(&["one", "two", "three"]);
        assert_eq!(chosen(&head, None).unwrap().version.as_deref(), Some("two"));
        let digest = Digest::of("one");
        for wanted in [digest.as_str(), digest.short(), &digest.as_str()[..12]] {
            assert_eq!(chosen(&head, Some(wanted)).unwrap().version.as_deref(), Some("one"), "{wanted}");
        }
        assert!(chosen(&head, Some("sha256:")).unwrap_err().to_string().contains("give more of it"));
        assert!(chosen(&head, Some("xyz")).unwrap_err().to_string().contains("three"));
        let first = chosen(&head.rolled_back(&digest).unwrap(), None).unwrap_err().to_string();
        assert!(first.contains("no version was pushed before"), "{first}");
    }

    #[test]
    fn the_table_marks_the_version_that_is_served() {
        let back = head(&["one", "two"]).rolled_back(&Digest::of("one")).unwrap();
        let text = rows(&back);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[1].starts_with("        two      sha256:"), "{text}");
        assert!(lines[2].starts_with("*       one      sha256:"), "{text}");
        assert!(lines[2].ends_with("2026-01-02T03:04:05Z  3"), "{text}");
    }
}
