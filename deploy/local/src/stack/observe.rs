//! The system's Prometheus beside the stack, with the rules of `deploy/prometheus` loaded.

use std::env;
use std::fs;
use std::net::{TcpListener, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};

use super::services::PROMETHEUS;
use super::settings::{Listeners, Settings};
use super::supervisor::Supervisor;
use crate::http;

/// Name and text of every rule file; what the machines of others need is left out.
const RULES: [(&str, &str); 4] = [
    ("money.rules.yml", include_str!("../../../prometheus/money.rules.yml")),
    ("pipeline.rules.yml", include_str!("../../../prometheus/pipeline.rules.yml")),
    ("query.rules.yml", include_str!("../../../prometheus/query.rules.yml")),
    ("infrastructure.rules.yml", include_str!("../../../prometheus/infrastructure.rules.yml")),
];
const JOBS: [&str; 5] = ["ingest", "meter", "query", "sink", "effects"];
const READY_TIMEOUT: Duration = Duration::from_secs(60);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// A trial needs no long memory.
const KEPT: [&str; 2] = ["--storage.tsdb.retention.time=7d", "--storage.tsdb.retention.size=512MB"];

/// Where it answers.
pub(crate) fn url(settings: &Settings) -> String {
    format!("http://{}", settings.prometheus_listen)
}

/// What can be said before anything is started.
pub(crate) fn check(settings: &Settings) -> anyhow::Result<()> {
    if system_program("prometheus").is_none() {
        bail!(
            "Prometheus is not installed, so nothing can be observed. Debian, Ubuntu: apt-get install \
             --no-install-recommends prometheus; or start without OBSERVE=1 (--observe)"
        );
    }
    let address = settings.prometheus_listen.as_str();
    let bound = address.to_socket_addrs().and_then(|all| TcpListener::bind(all.as_slice()));
    if let Err(reason) = bound {
        bail!(
            "{address} (Prometheus) is taken by another program, or cannot be listened on: {reason}. Debian's package \
             starts a service of its own there (systemctl disable --now prometheus); or choose another port: \
             TOLLBOOTH_LOCAL_PROMETHEUS_LISTEN=127.0.0.1:PORT make up OBSERVE=1"
        );
    }
    Ok(())
}

/// Starts it and waits until it is ready.
pub(crate) fn start(settings: &Settings, supervisor: &mut Supervisor) -> anyhow::Result<()> {
    let dir = settings.path("prometheus");
    let rules = dir.join("rules");
    write_rules(settings.prometheus_rules.as_deref(), &rules)?;
    let scrape_seconds = if settings.prometheus_rules.is_some() { 1 } else { 5 };
    let file = dir.join("prometheus.yml");
    fs::write(&file, configuration(supervisor.listeners(), &rules, scrape_seconds))
        .with_context(|| format!("write {}", file.display()))?;
    let mut arguments = vec![
        format!("--config.file={}", file.display()),
        format!("--storage.tsdb.path={}", dir.join("data").display()),
        format!("--web.listen-address={}", settings.prometheus_listen),
        "--log.level=warn".to_owned(),
    ];
    arguments.extend(KEPT.map(str::to_owned));
    supervisor.start(PROMETHEUS, &arguments, &std::collections::BTreeMap::new())?;
    let ready = format!("{}/-/ready", url(settings));
    supervisor.wait("Prometheus", READY_TIMEOUT, |_| {
        let answer = http::request("GET", &ready, &[], "", ANSWER_TIMEOUT);
        let is_ready = answer.is_ok_and(|answer| answer.status == 200);
        Ok(if is_ready { Ok(()) } else { Err("it does not answer yet".to_owned()) })
    })
}

/// The rules that were built in, or those of a folder: nothing of an earlier start stays.
fn write_rules(given: Option<&Path>, folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    let Some(given) = given else {
        for (name, text) in RULES {
            fs::write(folder.join(name), text).with_context(|| format!("write {name}"))?;
        }
        return Ok(());
    };
    for (name, _) in RULES {
        let from = given.join(name);
        fs::copy(&from, folder.join(name)).with_context(|| format!("copy {}", from.display()))?;
    }
    Ok(())
}

/// JSON is YAML, and needs no quoting of ours.
fn configuration(listeners: &Listeners, rules: &Path, scrape_seconds: u32) -> String {
    let interval = format!("{scrape_seconds}s");
    let job = |name: &str| {
        let target = listeners.url(&format!("{name} operations")).replace("http://", "");
        serde_json::json!({
            "job_name": format!("tollbooth-{name}"), "static_configs": [{ "targets": [target] }],
        })
    };
    let configuration = serde_json::json!({
        "global": { "scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval },
        "rule_files": [rules.join("*.rules.yml")],
        "scrape_configs": JOBS.map(job),
    });
    format!("{configuration:#}\n")
}

/// A program of the system, by `PATH`.
pub(crate) fn system_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_process_is_a_target_and_the_rules_are_loaded() {
        let listeners =
            Listeners::from(|variable| (variable == "TOLLBOOTH_QUERY__OPS_LISTEN").then(|| "0.0.0.0:7000".to_owned()));
        let text = configuration(&listeners, Path::new("/x/rules"), 5);
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        let targets: Vec<(&str, &str)> = parsed["scrape_configs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|job| (job["job_name"].as_str().unwrap(), job["static_configs"][0]["targets"][0].as_str().unwrap()))
            .collect();
        let expected = [
            ("tollbooth-ingest", "127.0.0.1:9110"),
            ("tollbooth-meter", "127.0.0.1:9111"),
            ("tollbooth-query", "127.0.0.1:7000"),
            ("tollbooth-sink", "127.0.0.1:9113"),
            ("tollbooth-effects", "127.0.0.1:9114"),
        ];
        assert_eq!(targets, expected);
        assert_eq!(parsed["rule_files"][0], "/x/rules/*.rules.yml");
    }

    #[test]
    fn rules_of_a_folder_take_the_place_of_those_built_in() {
        let parent = tempfile::tempdir().unwrap();
        let (given, folder) = (parent.path().join("given"), parent.path().join("rules"));
        write_rules(None, &folder).unwrap();
        assert!(fs::read_to_string(folder.join("money.rules.yml")).unwrap().contains("BalanceDrift"));
        fs::create_dir(&given).unwrap();
        for (name, _) in RULES {
            fs::write(given.join(name), "groups: []\n").unwrap();
        }
        write_rules(Some(&given), &folder).unwrap();
        assert_eq!(fs::read_to_string(folder.join("money.rules.yml")).unwrap(), "groups: []\n");
        assert!(write_rules(Some(&parent.path().join("none")), &folder).is_err());
    }

    #[test]
    fn a_program_is_found_where_a_shell_finds_it() {
        assert!(system_program("sh").is_some());
        assert_eq!(system_program("no-such-program-here"), None);
    }
}
