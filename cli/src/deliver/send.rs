//! Sends one request of a webhook, and says what it came to.

use std::error::Error as _;
use std::io;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use tokio::time::timeout;

use super::address::Network;
use super::connect::{Connector, system_resolver};
use super::endpoint::{Endpoint, check_url};
use super::exchange::Connection;
use super::idle::Idle;
use super::signature::{Secret, signatures};

/// Longest wait that a receiver can ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("eventlog/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What one attempt came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// The receiver has it: 2xx.
    Delivered {
        /// The status of the answer.
        status: u16,
    },
    /// The receiver wants no more of this webhook: 410.
    Gone,
    /// The receiver did not take it: any other status. Redirects are not followed.
    Refused {
        /// The status of the answer.
        status: u16,
        /// How long the receiver asks to wait, at most a day.
        retry_after: Option<Duration>,
    },
    /// No answer came.
    Failed {
        /// What happened, without secrets, payload or path.
        reason: String,
    },
}

/// A message to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    /// The same for each attempt, so that receivers notice repetitions.
    pub(crate) id: &'a str,
    /// The time of this attempt, in seconds since 1970.
    pub(crate) timestamp: i64,
    /// JSON. Standard Webhooks advises to stay below 20 kB.
    pub(crate) body: &'a [u8],
}

/// How requests are sent.
#[derive(Clone, Debug)]
pub(crate) struct SenderOptions {
    /// Networks that may be reached although they are not public.
    pub(crate) allow_private: Vec<Network>,
    /// Longest time of one attempt: look-up, connection and answer together.
    pub(crate) time_limit: Duration,
}

impl Default for SenderOptions {
    fn default() -> Self {
        Self { allow_private: Vec::new(), time_limit: Duration::from_secs(15) }
    }
}

/// Sends messages, and keeps connections for the next ones.
pub(crate) struct Sender {
    options: SenderOptions,
    connector: Connector,
    idle: Idle,
}

impl Sender {
    /// Makes a sender. Needs a runtime of tokio.
    pub(crate) fn new(options: SenderOptions) -> Result<Self, String> {
        let connector = Connector::new(options.allow_private.clone(), system_resolver())?;
        Ok(Self::with_connector(options, connector))
    }

    pub(super) fn with_connector(options: SenderOptions, connector: Connector) -> Self {
        Self { options, connector, idle: Idle::new() }
    }

    /// Checks the URL of a webhook and takes it apart, once for many messages.
    pub(crate) fn endpoint(&self, url: &str) -> Result<Endpoint, String> {
        check_url(url, &self.options.allow_private)
    }

    /// Sends a message once, signed with each of the secrets.
    pub(crate) async fn send(
        &self,
        endpoint: &Endpoint,
        secrets: &[Secret],
        message: &Message<'_>,
    ) -> Outcome {
        let head = match head(endpoint, secrets, message) {
            Ok(head) => head,
            Err(reason) => return Outcome::Failed { reason },
        };
        let body = Bytes::copy_from_slice(message.body);
        let limit = self.options.time_limit;
        let (mut connection, answer) = match timeout(limit, self.ask(endpoint, &head, body)).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(reason)) => return Outcome::Failed { reason },
            Err(_) => {
                let reason = format!("no answer within {} s", limit.as_secs_f32());
                return Outcome::Failed { reason };
            }
        };
        let (answer, rest) = answer.into_parts();
        if connection.drain(rest).await {
            self.idle.put(&endpoint.origin, connection);
        }
        outcome(answer.status, &answer.headers)
    }

    /// Posts a body once, unsigned, and returns the status and the body of the answer.
    pub(crate) async fn post(
        &self,
        endpoint: &Endpoint,
        content_type: &'static str,
        body: &[u8],
    ) -> Result<(u16, Vec<u8>), String> {
        let mut head = HeaderMap::with_capacity(3);
        head.insert(HOST, endpoint.authority.clone());
        head.insert(USER_AGENT, AGENT);
        head.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        let limit = self.options.time_limit;
        let exchanged = async {
            let body = Bytes::copy_from_slice(body);
            let (mut connection, answer) = self.ask(endpoint, &head, body).await?;
            let status = answer.status().as_u16();
            Ok((status, connection.read(answer.into_body()).await?))
        };
        let late = || Err(format!("no answer within {} s", limit.as_secs_f32()));
        timeout(limit, exchanged).await.unwrap_or_else(|_| late())
    }

    /// Sends a request and returns the head of its answer. A connection that was kept may have been
    /// closed by the receiver in this very moment: then a new one is tried.
    async fn ask(
        &self,
        endpoint: &Endpoint,
        head: &HeaderMap,
        body: Bytes,
    ) -> Result<(Connection, Response<Incoming>), String> {
        if let Some(mut connection) = self.idle.take(&endpoint.origin) {
            match connection.send(request(endpoint, head, &body)).await {
                Ok(answer) => return Ok((connection, answer)),
                Err(error) if error.is_parse() => return Err(reason(&error)),
                Err(_) => {}
            }
        }
        let stream = self.connector.connect(endpoint).await?;
        let mut connection = Connection::begin(stream).await.map_err(|error| reason(&error))?;
        match connection.send(request(endpoint, head, &body)).await {
            Ok(answer) => Ok((connection, answer)),
            Err(error) => Err(reason(&error)),
        }
    }
}

