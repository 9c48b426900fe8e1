//! The cache of compiled components: a private folder, in which a file says by its name what it has to hold.
//!
//! A name is `<wasm>-<compatibility>-<content>.compiled`: digest of the component, what wasmtime compiled it for, digest of the
//! file itself. So one rename publishes all, and a file that is damaged, by a crash or a disk, is known as such and made anew.
//! Who uses a file holds a shared lock on it, who writes one an exclusive lock: that tells what may go.

use std::{
    fs::{File, TryLockError},
    io,
    os::{fd::AsRawFd, unix::fs::MetadataExt},
    path::Path,
    process::Stdio,
    sync::Arc,
    time::SystemTime,
};

use operon_core::digest::Digest;
use wasmtime::{Engine, component::Component};

use super::folder::{Folder, Unusable};

/// Bytes that all files together may have: 20 versions of a Python plugin, a thousand of a Rust one.
const BOUND: u64 = 1 << 30;

/// Ends the name of what is whole.
const COMPILED: &str = ".compiled";
/// Begins the name of what is being written.
const DRAFT: &str = "draft-";

/// The folder and its bound.
pub struct Cache {
    folder: Arc<Folder>,
    bound: u64,
}

/// What a compiled component is looked up by.
pub struct Key(String);

/// A compiled component: our own file, whole, and kept in the cache while this lives.
pub struct Compiled {
    file: File,
}

/// A file that is being written; removed unless it is published.
pub struct Draft {
    folder: Arc<Folder>,
    name: Option<String>,
    file: File,
}

impl Key {
    /// Of this component, compiled for engines of this compatibility.
    pub fn new(wasm: &Digest, compatibility: &str) -> Self {
        Self(format!("{}-{compatibility}-", wasm.hex()))
    }

    /// The name of a file that holds it.
    fn name(&self, content: &Digest) -> String {
        format!("{}{}{COMPILED}", self.0, content.hex())
    }
}

impl Cache {
    /// The one in that folder. What killed compilations left there is removed.
    pub fn open(parent: &Path) -> Result<Self, Unusable> {
        let cache = Self::with_bound(Folder::open(parent)?, BOUND);
        cache.tidy();
        Ok(cache)
    }

    /// The one in that folder, or where it can't be used, one for this run only.
    pub fn open_or_temporary(parent: &Path) -> Result<Self, Unusable> {
        let unusable = match Self::open(parent) {
            Ok(cache) => return Ok(cache),
            Err(unusable) => unusable,
        };
        let folder = Folder::temporary()?;
        let instead = folder.path().display();
        tracing::warn!(
            "there is no cache of compiled plugins, each start compiles them anew: {unusable}; \
             name another folder by --cache-dir; until then {instead} is used"
        );
        Ok(Self::with_bound(folder, BOUND))
    }

    fn with_bound(folder: Folder, bound: u64) -> Self {
        Self { folder: Arc::new(folder), bound }
    }

    /// Looks a compiled component up. What is found damaged, or not ours, is removed.
    pub fn find(&self, key: &Key) -> Option<Compiled> {
        let entries = self.folder.entries().unwrap_or_else(|error| {
            tracing::warn!("the cache {} can't be read: {error}", self.folder.path().display());
            Vec::new()
        });
        let names = entries.into_iter().map(|entry| entry.name).filter(|name| name.starts_with(&key.0));
        for name in names {
            match self.verified(key, &name) {
                Ok(Some(compiled)) => return Some(compiled),
                Ok(None) => {}
                Err(why) => {
                    let file = self.folder.path().join(&name);
                    tracing::warn!("{} is removed from the cache: {why}", file.display());
                    self.remove(&name);
                }
            }
        }
        None
    }

    fn verified(&self, key: &Key, name: &str) -> io::Result<Option<Compiled>> {
        let Some(file) = self.folder.open_ours(name)? else { return Ok(None) };
        // Where it can't be locked it may be evicted while it is used, which costs the next start a compilation.
        let _ = file.try_lock_shared();
        let (content, _) = Digest::of_stream(&file)?;
        if key.name(&content) != name {
            return Err(io::Error::other("it is damaged: its content is not what its name says"));
        }
        // The least recently used goes first; a wrong order costs no more than a compilation.
        let _ = file.set_modified(SystemTime::now());
        Ok(Some(Compiled { file }))
    }

