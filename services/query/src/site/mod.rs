//! The dashboard's pages: files that `services/query/web` was built into.
//!
//! Names below `/assets/` carry a hash of what they hold, so that browsers keep them for good; everything else is asked
//! for again. Every path that is no file is the application's own and gets its page. Beside a file may lie the same one
//! packed, `.br` and `.gz`.

mod encoding;

use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tollbooth_chassis::problem::Problem;

use crate::conditional;
use crate::config::DashboardSection;
use encoding::Encoding;

const PAGE: &str = "index.html";
/// A hashed asset is this large at most; a larger file is not one of ours.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
const PATH_BYTES_MAX: usize = 512;
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const ASKED_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");
const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>tollbooth</title></head>\
    <body><h1>The dashboard is not built</h1><p>The API is up. To build its pages, with Node 20 or later:</p>\
    <pre>make web</pre><p>or, in <code>services/query/web</code>: <code>npm ci &amp;&amp; npm run build</code>. They are read \
    from <code>dashboard.dir</code> (<code>TOLLBOOTH_QUERY__DASHBOARD__DIR</code>), by default \
    <code>services/query/web/dist</code> below the working directory; no restart is needed.</p>\
    <p>Until then: <a href=\"/docs\">the reference of the API</a>.</p></body></html>";

/// Serves the files.
#[derive(Debug)]
pub struct Site {
    dir: PathBuf,
    policy: HeaderValue,
    /// For what may stand in a frame.
    embed_policy: HeaderValue,
}

/// What a browser may load and run: ours alone, no script or style within the page.
fn policy(ancestors: &str) -> Result<HeaderValue, Problem> {
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
         connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors {ancestors}"
    );
    HeaderValue::try_from(policy).map_err(Problem::internal)
}

impl Site {
    /// # Errors
    /// Where the setting's sources are none; the configuration was checked for that.
    pub fn new(settings: &DashboardSection) -> Result<Self, Problem> {
        let ancestors = settings.embed_ancestors.join(" ");
        let ancestors = if ancestors.is_empty() { "'none'" } else { &ancestors };
        Ok(Self { dir: settings.dir.clone(), policy: policy("'none'")?, embed_policy: policy(ancestors)? })
    }

    /// The answer to a `GET` of a path.
    ///
    /// # Errors
    /// 404 for what looks like a file and is none.
    pub async fn answer(&self, path: &str, headers: &HeaderMap) -> Result<Response, Problem> {
        let mut response = match file_name(path) {
            Some(name) if is_file_name(&name) => self.file(&name, headers).await?,
            Some(_) => self.page(headers).await?,
            None => return Err(Problem::not_found("no such page")),
        };
        self.secure(path, response.headers_mut());
        Ok(response)
    }

    async fn file(&self, name: &str, headers: &HeaderMap) -> Result<Response, Problem> {
        let cache_control = if name.starts_with("assets/") { IMMUTABLE } else { ASKED_AGAIN };
        let found = self.read(name, headers, cache_control).await;
        found.ok_or_else(|| Problem::not_found("no such file"))
    }

    async fn page(&self, headers: &HeaderMap) -> Result<Response, Problem> {
        if let Some(response) = self.read(PAGE, headers, ASKED_AGAIN).await {
            return Ok(response);
        }
        let head = [
            (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        Ok((StatusCode::SERVICE_UNAVAILABLE, head, NOT_BUILT).into_response())
    }

    /// A file, packed as its asker can unpack it; 304 where the asker has it.
    async fn read(&self, name: &str, headers: &HeaderMap, cache_control: HeaderValue) -> Option<Response> {
        let path = self.dir.join(name);
        let accepted = Encoding::accepted(headers);
        let mut found = None;
        for encoding in accepted {
            if let Some(bytes) = read_file(&encoding.path(&path)).await {
                found = Some((encoding, bytes));
                break;
            }
        }
        let (encoding, bytes) = found?;
        let etag = conditional::etag(&bytes);
        let is_known = conditional::is_known(headers, &etag);
        let body = if is_known { Body::empty() } else { Body::from(bytes) };
        let mut response = Response::new(body);
        let head = response.headers_mut();
        head.insert(header::CACHE_CONTROL, cache_control);
        head.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        head.insert(header::ETAG, etag);
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return Some(response);
        }
        head.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(name)));
        if let Some(code) = encoding.code() {
            head.insert(header::CONTENT_ENCODING, HeaderValue::from_static(code));
        }
        Some(response)
    }

    fn secure(&self, path: &str, head: &mut HeaderMap) {
        let may_be_framed = path.starts_with("/embed/");
        let policy = if may_be_framed { &self.embed_policy } else { &self.policy };
        head.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
        head.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        head.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        head.insert("permissions-policy", HeaderValue::from_static("camera=(), geolocation=(), microphone=()"));
        if !may_be_framed {
            // For browsers that do not know `frame-ancestors`.
            head.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
            head.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
        }
    }
}

/// The name below the folder that a path asks for. Only plain names pass: nothing leads out of the folder, and nothing
/// hidden is in reach.
fn file_name(path: &str) -> Option<String> {
    let name = path.strip_prefix('/')?;
    let is_plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-~".contains(&byte))
    };
    let name = name.strip_suffix('/').unwrap_or(name);
    let is_name = path.len() <= PATH_BYTES_MAX && (name.is_empty() || name.split('/').all(is_plain));
    is_name.then(|| name.to_owned())
}

/// Whether a name is meant to be a file: a page of the application has no extension.
fn is_file_name(name: &str) -> bool {
    name.starts_with("assets/") || name.rsplit('/').next().is_some_and(|last| last.contains('.'))
}

async fn read_file(path: &Path) -> Option<Vec<u8>> {
    let found = tokio::fs::metadata(path).await.ok()?;
    if !found.is_file() || found.len() > FILE_BYTES_MAX {
        return None;
    }
    tokio::fs::read(path).await.ok()
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_out_of_the_folder() {
        for path in
            ["/../secret", "/assets/../../x", "/.env", "/assets/.hidden", "/a//b", "/a\\b", "/%2e%2e/x", "x", "/a b"]
        {
            assert_eq!(file_name(path), None, "{path}");
        }
        assert_eq!(file_name(&format!("/{}", "x".repeat(PATH_BYTES_MAX))), None);
        for (path, name) in [("/", ""), ("/events/evt_gala/", "events/evt_gala"), ("/assets/a-1.js", "assets/a-1.js")] {
            assert_eq!(file_name(path).as_deref(), Some(name));
        }
    }

    #[test]
    fn a_path_with_an_extension_is_a_file_and_any_other_the_application() {
        for (name, is_file) in [("favicon.svg", true), ("assets/x", true), ("events/evt_gala", false), ("", false)] {
            assert_eq!(is_file_name(name), is_file, "{name}");
        }
    }
}
