//! Defaults < file < environment < flags, and every mistake names its place.

use std::io::Write;

use serde::{Deserialize, Serialize};
use tollbooth_chassis::config::{
    self, ClickHouseSection, ConfigArgs, ConfigError, KafkaSection, Secret, ServiceConfig, Shared,
};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    #[default]
    Live,
    DryRun,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Http {
    listen: String,
    body_bytes_max: u64,
    fast: bool,
    mode: Mode,
    origins: Vec<String>,
    note: Option<String>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            body_bytes_max: 1,
            fast: false,
            mode: Mode::Live,
            origins: vec![],
            note: None,
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Demo {
    admin_key: Secret,
    http: Http,
    kafka: KafkaSection,
    clickhouse: ClickHouseSection,
}

impl ServiceConfig for Demo {
    const SERVICE: &'static str = "ingest";
    const SHARED: &'static [Shared] = &[Shared::Kafka, Shared::ClickHouse, Shared::AdminKey];
}

fn load(file: Option<&str>, environment: &[(&str, &str)], set: &[&str]) -> Result<Demo, ConfigError> {
    let mut on_disk = tempfile::NamedTempFile::new().unwrap();
    on_disk.write_all(file.unwrap_or_default().as_bytes()).unwrap();
    let args = ConfigArgs {
        config: file.map(|_| on_disk.path().to_path_buf()),
        set: set.iter().map(ToString::to_string).collect(),
        check_config: false,
    };
    config::load_from(&args, environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
}

#[test]
fn nothing_given_means_defaults() {
    assert_eq!(load(None, &[], &[]).unwrap(), Demo::default());
}

#[test]
fn a_stronger_source_wins_key_by_key() {
    // given a file that sets three keys
    let file = "[http]\nlisten = 'file:1'\nbody_bytes_max = 2\nfast = true\n[kafka]\nbootstrap = 'file:9092'\n";
    // when the environment sets two of them and a flag one
    let environment = [
        ("KAFKA_BOOTSTRAP", "shared:9092"),
        ("TOLLBOOTH_INGEST__HTTP__LISTEN", "env:1"),
        ("TOLLBOOTH_INGEST__HTTP__BODY_BYTES_MAX", "3"),
    ];
    let demo = load(Some(file), &environment, &["http.body_bytes_max=4"]).unwrap();
    // then each key has the value of its strongest source
    assert_eq!((demo.http.listen.as_str(), demo.http.body_bytes_max, demo.http.fast), ("env:1", 4, true));
    assert_eq!(demo.kafka.bootstrap, "shared:9092");
}

#[test]
fn the_services_own_variable_beats_the_shared_one() {
    let environment = [("KAFKA_BOOTSTRAP", "shared:1"), ("TOLLBOOTH_INGEST__KAFKA__BOOTSTRAP", "own:1")];
    assert_eq!(load(None, &environment, &[]).unwrap().kafka.bootstrap, "own:1");
}

#[test]
fn text_becomes_what_the_field_asks_for() {
    let set =
        ["http.fast=true", "http.mode=dry_run", "http.origins=a, b", "http.note=7", "kafka.settings.sasl_password=p"];
    let demo = load(None, &[("TOLLBOOTH_ADMIN_KEY", "12345")], &set).unwrap();
    assert!(demo.http.fast);
    assert_eq!(demo.http.mode, Mode::DryRun);
    assert_eq!(demo.http.origins, ["a", "b"]);
    assert_eq!(demo.http.note.as_deref(), Some("7"));
    assert_eq!(demo.admin_key.expose(), "12345");
    assert_eq!(demo.kafka.settings["sasl_password"], "p");
}

#[test]
fn variables_of_others_are_left_alone() {
    let others = [
        ("TOLLBOOTH_INGEST_URL", "http://x"),
        ("TOLLBOOTH_METER__BATCH__RECORDS", "7"),
        ("TOLLBOOTH_LOG", "debug"),
        ("TOLLBOOTH_BOOTH_KEY", "k"),
    ];
    assert_eq!(load(None, &others, &[]).unwrap(), Demo::default());
}

/// File, environment, flags, and what the message must hold.
type Case =
    (Option<&'static str>, &'static [(&'static str, &'static str)], &'static [&'static str], &'static [&'static str]);

#[test]
fn every_mistake_names_key_and_origin() {
    let cases: [Case; 9] = [
        (
            None,
            &[("TOLLBOOTH_INGEST__HTTP__LISTN", "x")],
            &[],
            &["http.listn", "unknown", "TOLLBOOTH_INGEST__HTTP__LISTN"],
        ),
        (None, &[("TOLLBOOTH_INGEST__NOPE__DEEP", "x")], &[], &["nope", "unknown", "TOLLBOOTH_INGEST__NOPE__DEEP"]),
        (Some("[http]\nlistn = 'x'"), &[], &[], &["http.listn", "unknown", "file "]),
        (Some("[http]\nbody_bytes_max = 'many'"), &[], &[], &["http.body_bytes_max", "file "]),
        (None, &[], &["http.body_bytes_max=many"], &["http.body_bytes_max", "whole number", "--set"]),
        (None, &[], &["http.body_bytes_max=-1"], &["http.body_bytes_max", "whole number", "--set"]),
        (None, &[], &["http.mode=fast"], &["http.mode", "fast", "--set"]),
        (None, &[], &["http=x"], &["http", "--set"]),
        (None, &[], &["http.listen.x=1", "http.listen=2", "http.listen.y=1"], &["http.listen", "--set"]),
    ];
    for (file, environment, set, expected) in cases {
        let message = load(file, environment, set).unwrap_err().to_string();
        for part in expected {
            assert!(message.contains(part), "{message:?} lacks {part:?}");
        }
    }
}

#[test]
fn a_bad_value_is_not_repeated() {
    // The value may be a secret that was put under the wrong key.
    let message = load(None, &[], &["http.body_bytes_max=hunter2"]).unwrap_err().to_string();
    assert!(!message.contains("hunter2"), "{message}");
}

#[test]
fn secrets_do_not_print() {
    let set = ["kafka.settings.sasl_password=hunter2", "kafka.settings.security_protocol=sasl_plaintext"];
    let environment = [("TOLLBOOTH_ADMIN_KEY", "hunter2"), ("CLICKHOUSE_PASSWORD", "hunter2")];
    let demo = load(None, &environment, &set).unwrap();
    let text = config::render(&demo).unwrap();
    assert!(!text.contains("hunter2") && !format!("{:?}", demo.admin_key).contains("hunter2"), "{text}");
    assert_eq!(text.matches("[hidden]").count(), 3, "{text}");
    assert!(text.contains("sasl_plaintext"), "{text}");
}

#[test]
fn what_is_printed_can_be_loaded_again() {
    let text = config::render(&Demo::default()).unwrap();
    assert_eq!(load(Some(&text), &[], &[]).unwrap(), Demo::default());
}
