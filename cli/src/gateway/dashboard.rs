//! Serves the dashboard: the page, its style, its scripts and the chart library, all built into this
//! program. The files contain no data and need no key; the page reads its data with one.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::problem::Problem;
use crate::hex;

/// Allows only this gateway's files and answers: no inline script or style, no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! file {
    ($name:literal, $kind:expr) => {
        File {
            name: $name,
            kind: $kind,
            content: include_bytes!(concat!("../../dashboard/", $name)),
        }
    };
}

struct File {
    name: &'static str,
    kind: &'static str,
    content: &'static [u8],
}

/// The files; the first is the page.
static FILES: &[File] = &[
    file!("index.html", HTML),
    file!("style.css", CSS),
    file!("icon.svg", SVG),
    file!("api.js", SCRIPT),
    file!("app.js", SCRIPT),
    file!("charts.js", SCRIPT),
    file!("dom.js", SCRIPT),
    file!("format.js", SCRIPT),
    file!("funnel.js", SCRIPT),
    file!("keys.js", SCRIPT),
    file!("live.js", SCRIPT),
    file!("panels.js", SCRIPT),
    file!("ranges.js", SCRIPT),
    file!("theme.js", SCRIPT),
    // From the package chart.js; empty if the program was built without it, which the page then says.
    File {
        name: "chart.js",
        kind: SCRIPT,
        content: include_bytes!(concat!(env!("OUT_DIR"), "/chart.js")),
    },
];

/// The ETag of each file.
static TAGS: LazyLock<Vec<HeaderValue>> = LazyLock::new(|| {
    let tag = |file: &File| {
        let hash = Sha256::digest(file.content);
        let digits = hex::encode(&hash[..8]);
        // Weak, since the same file may be sent compressed or not.
        HeaderValue::try_from(format!("W/\"{digits}\"")).expect("it is plain")
    };
    FILES.iter().map(tag).collect()
});

pub(crate) async fn page(headers: HeaderMap) -> Response {
    send(0, &headers)
}

pub(crate) async fn file(
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    match FILES.iter().position(|file| file.name == name) {
        Some(position) => Ok(send(position, &headers)),
        None => Err(Problem::not_found("not found")),
    }
}

fn send(position: usize, headers: &HeaderMap) -> Response {
    let (file, tag) = (&FILES[position], &TAGS[position]);
    let common: [(HeaderName, HeaderValue); 4] = [
        (header::ETAG, tag.clone()),
        // Cached, but revalidated each time, since the next version may differ.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    let known = headers.get_all(header::IF_NONE_MATCH).iter();
    let mut known = known.filter_map(|tags| tags.to_str().ok()).flat_map(|tags| tags.split(','));
    if known.any(|known| known.trim().as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    (common, [(header::CONTENT_TYPE, file.kind)], file.content).into_response()
}
