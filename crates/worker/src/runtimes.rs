//! Which runtimes this machine can offer: every python3 from 3.9 on, each under its own name.
//!
//! `main` calls this before there is any thread: [`install`] writes our shim to the data folder,
//! [`find`] looks for interpreters and asks each who it is. The same minor version may be there
//! more than once; the first found counts, and the distribution's own in `/usr` comes first, since
//! a sandbox sees the host's `/usr` anyway. An interpreter from elsewhere brings its whole prefix.
//!
//! What it does not do: it installs no interpreter, and it trusts the ones that it finds as much
//! as the user who put them on the path does: they are executed, once, to be asked.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use model::RuntimeName;
use sandbox::{Bind, Runtime};

/// The oldest minor version of Python 3 that the shim runs on.
const OLDEST_MINOR: u32 = 9;

/// How long an interpreter may take to say who it is. A cold disk needs a second; a shell script
/// that waits for input would need for ever.
const ASK_LIMIT: Duration = Duration::from_secs(10);

/// Where the shim is, inside a sandbox.
const SHIM_FOLDER: &str = "/var/runtime";

/// The shim's files. A test holds this list against the folder.
const SHIM: [(&str, &str); 5] = [
    ("shim.py", include_str!("../../../runtimes/python/shim.py")),
    ("channel.py", include_str!("../../../runtimes/python/channel.py")),
    ("context.py", include_str!("../../../runtimes/python/context.py")),
    ("faults.py", include_str!("../../../runtimes/python/faults.py")),
    ("loader.py", include_str!("../../../runtimes/python/loader.py")),
];

/// Has an interpreter say its version, where it really is, and what it needs; and then compile the
/// shim's modules, which a sandbox can only read: that is 5 of the 30 ms that one takes to start.
/// An interpreter that cannot is as good as one that did.
const ASK: &str = r#"
import os, sys
real = os.path.realpath
print(*sys.version_info[:2], real(sys.executable), real(sys.base_prefix), sep="\n", flush=True)
os.umask(0o022)
sys.path.insert(0, sys.argv[1])
try:
    import channel, context, faults, loader
except Exception:
    pass
"#;

/// Why there is no runtime.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    #[error(
        "cannot find a python3 of version 3.{OLDEST_MINOR} or newer in /usr/bin, /usr/local/bin or \
         on the PATH; install one (Debian and Ubuntu: apt install python3) and start again"
    )]
    NoPython,
    #[error("cannot write the Python shim to {}", path.display())]
    Install {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Writes the shim's files beneath the data folder, and returns the folder that holds them.
pub fn install(data: &Path) -> Result<PathBuf, Unusable> {
    let folder = data.join("runtimes/python");
    let failed = |path: &Path, source| Unusable::Install { path: path.to_owned(), source };
    fs::create_dir_all(&folder).map_err(|error| failed(&folder, error))?;
    // Whatever the umask is: the functions' users, who are nobody here, read these.
    for open in [data.join("runtimes"), folder.clone()] {
        fs::set_permissions(&open, fs::Permissions::from_mode(0o755))
            .map_err(|error| failed(&open, error))?;
    }
    for (name, text) in SHIM {
        let path = folder.join(name);
        write_new(&path, text).map_err(|error| failed(&path, error))?;
    }
    Ok(folder)
}

/// A new file under the name, never a changed one: an older process may still mount the old one.
/// And none where it is there already, or what was compiled from it would be out of date.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    if fs::read(path).is_ok_and(|there| there == text.as_bytes()) {
        return Ok(());
    }
    let staged = path.with_extension("new");
    fs::write(&staged, text)?;
    fs::set_permissions(&staged, fs::Permissions::from_mode(0o644))?;
    fs::rename(&staged, path)
}

/// Every usable interpreter of this machine, as a runtime. `shim` is what [`install`] returned.
pub fn find(shim: &Path) -> Result<BTreeMap<RuntimeName, Runtime>, Unusable> {
    let system = ["/usr/bin", "/usr/local/bin"].map(PathBuf::from).to_vec();
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Relative ones would depend on where we were started from.
    let path = std::env::split_paths(&path).filter(|path| path.is_absolute()).collect();
    find_in(&[system, path], shim)
}

