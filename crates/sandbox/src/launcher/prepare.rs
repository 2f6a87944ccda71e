//! What the launcher does once, before its loop: look at itself, check what it was told, find out
//! how well it can isolate on this machine, and say what is missing.

use super::main::Loop;
use super::sandboxes::Sandboxes;
use crate::cgroup::{Opened, Tree};
use crate::seccomp::Filter;
use crate::spec::{Bind, Cgroup, Isolation, Options, Runtime};
use crate::sys::{self, Cloned};
use rustix::event::epoll;
use rustix::fd::AsFd;
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{WaitId, WaitIdOptions, getegid, geteuid, waitid};
use rustix::thread::{CapabilitySet, UnshareFlags, capabilities};
use std::collections::VecDeque;
use std::path::{Component, Path};

/// Where a runtime may put nothing: the sandbox has its own things there.
const TAKEN: [&str; 5] = ["/proc", "/dev", "/tmp", "/var/task", "/sys"];

/// The answer is the launcher, ready to live, or a sentence about why it cannot.
pub(super) fn prepare(options: Options) -> Result<Loop, String> {
    sys::close_from(3).map_err(|errno| format!("cannot close inherited descriptors: {errno}"))?;
    if sys::threads() != 1 {
        return Err("the launcher has more than one thread, so it cannot fork safely".to_owned());
    }
    // Its working directory would keep a file system busy; its umask would change what it makes.
    rustix::process::chdir("/").map_err(|errno| format!("cannot enter /: {errno}"))?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    check(&options)?;
    let filter = Filter::compile().map_err(|error| sentence(&error))?;
    let code_root =
        open(&options.code_root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| {
                format!("cannot open the code root {}: {errno}", options.code_root.display())
            })?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)
        .map_err(|errno| format!("cannot wait for events: {errno}"))?;
    let Opened { tree, mut missing } = Tree::open(&options.instance).map_err(|refusal| {
        let cause = std::io::Error::from_raw_os_error(refusal.errno);
        format!("cannot {}: {cause}", refusal.detail)
    })?;
    let root = is_root();
    if !root {
        become_root_of_a_namespace()?;
        missing.push(
            "Sandboxes have no user of their own: all run as the user who started lambent, apart \
             from each other by namespaces only. Start it as root to change that."
                .to_owned(),
        );
        missing.push(
            "The user's supplementary groups cannot be left; what they may read in /usr, \
             functions may."
                .to_owned(),
        );
    }
    // The code root was opened in the host's view; a namespace has its own, in which mounts of it
    // can be cloned.
    let code_root = match root {
        true => code_root,
        false => open(
            &options.code_root,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|errno| format!("cannot open the code root again: {errno}"))?,
    };
    let user_namespace = user_namespaces_work();
    if !user_namespace && !root {
        return Err("the kernel gives this user one user namespace, but functions need theirs \
                    within it; raise user.max_user_namespaces, or start it as root"
            .to_owned());
    }
    if !user_namespace {
        missing.push(
            "Functions run without a user namespace of their own: this kernel or its settings \
             (user.max_user_namespaces) refuse to make one."
                .to_owned(),
        );
    }
    if tree.is_none() {
        missing.push(
            "In their place, resource limits bound each process: RLIMIT_DATA its memory, \
             RLIMIT_NPROC the number of processes; processor time is not bounded, use is not \
             counted, idle sandboxes are not frozen."
                .to_owned(),
        );
    }
    let cgroup = tree.as_ref().map_or(Cgroup::None, Tree::version);
    let isolation = Isolation { root, user_namespace, cgroup, missing };
    let sandboxes = Sandboxes::new(options.max_sandboxes);
    Ok(Loop {
        options,
        isolation,
        filter,
        tree,
        code_root,
        sandboxes,
        epoll,
        unsent: VecDeque::new(),
        server_gone: false,
    })
}

/// Root in earnest: a container's root without this capability can mount nothing.
fn is_root() -> bool {
    let admin =
        capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN));
    geteuid().is_root() && admin
}

/// Without root, the launcher makes a user namespace in which it is root over the namespaces that
/// it will make. From there on everything is as with root, but that there is a single user.
fn become_root_of_a_namespace() -> Result<(), String> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    sys::unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNS).map_err(|errno| {
        format!(
            "cannot isolate functions: this process is not root, and the kernel refuses it a user \
             namespace ({errno}); start it as root, or allow unprivileged user namespaces"
        )
    })?;
    // Without "deny", an unprivileged user may map no group.
    for (file, content) in [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("0 {uid} 1")),
        ("gid_map", format!("0 {gid} 1")),
    ] {
        std::fs::write(format!("/proc/self/{file}"), &content)
            .map_err(|error| format!("cannot write {content:?} to /proc/self/{file}: {error}"))?;
    }
    Ok(())
}

