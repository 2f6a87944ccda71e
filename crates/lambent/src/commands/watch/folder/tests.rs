//! On a real folder: the kernel queues its events during the calls that cause them, so they are
//! there to be read when the calls return.

use std::io::Write as _;

use super::*;

struct Fixture {
    dir: tempfile::TempDir,
    folder: Folder,
    now: Instant,
}

fn fixture(prepare: impl FnOnce(&Path), existing: bool) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path());
    let now = Instant::now();
    let folder = Folder::open(dir.path().canonicalize().unwrap(), existing, now).unwrap();
    Fixture { dir, folder, now }
}

impl Fixture {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// What was seen since, such as `created a.txt`.
    fn seen(&mut self) -> Vec<String> {
        let mut changes = Vec::new();
        while let Some(more) = self.folder.read(self.now).unwrap() {
            changes.extend(more);
        }
        words(changes)
    }

    fn settled(&mut self, later: Duration) -> Vec<String> {
        words(self.folder.settle(self.now + later))
    }
}

fn words(changes: Vec<Change>) -> Vec<String> {
    let word = |kind| match kind {
        Kind::Created => "created",
        Kind::Modified => "modified",
        Kind::Deleted => "deleted",
    };
    changes.iter().map(|it| format!("{} {}", word(it.kind), it.path.display())).collect()
}

const NOTHING: [&str; 0] = [];

#[test]
fn a_file_is_created_when_its_writer_closes_it_and_modified_when_it_changes() {
    let mut it = fixture(|_| {}, false);
    let mut file = fs::File::create(it.path("a.txt")).unwrap();
    file.write_all(b"half").unwrap();
    assert_eq!(it.seen(), NOTHING, "it is being written");
    drop(file);
    assert_eq!(it.seen(), ["created a.txt"]);
    drop(fs::OpenOptions::new().append(true).open(it.path("a.txt")).unwrap());
    assert_eq!(it.seen(), NOTHING, "it was opened and not written");
    it.write("a.txt", "longer than before");
    assert_eq!(it.seen(), ["modified a.txt"]);
    fs::remove_file(it.path("a.txt")).unwrap();
    assert_eq!(it.seen(), ["deleted a.txt"]);
}

#[test]
fn files_that_were_there_are_known_and_reported_only_when_asked_for() {
    let prepare = |root: &Path| {
        fs::create_dir(root.join("sub")).unwrap();
        fs::write(root.join("sub/old.txt"), "x").unwrap();
    };
    let mut it = fixture(prepare, false);
    assert_eq!(it.settled(QUIET), NOTHING);
    it.write("sub/old.txt", "changed");
    assert_eq!(it.seen(), ["modified sub/old.txt"]);
    let mut it = fixture(prepare, true);
    assert_eq!(it.settled(QUIET / 2), NOTHING);
    assert_eq!(it.settled(QUIET), ["created sub/old.txt"]);
}

#[test]
fn a_file_that_is_written_elsewhere_and_moved_in_is_created_once() {
    let mut it = fixture(|_| {}, false);
    it.write("a.part", "x");
    assert_eq!(it.seen(), ["created a.part"]);
    fs::rename(it.path("a.part"), it.path("a.txt")).unwrap();
    assert_eq!(it.seen(), ["deleted a.part", "created a.txt"]);
    let outside = tempfile::tempdir_in(it.dir.path().parent().unwrap()).unwrap();
    fs::rename(it.path("a.txt"), outside.path().join("a.txt")).unwrap();
    assert_eq!(it.seen(), ["deleted a.txt"]);
    fs::rename(outside.path().join("a.txt"), it.path("b.txt")).unwrap();
    assert_eq!(it.seen(), ["created b.txt"]);
}

#[test]
fn a_hard_link_is_a_file_that_nobody_closes() {
    let mut it = fixture(|root| fs::write(root.join("a"), "x").unwrap(), false);
    fs::hard_link(it.path("a"), it.path("b")).unwrap();
    assert_eq!(it.seen(), ["created b"]);
    std::os::unix::fs::symlink("a", it.path("c")).unwrap();
    assert_eq!(it.seen(), NOTHING, "a symbolic link is not a file");
}

#[test]
fn files_of_a_new_folder_are_found_even_if_they_were_there_before_it_was_watched() {
    let mut it = fixture(|_| {}, false);
    fs::create_dir_all(it.path("a/b")).unwrap();
    it.write("a/b/early.txt", "x");
    assert_eq!(it.seen(), NOTHING);
    assert_eq!(it.settled(QUIET), ["created a/b/early.txt"]);
    it.write("a/b/late.txt", "x");
    assert_eq!(it.seen(), ["created a/b/late.txt"]);
}

#[test]
fn a_file_that_still_grows_is_not_reported_until_it_is_closed_or_quiet() {
    let mut it = fixture(|_| {}, false);
    fs::create_dir(it.path("a")).unwrap();
    let mut file = fs::File::create(it.path("a/grows")).unwrap();
    assert_eq!(it.seen(), NOTHING);
    file.write_all(b"more").unwrap();
    assert_eq!(it.settled(QUIET), NOTHING, "it changed since it was found");
    drop(file);
    assert_eq!(it.seen(), ["created a/grows"]);
    assert_eq!(it.settled(QUIET * 3), NOTHING, "once is enough");
}

#[test]
fn a_folder_that_moves_takes_its_files_along() {
    let prepare = |root: &Path| {
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/f"), "x").unwrap();
    };
    let mut it = fixture(prepare, false);
    fs::rename(it.path("a"), it.path("z")).unwrap();
    assert_eq!(it.seen(), ["deleted a/b/f"]);
    assert_eq!(it.settled(QUIET), ["created z/b/f"]);
    it.write("z/b/g", "x");
    assert_eq!(it.seen(), ["created z/b/g"]);
    fs::remove_dir_all(it.path("z")).unwrap();
    let mut gone = it.seen();
    gone.sort();
    assert_eq!(gone, ["deleted z/b/f", "deleted z/b/g"]);
}

#[test]
fn after_an_overflow_the_folder_is_compared_with_what_was_known() {
    let prepare = |root: &Path| {
        for name in ["same", "changes", "goes"] {
            fs::write(root.join(name), "x").unwrap();
        }
    };
    let mut it = fixture(prepare, false);
    it.write("changes", "changed");
    fs::remove_file(it.path("goes")).unwrap();
    fs::create_dir(it.path("new")).unwrap();
    it.write("new/comes", "x");
    // The kernel's events are lost, but for the one that says so.
    let told = |folder: &mut Folder, changes: &mut Vec<Change>, now| {
        let overflow = Told { watch: -1, flags: ReadFlags::QUEUE_OVERFLOW, name: None };
        folder.take(overflow, now, changes).unwrap();
    };
    let fresh = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
    it.folder.inotify = Arc::new(fresh);
    let mut changes = Vec::new();
    told(&mut it.folder, &mut changes, it.now);
    assert_eq!(words(changes), ["deleted goes"]);
    assert_eq!(it.settled(QUIET), ["modified changes", "created new/comes"]);
    it.write("new/later", "x");
    assert_eq!(it.seen(), ["created new/later"]);
}

#[test]
fn a_folder_that_goes_away_ends_the_watch() {
    let mut it = fixture(|_| {}, false);
    fs::remove_dir(it.dir.path()).unwrap();
    let error = it.folder.read(it.now).unwrap_err();
    assert_eq!(error.to_string(), "the folder is gone");
    assert!(Folder::open(it.path("none"), false, it.now).is_err());
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(Folder::open(file.path().into(), false, it.now).is_err());
}
