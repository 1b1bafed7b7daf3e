//! The built dashboard in a real Chromium: what its first load takes, and whether it stays smooth while rows arrive.
//!
//! The measuring itself is `services/query/web/bench`, which drives the browser; this starts the stack and makes the account.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};

use crate::{
    feed::{self, Feed},
    load::Connection,
    report::Report,
    stack::{Bench, Space},
};

const WEB: &str = "services/query/web";
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// Charges that the account has before the first page is opened.
const HISTORY: usize = 5_000;
const LANDED_WAIT: Duration = Duration::from_secs(120);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
const LIVE_RATE: f64 = 200.0;
/// Below this share of the rate it was not held.
const HELD_SHARE_MIN: f64 = 0.97;

pub(crate) async fn run(bench: &Bench, report: &mut Report, runs: u32) -> anyhow::Result<()> {
    // Before anything is started: what is missing is said at once.
    let browser = browser()?;
    let web = Path::new(WEB);
    for (path, how) in [("dist/index.html", "npm run build"), ("node_modules", "npm ci")] {
        ensure!(web.join(path).exists(), "{WEB}/{path} is missing: run `{how}` there");
    }
    let space = bench.space("web")?;
    feed::prepare(&space, 1)?;
    let meter = space.meter()?;
    let (ingest, ingest_address) = space.ingest()?;
    let ingest_url = format!("http://{ingest_address}");
    let settings =
        [("TOLLBOOTH_QUERY__FORWARD__INGEST_URL", ingest_url.as_str()), ("TOLLBOOTH_QUERY__SESSION__SECURE", "false")];
    let (query, query_address) = space.query_with(&settings)?;
    let mut connection = Connection::open(&ingest_address, &bench.admin_key).await?;
    let account = feed::account_id(0);
    history(&space, &account)?;
    let key = account_key(&mut connection, &account).await?;
    let begun = Instant::now();
    while space.charges_landed()? < HISTORY as u64 {
        ensure!(begun.elapsed() < LANDED_WAIT, "the history is not in ClickHouse within {LANDED_WAIT:?}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    let mut command = Command::new("node");
    command.current_dir(web).arg("bench/measure.mjs").arg(runs.max(1).to_string());
    command.env("TOLLBOOTH_QUERY_URL", format!("http://{query_address}"));
    command.env("TOLLBOOTH_INGEST_URL", &ingest_url);
    command.env("TOLLBOOTH_ADMIN_KEY", &bench.admin_key);
    command.env("TOLLBOOTH_ACCOUNT_ID", &account).env("TOLLBOOTH_ACCOUNT_KEY", key);
    command.env("TOLLBOOTH_EVENT_ID", "evt_00000_0").env("TOLLBOOTH_CHROMIUM", browser);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("node")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{WEB}/bench/measure.mjs failed: {text}");
    let measured = text.lines().last().context("measure.mjs printed nothing")?;
    figures(report, &serde_json::from_str(measured).with_context(|| format!("measure.mjs printed {measured}"))?)?;
    space.verified()?;
    query.stop();
    ingest.stop();
    meter.stop();
    Ok(())
}

/// The Chromium of this machine, or of `TOLLBOOTH_CHROMIUM`.
fn browser() -> anyhow::Result<PathBuf> {
    if let Some(named) = std::env::var_os("TOLLBOOTH_CHROMIUM") {
        return Ok(named.into());
    }
    let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    let found = BROWSERS.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    let mut found = found.filter(|path| path.is_file());
    found.next().context("no Chromium found: apt-get install chromium, or set TOLLBOOTH_CHROMIUM")
}

/// Charges of the last days, one a minute: the meter takes no work of long ago, and these fill each part of the page.
fn history(space: &Space<'_>, account: &str) -> anyhow::Result<()> {
    let feed = Feed::new(space)?;
    let now_ms = chrono::Utc::now().timestamp_millis();
    let mut event = String::new();
    for number in 0..HISTORY {
        event.clear();
        let minutes = i64::try_from(number).unwrap_or_default();
        feed::usage_event(&mut event, account, 0, number, now_ms - minutes * 60_000);
        feed.send(&space.topics.usage(), account, event.as_bytes(), true)?;
    }
    feed.flush()
}

async fn account_key(connection: &mut Connection, account: &str) -> anyhow::Result<String> {
    let body = serde_json::json!({"kind": "account", "account_id": account, "label": "bench"});
    // The account may be on its way to ingest still.
    for _ in 0..100 {
        let answer = connection.post("/v1/keys", "application/json", body.to_string().as_bytes()).await?;
        let (_, json) = answer.split_once('\n').unwrap_or_default();
        let made: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
        if let Some(key) = made["key"].as_str() {
            return Ok(key.to_owned());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    bail!("no key for the account within 10 s")
}

fn figures(report: &mut Report, measured: &BTreeMap<String, Vec<f64>>) -> anyhow::Result<()> {
    let runs = |id: &str| measured.get(id).map(Vec::as_slice).with_context(|| format!("{id} was not measured"));
    let page = "Chromium at 1,280 x 900 without a cache, an account of 5,000 charges";
    report.add(
        "web_first_load",
        "kB",
        runs("web_first_load")?,
        format!("{page}; all that the dashboard takes, as it comes over the wire, fonts and answers of the API included; goal 250"),
    );
    let route = "what the largest of six other pages takes beyond the dashboard; goal 120";
    report.add("web_route", "kB", runs("web_route")?, route);
    report.add(
        "web_lcp",
        "ms",
        runs("web_lcp")?,
        format!("{page}; largest contentful paint of the dashboard; goal 1,000"),
    );
    let held = runs("web_live_rate")?.iter().all(|rate| *rate >= LIVE_RATE * HELD_SHARE_MIN);
    let live = "longest task of the dashboard while 200 rows a second arrive for 15 s, all shown at the end; 0: none of 50 ms; goal 100";
    report.add_at_rate("web_live_task", "ms", runs("web_live_task")?, held, live);
    let draw = "35,040 quarters of an hour, from the click to the painted frame; goal 100";
    report.add("web_draw_year", "ms", runs("web_draw_year")?, draw);
    Ok(())
}