/// Whether a process can be forked into a user namespace; tried, since too many settings of too
/// many systems decide it.
fn user_namespaces_work() -> bool {
    match sys::clone(libc::CLONE_NEWUSER, None) {
        Ok(Cloned::Child) => sys::exit(0),
        Ok(Cloned::Parent { pidfd, .. }) => {
            waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED).is_ok()
        }
        Err(_) => false,
    }
}

fn check(options: &Options) -> Result<(), String> {
    let Options { instance, runtimes, uid_base, max_sandboxes, .. } = options;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if instance.is_empty() || instance.len() > 64 || !instance.chars().all(plain) {
        return Err(format!(
            "the instance name {instance:?} must be 1 to 64 letters, digits, '-' or '_'"
        ));
    }
    // The reaper's user is the one after the last sandbox's; 0 and -1 are never given away.
    let last = uid_base.checked_add(*max_sandboxes).filter(|last| *last < u32::MAX);
    if *uid_base == 0 || last.is_none() {
        return Err(format!(
            "{max_sandboxes} sandboxes from user {uid_base} on do not fit the range 1 to 2^32-2"
        ));
    }
    runtimes.iter().try_for_each(|(name, runtime)| {
        check_runtime(runtime).map_err(|why| format!("the runtime {name:?} is not possible: {why}"))
    })
}

fn check_runtime(runtime: &Runtime) -> Result<(), String> {
    if !runtime.argv.first().is_some_and(|program| program.starts_with('/')) {
        return Err("argv must begin with an absolute path".to_owned());
    }
    let has_nul = |text: &String| text.contains('\0');
    if runtime.argv.iter().any(has_nul)
        || runtime.env.iter().any(|(key, value)| {
            has_nul(key) || has_nul(value) || key.is_empty() || key.contains('=')
        })
    {
        return Err("argv and env must hold no NUL, and names no '='".to_owned());
    }
    runtime.binds.iter().try_for_each(check_bind)
}

fn check_bind(bind: &Bind) -> Result<(), String> {
    let target = &bind.target;
    let mut parts = target.components();
    let absolute = parts.next() == Some(Component::RootDir);
    let plain = parts.clone().count() > 0 && parts.all(|part| matches!(part, Component::Normal(_)));
    if !absolute || !plain {
        return Err(format!("the target {} must be an absolute path without ..", target.display()));
    }
    match TAKEN.iter().find(|taken| target.starts_with(Path::new(taken))) {
        Some(taken) => Err(format!("the target {} lies in {taken}", target.display())),
        None => Ok(()),
    }
}

fn sentence(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", sentence(source)),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        let runtime = Runtime { argv: vec!["/bin/true".to_owned()], ..Runtime::default() };
        Options {
            instance: "t".to_owned(),
            code_root: "/".into(),
            runtimes: [("true".to_owned(), runtime)].into(),
            uid_base: 100_000,
            max_sandboxes: 8,
        }
    }

    #[track_caller]
    fn refused(change: impl FnOnce(&mut Options), because: &str) {
        let mut options = options();
        change(&mut options);
        let why = check(&options).unwrap_err();
        assert!(why.contains(because), "{why:?} does not say {because:?}");
    }

    #[test]
    fn plain_options_are_accepted() {
        assert_eq!(check(&options()), Ok(()));
    }

    #[test]
    fn an_instance_that_is_a_path_is_refused() {
        refused(|options| options.instance = "../x".to_owned(), "instance");
        refused(|options| options.instance = String::new(), "instance");
    }

    #[test]
    fn users_that_would_overflow_or_be_root_are_refused() {
        refused(|options| options.uid_base = 0, "user 0");
        refused(|options| options.uid_base = u32::MAX - 8, "do not fit");
    }

    #[test]
    fn binds_over_the_sandboxs_own_things_are_refused() {
        for target in ["/proc/self", "/tmp/x", "relative", "/a/../proc", "/", "/var/task"] {
            refused(
                |options| {
                    let bind = Bind { source: "/etc".into(), target: target.into() };
                    options.runtimes.get_mut("true").unwrap().binds.push(bind);
                },
                "target",
            );
        }
    }

    #[test]
    fn a_program_that_is_looked_up_is_refused() {
        refused(
            |options| options.runtimes.get_mut("true").unwrap().argv = vec!["true".to_owned()],
            "absolute",
        );
    }
}
