//! What a function sees of files: the steps from [`Step::PrivateMounts`] to
//! [`Step::ReadOnlyRoot`], one function each.
//!
//! The new root is built on [`STAGE`] from nothing: what is not put there is not there. That makes
//! the list below the whole answer to "what of the host can a function read?": `/usr`, the public
//! certificates, the dynamic linker's cache, the time zone, and what the runtime binds.
//!
//! [`Step::PrivateMounts`]: crate::step::Step::PrivateMounts
//! [`Step::ReadOnlyRoot`]: crate::step::Step::ReadOnlyRoot

use crate::spec::{Limits, Runtime};
use crate::step::{During, Refusal};
use crate::sys::{Restrict, restrict_mount};
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, OpenTreeFlags, UnmountFlags, mount, mount_bind,
    mount_bind_recursive, mount_change, open_tree, unmount,
};
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Where the new root is built. Any folder of the host does that is always there and that nothing
/// is bound from: the sandbox has no `/sys`, and its own mount namespace hides this from the host.
const STAGE: &str = "/sys";

/// Where code is mounted.
pub(crate) const TASK_FOLDER: &str = "/var/task";
pub(crate) const TEMPORARY: &str = "/tmp";

/// The root holds folders, links and files of a few hundred bytes: 128 KiB in fact.
const ROOT_OPTIONS: &str = "size=1m,nr_inodes=512,mode=755";
/// POSIX semaphores and shared memory: what container engines give. It counts as memory, too.
const SHARED_MEMORY_OPTIONS: &str = "size=64m,nr_inodes=1024,mode=1777";

/// Folders that are links into `/usr` where the system is usr-merged, and folders elsewhere.
const BESIDE_USR: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// Public files of the host's `/etc`: the dynamic linker's cache, certificates (never the folder
/// of private keys beside them), where Debian's and Red Hat's links lead, and the time zone.
const PUBLIC_ETC: [&str; 10] = [
    "ld.so.cache",
    "alternatives",
    "localtime",
    "ssl/certs",
    "ssl/openssl.cnf",
    "ssl/cert.pem",
    "pki/tls/certs",
    "pki/tls/openssl.cnf",
    "pki/tls/cert.pem",
    "pki/ca-trust/extracted",
];

/// Devices without state, that every program may expect.
const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// What /proc tells about the host, the kernel or its hardware rather than about the sandbox.
const MASKED_FILES: [&str; 24] = [
    "bootconfig",
    "buddyinfo",
    "cmdline",
    "config.gz",
    "interrupts",
    "iomem",
    "ioports",
    "kallsyms",
    "kcore",
    "key-users",
    "keys",
    "kmsg",
    "kpagecgroup",
    "kpagecount",
    "kpageflags",
    "latency_stats",
    "modules",
    "sched_debug",
    "slabinfo",
    "sysrq-trigger",
    "sys/kernel/random/boot_id",
    "timer_list",
    "timer_stats",
    "vmallocinfo",
];
const MASKED_FOLDERS: [&str; 8] =
    ["acpi", "asound", "bus", "driver", "fs", "irq", "scsi", "sys/fs/binfmt_misc"];

const FROM_HOST: Restrict = Restrict::READ_ONLY.and(Restrict::NO_SUID).and(Restrict::NO_DEVICES);

pub(super) fn private_mounts() -> Result<(), Refusal> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .during(|| "make the mounts under / private".to_owned())
}

pub(super) fn root() -> Result<(), Refusal> {
    mount_tmpfs(Path::new(STAGE), MountFlags::NODEV | MountFlags::NOSUID, ROOT_OPTIONS)?;
    // Where programs look, there should be something: nothing to be found is not an error.
    for folder in ["run", "var", "home", "root", "var/empty"] {
        make_folder(&staged(folder))?;
    }
    link("../tmp", "var/tmp")
}

