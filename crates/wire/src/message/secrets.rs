//! Copies JSON without the members that could let somebody act in another's name.
//!
//! A service may serialise a whole request context into a payload, several levels down: Nova's
//! `compute_task.build_instances` holds the user's token in `pci_requests._context.auth_token`.
//! What was stored would stay for as long as the ledger does, so it goes before. Members are known
//! by name, at any depth; a secret within a text cannot be.

use std::borrow::Cow;

use crate::json;

/// Dropped if a name ends so, in lower case and with `_` for `-`: tokens of every kind, also as
/// headers that Swift was told to publish (`http_header_x_auth_token`), its keys for signed URLs,
/// and what a new server's administrator gets.
const ENDINGS: [&str; 10] = [
    "auth_token",
    "service_token",
    "subject_token",
    "storage_token",
    "authorization",
    "temp_url_key",
    "temp_url_key_2",
    "password",
    "admin_pass",
    "adminpass",
];

/// Appends `text`, which is JSON, without white space between its tokens and without secrets.
pub(super) fn copy_without(text: &str, into: &mut String) {
    let bytes = text.as_bytes();
    let (mut kept, mut at) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        let start = at;
        match byte {
            b'"' => {
                at = string_end(bytes, at);
                // A string is a name if a colon follows.
                let colon = skip_space(bytes, at);
                if bytes.get(colon) != Some(&b':') || !is_secret(&text[start..at]) {
                    continue;
                }
                into.push_str(&text[kept..start]);
                at = skip_space(bytes, value_end(bytes, skip_space(bytes, colon + 1)));
                if bytes.get(at) == Some(&b',') {
                    at += 1;
                } else if into.ends_with(',') {
                    // It was the last: what came before it has no successor now.
                    into.pop();
                }
                kept = at;
            }
            byte if json::is_space(*byte) => {
                into.push_str(&text[kept..at]);
                at += 1;
                kept = at;
            }
            _ => at += 1,
        }
    }
    into.push_str(&text[kept..]);
}

/// Whether a member of this name, quoted as it is in the document, must go.
fn is_secret(quoted: &str) -> bool {
    let name: Cow<'_, str> = if quoted.contains('\\') {
        // What cannot be read has no meaning that could be stored.
        serde_json::from_str::<String>(quoted)
            .unwrap_or_else(|_half_a_pair| "_context".into())
            .into()
    } else {
        quoted[1..quoted.len() - 1].into()
    };
    if name == "_context" || name.starts_with("_context_") {
        return true;
    }
    let name = name.to_ascii_lowercase().replace('-', "_");
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// The byte after the string that starts at `at`.
fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    loop {
        match bytes.get(at) {
            Some(b'"') => return at + 1,
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
            None => return bytes.len(),
        }
    }
}

/// The byte after the value that starts at `at`.
fn value_end(bytes: &[u8], mut at: usize) -> usize {
    let mut open = 0_usize;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = string_end(bytes, at);
                if open == 0 {
                    return at;
                }
                continue;
            }
            b'{' | b'[' => open += 1,
            b'}' | b']' if open == 0 => return at,
            b'}' | b']' => {
                open -= 1;
                if open == 0 {
                    return at + 1;
                }
            }
            b',' if open == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    at
}

fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(|byte| json::is_space(*byte)) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, kept: &str) {
        let mut copy = String::from("<");
        copy_without(text, &mut copy);
        assert_eq!(copy[1..], *kept, "{text}");
    }

    #[test]
    fn secrets_go_at_every_place_and_depth_and_all_else_stays() {
        let same = r#"{"a":[1,"auth_token",{"token":"x","b":1.50e3}],"password_expires_at":null}"#;
        check(same, same);
        check(r#"{"auth_token":"x"}"#, "{}");
        check(r#"{ "auth_token" : "x" , "a" : 1 }"#, r#"{"a":1}"#);
        check(r#"{"a":1, "auth_token":"x"}"#, r#"{"a":1}"#);
        check(r#"{"a":1,"auth_token":12 ,"b":2}"#, r#"{"a":1,"b":2}"#);
        check(r#"{"a":1,"_context_x":true,"auth_token":null}"#, r#"{"a":1}"#);
        check(r#"{"_context":{"a":[{"b":"}\"]"}]},"c":[{"auth_token":[]}]}"#, r#"{"c":[{}]}"#);
        check(r#"[{"auth_token":"\\"},{"X-Auth-Token":"x"},[["a"]]]"#, r#"[{},{},[["a"]]]"#);
        check(r#"{"auth\u005ftoken":"x","\ud800":1}"#, "{}");
        for name in ["http_header_x_auth_token", "adminPass", "new_password", "Authorization"] {
            check(&format!(r#"{{"{name}":"x"}}"#), "{}");
        }
        for other in ["null", "-1.0", r#""auth_token""#, "[]", "true"] {
            check(other, other);
        }
    }
}
