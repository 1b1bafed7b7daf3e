//! Values that stand in files.

use std::collections::BTreeMap;
use std::fs;

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::{ClickHouseSection, ConfigArgs, ConfigError, KafkaSection, Secret, ServiceConfig, Shared, load_from};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Demo {
    admin_key: Secret,
    kafka: KafkaSection,
    clickhouse: ClickHouseSection,
}

impl ServiceConfig for Demo {
    const SERVICE: &'static str = "demo";
    const SHARED: &'static [Shared] = &[Shared::Kafka, Shared::ClickHouse, Shared::AdminKey];
}

fn load(environment: &[(&str, &str)], set: &[&str]) -> Result<Demo, ConfigError> {
    let args = ConfigArgs { set: set.iter().map(ToString::to_string).collect(), ..ConfigArgs::default() };
    load_from(&args, environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

fn file(folder: &TempDir, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_secret_is_read_from_the_file_that_a_variable_names() {
    // given files as `echo`, an editor on another system and a secret store write them
    let folder = tempfile::tempdir().unwrap();
    let password = file(&folder, "clickhouse", "with \u{fc} and = \n");
    let key = file(&folder, "key", "tb_ak_live_x\r\n");
    let sasl = file(&folder, "sasl", "two\n\n");
    // when shared variables and the service's own name them
    let config = load(
        &[
            ("CLICKHOUSE_PASSWORD_FILE", &password),
            ("TOLLBOOTH_ADMIN_KEY_FILE", &key),
            ("TOLLBOOTH_DEMO__KAFKA__SETTINGS__SASL_PASSWORD_FILE", &sasl),
        ],
        &[],
    )
    .unwrap();
    // then one line end is taken off and nothing else
    assert_eq!(config.clickhouse.password.expose(), "with \u{fc} and = ");
    assert_eq!(config.admin_key.expose(), "tb_ak_live_x");
    assert_eq!(config.kafka.settings, BTreeMap::from([("sasl_password".to_owned(), "two\n".to_owned())]));
}

#[test]
fn a_flag_is_stronger_than_a_file_and_a_file_than_a_shared_one() {
    let folder = tempfile::tempdir().unwrap();
    let (own, shared) = (file(&folder, "own", "own"), file(&folder, "shared", "shared"));
    let environment =
        [("CLICKHOUSE_PASSWORD_FILE", shared.as_str()), ("TOLLBOOTH_DEMO__CLICKHOUSE__PASSWORD_FILE", own.as_str())];
    assert_eq!(load(&environment, &[]).unwrap().clickhouse.password.expose(), "own");
    let flagged = load(&environment, &["clickhouse.password=flag"]).unwrap();
    assert_eq!(flagged.clickhouse.password.expose(), "flag");
}

#[test]
fn a_file_that_cannot_be_the_value_is_told_with_variable_and_path_but_never_its_content() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent").to_str().unwrap().to_owned();
    let binary = file(&folder, "binary", [0xff, 0xfe, b's', b'e', b'c', b'r', b'e', b't']);
    let long = file(&folder, "long", "secret".repeat(11_000));
    for path in [absent, binary, long] {
        let error = load(&[("TOLLBOOTH_ADMIN_KEY_FILE", &path)], &[]).unwrap_err();
        assert!(matches!(error, ConfigError::ValueFile { .. }), "{error}");
        let error = error.to_string();
        assert!(error.contains("TOLLBOOTH_ADMIN_KEY_FILE") && error.contains(&path), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn a_variable_and_its_file_at_once_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "a", "a");
    for variable in ["CLICKHOUSE_PASSWORD", "TOLLBOOTH_DEMO__ADMIN_KEY"] {
        let error = load(&[(variable, "b"), (&format!("{variable}_FILE"), &path)], &[]).unwrap_err().to_string();
        assert_eq!(error, format!("{variable} and {variable}_FILE are both set: leave one of them out"));
    }
}

#[test]
fn no_key_of_the_shared_sections_could_be_taken_for_a_file() {
    let printed = super::render(&Demo::default()).unwrap();
    assert!(printed.contains("ca_location = "), "{printed}");
    assert!(!printed.contains("_file = "), "{printed}");
}

#[test]
fn a_property_that_a_promise_hangs_on_is_refused_with_the_reason() {
    let refused = [
        ("ACKS", "1", "a 2xx promises that every in-sync replica has the record"),
        ("REQUEST_REQUIRED_ACKS", "0", "a 2xx promises"),
        ("ENABLE_IDEMPOTENCE", "false", "writes a record twice"),
        ("ISOLATION_LEVEL", "read_uncommitted", "an aborted transaction"),
        ("AUTO_OFFSET_RESET", "latest", "never jumped over"),
        ("BOOTSTRAP_SERVERS", "a:1", "kafka.bootstrap"),
    ];
    for (property, value, reason) in refused {
        let variable = format!("TOLLBOOTH_DEMO__KAFKA__SETTINGS__{property}");
        let error = load(&[(&variable, value)], &[]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("kafka.settings.{}: ", property.to_lowercase())), "{error}");
        assert!(
            error.contains(reason) && error.ends_with(&format!("(from environment variable {variable})")),
            "{error}"
        );
    }
    // With the dots of librdkafka as well, as a file or a flag may write them.
    let dotted = toml::from_str::<KafkaSection>("settings = {\"enable.auto.commit\" = \"true\"}");
    assert!(dotted.unwrap_err().to_string().contains("offsets are committed with what was made of the records"));
    let allowed = [("TOLLBOOTH_DEMO__KAFKA__SETTINGS__SECURITY_PROTOCOL", "SASL_SSL")];
    assert_eq!(load(&allowed, &[]).unwrap().kafka.settings["security_protocol"], "SASL_SSL");
}