pub(super) fn system() -> Result<(), Refusal> {
    bind(Path::new("/usr"), &staged("usr"), FROM_HOST)?;
    for name in BESIDE_USR {
        let host = Path::new("/").join(name);
        match fs::symlink_metadata(&host) {
            Ok(found) if found.is_symlink() => {
                let target = fs::read_link(&host).during(|| format!("read link {name}"))?;
                symlink(&target, staged(name)).during(|| format!("link /{name}"))?;
            }
            Ok(_) => bind(&host, &staged(name), FROM_HOST)?,
            Err(_) => (), // this system has none
        }
    }
    Ok(())
}

/// `user` is the number by which the function sees itself.
pub(super) fn etc(user: u32) -> Result<(), Refusal> {
    make_folder(&staged("etc"))?;
    let files = [
        (
            "passwd",
            format!(
                "root:x:0:0:root:/root:/usr/sbin/nologin\n\
                 sandbox:x:{user}:{user}:sandbox:/tmp:/usr/sbin/nologin\n\
                 nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
            ),
        ),
        ("group", format!("root:x:0:\nsandbox:x:{user}:\nnogroup:x:65534:\n")),
        ("hosts", format!("127.0.0.1 localhost {HOST_NAME}\n::1 localhost\n")),
        ("hostname", format!("{HOST_NAME}\n")),
        ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n".to_owned()),
        ("resolv.conf", "# This sandbox has no network.\n".to_owned()),
    ];
    for (name, content) in files {
        let path = staged("etc").join(name);
        fs::write(&path, content).during(|| format!("write /etc/{name}"))?;
    }
    for name in PUBLIC_ETC {
        let host = Path::new("/etc").join(name);
        if host.exists() {
            bind(&host, &staged("etc").join(name), FROM_HOST)?;
        }
    }
    Ok(())
}

pub(crate) const HOST_NAME: &str = "sandbox";

pub(super) fn runtime_binds(runtime: &Runtime) -> Result<(), Refusal> {
    runtime.binds.iter().try_for_each(|wanted| {
        bind(&wanted.source, &staged(&wanted.target), FROM_HOST).map_err(|refusal| Refusal {
            detail: format!("{} (wanted at {})", refusal.detail, wanted.target.display()),
            ..refusal
        })
    })
}

pub(super) fn devices() -> Result<(), Refusal> {
    make_folder(&staged("dev"))?;
    // Read-only keeps the inode's mode and times; what is written to the device does not mind.
    let device = Restrict::READ_ONLY.and(Restrict::NO_SUID).and(Restrict::NO_EXEC);
    for name in DEVICES {
        bind(&Path::new("/dev").join(name), &staged("dev").join(name), device)?;
    }
    for (name, target) in [
        ("dev/fd", "/proc/self/fd"),
        ("dev/stdin", "/proc/self/fd/0"),
        ("dev/stdout", "/proc/self/fd/1"),
        ("dev/stderr", "/proc/self/fd/2"),
    ] {
        link(target, name)?;
    }
    make_folder(&staged("dev/shm"))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount_tmpfs(&staged("dev/shm"), flags, SHARED_MEMORY_OPTIONS)
}

pub(super) fn temporary(limits: &Limits) -> Result<(), Refusal> {
    make_folder(&staged(TEMPORARY))?;
    let options = format!("{},mode=1777", temporary_options(limits));
    mount_tmpfs(&staged(TEMPORARY), MountFlags::NOSUID | MountFlags::NODEV, &options)
}

/// The caps of `/tmp` as mount options. Zero would mean "no limit" to the kernel, so the least is
/// one page, and the folder itself and one file.
pub(crate) fn temporary_options(limits: &Limits) -> String {
    format!("size={},nr_inodes={}", limits.tmp_bytes.max(4096), limits.tmp_inodes.max(2))
}