    /// A file to compile into.
    pub fn draft(&self) -> io::Result<Draft> {
        loop {
            let name = format!("{DRAFT}{:016x}", rand::random::<u64>());
            let file = match self.folder.create(&name) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                created => created?,
            };
            file.lock()?;
            // Between the two, another process may have taken it for a leftover.
            if file.metadata()?.nlink() > 0 {
                return Ok(Draft { folder: self.folder.clone(), name: Some(name), file });
            }
        }
    }

    /// Makes a draft the compiled component of that key, at once, and makes room for it.
    pub fn publish(&self, mut draft: Draft, key: &Key) -> io::Result<Compiled> {
        io::Seek::rewind(&mut draft.file)?;
        let (content, _) = Digest::of_stream(&draft.file)?;
        let name = key.name(&content);
        if let Some(from) = &draft.name {
            self.folder.rename(from, &name)?;
            draft.name = None;
        }
        // What was renamed is ours to write to and locked; what is used is neither.
        drop(draft);
        let compiled = self.verified(key, &name)?;
        self.tidy();
        compiled.ok_or_else(|| io::Error::other("it was removed from the cache by another process"))
    }

    /// Removes what killed compilations left, and past the bound what was not used for longest.
    fn tidy(&self) {
        let Ok(entries) = self.folder.entries() else { return };
        let (drafts, mut whole): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| entry.name.starts_with(DRAFT));
        for draft in drafts.iter().filter(|draft| self.is_idle(&draft.name)) {
            tracing::info!(file = draft.name, "a leftover of a compilation is removed from the cache");
            self.remove(&draft.name);
        }
        whole.retain(|entry| entry.name.ends_with(COMPILED));
        whole.sort_by_key(|entry| entry.used);
        let mut total: u64 = whole.iter().map(|entry| entry.size).sum();
        for entry in &whole {
            if total <= self.bound {
                break;
            }
            if self.is_idle(&entry.name) {
                tracing::info!(file = entry.name, size = entry.size, "removed from the cache to make room");
                self.remove(&entry.name);
                total = total.saturating_sub(entry.size);
            }
        }
    }

    /// Nobody writes it, nobody uses it. What is no file of ours is used by nobody.
    fn is_idle(&self, name: &str) -> bool {
        match self.folder.open_ours(name) {
            Ok(Some(file)) => !matches!(file.try_lock(), Err(TryLockError::WouldBlock)),
            Ok(None) => false,
            Err(_) => true,
        }
    }

    fn remove(&self, name: &str) {
        if let Err(error) = self.folder.remove(name) {
            tracing::warn!("{} stays in the cache: {error}", self.folder.path().join(name).display());
        }
    }
}

impl Draft {
    /// For the process that writes it; the lock is then its own too.
    pub fn output(&self) -> io::Result<Stdio> {
        Ok(self.file.try_clone()?.into())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // If this fails, it is a leftover, and goes as such.
            let _ = self.folder.remove(name);
        }
    }
}

impl Compiled {
    /// Maps it: its pages come from the file as they are needed, and are shared with all that map it.
    pub(in crate::plugin) fn map(&self, engine: &Engine) -> wasmtime::Result<Component> {
        // By descriptor, so that what is mapped is what was verified.
        let descriptors = if cfg!(target_os = "linux") { "/proc/self/fd" } else { "/dev/fd" };
        let path = format!("{descriptors}/{}", self.file.as_raw_fd());
        // SAFETY: the file holds what a compiler of ours wrote. It belongs to our user, nobody else may write to it or to its
        // folder, and its content has the digest under which it was published. Nothing writes to a published file: it is
        // replaced by rename and removed by name, which leaves the mapped one as it is. wasmtime checks for itself that it was
        // compiled by its own version with the settings of this engine.
        #[expect(unsafe_code, reason = "mapping compiled code is the only way not to compile it in this process")]
        unsafe {
            Component::deserialize_file(engine, path)
        }
    }
}

#[cfg(test)]
mod tests;
