//! The operations listener.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use tollbooth_chassis::ops::{Health, router};
use tollbooth_chassis::shutdown::Shutdown;
use tollbooth_chassis::telemetry;
use tower::ServiceExt;

use crate::support::eventually;

async fn get(health: &Health, path: &str) -> (u16, String) {
    let registry = telemetry::registry("demo", "1.2.3").unwrap();
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = router(registry, health.clone()).oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn readiness_names_what_is_missing_and_why() {
    // given two conditions, one met
    let health = Health::new();
    health.component("kafka").ready();
    let restored = health.component("restored");
    restored.not_ready("partition 3 at 41 of 97");
    // then
    let (status, body) = get(&health, "/readyz").await;
    assert_eq!(status, 503);
    insta::assert_snapshot!(body, @r#"{"status":"failing","components":{"kafka":"ok","restored":"partition 3 at 41 of 97"}}"#);
    // when the other is met
    restored.ready();
    assert_eq!(get(&health, "/readyz").await.0, 200);
    assert!(get(&health, "/metrics").await.1.contains("\ntollbooth_ready 1\n"));
    // when something is away that the process can do without, then it says so and serves
    restored.degraded("no word for 12 s");
    let (status, body) = get(&health, "/readyz").await;
    assert_eq!(status, 200);
    insta::assert_snapshot!(body, @r#"{"status":"ok","components":{"kafka":"ok","restored":"degraded: no word for 12 s"}}"#);
    restored.ready();
    assert!(get(&health, "/readyz").await.1.contains(r#""restored":"ok""#));
    // when the process is about to end
    health.begin_shutdown();
    assert_eq!(get(&health, "/readyz").await.0, 503);
    assert!(get(&health, "/metrics").await.1.contains("\ntollbooth_ready 0\n"));
    assert_eq!(get(&health, "/livez").await.0, 200);
}

#[tokio::test]
async fn liveness_fails_for_what_only_a_restart_helps() {
    let health = Health::new();
    let worker = health.component("worker");
    worker.ready();
    assert_eq!(get(&health, "/livez").await.0, 200);
    // a missed heartbeat
    worker.expect_beats(Duration::from_millis(1));
    eventually("liveness notices silence", || !health.liveness().is_ok());
    worker.expect_beats(Duration::from_secs(60));
    assert!(health.liveness().is_ok());
    worker.end_beats();
    // a failure
    worker.failed("fatal producer error");
    let (status, body) = get(&health, "/livez").await;
    assert_eq!(status, 503);
    assert!(body.contains("fatal producer error"));
    assert_eq!(get(&health, "/readyz").await.0, 503);
}

#[test]
fn how_long_a_component_is_silent_can_be_asked_while_it_beats() {
    // given a component that has not begun to beat, and a name that nobody has
    let health = Health::new();
    let worker = health.component("worker");
    assert_eq!(worker.silent(), None);
    assert!(health.known("nobody").is_none());
    assert_eq!(health.readiness().components.len(), 1);

    // when it beats without a promise, then others see for how long it is silent, and liveness asks for nothing
    worker.beat();
    let seen = health.known("worker").unwrap();
    eventually("the silence grows", || seen.silent().is_some_and(|silent| silent > Duration::from_millis(2)));
    assert!(health.liveness().is_ok());

    // and not any more once it has ended
    worker.end_beats();
    assert_eq!(seen.silent(), None);
}

#[test]
fn a_failure_ends_the_process_where_it_was_asked_to() {
    let (health, shutdown) = (Health::new(), Shutdown::new());
    // given a component that was made before, and one that failed before
    let worker = health.component("worker");
    health.component("early").failed("too early to be heard");
    health.end_on_failure(shutdown.clone());
    worker.not_ready("busy");
    assert!(!shutdown.is_triggered());
    // when it fails, then the end is asked for and liveness says why the status must not be 0
    worker.failed("the offsets are gone");
    assert_eq!(shutdown.reason().as_deref(), Some("the offsets are gone"));
    assert!(!health.liveness().is_ok());
}

#[tokio::test]
async fn metrics_say_what_is_running() {
    let (status, body) = get(&Health::new(), "/metrics").await;
    assert_eq!(status, 200);
    assert!(body.contains(r#"tollbooth_build_info{service="demo",version="1.2.3"} 1"#), "{body}");
    assert!(body.contains("process_resident_memory_bytes"), "{body}");
    // this test's runtime has one thread, and runs nothing beside the test itself
    assert!(body.contains("tollbooth_tokio_workers 1\n"), "{body}");
    for name in ["tollbooth_tokio_alive_tasks", "tollbooth_tokio_global_queue_depth"] {
        assert!(body.lines().any(|line| line.starts_with(name)), "{name} is not in {body}");
    }
}
