//! A fault point kills or stops its own process, once per armed file.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tollbooth_chassis::crashpoint;

const CHILD: &str = "TOLLBOOTH_CRASHPOINT_TEST_CHILD";

#[test]
fn an_armed_point_kills_the_process_exactly_once() {
    if std::env::var_os(CHILD).is_some() {
        crashpoint::hit("test.other");
        let armed = crashpoint::armed("test.here");
        crashpoint::hit("test.here");
        // A point that was armed and passed was armed to stop.
        std::process::exit(if armed { 8 } else { 7 });
    }
    // given an armed point
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("test.here"), "").unwrap();
    let run = || child(directory.path()).output().unwrap().status;
    // when a process passes it, twice
    let (first, second) = (run(), run());
    // then the first is killed and the second lives on; without the feature nothing happens at all
    let armed = cfg!(feature = "crash-points");
    assert_eq!(first.signal(), armed.then_some(libc::SIGKILL));
    assert_eq!(first.code(), (!armed).then_some(7));
    assert_eq!(second.code(), Some(7));
    assert_eq!(directory.path().join("test.here").exists(), !armed);
}

/// The test above as a process that passes the points.
fn child(directory: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["crashpoint::an_armed_point_kills_the_process_exactly_once", "--exact"])
        .env(CHILD, "1")
        .env("TOLLBOOTH_CRASH_DIR", directory);
    command
}

#[test]
fn a_point_armed_to_stop_lets_the_process_go_on() {
    // given a point that is armed to stop
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("test.here"), "stop").unwrap();
    // when a process passes it
    let mut process = child(directory.path()).spawn().unwrap();
    let mut status = None;
    if cfg!(feature = "crash-points") {
        // then it stands still, there and nowhere else
        let deadline = Instant::now() + Duration::from_secs(30);
        while !is_stopped(process.id()) {
            assert!(Instant::now() < deadline, "it did not stop");
            status = process.try_wait().unwrap();
            assert_eq!(status, None, "it ended");
            std::thread::yield_now();
        }
        assert!(directory.path().join(format!("test.here.fired.{}", process.id())).exists());
        // and goes on when it is told to
        Command::new("kill").args(["-CONT", &process.id().to_string()]).status().unwrap();
    }
    let status = status.unwrap_or_else(|| process.wait().unwrap());
    assert_eq!(status.code(), Some(if cfg!(feature = "crash-points") { 8 } else { 7 }));
}

/// State `T` of `/proc/<pid>/stat`, behind the name in parentheses.
fn is_stopped(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}