/// Looks into groups of folders, one after the other: the first found of a version counts.
///
/// The interpreters of a group are asked at the same time. Version managers put scripts on the
/// PATH which take a third of a second each to say that they are not what their name says; and a
/// name with a version that is known already, or too old, is not asked at all.
fn find_in(
    groups: &[Vec<PathBuf>],
    shim: &Path,
) -> Result<BTreeMap<RuntimeName, Runtime>, Unusable> {
    let mut runtimes: BTreeMap<RuntimeName, Runtime> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for folders in groups {
        let mut asked = Vec::new();
        for candidate in candidates(folders) {
            let named = candidate.file_name().and_then(named_minor);
            let known = |minor| runtimes.contains_key(&runtime_name(minor));
            if named.is_some_and(|minor| minor < OLDEST_MINOR || known(minor)) {
                continue;
            }
            // Several names for one file are one interpreter.
            if candidate.canonicalize().is_ok_and(|real| seen.insert(real)) {
                asked.extend(Asked::new(&candidate, shim));
            }
        }
        for python in asked.into_iter().filter_map(Asked::answer) {
            let name = runtime_name(python.minor);
            runtimes.entry(name).or_insert_with(|| python.runtime(shim));
        }
    }
    if runtimes.is_empty() { Err(Unusable::NoPython) } else { Ok(runtimes) }
}

fn runtime_name(minor: u32) -> RuntimeName {
    RuntimeName::parse(&format!("python3.{minor}")).expect("letters, digits and one dot are a name")
}

/// The N of a name `python3.N`.
fn named_minor(name: &OsStr) -> Option<u32> {
    name.to_str()?.strip_prefix("python3.")?.parse().ok()
}

/// What is named like an interpreter, in the order of the folders.
fn candidates(folders: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in folders {
        let names =
            folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.file_name());
        let mut pythons: Vec<_> = names.filter(|name| is_python(name)).collect();
        pythons.sort();
        found.extend(pythons.into_iter().map(|name| folder.join(name)));
    }
    found
}

