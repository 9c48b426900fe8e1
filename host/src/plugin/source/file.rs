//! A file, looked at twice a second: a rename over it, an editor's writes, the links of a mounted ConfigMap are all the same to that.

use std::{
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use futures::{Stream, stream};
use operon_core::digest::Digest;
use tokio::time::sleep;

use super::{Component, Fetched, SourceError};

/// How often it is looked at.
const POLL: Duration = Duration::from_millis(500);

/// What tells one content of the file from another, or why there is none. Links are followed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    There { device: u64, inode: u64, size: u64, modified: (i64, i64), changed: (i64, i64) },
    Absent(io::ErrorKind),
}

impl Seen {
    async fn now(file: &Path) -> Self {
        match tokio::fs::metadata(file).await {
            Ok(metadata) => Self::There {
                device: metadata.dev(),
                inode: metadata.ino(),
                size: metadata.len(),
                modified: (metadata.mtime(), metadata.mtime_nsec()),
                changed: (metadata.ctime(), metadata.ctime_nsec()),
            },
            Err(error) => Self::Absent(error.kind()),
        }
    }
}

struct Watched {
    file: PathBuf,
    pin: Option<Digest>,
    /// What was yielded last; none at the start.
    taken: Option<Seen>,
}

/// Yields the file at once, then whenever it has become another and stood still for a poll: so none is taken half-written, unless its
/// writer pauses, and the next yield puts that right.
pub(super) fn watch(file: PathBuf, pin: Option<Digest>) -> impl Stream<Item = Fetched> + Send {
    stream::unfold(Watched { file, pin, taken: None }, |mut watched| async move {
        let fetched = watched.next().await;
        Some((fetched, watched))
    })
}

impl Watched {
    async fn next(&mut self) -> Fetched {
        let mut first = self.taken.is_none();
        let mut before = None;
        loop {
            if !first {
                sleep(POLL).await;
            }
            let now = Seen::now(&self.file).await;
            let stands_still = first || before.as_ref() == Some(&now);
            if stands_still && self.taken.as_ref() != Some(&now) {
                let fetched = self.read().await;
                // Otherwise it was read while somebody wrote it.
                if Seen::now(&self.file).await == now {
                    self.taken = Some(now);
                    return fetched;
                }
            }
            (first, before) = (false, Some(now));
        }
    }

    async fn read(&self) -> Fetched {
        let file = self.file.clone();
        let read = tokio::task::spawn_blocking(move || Component::read(&file)).await;
        let read = read.unwrap_or_else(|failed| Err(SourceError::File(io::Error::other(failed))));
        Fetched::new(read.and_then(|component| component.pinned(self.pin.as_ref())), None)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, pin::Pin, time::Instant};

    use futures::StreamExt;

    use super::*;

    struct Test {
        folder: tempfile::TempDir,
        fetches: Pin<Box<dyn Stream<Item = Fetched> + Send>>,
    }

    impl Test {
        /// Watches `plugin.wasm` of a folder, in which a file of that content is there, or none.
        fn new(content: Option<&str>) -> Self {
            let folder = tempfile::tempdir().unwrap();
            if let Some(content) = content {
                fs::write(folder.path().join("plugin.wasm"), content).unwrap();
            }
            Self { fetches: Box::pin(watch(folder.path().join("plugin.wasm"), None)), folder }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        async fn next(&mut self) -> Result<Vec<u8>, String> {
            let fetched = tokio::time::timeout(Duration::from_secs(20), self.fetches.next()).await;
            let component = fetched.expect("nothing was yielded").unwrap().bytes.map_err(|error| error.to_string())?;
            Ok(component.stored().to_vec())
        }

        async fn is_quiet(&mut self) -> bool {
            tokio::time::timeout(POLL * 4, self.fetches.next()).await.is_err()
        }
    }

    #[tokio::test]
    async fn a_file_is_yielded_at_once_and_after_each_way_of_replacing_it() {
        let mut test = Test::new(Some("one"));
        let start = Instant::now();
        assert_eq!(test.next().await.unwrap(), b"one");
        assert!(start.elapsed() < POLL, "it is there: nobody waits for a poll");
        assert!(test.is_quiet().await);
        // As editors do.
        fs::write(test.path("plugin.wasm"), "two").unwrap();
        assert_eq!(test.next().await.unwrap(), b"two");
        // As package managers do.
        fs::write(test.path("new"), "six").unwrap();
        fs::rename(test.path("new"), test.path("plugin.wasm")).unwrap();
        assert_eq!(test.next().await.unwrap(), b"six");
        // As the kubelet does with a mounted ConfigMap.
        for (version, content) in [("v1", "ten"), ("v2", "elf")] {
            fs::create_dir(test.path(version)).unwrap();
            fs::write(test.path(version).join("plugin.wasm"), content).unwrap();
            symlink(version, test.path("link")).unwrap();
            fs::rename(test.path("link"), test.path("data")).unwrap();
            symlink("data/plugin.wasm", test.path("link")).unwrap();
            fs::rename(test.path("link"), test.path("plugin.wasm")).unwrap();
            assert_eq!(test.next().await.unwrap(), content.as_bytes());
        }
        assert!(test.is_quiet().await);
    }

    #[tokio::test]
    async fn a_file_that_goes_is_told_once_and_taken_when_it_is_back() {
        let mut test = Test::new(None);
        assert!(test.next().await.unwrap_err().contains("can't be read"));
        assert!(test.is_quiet().await, "told once");
        fs::write(test.path("plugin.wasm"), "one").unwrap();
        assert_eq!(test.next().await.unwrap(), b"one");
        fs::remove_file(test.path("plugin.wasm")).unwrap();
        assert!(test.next().await.is_err());
        assert!(test.is_quiet().await, "told once");
    }

    #[tokio::test]
    async fn a_file_that_is_being_written_is_not_taken_before_it_stands_still() {
        let mut test = Test::new(Some("one"));
        test.next().await.unwrap();
        let path = test.path("plugin.wasm");
        let writer = tokio::spawn(async move {
            let mut content = String::new();
            for _ in 0..8 {
                content.push_str("part ");
                fs::write(&path, &content).unwrap();
                sleep(POLL / 2).await;
            }
            content
        });
        let taken = test.next().await.unwrap();
        assert_eq!(String::from_utf8(taken).unwrap(), writer.await.unwrap());
    }

    #[tokio::test]
    async fn a_file_that_is_too_large_or_another_than_pinned_is_refused() {
        let mut test = Test::new(None);
        let large = fs::File::create(test.path("plugin.wasm")).unwrap();
        large.set_len((64 << 20) + 1).unwrap();
        let error = test.next().await.unwrap_err();
        assert!(error.contains("it has 67108865 bytes, and 67108864 are the most"), "{error}");
        fs::write(test.path("plugin.wasm"), "one").unwrap();
        let pin = Digest::of("two");
        test.fetches = Box::pin(watch(test.path("plugin.wasm"), Some(pin.clone())));
        let error = test.next().await.unwrap_err();
        assert!(error.contains(Digest::of("one").as_str()) && error.contains(pin.as_str()), "{error}");
        fs::write(test.path("plugin.wasm"), "two").unwrap();
        assert_eq!(test.next().await.unwrap(), b"two");
    }
}
