//! Giving a waiting sandbox its function: the code mounted at `/var/task`, the limits set.
//!
//! The launcher opens the code's folder beneath the code root, following no link, and makes a
//! read-only mount of it that is attached nowhere. A helper process, forked for this alone, enters
//! the sandbox's mount namespace, attaches it and ends. The launcher itself never enters: if it did
//! and could not come back, it would see a sandbox's files in place of the host's. The helper enters
//! no pid namespace, so that the function cannot even see it.

use super::main::Loop;
use super::sandboxes::{Failure, Slot};
use super::view::{TASK_FOLDER, TEMPORARY, temporary_options};
use crate::spec::Limits;
use crate::step::{During, Refusal, regardless};
use crate::sys::{self, Cloned, Restrict, restrict_mount};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MoveMountFlags, OpenTreeFlags, mount_remount, move_mount, open_tree,
};
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, WaitId, WaitIdOptions, pidfd_open, prlimit, waitid,
};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};
use std::ffi::CString;

impl Loop {
    pub(super) fn assign(&mut self, slot: Slot, code: &str, limits: Limits) -> Result<(), Failure> {
        let root = self.code_root.as_fd();
        let Some(sandbox) = self.sandboxes.get(slot) else {
            return Err(Refusal::new("find the sandbox", Errno::SRCH).at("Request"));
        };
        if sandbox.making.is_some() || sandbox.gone.is_some() || sandbox.destroyed {
            return Err(Refusal::new("assign to a sandbox that runs", Errno::SRCH).at("Request"));
        }
        if sandbox.assigned {
            return Err(Refusal::new("assign code a second time", Errno::BUSY).at("Request"));
        }
        // Set even if it fails: a sandbox of which it is unknown what was mounted is of no use.
        sandbox.assigned = true;
        let tree = detached(root, code).map_err(|refusal| refusal.at("Code"))?;
        if let Some(group) = &sandbox.group {
            group.set(&limits).map_err(|refusal| refusal.at("Limits"))?;
        }
        set_resource_limits(sandbox.pid, &sandbox.limits, &limits, sandbox.group.is_none())
            .map_err(|refusal| refusal.at("Limits"))?;
        let now = temporary_options(&limits);
        let temporary = (now != temporary_options(&sandbox.limits)).then_some(now);
        attach(sandbox.init.as_fd(), &tree, temporary)?;
        sandbox.limits = limits;
        Ok(())
    }
}

/// A read-only mount of a folder beneath `root` that is attached nowhere.
fn detached(root: BorrowedFd<'_>, code: &str) -> Result<OwnedFd, Refusal> {
    let folder = openat2(
        root,
        code,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
    )
    .during(|| format!("open the code folder {code:?} beneath the code root"))?;
    let clone = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    let tree =
        open_tree(&folder, "", clone).during(|| format!("make a mount of the code {code:?}"))?;
    let restriction = Restrict::READ_ONLY.and(Restrict::NO_SUID).and(Restrict::NO_DEVICES);
    restrict_mount(tree.as_fd(), c"", restriction, false)
        .during(|| format!("make the mount of the code {code:?} read-only"))?;
    Ok(tree)
}

/// How the helper ends: 0, or one of these with the error number written on its pipe.
const AT_ENTER: i32 = 1;
const AT_ATTACH: i32 = 2;
const AT_RESIZE: i32 = 3;

