//! What the processes show of themselves: documented, read by Prometheus' own checker, and nothing that a client sent.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use reqwest::Method;
use serde_json::json;
use tollbooth_chassis::metric_table::LABELS;
use tollbooth_tests::{Process, Stack, usage};

use crate::stage::{PATIENCE, alone, dead_letter, shared, write};

const DOCUMENT: &str = include_str!("../../../docs/metrics.md");
/// Stands in whatever the hostile client sends.
const MARK: &str = "hostilemark";
/// How many different ones another client sends.
const WORDS: usize = 100;
/// Of one metric of a process with eight partitions, buckets of histograms counted in.
const SERIES_MAX: usize = 700;

fn exposed(stack: &Stack, service: &Process) -> anyhow::Result<String> {
    stack.metrics_text(service).with_context(|| format!("{} shows no metrics", service.name()))
}

#[test]
fn no_label_carries_what_a_client_sent() -> anyhow::Result<()> {
    // given an account
    let stack = shared();
    let account = "acc_hostilemark";
    stack.api.open_account(account, Some("10.00"))?;
    let (ingest, query) = (stack.api.ingest_url().to_owned(), stack.api.query_url().to_owned());

    // when somebody puts a word of theirs into paths, methods, parameters, keys and every text of an event
    for url in [format!("{ingest}/v1/{MARK}"), format!("{query}/v1/{MARK}"), format!("{query}/{MARK}/x?{MARK}=1")] {
        stack.api.request(Method::from_bytes(b"HOSTILEMARK")?, &url, Some(MARK), &[(MARK, MARK)], None)?;
        stack.api.request(Method::GET, &url, None, &[], None)?;
    }
    stack.api.read(&format!("acc_{MARK}x/balance"))?;
    stack.api.read(&format!("{account}/usage?bucket={MARK}&from={MARK}&to={MARK}&group_by={MARK}"))?;
    stack.api.read(&format!("{account}/transactions?service={MARK}&engine={MARK}&q={MARK}&cursor={MARK}"))?;
    let texts = json!({
        "service": MARK, "engine": MARK, "variant": MARK, "unit": "image", "booth_id": "bth_hostilemark",
        "event_id": "evt_hostilemark", "error_code": MARK, "country": MARK, MARK: MARK,
    });
    let event = usage::with_data(usage::event(account, MARK), &texts);
    stack.api.send_one(None, event.to_string().as_bytes())?;
    let place = write(&stack, &stack.log.producer()?, account, usage::structured(&event))?;
    assert_eq!(dead_letter(&stack, &place)?.reason, "no_price");

    // then it stands in no metric of any process, though each was counted
    let mut unpriced = 0.0;
    for service in stack.services() {
        let text = exposed(&stack, service)?;
        let found = text.lines().find(|line| line.to_lowercase().contains(MARK));
        assert_eq!(found, None, "{}", service.name());
        unpriced += stack.metric(service, "tollbooth_rating_failures_total").unwrap_or_default();
    }
    assert!(unpriced >= 1.0);
    Ok(())
}

/// Series of each metric.
fn series(text: &str) -> BTreeMap<&str, usize> {
    let mut series = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        *series.entry(name).or_default() += 1;
    }
    series
}

#[test]
fn many_words_of_clients_make_no_series() -> anyhow::Result<()> {
    // given a stack that has answered each kind of request below once
    let stack = alone();
    let account = "acc_wordy";
    stack.api.open_account(account, Some("10.00"))?;
    let producer = stack.log.producer()?;
    let send = |word: &str| -> anyhow::Result<()> {
        for url in [format!("{}/v1/{word}", stack.api.ingest_url()), format!("{}/{word}", stack.api.query_url())] {
            stack.api.request(Method::GET, &url, None, &[("traceparent", word)], None)?;
        }
        stack.api.read(&format!("{account}/usage?bucket={word}&group_by={word}"))?;
        stack.api.read(&format!("acc_{word}/balance"))?;
        let texts = json!({ "service": word, "engine": word, "variant": word, "unit": "image", "error_code": word });
        let event = usage::with_data(usage::event(account, word), &texts);
        write(&stack, &producer, account, usage::structured(&event))?;
        let unknown = format!("acc_{word}");
        write(&stack, &producer, &unknown, usage::structured(&usage::event(&unknown, word)))?;
        Ok(())
    };
    let settle = || stack.wait_metered(PATIENCE);
    send("wordfirst")?;
    settle()?;
    let before: Vec<String> =
        stack.services().iter().map(|service| exposed(&stack, service)).collect::<Result<_, _>>()?;

    // when a hundred others come
    for number in 0..WORDS {
        send(&format!("word{number}"))?;
    }
    settle()?;

    // then no metric has grown by anything like it, each label is one that is known to be bounded, and none has many series
    for (service, before) in stack.services().into_iter().zip(&before) {
        let text = exposed(&stack, service)?;
        let known = series(before);
        for (name, count) in series(&text) {
            let grown = count - known.get(name).copied().unwrap_or_default().min(count);
            assert!(grown < WORDS / 4, "{}: {name} has {grown} series more", service.name());
            assert!(count <= SERIES_MAX, "{}: {name} has {count} series", service.name());
        }
        let labels = text.lines().filter(|line| !line.starts_with('#')).flat_map(|line| {
            let inside =
                line.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}')).map_or("", |(inside, _)| inside);
            inside.split("\",").filter_map(|pair| Some(pair.split_once('=')?.0.to_owned()))
        });
        let labels: BTreeSet<String> = labels.collect();
        let unknown: Vec<&String> = labels.iter().filter(|label| !is_bounded(label)).collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}", service.name());
    }
    Ok(())
}

/// Whether a label is one whose values the code, the configuration or a price book gives.
fn is_bounded(label: &str) -> bool {
    LABELS.contains(&label) || ["le", "type", "version"].contains(&label)
}

#[test]
fn what_is_exposed_is_documented_and_prometheus_reads_it() -> anyhow::Result<()> {
    // given every process, at work
    let stack = shared();
    let account = "acc_observed";
    stack.api.open_account(account, Some("10.00"))?;
    stack.api.send(&[usage::event(account, "op_observed")])?;

    for service in stack.services() {
        // when it is scraped
        let text = exposed(&stack, service)?;

        // then each name stands in the document
        let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
        let unknown: Vec<&str> = names.filter(|name| !DOCUMENT.contains(&format!("\n| `{name}` |"))).collect();
        assert!(unknown.is_empty(), "{}: docs/metrics.md has no {unknown:?}", service.name());
        // and promtool has nothing to say
        let mut promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("promtool is missing: deploy/local/setup.sh --tests")?;
        promtool.stdin.take().context("its input")?.write_all(text.as_bytes())?;
        let said = promtool.wait_with_output()?;
        assert!(said.status.success(), "{}: {}", service.name(), String::from_utf8_lossy(&said.stderr));
    }
    Ok(())
}
