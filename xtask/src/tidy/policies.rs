//! Seccomp policies: every system call that a function may make is there for a reason.

use super::Finding;
use super::tree::{File, Tree};

const FOLDER: &str = "crates/sandbox/policies/";
/// What every rule begins with.
const RULE: &str = "call = \"";
const REASON: &str = "why = \"";

pub(crate) fn rules_have_reasons(tree: &Tree) -> Vec<Finding> {
    let policies: Vec<_> = tree.beneath(FOLDER).filter(|file| file.is("toml")).collect();
    if policies.is_empty() {
        return vec![Finding::missing(FOLDER, "there is no policy, so nothing would be filtered")];
    }
    policies.into_iter().flat_map(check).collect()
}

fn check(file: &File) -> Vec<Finding> {
    let text = without_comments(&file.text);
    let starts: Vec<usize> = text.match_indices(RULE).map(|(at, _)| at).collect();
    if starts.is_empty() {
        return vec![Finding::new(file, 0, "is a policy without a rule")];
    }
    let mut findings = Vec::new();
    for (position, start) in starts.iter().enumerate() {
        let end = starts.get(position + 1).copied().unwrap_or(text.len());
        let rule = &text[*start..end];
        let reason = rule.split_once(REASON).map(|(_, reason)| reason);
        let reason = reason.and_then(|reason| reason.split('"').next()).unwrap_or_default();
        if reason.trim().is_empty() {
            let name = rule[RULE.len()..].split('"').next().unwrap_or_default();
            let line = text[..*start].lines().count();
            findings.push(Finding::new(file, line, format!("{name} has no `why`")));
        }
    }
    findings
}

/// Blank where a line is a comment, so that lines keep their numbers.
fn without_comments(text: &str) -> String {
    let lines = text.lines().map(|line| if line.trim_start().starts_with('#') { "" } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> Vec<String> {
        let path = "crates/sandbox/policies/function.toml";
        let findings = rules_have_reasons(&Tree::of(&[(path, text)]));
        findings.into_iter().map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn a_rule_without_a_reason_is_found() {
        let text = "# call = \"x\"\nallow = [\n  { call = \"read\", why = \"files\" },\n  \
                    { call = \"open\" },\n  { call = \"write\", why = \" \", when = [\n    [] ] },\n]\n";
        let found = findings(text);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].ends_with(":4: open has no `why`"), "{found:?}");
        assert!(found[1].ends_with(":5: write has no `why`"), "{found:?}");
    }

    #[test]
    fn a_policy_that_is_not_there_is_found() {
        assert_eq!(findings("allow = []\n").len(), 1);
        assert_eq!(rules_have_reasons(&Tree::default()).len(), 1);
    }
}