/// Mounts /proc and returns a writable twin of it that only its holder can see: init has a user map
/// to write, later.
pub(super) fn proc() -> Result<OwnedFd, Refusal> {
    let target = staged("proc");
    make_folder(&target)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    // hidepid=2: processes that one may not trace, init above all, are not even listed.
    mount("proc", &target, "proc", flags, Some(c"hidepid=2")).during(|| {
        "mount /proc (refused where parts of the outer /proc are hidden, as in containers)"
            .to_owned()
    })?;
    let writable =
        open_tree(CWD, &target, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)
            .during(|| "clone the mount of /proc".to_owned())?;
    for name in MASKED_FILES {
        mask(&staged("dev/null"), &target.join(name))?;
    }
    // One empty folder, read-only, is what all masked folders show.
    let empty = staged("var/empty");
    bind(&empty, &empty, FROM_HOST)?;
    for name in MASKED_FOLDERS {
        mask(&empty, &target.join(name))?;
    }
    // All of it, not only /proc/sys: nothing in /proc has to be written by a function, and files
    // that future kernels add are covered.
    restrict(&target, Restrict::READ_ONLY, false)?;
    Ok(writable)
}

pub(super) fn task_folder() -> Result<(), Refusal> {
    make_folder(&staged(TASK_FOLDER))
}

/// Makes the stage the root, and detaches the old root, which by then is mounted over the new one.
pub(super) fn pivot() -> Result<(), Refusal> {
    rustix::process::chdir(STAGE).during(|| format!("enter {STAGE}"))?;
    rustix::process::pivot_root(".", ".").during(|| format!("make {STAGE} the root"))?;
    unmount(".", UnmountFlags::DETACH).during(|| "detach the old root".to_owned())?;
    rustix::process::chdir("/").during(|| "enter the new root".to_owned())
}

pub(super) fn read_only_root() -> Result<(), Refusal> {
    restrict(Path::new("/"), Restrict::READ_ONLY, false)
}

/// Where a path of the sandbox is while its root is being built.
fn staged(path: impl AsRef<Path>) -> PathBuf {
    let path = path.as_ref();
    Path::new(STAGE).join(path.strip_prefix("/").unwrap_or(path))
}

fn make_folder(path: &Path) -> Result<(), Refusal> {
    fs::create_dir_all(path).during(|| format!("make the folder {}", path.display()))
}

fn link(target: &str, name: &str) -> Result<(), Refusal> {
    symlink(target, staged(name)).during(|| format!("link /{name} to {target}"))
}

fn mount_tmpfs(target: &Path, flags: MountFlags, options: &str) -> Result<(), Refusal> {
    let data = c_string(options.as_bytes())?;
    mount("tmpfs", target, "tmpfs", flags, Some(data.as_c_str()))
        .during(|| format!("mount a tmpfs ({options}) on {}", target.display()))
}

/// Shows a file or folder of the host, and all that is mounted in it, at `target`, which is made.
fn bind(source: &Path, target: &Path, restriction: Restrict) -> Result<(), Refusal> {
    let found = fs::metadata(source).during(|| format!("find {}", source.display()))?;
    if found.is_dir() {
        make_folder(target)?;
    } else {
        if let Some(parent) = target.parent() {
            make_folder(parent)?;
        }
        make_file(target)?;
    }
    mount_bind_recursive(source, target)
        .during(|| format!("bind {} to {}", source.display(), target.display()))?;
    restrict(target, restriction, true)
}

fn make_file(path: &Path) -> Result<(), Refusal> {
    let file = fs::File::create(path).during(|| format!("make the file {}", path.display()))?;
    let mode = fs::Permissions::from_mode(Mode::from_raw_mode(0o444).bits());
    file.set_permissions(mode).during(|| format!("set the mode of {}", path.display()))
}

/// Covers `target`, if the kernel has it, with something that is read-only and empty already.
fn mask(cover: &Path, target: &Path) -> Result<(), Refusal> {
    match mount_bind(cover, target) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        // A file where the list expects a folder, or the other way around, differs by kernel; such
        // an entry must not stay visible, so it is an error all the same.
        Err(errno) => Err(Refusal::new(format!("mask {}", target.display()), errno)),
    }
}

fn restrict(target: &Path, restriction: Restrict, recursive: bool) -> Result<(), Refusal> {
    let path = c_string(target.as_os_str().as_bytes())?;
    restrict_mount(CWD, &path, restriction, recursive)
        .during(|| format!("restrict the mount {}", target.display()))
}

fn c_string(bytes: &[u8]) -> Result<CString, Refusal> {
    CString::new(bytes).map_err(|error| Refusal::new(error.to_string(), Errno::INVAL))
}
