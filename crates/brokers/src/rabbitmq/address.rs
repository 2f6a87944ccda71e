//! Where a RabbitMQ is and who we are there: `amqp[s]://user:password@host:port/vhost`.
//!
//! Read by hand, since the usual parsers repeat the whole text in their errors, and with it the
//! password; this one never does. A query is not understood: what one would say there are settings.

use std::fmt;

use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};

/// A parsed address. Shown, its password is `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    pub(super) tls: bool,
    user: String,
    password: String,
    pub(super) host: String,
    pub(super) port: u16,
    vhost: String,
}

impl Address {
    /// What is wrong is said without repeating what may be secret.
    pub fn parse(text: &str) -> Result<Address, String> {
        let (tls, rest) = if let Some(rest) = text.strip_prefix("amqp://") {
            (false, rest)
        } else if let Some(rest) = text.strip_prefix("amqps://") {
            (true, rest)
        } else {
            return Err("must begin with amqp:// or amqps://".to_owned());
        };
        if rest.contains(['?', '#']) {
            return Err("takes neither ? nor #: heartbeat and certificates are settings of their \
                        own, and in a password they are written %3F and %23"
                .to_owned());
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (userinfo, place) = match authority.rsplit_once('@') {
            Some((userinfo, place)) => (Some(userinfo), place),
            None => (None, authority),
        };
        let (user, password) = match userinfo.map(|it| it.split_once(':').unwrap_or((it, ""))) {
            Some((user, password)) => (decode("user", user)?, decode("password", password)?),
            None => ("guest".to_owned(), "guest".to_owned()),
        };
        let (host, port) = host_and_port(place)?;
        let port = port.unwrap_or(if tls { 5671 } else { 5672 });
        // A bare slash is the default, too: nobody has a virtual host without a name.
        let vhost = if path.is_empty() { "/".to_owned() } else { decode("virtual host", path)? };
        if vhost.len() > 255 {
            return Err("has a virtual host of more than 255 bytes".to_owned());
        }
        Ok(Address { tls, user, password, host, port, vhost })
    }

    /// As the client library has it.
    pub(super) fn uri(&self, heartbeat_s: u16) -> AMQPUri {
        AMQPUri {
            scheme: if self.tls { AMQPScheme::AMQPS } else { AMQPScheme::AMQP },
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo {
                    username: self.user.clone(),
                    password: self.password.clone(),
                },
                host: self.host.clone(),
                port: self.port,
            },
            vhost: self.vhost.clone(),
            query: AMQPQueryString { heartbeat: Some(heartbeat_s), ..AMQPQueryString::default() },
        }
    }
}

fn host_and_port(place: &str) -> Result<(String, Option<u16>), String> {
    let (host, port) = if let Some(rest) = place.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or("has a [ without its ]")?;
        let port = match rest.strip_prefix(':') {
            Some(port) => Some(port),
            None if rest.is_empty() => None,
            None => return Err("has something other than a port after its ]".to_owned()),
        };
        (host, port)
    } else {
        match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        }
    };
    if host.is_empty() {
        return Err("names no host".to_owned());
    }
    // What follows the colon may be part of a password with an unescaped slash: not repeated.
    let number = |port: &str| {
        port.parse::<u16>().ok().filter(|it| *it != 0).ok_or_else(|| {
            "has a port that is no number from 1 to 65535 (a / in a password is written %2F)"
                .to_owned()
        })
    };
    Ok((host.to_owned(), port.map(number).transpose()?))
}

/// `%41` is `A`.
fn decode(what: &str, text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = rest.get(..2).and_then(|it| std::str::from_utf8(it).ok());
        let byte = digits
            .filter(|it| it.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|it| u8::from_str_radix(it, 16).ok());
        let Some(byte) = byte else {
            return Err(format!("has a % in its {what} that two hexadecimal digits do not follow"));
        };
        bytes.push(byte);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).map_err(|_bytes| format!("has a {what} that is not UTF-8"))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "amqps" } else { "amqp" };
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        let vhost = if self.vhost == "/" { "%2f" } else { &self.vhost };
        let Address { user, host, port, .. } = self;
        write!(f, "{scheme}://{user}:***@{open}{host}{close}:{port}/{vhost}")
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        Address::parse(text).unwrap_or_else(|why| panic!("{text}: {why}")).to_string()
    }

    #[test]
    fn an_address_is_shown_without_its_password() {
        for (text, expected) in [
            ("amqp://host", "amqp://guest:***@host:5672/%2f"),
            ("amqps://host/", "amqps://guest:***@host:5671/%2f"),
            ("amqp://u:secret@host:5/v", "amqp://u:***@host:5/v"),
            ("amqp://u@host//", "amqp://u:***@host:5672/%2f"),
            ("amqp://u:se%40:@cret@[::1]:7/%2F", "amqp://u:***@[::1]:7/%2f"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
        let address = Address::parse("amqp://u:se%40cret@[::1]/a%20b").unwrap();
        assert_eq!(format!("{address:?}"), "amqp://u:***@[::1]:5672/a b");
        let uri = address.uri(10);
        assert_eq!(uri.authority.userinfo.password, "se@cret");
        assert_eq!((uri.authority.host.as_str(), uri.vhost.as_str()), ("::1", "a b"));
        assert_eq!(uri.query.heartbeat, Some(10));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for (text, expected) in [
            ("http://u:secret@host", "must begin with"),
            ("amqp://u:secret@", "names no host"),
            ("amqp://u:secret/x@host", "%2F"),
            ("amqp://u:secret%4@host", "in its password"),
            ("amqp://u:secret%+4@host", "in its password"),
            ("amqp://u:secret%ff@host", "not UTF-8"),
            ("amqp://u:secret?@host", "%3F"),
            ("amqp://u:secret@host:0", "no number"),
            ("amqp://u:secret@host:65536", "no number"),
            ("amqp://u:secret@[::1", "without its ]"),
            ("amqp://u:secret@[::1]5", "after its ]"),
        ] {
            let why = Address::parse(text).unwrap_err();
            assert!(why.contains(expected), "{text}: {why}");
            assert!(!why.contains("secret"), "{text}: {why}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "(amqps?://)?[a:@%/0-9\\[\\]?é]{0,24}") {
            drop(Address::parse(&text).map(|address| address.to_string()));
        }
    }
}
