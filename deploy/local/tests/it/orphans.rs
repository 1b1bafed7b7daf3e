//! Nothing is left behind when the process that started the engines is killed.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tollbooth_local::is_free;

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
