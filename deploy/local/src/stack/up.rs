//! `up`: everything, in order.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, bail};

use super::api::Api;
use super::demo::{self, ACCOUNT_ID, DemoKeys};
use super::fleet::Fleet;
use super::instance::Instance;
use super::line::StatusLine;
use super::observe;
use super::services::{EFFECTS, INGEST, METER, QUERY, program};
use super::settings::{Settings, shell_assignments};
use super::supervisor::{Interrupted, Supervisor};
use crate::error::explain;
use crate::sys;

/// What shells and services are told.
struct Addresses {
    ingest: String,
    query: String,
    admin_key: String,
    kafka: String,
    clickhouse: String,
    database: String,
}

/// Starts everything and stays until it is asked to stop (Ctrl-C, SIGTERM, `down`) or something ends that should not.
///
/// # Errors
/// What kept it from starting, or ended it, for the person at the terminal. By then everything is stopped.
pub fn up(settings: &Settings) -> anyhow::Result<ExitCode> {
    sys::catch_stop_signals().context("catch signals")?;
    fs::create_dir_all(&settings.dir).with_context(|| format!("create {}", settings.dir.display()))?;
    // Absolute: the engines get paths in their settings.
    let dir = fs::canonicalize(&settings.dir).with_context(|| format!("find {}", settings.dir.display()))?;
    let settings = Settings { dir, ..settings.clone() };
    let Some(instance) = Instance::acquire(&settings.dir).context("lock the folder")? else {
        bail!("{} is in use: `make status` shows what runs, `make down` stops it", settings.dir.display());
    };
    settings.listeners().check()?;
    if settings.observe {
        observe::check(&settings)?;
    }
    for name in ["tollbooth-ingest", "tollbooth-meter", "tollbooth-query", "tollbooth-fleet"] {
        program(name)?;
    }
    fs::create_dir_all(settings.logs()).context("create the log folder")?;
    let mut supervisor = Supervisor::new(&settings, instance)?;
    let Err(reason) = run(&settings, &mut supervisor) else { return Ok(ExitCode::SUCCESS) };
    let on_request = reason.is::<Interrupted>();
    if !on_request {
        supervisor.say(explain(&reason));
    }
    let stopped = supervisor.stop();
    // The reason was said where it belongs: before the stop.
    if on_request { stopped.map(|()| ExitCode::SUCCESS) } else { Ok(ExitCode::FAILURE) }
}

/// Returns only with the reason for the end.
fn run(settings: &Settings, supervisor: &mut Supervisor) -> anyhow::Result<()> {
    let started = Instant::now();
    let (kafka, clickhouse, database) = supervisor.start_engines()?;
    let given = env::var("TOLLBOOTH_ADMIN_KEY").ok().filter(|key| !key.is_empty());
    let admin_key = given.map_or_else(|| demo::admin_key(&settings.path("admin.key")), Ok)?;
    let listeners = supervisor.listeners().clone();
    let (ingest, query) = (listeners.url("ingest"), listeners.url("query"));
    let addresses = Addresses { ingest, query, admin_key, kafka, clickhouse, database };
    start_services(settings, supervisor, &addresses)?;
    supervisor.say(format!("Services ready after {:.1} s", started.elapsed().as_secs_f64()));
    if settings.observe {
        observe::start(settings, supervisor)?;
    }

    let api = Api::new(&addresses.ingest, &addresses.query, &addresses.admin_key);
    let keys = DemoKeys::ensure(&settings.path("demo-keys.json"), &api)?;
    let fleet = Fleet::new(settings, addresses.variables())?;
    write_demo_env(settings, &addresses, &keys, &fleet.journal())?;
    fleet.prepare(supervisor)?;
    if !supervisor.is_full() {
        fleet.run(supervisor)?;
    }
    // Who reads the account's balance next must find it.
    supervisor.wait("query", super::READY_WAIT, |_| {
        Ok(api.balance(ACCOUNT_ID).map(drop).ok_or_else(|| format!("the balance of {ACCOUNT_ID}")))
    })?;
    supervisor.say(summary(settings, &addresses, &listeners, &keys));
    let mut listed = addresses.listed(&listeners);
    if settings.observe {
        let url = observe::url(settings);
        supervisor.say(format!("Prometheus, with every alert of a process: {url}/alerts\n"));
        listed.push(("prometheus".to_owned(), url));
    }
    let after = started.elapsed().as_secs_f64();
    supervisor
        .say(format!("Ready after {after:.1} s. `make down` stops everything, as does Ctrl-C in the foreground."));
    supervisor.ready(listed)?;
    let mut line = StatusLine::new(listeners, api, ACCOUNT_ID);
    supervisor.watch(|| line.make())
}

/// Ingest and meter side by side; query needs the tables that the sink makes.
fn start_services(settings: &Settings, supervisor: &mut Supervisor, addresses: &Addresses) -> anyhow::Result<()> {
    let mut variables = settings.service_variables();
    variables.extend(addresses.variables());
    variables.extend(session_variables(settings, addresses)?);
    supervisor.start(INGEST, &[], &variables)?;
    supervisor.start(METER, &[], &variables)?;
    supervisor.wait_ready(INGEST)?;
    supervisor.start(EFFECTS, &[], &variables)?;
    supervisor.wait_ready(METER)?;
    supervisor.wait_ready(EFFECTS)?;
    supervisor.start(QUERY, &[], &variables)?;
    supervisor.wait_ready(QUERY)
}

