//! Where a service is, and how its paths are spelled.

use std::fmt::Write as _;

use hyper::Uri;

use super::ClientError;

/// The address of a service, checked: `http://HOST[:PORT][/PREFIX]`.
#[derive(Clone, Debug)]
pub(super) struct Address {
    text: String,
}

impl Address {
    pub(super) fn parse(text: &str) -> Result<Self, ClientError> {
        let bad = |why: &str| ClientError::BadUrl { url: text.into(), why: why.into() };
        let uri: Uri = match text.parse() {
            Ok(uri) => uri,
            Err(source) => return Err(bad(&format!("{source}"))),
        };
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(ClientError::Https { url: text.into() }),
            _ => return Err(bad("it must start with http://, as in http://127.0.0.1:8080")),
        }
        if uri.authority().is_none_or(|authority| authority.as_str().contains('@')) {
            return Err(bad("a user name has no use here; API keys are given by LAMBENT_API_KEY"));
        }
        if uri.query().is_some() {
            return Err(bad("it must not have a query"));
        }
        Ok(Self { text: text.trim_end_matches('/').into() })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// The URI of an operation. `path` is encoded already, the query's values are not.
    pub(super) fn uri(&self, path: &str, query: &[(&str, &str)]) -> Result<Uri, ClientError> {
        let mut text = format!("{}{path}", self.text);
        for (index, (name, value)) in query.iter().enumerate() {
            text.push(if index == 0 { '?' } else { '&' });
            text.push_str(name);
            text.push('=');
            text.push_str(&segment(value));
        }
        text.parse().map_err(|source| ClientError::BadUrl { url: text, why: format!("{source}") })
    }
}

/// A value as one segment of a path or of a query: all but RFC 3986's unreserved characters are
/// percent-encoded, so that no name that a user types can reach another path.
pub(super) fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            write!(encoded, "%{byte:02X}").expect("a String takes every write");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_cannot_work_is_refused_with_the_reason() {
        for (url, expect) in [
            ("https://a:8080", "cannot use https://a:8080: this client does not speak TLS yet"),
            ("localhost:8080", "it must start with http://"),
            ("", "is not the address of a service"),
            ("http://me:secret@host", "a user name has no use here"),
            ("http://host?x=1", "it must not have a query"),
        ] {
            let error = Address::parse(url).unwrap_err().to_string();
            assert!(error.contains(expect), "{url:?} gave {error:?}");
        }
    }

    #[test]
    fn a_prefix_is_kept_and_every_value_is_encoded() {
        let address = Address::parse("http://[::1]:8080/lambent/").unwrap();
        let path = format!("/v1/functions/{}", segment("a/../b c"));
        let uri = address.uri(&path, &[("limit", "5"), ("since", "a+b&c")]).unwrap();
        assert_eq!(
            uri.to_string(),
            "http://[::1]:8080/lambent/v1/functions/a%2F..%2Fb%20c?limit=5&since=a%2Bb%26c"
        );
    }
}
