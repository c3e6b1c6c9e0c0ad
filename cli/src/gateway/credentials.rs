//! What a request shows: a key or the token of a share link in a header, or the cookie of a session.
//!
//! A browser sends the cookie by itself, also for a page of another site that makes it ask. So the cookie
//! is good for reading only, and only if the request comes from a page of this gateway.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::problem::Problem;
use crate::api_key::ApiKey;
use crate::api_token::{ApiToken, TokenKind};

/// The name of the cookie.
const COOKIE: &str = "eventlog_session";
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

pub(crate) enum Credential {
    Key(ApiKey),
    /// Of a share link, or of a session's cookie.
    Token(ApiToken),
}

/// Reads `Authorization: Bearer el_…`, the same as the user of `Basic`, or `X-Api-Key: el_…`. `None`
/// without such a header; an error for anything but a key or the token of a share link, so that a cookie
/// never makes up for a wrong key.
pub(crate) fn of_header(headers: &HeaderMap) -> Option<Result<Credential, Problem>> {
    let credential = match headers.get(header::AUTHORIZATION) {
        Some(value) => value.to_str().ok().and_then(|value| {
            let (scheme, text) = value.split_once(' ')?;
            match scheme.eq_ignore_ascii_case("basic") {
                true => of_text(&user_of_basic(text.trim())?),
                false if scheme.eq_ignore_ascii_case("bearer") => of_text(text.trim()),
                false => None,
            }
        }),
        None => headers.get("x-api-key")?.to_str().ok().and_then(|text| of_text(text.trim())),
    };
    Some(credential.ok_or_else(Problem::unauthorized))
}

/// Reads a key, or the token of a share link.
pub(crate) fn of_text(text: &str) -> Option<Credential> {
    match ApiKey::parse(text) {
        Some(key) => Some(Credential::Key(key)),
        None => {
            let token = ApiToken::parse(text)?;
            (token.kind == TokenKind::Share).then_some(Credential::Token(token))
        }
    }
}

/// Returns the user of `base64(user:password)`; the password of a key is empty.
fn user_of_basic(text: &str) -> Option<String> {
    let decoded = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
    Some(decoded.strip_suffix(':')?.to_owned())
}

/// Returns true if a page of a browser made the request.
pub(crate) fn is_of_browser(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN) || headers.contains_key(SEC_FETCH_SITE)
}

/// Reads the cookie of a session. With several of that name, which a page of a neighbouring host may have
/// set, none counts.
pub(crate) fn of_cookie(headers: &HeaderMap) -> Option<ApiToken> {
    // Another cookie may have any bytes.
    let lines = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes);
    let pairs = lines.flat_map(|line| line.split(|byte| *byte == b';'));
    let pairs = pairs.filter_map(|pair| std::str::from_utf8(pair).ok()?.split_once('='));
    let mut own = pairs.filter(|(name, _)| name.trim() == COOKIE).map(|(_, value)| value.trim());
    let (first, second) = (own.next()?, own.next());
    let token = ApiToken::parse(first).filter(|token| token.kind == TokenKind::Session);
    token.filter(|_| second.is_none())
}

/// Refuses a request with the cookie that a page of another site, or of another host of the same site,
/// made the browser send. `reads` is true for requests that change nothing, which a person may also make
/// by typing the address.
pub(crate) fn refuse_other_sites(headers: &HeaderMap, reads: bool) -> Result<(), Problem> {
    let is_own = match headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes) {
        Some(b"same-origin") => true,
        Some(b"none") => reads,
        Some(_) => false,
        // Not a browser of the last years, or not over https. They send the origin of requests that change
        // something.
        None => headers.get(header::ORIGIN).is_none_or(|origin| is_of_host(origin, headers)),
    };
    match is_own {
        true => Ok(()),
        false => Err(Problem::forbidden(
            "a page of another site may not use the session of this browser: send a key",
        )),
    }
}

fn is_of_host(origin: &HeaderValue, headers: &HeaderMap) -> bool {
    let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|o| o.1);
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    authority.is_some() && authority == host
}

/// Writes the cookie of a session that lasts this many seconds; none to remove it.
pub(crate) fn set_cookie(headers: &HeaderMap, session: Option<(&ApiToken, u64)>) -> HeaderValue {
    let (value, seconds) = match session {
        Some((token, seconds)) => (token.text(), seconds),
        None => (String::new(), 0),
    };
    // A proxy in front of this gateway says whether the client came by https.
    let proto = headers.get(FORWARDED_PROTO).and_then(|proto| proto.to_str().ok());
    let first = proto.and_then(|proto| proto.split(',').next()).unwrap_or_default();
    let secure = if first.trim().eq_ignore_ascii_case("https") { "; Secure" } else { "" };
    let cookie =
        format!("{COOKIE}={value}; HttpOnly; SameSite=Strict; Path=/; Max-Age={seconds}{secure}");
    let mut cookie = HeaderValue::try_from(cookie).expect("tokens are plain");
    cookie.set_sensitive(true);
    cookie
}
