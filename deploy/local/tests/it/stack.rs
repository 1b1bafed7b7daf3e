//! `up`, `down`, `reset` and `status`, as far as they need no engine.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

fn local(command: &str, dir: &Path) -> Command {
    let mut local = Command::new(env!("CARGO_BIN_EXE_tollbooth-local"));
    local.arg(command).arg("--dir").arg(dir);
    local
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The folder of a stack, with something worth keeping in it.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("up.lock"), "").unwrap();
    fs::create_dir(dir.path().join("kafka")).unwrap();
    fs::write(dir.path().join("kafka/segment"), "kept").unwrap();
    dir
}

/// A process that has nothing to do with the folder; ended with the test.
struct Bystander(Child);

impl Bystander {
    fn new() -> Self {
        Self(Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap())
    }

    fn run_file(&self) -> String {
        format!(
            r#"{{"pid": {}, "start_ticks": 1, "started_at": 0, "ready": true, "addresses": [], "processes": [], "ended": []}}"#,
            self.0.id()
        )
    }

    fn is_alive(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn up_says_which_port_is_taken_and_what_to_set() {
    // given a program on query's port
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();

    for detach in [false, true] {
        // when
        let mut up = local("up", dir.path());
        for variable in [
            "TOLLBOOTH_INGEST__LISTEN",
            "TOLLBOOTH_INGEST__OPS_LISTEN",
            "TOLLBOOTH_METER__OPS_LISTEN",
            "TOLLBOOTH_METER__SINK_OPS_LISTEN",
            "TOLLBOOTH_INGEST__EFFECTS__OPS_LISTEN",
            "TOLLBOOTH_QUERY__OPS_LISTEN",
        ] {
            up.env(variable, "127.0.0.1:0");
        }
        if detach {
            up.arg("--detach");
        }
        let output = up.env("TOLLBOOTH_QUERY__LISTEN", &address).output().unwrap();

        // then it ends at once, having started nothing
        let said = text(&output);
        assert!(!output.status.success(), "{said}");
        assert!(said.contains(&address) && said.contains("TOLLBOOTH_QUERY__LISTEN="), "{said}");
        assert!(!dir.path().join("kafka").exists() && !dir.path().join("up.json").exists());
    }
}

#[test]
fn reset_refuses_while_the_folder_is_in_use_and_empties_it_afterwards() {
    // given a folder that a supervisor holds
    let dir = folder();
    let held = File::open(dir.path().join("up.lock")).unwrap();
    held.lock().unwrap();

    // when
    let refused = local("reset", dir.path()).output().unwrap();

    // then nothing is lost
    assert!(!refused.status.success());
    assert!(text(&refused).contains("make down"), "{}", text(&refused));
    assert_eq!(fs::read_to_string(dir.path().join("kafka/segment")).unwrap(), "kept");

    // and once it is free, it is emptied
    drop(held);
    let done = local("reset", dir.path()).output().unwrap();
    assert!(done.status.success(), "{}", text(&done));
    assert!(!dir.path().exists());
}

#[test]
fn reset_leaves_a_folder_alone_that_is_not_of_a_stack() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.txt"), "years of work").unwrap();
    let refused = local("reset", dir.path()).output().unwrap();
    assert!(!refused.status.success());
    assert!(dir.path().join("thesis.txt").exists());
}

#[test]
fn down_never_touches_a_process_that_got_the_id_of_a_supervisor_that_is_gone() {
    // given the run file of a supervisor that was killed, whose id has been given to another process
    let dir = folder();
    let mut bystander = Bystander::new();
    fs::write(dir.path().join("up.json"), bystander.run_file()).unwrap();

    // when
    let output = local("down", dir.path()).output().unwrap();

    // then
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("Nothing runs"), "{}", text(&output));
    assert!(bystander.is_alive());

    // and also not while somebody else holds the folder
    let held = File::open(dir.path().join("up.lock")).unwrap();
    held.lock().unwrap();
    let output = local("down", dir.path()).output().unwrap();
    assert!(!output.status.success(), "{}", text(&output));
    assert!(bystander.is_alive());
}

#[test]
fn a_second_up_in_the_same_folder_is_refused() {
    let dir = folder();
    let held = File::open(dir.path().join("up.lock")).unwrap();
    held.lock().unwrap();
    let output = local("up", dir.path()).output().unwrap();
    assert!(!output.status.success());
    assert!(text(&output).contains("is in use"), "{}", text(&output));
}

#[test]
fn status_says_that_nothing_runs_and_what_lies_there() {
    let dir = folder();
    let output = local("status", dir.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let said = text(&output);
    assert!(said.contains("Nothing runs") && said.contains("kafka") && said.contains("of at most 8.0 GiB"), "{said}");
}