/// `python3` or `python3.N`, and not `python3-config` or `python3.11m`.
fn is_python(name: &OsStr) -> bool {
    let Some(rest) = name.to_str().and_then(|name| name.strip_prefix("python3")) else {
        return false;
    };
    rest.is_empty()
        || rest
            .strip_prefix('.')
            .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// An interpreter, as it describes itself.
#[derive(Debug, PartialEq, Eq)]
struct Python {
    minor: u32,
    executable: PathBuf,
    prefix: PathBuf,
}

impl Python {
    fn parse(said: &str) -> Option<Self> {
        let mut lines = said.lines();
        let (major, minor) = (lines.next()?, lines.next()?.parse().ok()?);
        let (executable, prefix) = (PathBuf::from(lines.next()?), PathBuf::from(lines.next()?));
        let usable = major == "3"
            && minor >= OLDEST_MINOR
            && executable.is_absolute()
            && prefix.is_absolute()
            && prefix.parent().is_some(); // a prefix of "/" would be the whole machine
        usable.then_some(Self { minor, executable, prefix })
    }

    fn runtime(&self, shim: &Path) -> Runtime {
        let mut binds = vec![Bind { source: shim.to_owned(), target: SHIM_FOLDER.into() }];
        for path in [&self.prefix, &self.executable] {
            let seen =
                path.starts_with("/usr") || path.starts_with(&self.prefix) && path != &self.prefix;
            if !seen {
                binds.push(Bind { source: path.clone(), target: path.clone() });
            }
        }
        let script = format!("{SHIM_FOLDER}/shim.py");
        let executable = self.executable.display().to_string();
        // -I: no environment, no user's site; -S: no site at all; -B: writes no .pyc files.
        let argv = [&executable, "-I", "-S", "-B", "-X", "utf8", &script].map(str::to_owned).into();
        // What the interpreter itself needs; the shim sets the function's own environment.
        let env = [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("LANG", "C.UTF-8"), ("HOME", "/tmp")];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Runtime { binds, argv, env }
    }
}

/// An interpreter that was executed to be asked.
struct Asked {
    child: Child,
    until: Instant,
}

impl Asked {
    fn new(python: &Path, shim: &Path) -> Option<Self> {
        let child = Command::new(python)
            .args(["-I", "-S", "-X", "utf8", "-c", ASK])
            .arg(shim)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        Some(Self { child, until: Instant::now() + ASK_LIMIT })
    }

    /// None if it is not an interpreter, or does not answer in time.
    fn answer(mut self) -> Option<Python> {
        if !self.wait()? {
            return None;
        }
        let mut said = String::new();
        // It has ended, so this cannot wait; the limit is far above four lines.
        self.child.stdout.take()?.take(16 * 1_024).read_to_string(&mut said).ok()?;
        Python::parse(&said)
    }

    /// Whether the child ended well; ends it when it takes too long.
    fn wait(&mut self) -> Option<bool> {
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status.success()),
                Ok(None) if Instant::now() < self.until => sleep(Duration::from_millis(1)),
                _ => {
                    // It may have ended just now; waiting reaps it in any case.
                    drop(self.child.kill());
                    drop(self.child.wait());
                    return None;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_interpreters_are_told_from_their_companions() {
        for (name, is) in [
            ("python3", true),
            ("python3.9", true),
            ("python3.13", true),
            ("python3-config", false),
            ("python3.11-config", false),
            ("python3.7m", false),
            ("python3.", false),
            ("python", false),
            ("python2.7", false),
        ] {
            assert_eq!(is_python(OsStr::new(name)), is, "{name}");
        }
    }

    #[test]
    fn what_is_too_old_or_not_python_is_no_runtime() {
        let python = |said| Python::parse(said);
        let found = python("3\n13\n/opt/p/bin/python3.13\n/opt/p\n").unwrap();
        assert_eq!(runtime_name(found.minor).as_str(), "python3.13");
        assert_eq!(python("3\n8\n/usr/bin/python3.8\n/usr\n"), None);
        assert_eq!(python("2\n13\n/usr/bin/python2\n/usr\n"), None);
        assert_eq!(python("3\n13\n/python3\n/\n"), None);
        assert_eq!(python("hello"), None);
        assert_eq!(
            Asked::new(Path::new("/bin/false"), Path::new("/x")).and_then(Asked::answer),
            None
        );
        assert!(Asked::new(Path::new("/nowhere/python3"), Path::new("/x")).is_none());
    }

    #[test]
    fn an_interpreter_outside_usr_brings_its_prefix() {
        let targets = |executable: &str, prefix: &str| {
            let python = Python { minor: 11, executable: executable.into(), prefix: prefix.into() };
            let binds = python.runtime(Path::new("/data/shim")).binds;
            binds.into_iter().map(|b| b.target.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(targets("/usr/bin/python3.11", "/usr"), ["/var/runtime"]);
        assert_eq!(targets("/opt/p/bin/python3", "/opt/p"), ["/var/runtime", "/opt/p"]);
        assert_eq!(
            targets("/srv/bin/python3", "/opt/p"),
            ["/var/runtime", "/opt/p", "/srv/bin/python3"]
        );
    }

    #[test]
    fn no_interpreter_is_told_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/bin/false", folder.path().join("python3")).unwrap();
        let groups = [vec![folder.path().to_owned(), "/nowhere".into()]];
        let error = find_in(&groups, Path::new("/x")).unwrap_err();
        assert!(error.to_string().contains("apt install python3"), "{error}");
    }

    #[test]
    fn the_machine_s_own_interpreter_is_found_and_asked() {
        let folder = tempfile::tempdir().unwrap();
        let shim = install(folder.path()).unwrap();
        assert!(shim.join("shim.py").is_file());
        let runtimes = find(&shim).unwrap();
        let compiled = shim.join("__pycache__").read_dir().unwrap().count();
        assert!(compiled >= SHIM.len() - 1, "{compiled} modules are compiled");
        for (name, runtime) in &runtimes {
            assert!(name.as_str().starts_with("python3."), "{name}");
            assert!(Path::new(&runtime.argv[0]).is_file(), "{runtime:?}");
        }
    }

    #[test]
    fn every_file_of_the_shim_is_part_of_this_program() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runtimes/python");
        let mut there: Vec<_> = folder
            .read_dir()
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".py"))
            .collect();
        let mut here = SHIM.map(|(name, _)| name.to_owned());
        there.sort();
        here.sort();
        assert_eq!(there, here);
    }
}
