//! Names that users choose, checked once and then trusted.
//!
//! Each kind has its own type; making one checks it, so no later code has to ask whether a name is
//! safe in a path, a metric label, a cgroup or a log line.

use std::fmt;

/// A value from outside that cannot be accepted: which field, what it held, and why not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {value:?} is not valid: {why}")]
pub struct Invalid {
    /// The field as users know it, such as `memory_mib`.
    pub field: &'static str,
    /// What it held, cut to a length that fits a message.
    pub value: String,
    /// What is wrong and what would be right, as the end of a sentence.
    pub why: String,
}

impl Invalid {
    pub fn new(field: &'static str, value: impl fmt::Display, why: impl Into<String>) -> Self {
        let value = value.to_string();
        let value = match value.char_indices().nth(80) {
            Some((cut, _)) => format!("{}…", &value[..cut]),
            None => value,
        };
        Self { field, value, why: why.into() }
    }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident, $field:literal, $check:path;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            pub fn parse(text: &str) -> Result<Self, Invalid> {
                match $check(text) {
                    Ok(()) => Ok(Self(text.into())),
                    Err(why) => Err(Invalid::new($field, text, why)),
                }
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    )*};
}

names! {
    /// A tenant: Keystone's project, or the one that a key belongs to.
    Project, "project", dotted_word;
    /// A function's name, unique in its project.
    FunctionName, "name", word;
    /// A trigger's name, unique in its function.
    TriggerName, "trigger", word;
    /// A source's name, unique in its project.
    SourceName, "source", word;
    /// A key's name, for the person who lists keys.
    KeyName, "key name", dotted_word;
    /// A runtime such as `python3.11`.
    RuntimeName, "runtime", dotted_word;
    /// Where the code's entry is: `module.function`, with packages by dot or slash.
    Handler, "handler", handler;
}

impl Project {
    /// Where everything lives as long as nobody asked for more than one project.
    pub fn default_project() -> Self {
        Self("default".into())
    }
}

fn word(text: &str) -> Result<(), String> {
    check(text, 64, "_-")
}

fn dotted_word(text: &str) -> Result<(), String> {
    check(text, 64, "_-.")
}

fn check(text: &str, most: usize, also: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > most {
        return Err(format!("it has {} characters, and must have 1 to {most}", text.len()));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || also.contains(c);
    match text.chars().find(|c| !fits(*c)) {
        Some(c) => Err(format!("it may have the letters a-z, A-Z, 0-9 and {also}, not {c:?}")),
        None if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) => {
            Err("it must start with a letter or a digit".into())
        }
        None => Ok(()),
    }
}

fn handler(text: &str) -> Result<(), String> {
    const FORM: &str = "it must be module.function, such as handler.handler or app/main.run";
    if text.len() > 128 {
        return Err(format!("it has {} characters, and may have 128", text.len()));
    }
    let identifier = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    };
    let Some((module, function)) = text.rsplit_once('.') else { return Err(FORM.into()) };
    if identifier(function) && !function.contains('-') && module.split(['.', '/']).all(identifier) {
        Ok(())
    } else {
        Err(FORM.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_escape_a_path_or_a_line_are_refused() {
        for bad in ["", ".", "..", "a/b", "a b", "a\nb", "-a", "é", "a\0", &"x".repeat(65)] {
            assert!(FunctionName::parse(bad).is_err(), "{bad:?}");
            assert!(Project::parse(bad).is_err(), "{bad:?}");
        }
        assert!(FunctionName::parse("resize-2_small").is_ok());
        assert!(FunctionName::parse("a.b").is_err());
        assert!(Project::parse("a.b").is_ok());
    }

    #[test]
    fn a_handler_is_a_module_and_a_function_and_no_code() {
        for good in ["handler.handler", "app/main.run", "a.b.c", "my-mod.f", "_x._y"] {
            assert!(Handler::parse(good).is_ok(), "{good:?}");
        }
        for bad in ["", "handler", ".f", "f.", "../x.y", "os.system('x')", "a..b", "/a.b", "a.b-c"]
        {
            assert!(Handler::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_refusal_names_the_field_the_value_and_the_reason() {
        let refusal = FunctionName::parse("a b").unwrap_err().to_string();
        assert_eq!(
            refusal,
            r#"name "a b" is not valid: it may have the letters a-z, A-Z, 0-9 and _-, not ' '"#
        );
    }
}
