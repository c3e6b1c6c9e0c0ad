//! Who a request is from: a key, or a session or share link made from one.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;

use super::credentials::{self, Credential};
use super::key::Key;
use super::problem::Problem;
use super::record_cache::RecordCache;
use super::token::Token;
use crate::api_key::Kind;
use crate::api_token::{ApiToken, TokenKind};
use crate::connection::Pool;

/// Who a request is from.
#[derive(Clone)]
pub(crate) struct Caller {
    /// The key itself, or the one that the session or share link was made from. Requests count against
    /// its limits.
    pub(crate) key: Arc<Key>,
    /// The session or share link.
    pub(crate) token: Option<Arc<Token>>,
}

impl Caller {
    /// Returns the share link, if the request came with one.
    pub(crate) fn share(&self) -> Option<&Token> {
        self.token.as_deref().filter(|token| token.kind == TokenKind::Share)
    }
}

pub(crate) struct KeyStore {
    keys: RecordCache<Key>,
    pub(super) tokens: RecordCache<Token>,
}

impl KeyStore {
    pub(crate) fn new(pool: Pool, trust: Duration, default_limit: Option<NonZeroU32>) -> Self {
        KeyStore {
            keys: RecordCache::new(pool.clone(), trust, default_limit),
            tokens: RecordCache::new(pool, trust, ()),
        }
    }

    /// Returns the key in the header of a request, which must be valid and of this kind.
    pub(crate) async fn authorize(
        &self,
        headers: &HeaderMap,
        kind: Kind,
    ) -> Result<Arc<Key>, Problem> {
        let given = credentials::of_header(headers).ok_or_else(Problem::unauthorized)??;
        self.of_credential(given, kind).await
    }

    /// Returns the key of this text, which must be valid and of this kind.
    pub(crate) async fn of_text(&self, text: &str, kind: Kind) -> Result<Arc<Key>, Problem> {
        let given = credentials::of_text(text).ok_or_else(Problem::unauthorized)?;
        self.of_credential(given, kind).await
    }

    async fn of_credential(&self, given: Credential, kind: Kind) -> Result<Arc<Key>, Problem> {
        match given {
            Credential::Key(given) => {
                let key = self.keys.find(given.id()).await?.ok_or_else(Problem::unauthorized)?;
                if !key.opens_with(&given) {
                    return Err(Problem::unauthorized());
                }
                match key.kind == kind {
                    true => Ok(key),
                    false => {
                        let message = format!("this key can only {}", key.kind.name());
                        Err(Problem::forbidden(message))
                    }
                }
            }
            Credential::Token(given) => {
                self.of_token(&given).await?;
                Err(Problem::forbidden("a share link can only read"))
            }
        }
    }

    /// Returns who may read: by a key to read or the token of a share link in the header, or else by the
    /// cookie of a session, if the request comes from a page of this gateway.
    pub(crate) async fn reader(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let given = match credentials::of_header(headers) {
            Some(Ok(Credential::Token(token))) => token,
            Some(_) => {
                let key = self.authorize(headers, Kind::Read).await?;
                return Ok(Caller { key, token: None });
            }
            None => {
                let cookie = credentials::of_cookie(headers).ok_or_else(Problem::unauthorized)?;
                credentials::refuse_other_sites(headers, true)?;
                cookie
            }
        };
        self.of_token(&given).await
    }

    /// Returns who a token stands for: it must be good, and so must the key that it was made from.
    pub(super) async fn of_token(&self, given: &ApiToken) -> Result<Caller, Problem> {
        let token = self.tokens.find(given.id()).await?.ok_or_else(Problem::unauthorized)?;
        token.check(given)?;
        let key = self.keys.find(&token.key_id).await?.ok_or_else(Problem::unauthorized)?;
        match key.kind == Kind::Read && key.is_valid() {
            true => Ok(Caller { key, token: Some(token) }),
            false => Err(token.without_key()),
        }
    }
}