fn attach(init: BorrowedFd<'_>, tree: &OwnedFd, temporary: Option<String>) -> Result<(), Failure> {
    let options = temporary.map(CString::new).transpose().map_err(|error| {
        Refusal::new(format!("resize /tmp: {error}"), Errno::INVAL).at("Limits")
    })?;
    let (answer, say) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .during(|| "make a pipe".to_owned())
        .map_err(|refusal| refusal.at("Attach"))?;
    match sys::clone(0, None).during(|| "fork a helper".to_owned()).map_err(|r| r.at("Attach"))? {
        Cloned::Child => {
            let code = match help(init, tree, options) {
                Ok(()) => 0,
                Err((code, errno)) => {
                    // The exit code alone tells where, if this fails.
                    regardless(rustix::io::write(&say, &errno.raw_os_error().to_ne_bytes()));
                    code
                }
            };
            sys::exit(code)
        }
        Cloned::Parent { pidfd, .. } => {
            drop(say);
            // Three system calls in a process that nobody else can stop: this wait is short.
            let code = loop {
                match waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED) {
                    Err(Errno::INTR) => (),
                    ended => break ended.ok().flatten().and_then(|end| end.exit_status()),
                }
            };
            let mut number = [0; 4];
            let errno = match rustix::io::read(&answer, &mut number) {
                Ok(4) => Errno::from_raw_os_error(i32::from_ne_bytes(number)),
                _ => Errno::CHILD,
            };
            let what = match code {
                Some(0) => return Ok(()),
                Some(AT_ENTER) => "enter the sandbox's mount namespace".to_owned(),
                Some(AT_ATTACH) => format!("mount the code on {TASK_FOLDER}"),
                Some(AT_RESIZE) => format!("resize {TEMPORARY}"),
                _ => "help with mounting: the helper was killed".to_owned(),
            };
            Err(Refusal::new(what, errno).at("Attach"))
        }
    }
}

/// The helper's life. It allocates nothing that could fail half way and holds no lock.
fn help(
    init: BorrowedFd<'_>,
    tree: &OwnedFd,
    options: Option<CString>,
) -> Result<(), (i32, Errno)> {
    move_into_thread_name_spaces(init, ThreadNameSpaceType::MOUNT)
        .map_err(|errno| (AT_ENTER, errno))?;
    // Both paths lie in the root that the launcher has built, which is read-only: no link of the
    // function's can be in them.
    move_mount(tree, "", CWD, TASK_FOLDER, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(|errno| (AT_ATTACH, errno))?;
    if let Some(options) = options {
        mount_remount(TEMPORARY, MountFlags::NOSUID | MountFlags::NODEV, options.as_c_str())
            .map_err(|errno| (AT_RESIZE, errno))?;
    }
    Ok(())
}

/// Sets what the function's process was given as resource limits, if it shall be other now. Lower
/// always works; higher takes CAP_SYS_RESOURCE.
fn set_resource_limits(
    init: i32,
    before: &Limits,
    now: &Limits,
    without_cgroups: bool,
) -> Result<(), Refusal> {
    let mut changed = Vec::new();
    if before.open_files != now.open_files {
        changed.push((Resource::Nofile, u64::from(now.open_files)));
    }
    if without_cgroups && before.pids != now.pids {
        changed.push((Resource::Nproc, u64::from(now.pids)));
    }
    if without_cgroups && before.memory_bytes != now.memory_bytes {
        changed.push((Resource::Data, now.memory_bytes));
    }
    if changed.is_empty() {
        return Ok(());
    }
    let function = function_of(init)?;
    for (resource, value) in changed {
        let limit = Rlimit { current: Some(value), maximum: Some(value) };
        prlimit(Some(function), resource, limit)
            .during(|| format!("set the limit {resource:?} of the function to {value}"))?;
    }
    Ok(())
}

/// The function's process, which is init's oldest child. (Orphans that init adopts come later.)
fn function_of(init: i32) -> Result<Pid, Refusal> {
    let path = format!("/proc/{init}/task/{init}/children");
    let children = std::fs::read_to_string(&path).during(|| format!("read {path}"))?;
    let first = children.split_whitespace().next().and_then(|pid| pid.parse().ok());
    let pid = first
        .and_then(Pid::from_raw)
        .ok_or_else(|| Refusal::new(format!("find a child in {path}"), Errno::SRCH))?;
    // That it still runs; its number cannot be given to another before init has reaped it, which
    // init does just before its own end.
    pidfd_open(pid, PidfdFlags::empty()).during(|| format!("find the process {pid:?}"))?;
    Ok(pid)
}
