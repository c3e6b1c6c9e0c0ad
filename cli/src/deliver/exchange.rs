//! One connection over HTTP/1.1: sends a request, receives the answer.
//!
//! The connection has no task of its own: it is driven by the request that uses it, which saves two
//! switches between tasks, and closes as soon as it is dropped.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::connect::Stream;

/// Largest head of an answer in bytes.
const MAX_HEAD: usize = 16 << 10;
/// Most lines of an answer's head.
const MAX_HEADERS: usize = 64;
/// Most bytes of an answer's body that are read, so that the connection can be used again.
const MAX_BODY: usize = 64 << 10;
/// Longest wait for an answer's body, which nobody reads.
const BODY_TIMEOUT: Duration = Duration::from_secs(1);

type Driver = http1::Connection<TokioIo<Box<dyn Stream>>, Full<Bytes>>;

/// A connection to a receiver.
pub(super) struct Connection {
    requests: SendRequest<Full<Bytes>>,
    /// None when the connection has ended.
    driver: Option<Box<Driver>>,
    pub(super) since: Instant,
}

impl Connection {
    /// Begins HTTP on a stream.
    pub(super) async fn begin(stream: Box<dyn Stream>) -> hyper::Result<Self> {
        let (requests, driver) = http1::Builder::new()
            .max_headers(MAX_HEADERS)
            .max_header_size(MAX_HEAD)
            .max_buf_size(MAX_HEAD)
            .handshake(TokioIo::new(stream))
            .await?;
        Ok(Self { requests, driver: Some(Box::new(driver)), since: Instant::now() })
    }

    /// Sends a request and returns the head of its answer.
    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> hyper::Result<Response<Incoming>> {
        let answer = self.requests.send_request(request);
        drive(&mut self.driver, answer).await
    }

    /// Reads the rest of an answer and drops it. Returns false if the connection cannot be used
    /// again: the body is too large, too slow or broken.
    pub(super) async fn drain(&mut self, mut body: Incoming) -> bool {
        if body.is_end_stream() {
            return true;
        }
        let drained = async {
            let mut read = 0;
            while let Some(frame) = drive(&mut self.driver, body.frame()).await {
                let Ok(frame) = frame else { return false };
                read += frame.data_ref().map_or(0, Bytes::len);
                if read > MAX_BODY {
                    return false;
                }
            }
            true
        };
        timeout(BODY_TIMEOUT, drained).await.unwrap_or(false)
    }

    /// Reads the rest of an answer, at most [`MAX_BODY`] bytes.
    pub(super) async fn read(&mut self, mut body: Incoming) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        while let Some(frame) = drive(&mut self.driver, body.frame()).await {
            let frame = frame.map_err(|_| "the answer breaks off".to_owned())?;
            bytes.extend(frame.data_ref().into_iter().flatten());
            if bytes.len() > MAX_BODY {
                return Err(format!("the answer has more than {MAX_BODY} bytes"));
            }
        }
        Ok(bytes)
    }

    /// Returns true if another request can be sent. Learns here what happened since the last one.
    pub(super) fn is_ready(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        poll_driver(&mut self.driver, &mut context);
        self.driver.is_some() && self.requests.is_ready()
    }
}

/// Runs a future of a connection, and the connection with it.
async fn drive<T>(driver: &mut Option<Box<Driver>>, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    poll_fn(|context| {
        poll_driver(driver, context);
        future.as_mut().poll(context)
    })
    .await
}

fn poll_driver(driver: &mut Option<Box<Driver>>, context: &mut Context<'_>) {
    let ended = match driver {
        Some(driver) => matches!(Pin::new(&mut **driver).poll(context), Poll::Ready(_)),
        None => false,
    };
    if ended {
        // Dropped now, so that what waits for it ends too.
        *driver = None;
    }
}
