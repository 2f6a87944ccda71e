//! Tokens: what a service of OpenStack wants to see with every request.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{Error, Kind, Secret};

/// Where tokens come from. Shared by everybody who asks services in the same name.
#[async_trait]
pub trait Tokens: Send + Sync + std::fmt::Debug {
    /// One that is valid for a while. The wait is bounded.
    async fn token(&self) -> Result<Token, Error>;

    /// A service did not believe this one: it is not handed out again.
    async fn forget(&self, token: &Token);
}

/// A token, and what was said with it about where services are.
#[derive(Clone, Debug)]
pub struct Token {
    secret: Secret,
    catalogue: Arc<[Endpoint]>,
}

/// Which of a service's addresses is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interface {
    #[default]
    Public,
    Internal,
    Admin,
}

/// An entry of the catalogue.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) service: String,
    pub(super) interface: String,
    pub(super) region: Option<String>,
    pub(super) url: String,
}

impl Token {
    pub(super) fn new(secret: Secret, catalogue: Vec<Endpoint>) -> Token {
        Token { secret, catalogue: catalogue.into() }
    }

    pub(super) fn secret(&self) -> &str {
        &self.secret.0
    }

    pub(super) fn is(&self, other: &Token) -> bool {
        self.secret == other.secret
    }

    /// Where the service is, if the catalogue says. Without a region, the first one will do.
    #[must_use]
    pub fn endpoint(
        &self,
        service: &str,
        interface: Interface,
        region: Option<&str>,
    ) -> Option<&str> {
        let meant = |it: &&Endpoint| {
            it.service == service
                && it.interface == interface.as_str()
                && region.is_none_or(|region| it.region.as_deref() == Some(region))
        };
        self.catalogue.iter().find(meant).map(|it| it.url.as_str())
    }
}

impl Interface {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Interface::Public => "public",
            Interface::Internal => "internal",
            Interface::Admin => "admin",
        }
    }
}

/// One token, made elsewhere, for as long as it lasts.
#[derive(Debug)]
pub struct FixedToken(Token);

impl FixedToken {
    #[must_use]
    pub fn new(token: Secret) -> FixedToken {
        FixedToken(Token::new(token, Vec::new()))
    }
}

#[async_trait]
impl Tokens for FixedToken {
    async fn token(&self) -> Result<Token, Error> {
        if self.0.secret().is_empty() {
            return Err(Error::new(Kind::Refused, "use the token", "it is empty"));
        }
        Ok(self.0.clone())
    }

    /// There is no other one.
    async fn forget(&self, _token: &Token) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_found_by_its_service_interface_and_region() {
        let entry = |interface: &str, region: &str| Endpoint {
            service: "messaging".to_owned(),
            interface: interface.to_owned(),
            region: Some(region.to_owned()),
            url: format!("http://{interface}.{region}"),
        };
        let token = Token::new(
            Secret("gAAAA".to_owned()),
            vec![entry("public", "one"), entry("internal", "two"), entry("public", "two")],
        );
        let public = |region| token.endpoint("messaging", Interface::Public, region);
        assert_eq!(public(None), Some("http://public.one"));
        assert_eq!(public(Some("two")), Some("http://public.two"));
        assert_eq!(public(Some("three")), None);
        assert_eq!(token.endpoint("messaging", Interface::Admin, None), None);
        assert_eq!(token.endpoint("compute", Interface::Public, None), None);
        assert!(!format!("{token:?}").contains("gAAAA"));
    }
}
