//! The raw system calls that neither `std` nor `rustix` has, behind safe functions.
//!
//! This is the only file of the workspace that contains `unsafe`. Each block holds one operation
//! and says which facts make it sound *here*. Whoever calls these functions needs no argument of
//! their own, with one exception that types cannot express: [`clone`] asserts for itself that the
//! process has a single thread.

use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;
use std::ffi::CStr;

/// Which side of a [`clone`] we are on.
#[derive(Debug)]
pub(crate) enum Cloned {
    Parent { pid: i32, pidfd: OwnedFd },
    Child,
}

/// Beyond the 32 bits of libc's constants.
const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// The arguments of clone3(2), version 2 of the structure: 88 bytes.
#[repr(C)]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Forks this process into the new namespaces that `flags` (`CLONE_NEW*`) name, and into the
/// version 2 control group whose folder `cgroup` is.
///
/// The child has a copy of everything, as after fork(2), and must end in `execve` or [`exit`].
///
/// Panics if the process has more than one thread: the child would inherit locks that nobody will
/// ever release.
pub(crate) fn clone(flags: i32, cgroup: Option<BorrowedFd<'_>>) -> Result<Cloned, Errno> {
    assert_eq!(threads(), 1, "only a process that has one thread may fork");
    let mut pidfd: i32 = -1;
    let mut arguments = CloneArguments {
        flags: u64::from(flags.cast_unsigned() | libc::CLONE_PIDFD.cast_unsigned()),
        pidfd: (&raw mut pidfd).addr() as u64,
        exit_signal: u64::from(libc::SIGCHLD.cast_unsigned()),
        ..CloneArguments::default()
    };
    if let Some(cgroup) = cgroup {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = u64::from(cgroup.as_raw_fd().cast_unsigned());
    }
    // SAFETY: `arguments` is the kernel's structure with its true size, and outlives the call; its
    // only pointer names `pidfd`, a live i32. No stack is given and CLONE_VM is not among the
    // flags callers can mean (namespaces), so that the child runs on its own copy of this stack,
    // as after fork(2). The process has one thread (asserted above): no lock of the allocator or
    // of `std` can be held by a thread that the child lacks.
    let pid =
        unsafe { libc::syscall(libc::SYS_clone3, &raw mut arguments, size_of::<CloneArguments>()) };
    match pid {
        -1 => Err(last_errno()),
        0 => Ok(Cloned::Child),
        pid => {
            // SAFETY: clone3 succeeded with CLONE_PIDFD, so the kernel has stored a new descriptor
            // in `pidfd`, which nothing else owns.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            let pid = i32::try_from(pid).expect("the kernel's pids are at most 2^22");
            Ok(Cloned::Parent { pid, pidfd })
        }
    }
}

/// How many threads this process has, by the kernel's own account.
pub(crate) fn threads() -> usize {
    // A process in a namespace whose /proc is not mounted cannot look; it can only have been
    // forked by one that could, and forking never copies a second thread.
    std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count)
}

/// unshare(2). Never with `CLONE_FILES` or `CLONE_VM`: callers name namespaces only.
pub(crate) fn unshare(namespaces: rustix::thread::UnshareFlags) -> Result<(), Errno> {
    assert!(!namespaces.contains(rustix::thread::UnshareFlags::FILES), "descriptors stay shared");
    // SAFETY: what makes unshare unsafe is CLONE_FILES, by which one thread would see descriptors
    // vanish that another opened; it is excluded by the assertion above.
    unsafe { rustix::thread::unshare_unsafe(namespaces) }
}

/// The structure of mount_setattr(2).
#[repr(C)]
#[derive(Default)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

/// What a mount shall not allow from now on. Restrictions are only ever added.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Restrict(u64);

impl Restrict {
    // The values are the kernel's MOUNT_ATTR_* (linux/mount.h).
    pub(crate) const READ_ONLY: Restrict = Restrict(0x1);
    pub(crate) const NO_SUID: Restrict = Restrict(0x2);
    pub(crate) const NO_DEVICES: Restrict = Restrict(0x4);
    pub(crate) const NO_EXEC: Restrict = Restrict(0x8);

    pub(crate) const fn and(self, other: Restrict) -> Restrict {
        Restrict(self.0 | other.0)
    }
}

