//! The system call filter: a policy in `policies/function.toml`, compiled once in the launcher,
//! loaded by every function's process as its last step.
//!
//! The compiler makes the filter for calls whose arguments matter. All others are decided before
//! that, by a list of ranges of numbers put in front: allowed, or absent (ENOSYS). Ranges because
//! loading a filter is most of its price (the kernel tries every call's number against it), and the
//! compiler's five instructions for each of 250 calls took longer than all mounts together.
//!
//! Code of another architecture (`int 0x80`, with other numbers for the same calls) is killed;
//! x32's numbers are in no range.

mod calls;

use crate::step::Refusal;
use calls::{Call, call};
use rustix::io::Errno;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter, sock_filter,
};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

const POLICY: &str = include_str!("../policies/function.toml");

/// Numbers above the newest known call are unassigned up to here on x86-64, where x32 begins.
const LAST_NUMBER: u32 = 511;

/// The compiled policy.
#[derive(Debug)]
pub(crate) struct Filter(BpfProgram);

#[derive(Debug, thiserror::Error)]
pub(crate) enum PolicyError {
    #[error("the system call policy is not valid TOML")]
    Parse(#[from] toml::de::Error),
    #[error("the system call policy names {0}, which is not in the table of calls")]
    Unknown(String),
    #[error("the system call policy has no filter for the architecture {}", std::env::consts::ARCH)]
    Architecture,
    #[error("the system call filter does not begin as its compiler's filters do")]
    Shape,
    #[error("the system call policy cannot be compiled")]
    Compile(#[from] seccompiler::BackendError),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Policy {
    newest: String,
    absent: Vec<Rule>,
    allow: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    call: String,
    #[cfg_attr(not(test), expect(dead_code, reason = "for the reader; a test demands it"))]
    why: String,
    #[serde(default)]
    when: Vec<Vec<Condition>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Condition {
    arg: u8,
    mask: Option<u64>,
    #[serde(default, rename = "in")]
    one_of: Vec<u64>,
    #[serde(default)]
    not_in: Vec<u64>,
    clear: Option<u64>,
    #[serde(default)]
    whole: bool,
}

impl Filter {
    pub(crate) fn compile() -> Result<Filter, PolicyError> {
        Policy::parse(POLICY)?.compile()
    }

    /// Binds this process, and all that it will start, to the policy. Cannot be undone.
    pub(crate) fn apply(&self) -> Result<(), Refusal> {
        apply_filter(&self.0).map_err(|error| {
            let errno = match &error {
                seccompiler::Error::Prctl(cause) | seccompiler::Error::Seccomp(cause) => {
                    Errno::from_io_error(cause)
                }
                _ => None,
            };
            let detail = format!("load the filter of {} instructions: {error}", self.0.len());
            Refusal::new(detail, errno.unwrap_or(Errno::INVAL))
        })
    }
}

impl Policy {
    fn parse(text: &str) -> Result<Policy, PolicyError> {
        Ok(toml::from_str(text)?)
    }

    fn compile(&self) -> Result<Filter, PolicyError> {
        let (mut absent, mut allowed, mut by_argument) = (Vec::new(), Vec::new(), BTreeMap::new());
        for rule in &self.absent {
            absent.extend(number(&rule.call)?);
        }
        if let Some(newest) = number(&self.newest)? {
            absent.extend(newest + 1..=LAST_NUMBER);
        }
        for rule in &self.allow {
            match number(&rule.call)? {
                Some(number) if rule.when.is_empty() => allowed.push(number),
                Some(number) => drop(by_argument.insert(i64::from(number), rule.compile()?)),
                None => (),
            }
        }
        let architecture = TargetArch::try_from(std::env::consts::ARCH)
            .map_err(|_unknown| PolicyError::Architecture)?;
        let eperm = SeccompAction::Errno(libc::EPERM.cast_unsigned());
        let enosys = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
        let filter = SeccompFilter::new(by_argument, eperm, SeccompAction::Allow, architecture)?;
        let mut program = BpfProgram::try_from(filter)?;
        // What the compiler begins with: kill other architectures, then load the call's number.
        let loads_number = |at: &sock_filter| (at.code, at.k) == (LOAD_WORD, 0);
        if !program.get(BEGINNING - 1).is_some_and(loads_number) {
            return Err(PolicyError::Shape);
        }
        let absent = ranges(absent).into_iter().flat_map(|range| answer(&range, enosys.clone()));
        let allowed = ranges(allowed)
            .into_iter()
            .flat_map(|range| answer(&range, SeccompAction::Allow))
            .collect::<Vec<_>>();
        program.splice(BEGINNING..BEGINNING, absent.chain(allowed));
        Ok(Filter(program))
    }
}

/// The number of instructions that every compiled filter begins with.
const BEGINNING: usize = 4;

// Instructions of classic BPF (linux/bpf_common.h).
const LOAD_WORD: u16 = 0x20;
const JUMP_IF_GREATER: u16 = 0x25;
const JUMP_IF_GREATER_OR_EQUAL: u16 = 0x35;
const RETURN: u16 = 0x06;

/// Returns `action` if the loaded number lies in `range`, and goes on behind these otherwise.
fn answer(range: &RangeInclusive<u32>, action: SeccompAction) -> [sock_filter; 3] {
    [
        sock_filter { code: JUMP_IF_GREATER_OR_EQUAL, jt: 0, jf: 2, k: *range.start() },
        sock_filter { code: JUMP_IF_GREATER, jt: 1, jf: 0, k: *range.end() },
        sock_filter { code: RETURN, jt: 0, jf: 0, k: action.into() },
    ]
}

/// The fewest ranges that hold exactly `numbers`.
fn ranges(mut numbers: Vec<u32>) -> Vec<RangeInclusive<u32>> {
    numbers.sort_unstable();
    let mut ranges: Vec<RangeInclusive<u32>> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some(last) if *last.end() + 1 >= number => *last = *last.start()..=number,
            _ => ranges.push(number..=number),
        }
    }
    ranges
}

/// The number of a call; none if only other architectures have it.
fn number(name: &str) -> Result<Option<u32>, PolicyError> {
    match call(name) {
        Some(Call::Number(number)) => Ok(u32::try_from(number).ok()),
        Some(Call::Elsewhere) => Ok(None),
        None => Err(PolicyError::Unknown(name.to_owned())),
    }
}

impl Rule {
    /// The compiler knows alternatives of conditions on one value each; "one of these values" in
    /// several conditions becomes all combinations.
    fn compile(&self) -> Result<Vec<SeccompRule>, PolicyError> {
        let mut alternatives = Vec::new();
        for conditions in &self.when {
            let mut combinations: Vec<Vec<SeccompCondition>> = vec![Vec::new()];
            for condition in conditions {
                let choices = condition.choices()?;
                combinations = combinations
                    .iter()
                    .flat_map(|done| {
                        choices.iter().map(move |choice| [done.as_slice(), choice].concat())
                    })
                    .collect();
            }
            for combination in combinations {
                alternatives.push(SeccompRule::new(combination)?);
            }
        }
        Ok(alternatives)
    }
}

impl Condition {
    /// Alternatives, each of which is a list of comparisons that must all hold.
    fn choices(&self) -> Result<Vec<Vec<SeccompCondition>>, PolicyError> {
        let length = if self.whole { SeccompCmpArgLen::Qword } else { SeccompCmpArgLen::Dword };
        let compare =
            |operation, value| SeccompCondition::new(self.arg, length.clone(), operation, value);
        let equal = self.mask.map_or(SeccompCmpOp::Eq, SeccompCmpOp::MaskedEq);
        let mut always = Vec::new();
        for value in &self.not_in {
            always.push(compare(SeccompCmpOp::Ne, *value)?);
        }
        if let Some(bits) = self.clear {
            always.push(compare(SeccompCmpOp::MaskedEq(bits), 0)?);
        }
        if self.one_of.is_empty() {
            return Ok(vec![always]);
        }
        let mut choices = Vec::new();
        for value in &self.one_of {
            let mut choice = always.clone();
            choice.push(compare(equal.clone(), *value)?);
            choices.push(choice);
        }
        Ok(choices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_policy_compiles() {
        // Loading costs about half a microsecond an instruction; the kernel's limit is 4,096.
        let length = Filter::compile().unwrap().0.len();
        assert!(length < 600, "{length} instructions");
    }

    #[test]
    fn ranges_hold_exactly_their_numbers() {
        assert_eq!(ranges(vec![7, 3, 2, 4, 9, 8]), [2..=4, 7..=9]);
        assert_eq!(ranges(vec![5]), [5..=5]);
        assert_eq!(ranges(vec![]), []);
    }

    #[test]
    fn every_rule_has_a_reason() {
        let policy = Policy::parse(POLICY).unwrap();
        for rule in policy.allow.iter().chain(&policy.absent) {
            assert!(rule.why.len() > 3, "{} has no why", rule.call);
        }
    }

    #[test]
    fn no_call_is_listed_twice() {
        let policy = Policy::parse(POLICY).unwrap();
        let mut seen = BTreeSet::new();
        for rule in policy.allow.iter().chain(&policy.absent) {
            assert!(seen.insert(&rule.call), "{} is listed twice", rule.call);
        }
    }

    #[test]
    fn what_must_never_be_allowed_is_not_listed() {
        let policy = Policy::parse(POLICY).unwrap();
        let never = [
            "acct",
            "add_key",
            "adjtimex",
            "bpf",
            "chroot",
            "clock_settime",
            "delete_module",
            "fanotify_init",
            "finit_module",
            "fsmount",
            "fsopen",
            "init_module",
            "ioperm",
            "iopl",
            "kcmp",
            "kexec_file_load",
            "kexec_load",
            "keyctl",
            "modify_ldt",
            "mount",
            "mount_setattr",
            "move_mount",
            "move_pages",
            "name_to_handle_at",
            "open_by_handle_at",
            "open_tree",
            "perf_event_open",
            "pidfd_getfd",
            "pivot_root",
            "process_madvise",
            "process_vm_readv",
            "process_vm_writev",
            "ptrace",
            "quotactl",
            "reboot",
            "request_key",
            "seccomp",
            "setdomainname",
            "sethostname",
            "setns",
            "settimeofday",
            "swapoff",
            "swapon",
            "sync",
            "syslog",
            "umount2",
            "unshare",
            "userfaultfd",
            "vhangup",
        ];
        for rule in &policy.allow {
            assert!(!never.contains(&rule.call.as_str()), "{} must not be allowed", rule.call);
        }
    }

    #[test]
    fn every_condition_says_something() {
        for rule in &Policy::parse(POLICY).unwrap().allow {
            for condition in rule.when.iter().flatten() {
                let says = !condition.one_of.is_empty()
                    || !condition.not_in.is_empty()
                    || condition.clear.is_some();
                assert!(says, "a condition of {} holds always", rule.call);
            }
        }
    }

    #[test]
    fn an_unknown_call_or_key_is_refused() {
        let unknown = r#"newest = "read"
            absent = []
            allow = [{ call = "raed", why = "a slip" }]"#;
        let error = Policy::parse(unknown).unwrap().compile().unwrap_err();
        assert_eq!(error.to_string().matches("raed").count(), 1);
        let misspelt = r#"newest = "read"
            absent = []
            allow = [{ call = "read", why = "x", wehn = [] }]"#;
        assert!(matches!(Policy::parse(misspelt), Err(PolicyError::Parse(_))));
    }
}
