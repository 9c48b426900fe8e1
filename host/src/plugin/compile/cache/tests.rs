use std::{
    fs,
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::PathBuf,
    time::{Duration, SystemTime},
};

use tempfile::TempDir;

use super::{Cache, Compiled, Digest, Folder, Key};

/// A folder and a cache in it of so many bytes.
fn cache(bound: u64) -> (TempDir, Cache) {
    let parent = tempfile::tempdir().unwrap();
    let cache = Cache::with_bound(Folder::open(parent.path()).unwrap(), bound);
    (parent, cache)
}

fn key(wasm: &str) -> Key {
    Key::new(&Digest::of(wasm), "compatible")
}

fn publish(cache: &Cache, wasm: &str, content: &[u8]) -> Compiled {
    let mut draft = cache.draft().unwrap();
    draft.file.write_all(content).unwrap();
    cache.publish(draft, &key(wasm)).unwrap()
}

/// All files of the cache, by name.
fn files(parent: &TempDir) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent.path().join("compiled")).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn what_was_published_is_found_by_its_key_and_by_no_other() {
    let (parent, cache) = cache(100);
    assert!(cache.find(&key("a")).is_none());
    publish(&cache, "a", b"code");
    assert!(cache.find(&key("a")).is_some());
    assert!(cache.find(&key("b")).is_none());
    assert!(cache.find(&Key::new(&Digest::of("a"), "otherwise")).is_none());
    let again = Cache::open(parent.path()).unwrap();
    assert!(again.find(&key("a")).is_some(), "by the next process");
    let metadata = fs::metadata(&files(&parent)[0]).unwrap();
    assert_eq!(metadata.mode() & 0o777, 0o600);
}

#[test]
fn a_damaged_file_is_removed_and_can_be_made_anew() {
    let (parent, cache) = cache(100);
    for damage in [&b"c0de"[..], b"cod", b"code.", b""] {
        publish(&cache, "a", b"code");
        fs::write(&files(&parent)[0], damage).unwrap();
        assert!(cache.find(&key("a")).is_none(), "{damage:?}");
        assert!(files(&parent).is_empty());
    }
    publish(&cache, "a", b"code");
    assert!(cache.find(&key("a")).is_some());
}

#[test]
fn what_others_can_have_written_is_removed() {
    let (parent, cache) = cache(100);
    publish(&cache, "a", b"code");
    let file = files(&parent).remove(0);
    for mode in [0o620, 0o602] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        assert!(cache.find(&key("a")).is_none(), "{mode:o}");
        assert!(!file.exists());
        publish(&cache, "a", b"code");
    }
    // A link of that name, even to a file with the right content.
    let elsewhere = parent.path().join("elsewhere");
    fs::rename(&file, &elsewhere).unwrap();
    symlink(&elsewhere, &file).unwrap();
    assert!(cache.find(&key("a")).is_none());
    assert!(fs::symlink_metadata(&file).is_err(), "the link is gone");
    assert_eq!(fs::read(elsewhere).unwrap(), b"code", "what it led to is not");
}

#[test]
fn another_users_file_or_folder_is_not_used() {
    let (parent, cache) = cache(100);
    publish(&cache, "a", b"code");
    let (file, folder) = (files(&parent).remove(0), parent.path().join("compiled"));
    if std::os::unix::fs::chown(&file, Some(12345), None).is_err() {
        eprintln!("skipped: only root can give files away");
        return;
    }
    assert!(cache.find(&key("a")).is_none());
    assert!(!file.exists());
    std::os::unix::fs::chown(&folder, Some(12345), None).unwrap();
    let refused = Cache::open(parent.path()).err().unwrap().to_string();
    assert!(refused.contains("belongs to user 12345"), "{refused}");
}

#[test]
fn a_folder_that_is_not_private_is_refused_with_its_name_and_one_for_this_run_is_used() {
    let (parent, cache) = cache(100);
    drop(cache);
    let folder = parent.path().join("compiled");
    assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let refused = Cache::open(parent.path()).err().unwrap().to_string();
    assert!(refused.contains(folder.to_str().unwrap()) && refused.contains("chmod 700"), "{refused}");
    let instead = Cache::open_or_temporary(parent.path()).unwrap();
    publish(&instead, "a", b"code");
    assert!(instead.find(&key("a")).is_some());
    assert!(files(&parent).is_empty());
    let temporary = instead.folder.path().to_owned();
    drop(instead);
    assert!(!temporary.exists());
    // Nor is a link to somewhere else.
    fs::remove_dir(&folder).unwrap();
    symlink(std::env::temp_dir(), &folder).unwrap();
    assert!(Cache::open(parent.path()).is_err());
    fs::remove_file(&folder).unwrap();
    fs::write(&folder, "a file").unwrap();
    assert!(Cache::open(parent.path()).is_err());
}

#[test]
fn past_the_bound_the_least_recently_used_goes_unless_it_is_in_use() {
    let (parent, cache) = cache(10);
    let age = |wasm: &str, seconds| {
        let named = |file: &PathBuf| file.file_name().unwrap().to_str().unwrap().starts_with(&key(wasm).0);
        let file = files(&parent).into_iter().find(named).unwrap();
        let time = SystemTime::now() - Duration::from_secs(seconds);
        fs::File::open(file).unwrap().set_modified(time).unwrap();
    };
    let running = publish(&cache, "running", b"1234");
    age("running", 300);
    for (wasm, seconds) in [("b", 200), ("c", 100)] {
        drop(publish(&cache, wasm, b"123"));
        age(wasm, seconds);
    }
    assert_eq!(files(&parent).len(), 3, "10 bytes: nothing has to go yet");
    // To be found is to be used: now `c` is the older one.
    drop(cache.find(&key("b")));
    drop(publish(&cache, "d", b"1"));
    let found = |wasm| cache.find(&key(wasm)).is_some();
    assert_eq!(["running", "b", "c", "d"].map(found), [true, true, false, true]);
    drop(running);
    age("running", 300);
    drop(publish(&cache, "e", b"123"));
    assert_eq!(["running", "b", "d", "e"].map(found), [false, true, true, true]);
}

#[test]
fn a_leftover_of_a_killed_compilation_is_removed_and_one_under_way_is_not() {
    let (parent, cache) = cache(100);
    let under_way = cache.draft().unwrap();
    fs::write(parent.path().join("compiled/draft-0123456789abcdef"), "half").unwrap();
    assert_eq!(files(&parent).len(), 2);
    Cache::open(parent.path()).unwrap();
    let left = files(&parent);
    assert!(left.len() == 1 && left[0].ends_with(under_way.name.as_deref().unwrap()), "{left:?}");
    // The host is gone, its child still writes: the lock is the child's too.
    let childs = under_way.file.try_clone().unwrap();
    let name = under_way.name.clone();
    std::mem::forget(under_way);
    Cache::open(parent.path()).unwrap();
    assert_eq!(files(&parent).len(), 1, "{name:?}");
    drop(childs);
}

#[test]
fn a_draft_that_is_given_up_leaves_nothing() {
    let (parent, cache) = cache(100);
    drop(cache.draft().unwrap());
    assert!(files(&parent).is_empty());
}
