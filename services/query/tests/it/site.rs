//! The dashboard's pages.

use std::path::Path;

use crate::query::Query;
use crate::stand::Stand;

async fn site(stand: &Stand, dir: &Path) -> Query {
    let mut config = stand.config();
    config.dashboard.dir = dir.to_owned();
    config.dashboard.embed_ancestors = vec!["https://customer.example".to_owned()];
    Query::begin(config, &stand.admin_key).await
}

fn header<'a>(response: &'a reqwest::Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_served_packed_secured_and_kept() {
    // given a folder with a page, an asset and its packed forms
    let stand = Stand::new().await;
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("assets")).unwrap();
    for (name, text) in [("index.html", "<html>page"), ("assets/app-1.js", "plain"), ("assets/app-1.js.br", "brotli")] {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    std::fs::write(dir.path().join("assets/app-1.js.gz"), "gzip").unwrap();
    let query = site(&stand, dir.path()).await;
    let plain = [("accept-encoding", "identity")];

    // when the application's own paths are asked for, then each gets the page, which may run nothing but our files
    for path in ["/", "/events/evt_gala/analytics?from=2026-11-01", "/sign-in"] {
        let page = query.raw(path, &plain).await;
        assert_eq!(
            (page.status().as_u16(), header(&page, "content-type")),
            (200, "text/html; charset=utf-8"),
            "{path}"
        );
        assert_eq!(header(&page, "cache-control"), "no-cache");
        let policy = header(&page, "content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
        assert!(policy.ends_with("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(
            (header(&page, "referrer-policy"), header(&page, "x-content-type-options")),
            ("no-referrer", "nosniff")
        );
        assert_eq!(page.text().await.unwrap(), "<html>page");
    }
    let embedded = query.raw("/embed/balance", &plain).await;
    assert!(header(&embedded, "content-security-policy").ends_with("frame-ancestors https://customer.example"));
    assert_eq!(header(&embedded, "x-frame-options"), "");

    // and an asset is sent as its asker can unpack it, once and for good
    for (accepted, encoding, body) in
        [("gzip, br", "br", "brotli"), ("br;q=0, gzip", "gzip", "gzip"), ("x", "", "plain")]
    {
        let asset = query.raw("/assets/app-1.js", &[("accept-encoding", accepted)]).await;
        assert_eq!((header(&asset, "content-encoding"), header(&asset, "vary")), (encoding, "Accept-Encoding"));
        assert_eq!(header(&asset, "content-type"), "text/javascript; charset=utf-8");
        assert_eq!(header(&asset, "cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(asset.bytes().await.unwrap(), body);
    }

    // and whoever has the page is told so
    let etag = header(&query.raw("/", &plain).await, "etag").to_owned();
    let again = query.raw("/", &[plain[0], ("if-none-match", &etag)]).await;
    assert_eq!((again.status().as_u16(), again.bytes().await.unwrap().len()), (304, 0));

    // and what is no file is a problem, not the page
    for path in ["/assets/gone.js", "/gone.png", "/.env", "/v1/nothing"] {
        let missing = query.raw(path, &plain).await;
        assert_eq!(
            (missing.status().as_u16(), header(&missing, "content-type")),
            (404, "application/problem+json"),
            "{path}"
        );
    }
    let posted = reqwest::Client::new().post(format!("{}/sign-in", query.url)).send().await.unwrap();
    assert_eq!(posted.status(), 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_build_the_page_says_how_to_make_one() {
    // given no such folder
    let stand = Stand::new().await;
    let dir = tempfile::tempdir().unwrap();
    let query = site(&stand, &dir.path().join("dist")).await;

    // when and then
    let page = query.raw("/events", &[]).await;
    assert_eq!((page.status().as_u16(), header(&page, "content-type")), (503, "text/html; charset=utf-8"));
    assert_eq!(header(&page, "cache-control"), "no-store");
    assert!(page.text().await.unwrap().contains("make web"));

    // and once there is one, it is served
    std::fs::create_dir(dir.path().join("dist")).unwrap();
    std::fs::write(dir.path().join("dist/index.html"), "<html>page").unwrap();
    assert_eq!(query.raw("/events", &[]).await.status(), 200);
}