fn head(
    endpoint: &Endpoint,
    secrets: &[Secret],
    message: &Message<'_>,
) -> Result<HeaderMap, String> {
    let Message { id, timestamp, body } = *message;
    let signature = signatures(secrets, id, timestamp, body);
    let value = |text: &str| {
        HeaderValue::from_str(text).map_err(|_| "the message's id cannot be sent".to_owned())
    };
    let mut head = HeaderMap::with_capacity(6);
    head.insert(HOST, endpoint.authority.clone());
    head.insert(USER_AGENT, AGENT);
    head.insert(CONTENT_TYPE, JSON);
    head.insert(ID, value(id)?);
    head.insert(TIMESTAMP, timestamp.into());
    head.insert(SIGNATURE, value(&signature)?);
    Ok(head)
}

fn request(endpoint: &Endpoint, head: &HeaderMap, body: &Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body.clone()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = endpoint.target.clone();
    *request.headers_mut() = head.clone();
    request
}

fn outcome(status: StatusCode, headers: &HeaderMap) -> Outcome {
    match status {
        StatusCode::GONE => Outcome::Gone,
        status if status.is_success() => Outcome::Delivered { status: status.as_u16() },
        status => {
            let retry_after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let retry_after = retry_after.and_then(|value| wait(value, SystemTime::now()));
            Outcome::Refused { status: status.as_u16(), retry_after }
        }
    }
}

/// Reads `Retry-After`: seconds or a date.
fn wait(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let wait = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        httpdate::parse_http_date(value).ok()?.duration_since(now).ok()?
    };
    (!wait.is_zero()).then(|| wait.min(LONGEST_RETRY_AFTER))
}

/// Returns why no answer came, in words of our own: a receiver's bytes stay out of it.
fn reason(error: &hyper::Error) -> String {
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    if error.is_parse_too_large() {
        "the head of the answer is too large".to_owned()
    } else if error.is_parse() {
        "the answer is not HTTP/1.1".to_owned()
    } else if let Some(io) = io {
        format!("the connection broke before an answer: {}", io.kind())
    } else {
        "the receiver closed the connection before an answer".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_read_as_seconds_or_as_a_date_and_is_at_most_a_day() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let day = Some(LONGEST_RETRY_AFTER);
        for (value, expected) in [
            ("120", Some(Duration::from_secs(120))),
            (" 7 ", Some(Duration::from_secs(7))),
            ("86401", day),
            ("99999999999999999999999", day),
            ("Tue, 14 Nov 2023 22:14:20 GMT", Some(Duration::from_secs(60))),
            ("Tuesday, 14-Nov-23 22:14:20 GMT", Some(Duration::from_secs(60))),
            ("Fri, 01 Jan 2100 00:00:00 GMT", day),
            ("Tue, 14 Nov 2023 22:13:20 GMT", None),
            ("Mon, 13 Nov 2023 22:13:20 GMT", None),
            ("0", None),
            ("", None),
            ("-5", None),
            ("+5", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(wait(value, now), expected, "{value:?}");
        }
    }
}
