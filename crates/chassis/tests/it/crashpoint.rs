//! A fault point kills its own process, once per armed file.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use tollbooth_chassis::crashpoint;

const CHILD: &str = "TOLLBOOTH_CRASHPOINT_TEST_CHILD";

#[test]
fn an_armed_point_kills_the_process_exactly_once() {
    if std::env::var_os(CHILD).is_some() {
        crashpoint::hit("test.other");
        crashpoint::hit("test.here");
        std::process::exit(7);
    }
    // given an armed point
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("test.here"), "").unwrap();
    let run = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["crashpoint::an_armed_point_kills_the_process_exactly_once", "--exact"])
            .env(CHILD, "1")
            .env("TOLLBOOTH_CRASH_DIR", directory.path())
            .output()
            .unwrap()
            .status
    };
    // when a process passes it, twice
    let (first, second) = (run(), run());
    // then the first is killed and the second lives on; without the feature nothing happens at all
    let armed = cfg!(feature = "crash-points");
    assert_eq!(first.signal(), armed.then_some(libc::SIGKILL));
    assert_eq!(first.code(), (!armed).then_some(7));
    assert_eq!(second.code(), Some(7));
    assert_eq!(directory.path().join("test.here").exists(), !armed);
}
