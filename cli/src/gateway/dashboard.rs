//! Serves the dashboard: the page, its style, its scripts and their libraries, all built into this program.
//! The files contain no data and need no key; the page reads its data with one.

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

/// All files of `cli/dashboard` and the libraries, which `build.rs` lists.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/dashboard_files.rs"));

/// The script that draws the charts is no module, and comes last.
const CHARTS: &str = "chart.js";

struct File {
    name: &'static str,
    kind: &'static str,
    content: Vec<u8>,
    tag: HeaderValue,
}

struct Dashboard {
    /// Names all files; part of their addresses, so that browsers can keep them until the next version.
    version: String,
    page: File,
    files: Vec<File>,
}

static DASHBOARD: LazyLock<Dashboard> = LazyLock::new(|| {
    let mut all = Sha256::new();
    for (name, content) in FILES {
        all.update(name);
        all.update(content);
    }
    let version = hex::encode(&all.finalize()[..8]);
    let content = |wanted: &str| FILES.iter().find(|(name, _)| *name == wanted).map(|file| file.1);
    let is_built = content("preact.js").is_some_and(|library| !library.is_empty());
    let source = content(if is_built { "index.html" } else { "not_built.html" });
    let page = String::from_utf8_lossy(source.expect("cli/dashboard has it"));
    // Modules are asked for at once, instead of when another one names them.
    let modules = FILES.iter().filter(|(name, _)| name.ends_with(".js") && *name != CHARTS);
    let preloads: Vec<String> = modules
        .map(|(name, _)| format!("<link rel=\"modulepreload\" href=\"/dashboard/{name}\">"))
        .collect();
    let page = page.replace("<!-- modules -->", &preloads.join("\n  "));
    let page = page.replace("\"/dashboard/", &format!("\"/dashboard/{version}/"));
    let page = File::new("index.html", page.into_bytes());
    let files = FILES.iter().map(|(name, content)| File::new(name, content.to_vec())).collect();
    Dashboard { version, page, files }
});

impl File {
    fn new(name: &'static str, content: Vec<u8>) -> Self {
        let kind = match name.rsplit('.').next() {
            Some("html") => "text/html; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => "application/octet-stream",
        };
        let digits = hex::encode(&Sha256::digest(&content)[..8]);
        // Weak, since the same file may be sent compressed or not.
        let tag = HeaderValue::try_from(format!("W/\"{digits}\"")).expect("it is plain");
        File { name, kind, content, tag }
    }
}

pub(crate) async fn page(headers: HeaderMap) -> Response {
    send(&DASHBOARD.page, &headers, false)
}

pub(crate) async fn file(
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    Ok(send(find(&name)?, &headers, false))
}

/// Answers with a file of a version. Of another version, which a page that is still open may ask for, it is
/// not kept.
pub(crate) async fn file_of_version(
    Path((version, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    Ok(send(find(&name)?, &headers, version == DASHBOARD.version))
}

fn find(name: &str) -> Result<&'static File, Problem> {
    let found = DASHBOARD.files.iter().find(|file| file.name == name);
    found.ok_or_else(|| Problem::not_found("not found"))
}

fn send(file: &'static File, headers: &HeaderMap, is_versioned: bool) -> Response {
    let caching = match is_versioned {
        true => "public, max-age=31536000, immutable",
        // Cached, but revalidated each time, since the next version may differ.
        false => "no-cache",
    };
    let common: [(HeaderName, HeaderValue); 4] = [
        (header::ETAG, file.tag.clone()),
        (header::CACHE_CONTROL, HeaderValue::from_static(caching)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    let known = headers.get_all(header::IF_NONE_MATCH).iter();
    let mut known = known.filter_map(|tags| tags.to_str().ok()).flat_map(|tags| tags.split(','));
    if known.any(|known| known.trim().as_bytes() == file.tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    (common, [(header::CONTENT_TYPE, file.kind)], file.content.as_slice()).into_response()
}
