//! A session or share link, and whether it is still good.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use subtle::ConstantTimeEq;
use tokio_postgres::Row;
use uuid::Uuid;

use super::analytics::scope::Scope;
use super::lookup::{Failed, Record};
use super::problem::Problem;
use crate::api_token::{ApiToken, TokenKind};
use crate::tenant;

/// A token as it was when it was looked up.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) key_id: String,
    pub(crate) kind: TokenKind,
    secret_hash: Vec<u8>,
    /// The tenant that a share link shows.
    pub(crate) tenant: Option<Uuid>,
    /// What a share link shows.
    pub(crate) scope: Option<Scope>,
    pub(crate) expires_at: SystemTime,
    revoked_at: Option<SystemTime>,
}

impl Token {
    /// Checks a token that a client sent. Only one with the right secret learns why it is refused.
    pub(crate) fn check(&self, given: &ApiToken) -> Result<(), Problem> {
        let is_same = bool::from(self.secret_hash.as_slice().ct_eq(&given.hash()));
        if !is_same || self.kind != given.kind {
            return Err(Problem::unauthorized());
        }
        if let Some(at) = self.revoked_at {
            return Err(self.over("was ended on", at));
        }
        match SystemTime::now() < self.expires_at {
            true => Ok(()),
            false => Err(self.over("expired on", self.expires_at)),
        }
    }

    /// Returns the tenant of a share link, if a request asks for no other.
    pub(crate) fn choose(&self, asked: Option<&str>) -> Result<Uuid, Problem> {
        let own = self.tenant.ok_or_else(Problem::internal)?;
        let is_own = asked.is_none_or(|asked| match asked {
            "all" => own == tenant::ALL,
            text => text.parse::<Uuid>().is_ok_and(|asked| asked == own),
        });
        match is_own {
            true => Ok(own),
            false => Err(Problem::forbidden("this link does not show this tenant")),
        }
    }

    pub(crate) fn scope(&self) -> Result<&Scope, Problem> {
        self.scope.as_ref().ok_or_else(Problem::internal)
    }

    /// Returns why it is refused although it is good itself.
    pub(crate) fn without_key(&self) -> Problem {
        match self.kind {
            TokenKind::Session => Problem::signed_out(),
            TokenKind::Share => Problem::share_over(
                "this link ended with the key that it was made from: ask for a new one",
            ),
        }
    }

    fn over(&self, how: &str, at: SystemTime) -> Problem {
        match self.kind {
            TokenKind::Session => Problem::signed_out(),
            TokenKind::Share => {
                let time = Timestamp::try_from(at).unwrap_or_default().to_zoned(TimeZone::UTC);
                let time = time.strftime("%-d %b %Y at %H:%M UTC");
                Problem::share_over(format!("this link {how} {time}: ask for a new one"))
            }
        }
    }
}

impl Record for Token {
    const FIND: &'static str =
        "SELECT t.id, t.key_id, t.kind, t.secret_hash, t.tenant_id, t.scope::pg_catalog.text,
            t.expires_at, t.revoked_at
       FROM eventlog.api_tokens t WHERE t.id OPERATOR(pg_catalog.=) ANY ($1)";
    const WHAT: &'static str = "session or share link";
    type Context = ();

    fn read(row: &Row, (): ()) -> Result<Self, Failed> {
        let kind: String = row.try_get(2)?;
        let scope: Option<String> = row.try_get(5)?;
        Ok(Token {
            key_id: row.try_get(1)?,
            kind: TokenKind::named(&kind).ok_or("the token is of an unknown kind")?,
            secret_hash: row.try_get(3)?,
            tenant: row.try_get(4)?,
            scope: scope.map(|scope| serde_json::from_str(&scope)).transpose()?,
            expires_at: row.try_get(6)?,
            revoked_at: row.try_get(7)?,
        })
    }

    fn is_like(&self, other: &Self) -> bool {
        self.secret_hash == other.secret_hash
            && self.kind == other.kind
            && self.key_id == other.key_id
            && self.tenant == other.tenant
            && self.scope == other.scope
            && self.expires_at == other.expires_at
            && self.revoked_at == other.revoked_at
    }
}
