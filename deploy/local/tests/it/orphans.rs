//! Nothing is left behind when the process that started the engines is killed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tollbooth_local::is_free;

use crate::up::is_alive;

const DEADLINE: Duration = Duration::from_secs(10);

#[test]
fn the_engines_die_with_a_parent_that_is_killed() {
    // given a process that started both engines
    let dir = tempfile::tempdir().unwrap();
    let mut parent = Command::new(env!("CARGO_BIN_EXE_tollbooth-local"))
        .args(["engines", "--dir"])
        .arg(dir.path())
        .env_remove("KAFKA_BOOTSTRAP")
        .env_remove("CLICKHOUSE_URL")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let ports: Vec<u16> = BufReader::new(parent.stdout.take().unwrap())
        .lines()
        .take(2)
        .map(|line| line.unwrap().rsplit_once(':').unwrap().1.parse().unwrap())
        .collect();
    assert!(ports.iter().all(|&port| !is_free(port)));

    // when it is killed and can clean up nothing
    parent.kill().unwrap();
    parent.wait().unwrap();

    // then nothing listens any more
    let started = Instant::now();
    while !ports.iter().all(|&port| is_free(port)) {
        assert!(started.elapsed() < DEADLINE, "an engine outlived its parent: {ports:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_download_dies_with_a_parent_that_is_killed() {
    // given a fetch whose Maven takes for ever
    let dir = tempfile::tempdir().unwrap();
    let (maven, pid_file) = (dir.path().join("mvn"), dir.path().join("pid"));
    let script = format!("#!/bin/sh\necho $$ > {0}.new\nmv {0}.new {0}\nexec sleep 600\n", pid_file.display());
    fs::write(&maven, script).unwrap();
    fs::set_permissions(&maven, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", dir.path().display(), std::env::var("PATH").unwrap());
    let mut parent = Command::new(env!("CARGO_BIN_EXE_tollbooth-local"))
        .arg("fetch")
        .env("PATH", path)
        .env("TOLLBOOTH_CACHE_DIR", dir.path().join("cache"))
        .env_remove("KAFKA_BOOTSTRAP")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    let pid = loop {
        if let Ok(pid) = fs::read_to_string(&pid_file) {
            break pid.trim().parse().unwrap();
        }
        assert!(started.elapsed() < DEADLINE, "Maven was not started");
        thread::sleep(Duration::from_millis(20));
    };
    assert!(is_alive(pid));

    // when the fetch is killed
    parent.kill().unwrap();
    parent.wait().unwrap();

    // then nothing goes on writing into the folder that the next one fills
    let started = Instant::now();
    while is_alive(pid) {
        assert!(started.elapsed() < DEADLINE, "Maven outlived the fetch: {pid}");
        thread::sleep(Duration::from_millis(20));
    }
}