/// mount_setattr(2) on `path` beneath `at` (or on `at` itself, if the path is empty).
pub(crate) fn restrict_mount(
    at: BorrowedFd<'_>,
    path: &CStr,
    restrict: Restrict,
    recursive: bool,
) -> Result<(), Errno> {
    let mut attributes = MountAttributes { set: restrict.0, ..MountAttributes::default() };
    let mut flags = libc::AT_SYMLINK_NOFOLLOW;
    if path.is_empty() {
        flags |= libc::AT_EMPTY_PATH;
    }
    if recursive {
        flags |= libc::AT_RECURSIVE;
    }
    // SAFETY: `path` is a C string and `attributes` the kernel's structure with its true size;
    // both outlive the call, which keeps neither.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            at.as_raw_fd(),
            path.as_ptr(),
            flags,
            &raw mut attributes,
            size_of::<MountAttributes>(),
        )
    };
    if answer == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Closes every descriptor from `first` on.
///
/// Only for a process that owns none of them in a Rust value that it will still use: the launcher
/// at its very start, and sandbox processes, which leave by [`exit`] and drop nothing.
pub(crate) fn close_from(first: u32) -> Result<(), Errno> {
    // SAFETY: plain numbers go in. That descriptors vanish under their owners' feet is the
    // purpose; the callers named above hold no owner that will be used or dropped afterwards.
    let answer = unsafe { libc::close_range(first, u32::MAX, 0) };
    if answer == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Closes every descriptor but those that `keep` numbers; for the same callers as [`close_from`].
pub(crate) fn close_all_but(mut keep: Vec<u32>) -> Result<(), Errno> {
    keep.sort_unstable();
    let mut from = 0;
    for kept in keep {
        if let Some(last) = kept.checked_sub(1).filter(|last| *last >= from) {
            // SAFETY: plain numbers go in; as for `close_from`, no owner of what is closed will
            // be used or dropped afterwards.
            let answer = unsafe { libc::close_range(from, last, 0) };
            if answer != 0 {
                return Err(last_errno());
            }
        }
        from = kept + 1;
    }
    close_from(from)
}

/// Marks every descriptor from `first` on to be closed by the next `execve`.
pub(crate) fn close_from_on_exec(first: u32) -> Result<(), Errno> {
    // The kernel's flag is an unsigned bit, close_range takes an int.
    let flags = libc::CLOSE_RANGE_CLOEXEC.cast_signed();
    // SAFETY: plain numbers go in; nothing is closed while this program runs.
    let answer = unsafe { libc::close_range(first, u32::MAX, flags) };
    if answer == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Makes `number` another name of `descriptor`, inherited by `execve`.
pub(crate) fn duplicate_to(descriptor: BorrowedFd<'_>, number: i32) -> Result<(), Errno> {
    assert_ne!(descriptor.as_raw_fd(), number, "dup2 onto itself would keep close-on-exec");
    // SAFETY: plain numbers go in. What `number` named before is closed: sandbox processes call
    // this for 0 to 3 after moving their own descriptors above those.
    let answer = unsafe { libc::dup2(descriptor.as_raw_fd(), number) };
    if answer == -1 { Err(last_errno()) } else { Ok(()) }
}

/// Puts every signal back to its default and blocks none, as a program expects to be started.
pub(crate) fn reset_signals() {
    // The kernel has 64; that SIGKILL, SIGSTOP and libc's own two cannot be set is no matter.
    for signal in 1..=64 {
        // SAFETY: SIG_DFL installs no handler, so no code of ours can run in a signal's context.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: all bytes zero is a valid sigset_t (plain integers), and is the empty set.
    let empty: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `empty` is a live sigset_t, and a null third argument asks for no answer.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const empty, std::ptr::null_mut()) };
}

/// Ignores `signals` in this process.
pub(crate) fn ignore_signals(signals: &[i32]) {
    for &signal in signals {
        // SAFETY: SIG_IGN installs no handler, so no code of ours can run in a signal's context.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Brings the loopback device of this network namespace up.
pub(crate) fn bring_loopback_up(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: all bytes zero is a valid ifreq: a name, and a union of plain data.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = i16::try_from(libc::IFF_UP).expect("IFF_UP is 1");
    // SAFETY: SIOCSIFFLAGS reads one ifreq, and `request` is one with a terminated name; the flags
    // member is the one of the union that this request reads.
    let answer = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    if answer == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Ends this process at once: no destructors, no exit handlers, no flush of inherited buffers.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: _exit takes a number and does not return.
    unsafe { libc::_exit(code) }
}

fn last_errno() -> Errno {
    let error = std::io::Error::last_os_error();
    Errno::from_io_error(&error).expect("last_os_error always has a number")
}