/// One secret for what query signs, for what it passes on to ingest, and for webhooks; none that the environment has already.
fn session_variables(settings: &Settings, addresses: &Addresses) -> anyhow::Result<BTreeMap<String, String>> {
    let secret = demo::session_secret(&settings.path("session.secret"))?;
    let all = [
        ("TOLLBOOTH_QUERY__SESSION__SECRET", &secret),
        ("TOLLBOOTH_FORWARD_SECRET", &secret),
        ("TOLLBOOTH_INGEST__WEBHOOKS__SECRET", &secret),
        ("TOLLBOOTH_QUERY__FORWARD__INGEST_URL", &addresses.ingest),
    ];
    let unset = all.into_iter().filter(|(name, _)| env::var_os(name).is_none());
    Ok(unset.map(|(name, value)| (name.to_owned(), value.clone())).collect())
}

/// Fills the key in at the dashboard's sign-in: what stands behind `#` reaches no server, and the page takes it out of the
/// address. It signs in only when the button is pressed.
fn sign_in_link(query: &str, key: &str) -> String {
    format!("{query}/sign-in#key={key}")
}

impl Addresses {
    fn pairs(&self) -> [(&'static str, &str); 6] {
        [
            ("TOLLBOOTH_INGEST_URL", &self.ingest),
            ("TOLLBOOTH_QUERY_URL", &self.query),
            ("TOLLBOOTH_ADMIN_KEY", &self.admin_key),
            ("KAFKA_BOOTSTRAP", &self.kafka),
            ("CLICKHOUSE_URL", &self.clickhouse),
            ("CLICKHOUSE_DATABASE", &self.database),
        ]
    }

    fn variables(&self) -> BTreeMap<String, String> {
        self.pairs().into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// For `status`; no secrets.
    fn listed(&self, listeners: &super::settings::Listeners) -> Vec<(String, String)> {
        let operations =
            ["ingest operations", "meter operations", "query operations", "sink operations", "effects operations"];
        let listed = [
            ("ingest", &self.ingest),
            ("query", &self.query),
            ("kafka", &self.kafka),
            ("clickhouse", &self.clickhouse),
        ];
        let listed = listed.into_iter().map(|(name, value)| (name.to_owned(), value.clone()));
        listed.chain(operations.into_iter().map(|name| (name.to_owned(), listeners.url(name)))).collect()
    }
}

fn write_demo_env(settings: &Settings, addresses: &Addresses, keys: &DemoKeys, journal: &str) -> anyhow::Result<()> {
    let own = [
        ("TOLLBOOTH_BOOTH_KEY", keys.booth.key.as_str()),
        ("TOLLBOOTH_ACCOUNT_KEY", keys.account.key.as_str()),
        ("TOLLBOOTH_ACCOUNT_ID", ACCOUNT_ID),
        ("TOLLBOOTH_DASHBOARD_URL", addresses.query.as_str()),
        ("TOLLBOOTH_FLEET_JOURNAL", journal),
    ];
    let text = shell_assignments(addresses.pairs().into_iter().chain(own));
    let path = settings.path("demo.env");
    demo::write_secret(&path, &text).with_context(|| format!("write {}", path.display()))
}

fn summary(
    settings: &Settings,
    addresses: &Addresses,
    listeners: &super::settings::Listeners,
    keys: &DemoKeys,
) -> String {
    let env = settings.path("demo.env");
    let env = env::current_dir().ok().and_then(|cwd| env.strip_prefix(cwd).ok()).unwrap_or(&env).display().to_string();
    let operations: Vec<String> = ["ingest", "meter", "query", "sink", "effects"]
        .iter()
        .map(|name| format!("{name} {}", listeners.url(&format!("{name} operations"))))
        .collect();
    format!(
        r#"
  ingest      {ingest}
  query       {query}
  operations  {operations}   (/metrics, /livez, /readyz)
  Kafka       {kafka}
  ClickHouse  {clickhouse}, database {database}
  data        {dir}

The dashboard, with the key of {ACCOUNT_ID} filled in, and with an admin's (press Sign in):

  {account_link}
  {admin_link}

Try it in another terminal:

  . {env}
  curl -s -H "Authorization: Bearer $TOLLBOOTH_ACCOUNT_KEY" $TOLLBOOTH_QUERY_URL/v1/accounts/$TOLLBOOTH_ACCOUNT_ID/balance
  curl -s -H "Authorization: Bearer $TOLLBOOTH_ACCOUNT_KEY" "$TOLLBOOTH_QUERY_URL/v1/accounts/$TOLLBOOTH_ACCOUNT_ID/transactions?limit=3"
  curl -s -H "Authorization: Bearer $TOLLBOOTH_ACCOUNT_KEY" "$TOLLBOOTH_QUERY_URL/v1/accounts/$TOLLBOOTH_ACCOUNT_ID/usage?from=$(date -u -d '-1 year' +%FT%TZ)&to=$(date -u +%FT%TZ)&bucket=month&tz=America/New_York&group_by=engine&measure=amount"
"#,
        ingest = addresses.ingest,
        query = addresses.query,
        operations = operations.join(", "),
        kafka = addresses.kafka,
        clickhouse = addresses.clickhouse,
        database = addresses.database,
        dir = settings.dir.display(),
        account_link = sign_in_link(&addresses.query, &keys.account.key),
        admin_link = sign_in_link(&addresses.query, &addresses.admin_key),
    )
}
