//! Ending in order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tollbooth_chassis::ops::Health;
use tollbooth_chassis::shutdown::{Drain, Shutdown};

use crate::support::PATIENCE;

#[test]
fn a_thread_waits_until_it_is_told() {
    let shutdown = Shutdown::new();
    assert!(!shutdown.wait_blocking(Duration::from_millis(1)));
    let waiting = std::thread::spawn({
        let shutdown = shutdown.clone();
        move || shutdown.wait_blocking(PATIENCE)
    });
    shutdown.trigger("test");
    shutdown.trigger("a later reason");
    assert!(waiting.join().unwrap());
    assert!(shutdown.is_triggered());
    assert_eq!(shutdown.reason().as_deref(), Some("test"));
}

#[tokio::test]
async fn readiness_goes_first_then_the_steps_in_order() {
    // given two steps, one of them an OS thread
    let (shutdown, health) = (Shutdown::new(), Health::new());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let thread = std::thread::spawn({
        let shutdown = shutdown.clone();
        move || assert!(shutdown.wait_blocking(PATIENCE))
    });
    let drain = Drain::new(health.clone())
        .step("http", PATIENCE, {
            let (seen, health) = (Arc::clone(&seen), health.clone());
            async move { seen.lock().push(("http", health.readiness().is_ok())) }
        })
        .thread("worker", PATIENCE, thread)
        .step("producer", PATIENCE, {
            let seen = Arc::clone(&seen);
            async move { seen.lock().push(("producer", false)) }
        });
    assert!(health.readiness().is_ok());
    // when the end is asked for while the drain waits
    let draining = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { drain.run(&shutdown).await }
    });
    shutdown.trigger("test");
    // then it ends in time, and no step ran while the process was still ready
    assert!(draining.await.unwrap());
    assert_eq!(*seen.lock(), [("http", false), ("producer", false)]);
    assert!(health.liveness().is_ok());
}

#[tokio::test]
async fn a_stuck_step_is_left_behind_at_its_deadline() {
    let shutdown = Shutdown::new();
    shutdown.trigger("test");
    let reached = Arc::new(Mutex::new(false));
    let drain = Drain::new(Health::new()).step("stuck", Duration::from_millis(20), std::future::pending()).step(
        "after",
        PATIENCE,
        {
            let reached = Arc::clone(&reached);
            async move { *reached.lock() = true }
        },
    );
    let started = Instant::now();
    assert!(!drain.run(&shutdown).await);
    assert!(*reached.lock() && started.elapsed() < PATIENCE);
}
