//! The stack for real: started in the background, used as its `demo.env` says, stopped, started again, emptied.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tollbooth_local::free_port;

use crate::http;

const COMMAND_PATIENCE: Duration = Duration::from_secs(240);
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

const LISTENERS: [&str; 7] = [
    "TOLLBOOTH_INGEST__LISTEN",
    "TOLLBOOTH_QUERY__LISTEN",
    "TOLLBOOTH_INGEST__OPS_LISTEN",
    "TOLLBOOTH_METER__OPS_LISTEN",
    "TOLLBOOTH_QUERY__OPS_LISTEN",
    "TOLLBOOTH_METER__SINK_OPS_LISTEN",
    "TOLLBOOTH_INGEST__EFFECTS__OPS_LISTEN",
];
/// Two whole stacks at once would only make each other slow.
static TURN: Mutex<()> = Mutex::new(());

/// What `demo.env` promises.
const VARIABLES: [&str; 11] = [
    "TOLLBOOTH_INGEST_URL",
    "TOLLBOOTH_QUERY_URL",
    "TOLLBOOTH_ADMIN_KEY",
    "TOLLBOOTH_BOOTH_KEY",
    "TOLLBOOTH_ACCOUNT_KEY",
    "TOLLBOOTH_ACCOUNT_ID",
    "TOLLBOOTH_DASHBOARD_URL",
    "KAFKA_BOOTSTRAP",
    "CLICKHOUSE_URL",
    "CLICKHOUSE_DATABASE",
    "TOLLBOOTH_FLEET_JOURNAL",
];

/// A folder, and the addresses on which its stack listens; whatever still runs at the end is stopped.
struct Stack {
    dir: PathBuf,
    listeners: BTreeMap<&'static str, String>,
    _parent: tempfile::TempDir,
}

impl Stack {
    fn new() -> Self {
        let parent = tempfile::tempdir().unwrap();
        let listener = |name| (name, format!("127.0.0.1:{}", free_port().unwrap()));
        Self { dir: parent.path().join("local"), listeners: LISTENERS.map(listener).into(), _parent: parent }
    }

    /// A command that sees nothing of this shell's own settings.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        let kept = ["TOLLBOOTH_CACHE_DIR", "TOLLBOOTH_CLICKHOUSE_BIN"];
        for (name, _) in env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            let is_setting = ["TOLLBOOTH_", "KAFKA_", "CLICKHOUSE_"].iter().any(|prefix| name.starts_with(prefix));
            if is_setting && !kept.contains(&name.as_str()) {
                command.env_remove(name);
            }
        }
        command.envs(&self.listeners).stdin(Stdio::null());
        command
    }

    fn local(&self, command: &str, more: &[&str]) -> Said {
        let mut local = self.command(Path::new(env!("CARGO_BIN_EXE_tollbooth-local")));
        local.arg(command).arg("--dir").arg(&self.dir).args(more);
        Said::of(local)
    }

    fn up(&self) -> Said {
        self.local("up", &["--detach", "--history-events", "300", "--accounts", "3", "--rate", "5"])
    }

    /// `demo.env` as a shell reads it.
    fn variables(&self) -> BTreeMap<&'static str, String> {
        let mut script = format!(". {}\n", self.dir.join("demo.env").display());
        for name in VARIABLES {
            script.push_str(&format!("printf '%s\\n' \"${name}\"\n"));
        }
        let mut shell = self.command(Path::new("sh"));
        shell.args(["-eu", "-c", &script]);
        let said = Said::of(shell).well();
        VARIABLES.into_iter().zip(said.lines().map(str::to_owned)).collect()
    }

    fn run_file(&self) -> Value {
        serde_json::from_slice(&fs::read(self.dir.join("up.json")).unwrap()).unwrap()
    }

    /// Names and ids of all that runs.
    fn processes(&self) -> BTreeMap<String, u64> {
        let run = self.run_file();
        let started: Vec<(String, u64)> = serde_json::from_value(run["processes"].clone()).unwrap();
        started.into_iter().chain([("supervisor".to_owned(), run["pid"].as_u64().unwrap())]).collect()
    }

    fn is_ready(&self, listener: &str) -> bool {
        let url = format!("http://{}/readyz", self.listeners[listener]);
        http::request("GET", &url, &[], "", PATIENCE).is_ok_and(|answer| answer.status == 200)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.local("down", &[]);
    }
}

/// What a command said, and whether it ended well.
struct Said {
    text: String,
    status: Option<i32>,
}

impl Said {
    fn of(mut command: Command) -> Self {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let waiting = thread::spawn(move || child.wait_with_output().unwrap());
        wait_for(&format!("{command:?}"), COMMAND_PATIENCE, || waiting.is_finished());
        let Output { status, stdout, stderr } = waiting.join().unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        Self { text, status: status.code() }
    }

    #[track_caller]
    fn well(self) -> String {
        assert_eq!(self.status, Some(0), "{}", self.text);
        self.text
    }
}

#[track_caller]
fn wait_for(what: &str, patience: Duration, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < patience, "not within {patience:?}: {what}");
        thread::sleep(POLL);
    }
}

/// What the person does who reads `demo.env`.
struct Person(BTreeMap<&'static str, String>);

impl Person {
    fn ask(&self, method: &str, url: &str, key: &str, body: &Value) -> Value {
        let authorization = format!("Bearer {}", self.0[key]);
        let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/cloudevents+json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = http::request(method, url, &headers, &body, PATIENCE).unwrap();
        assert!((200..300).contains(&answer.status), "{method} {url}: {} {}", answer.status, answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// The event of the README.
    fn send(&self, event: &Value) {
        let url = format!("{}/v1/events", self.0["TOLLBOOTH_INGEST_URL"]);
        let answer = self.ask("POST", &url, "TOLLBOOTH_BOOTH_KEY", event);
        assert_eq!(answer, json!({"accepted": 1, "rejected": []}));
    }

    fn event(&self) -> Value {
        let now = Command::new("date").args(["-u", "+%FT%TZ"]).output().unwrap().stdout;
        let work = json!({"operation_id": "my-first", "booth_id": "bth_mine", "service": "ai_modify",
            "engine": "nano_banana_2", "unit": "image", "quantity": "1", "status": "success"});
        json!({"specversion": "1.0", "id": "my-1", "source": "/booths/bth_mine", "type": "tollbooth.usage.v1",
            "subject": self.0["TOLLBOOTH_ACCOUNT_ID"], "time": String::from_utf8(now).unwrap().trim(), "data": work})
    }

    fn charges(&self) -> Vec<Value> {
        let (query, account) = (&self.0["TOLLBOOTH_QUERY_URL"], &self.0["TOLLBOOTH_ACCOUNT_ID"]);
        let url = format!("{query}/v1/accounts/{account}/transactions?booth_id=bth_mine");
        let page = self.ask("GET", &url, "TOLLBOOTH_ACCOUNT_KEY", &Value::Null);
        page["data"].as_array().unwrap().clone()
    }

    /// What the demo's account has bought.
    fn purchases(&self) -> Vec<Value> {
        let (query, account) = (&self.0["TOLLBOOTH_QUERY_URL"], &self.0["TOLLBOOTH_ACCOUNT_ID"]);
        let url = format!("{query}/v1/accounts/{account}/transactions?type=purchase");
        let page = self.ask("GET", &url, "TOLLBOOTH_ACCOUNT_KEY", &Value::Null);
        page["data"].as_array().unwrap().clone()
    }

    /// Rows of the past: the fleet writes of the present.
    fn history(&self) -> String {
        let sql = format!(
            "SELECT count() FROM {}.ledger WHERE occurred_at < now() - INTERVAL 3 DAY",
            self.0["CLICKHOUSE_DATABASE"]
        );
        let answer = http::request("POST", &format!("{}/", self.0["CLICKHOUSE_URL"]), &[], &sql, PATIENCE).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body.trim().to_owned()
    }
}

/// Whether a process runs.
pub(crate) fn is_alive(pid: u64) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Behind the name: the state. A process that only waits to be collected is gone.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// A process ended from outside; by the shell, which everybody has.
fn kill(pid: u64) {
    assert!(Command::new("sh").args(["-c", &format!("kill -9 {pid}")]).status().unwrap().success());
}

#[test]
fn the_stack_is_up_with_one_command_and_keeps_its_data() {
    // given a stack in the background
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let stack = Stack::new();
    let said = stack.up().well();
    assert!(said.contains("Playing a year of history") && said.contains("Ready after"), "{said}");

    // then everything is there that it promises
    let variables = stack.variables();
    assert!(variables.values().all(|value| !value.is_empty()), "{variables:?}");
    TcpStream::connect(&variables["KAFKA_BOOTSTRAP"]).unwrap();
    for listener in LISTENERS.iter().filter(|name| name.contains("OPS_LISTEN")) {
        assert!(stack.is_ready(listener), "{listener}");
    }
    let status = stack.local("status", &[]).well();
    assert!(status.contains("running") && status.contains("fleet") && !status.contains("not ready"), "{status}");
    let person = Person(variables);
    let keys = person.ask(
        "GET",
        &format!("{}/v1/keys", person.0["TOLLBOOTH_INGEST_URL"]),
        "TOLLBOOTH_ADMIN_KEY",
        &Value::Null,
    );
    assert!(keys["data"].as_array().is_some_and(|keys| keys.len() >= 2), "{keys}");
    let history = person.history();
    assert!(history.parse::<u64>().unwrap() >= 250, "{history} entries of the past");
    assert!(!person.purchases().is_empty(), "nobody has bought credit");

    // and an event of one's own is charged once
    let event = person.event();
    person.send(&event);
    wait_for("the charge", PATIENCE, || person.charges().len() == 1);
    let charge = person.charges().remove(0);
    assert!(charge["amount"]["amount"].as_str().unwrap().starts_with('-'), "{charge}");

    // and a service that is killed comes back
    let killed = stack.processes()["ingest"];
    kill(killed);
    wait_for("ingest again", PATIENCE, || stack.processes().get("ingest").is_some_and(|pid| *pid != killed));
    wait_for("ingest ready", PATIENCE, || stack.is_ready("TOLLBOOTH_INGEST__OPS_LISTEN"));
    let status = stack.local("status", &[]).well();
    assert!(status.contains("ended once") && status.contains("was started again"), "{status}");
    person.send(&event);

    // and the books agree, beside the fleet and with what it was promised
    let said = verify(&stack, &person);
    assert!(said.contains("clean") && said.contains("acknowledged"), "{said}");

    // when it is stopped, nothing is left running
    let processes = stack.processes();
    assert!(
        ["fleet", "effects", "meter", "query", "kafka", "clickhouse"].iter().all(|name| processes.contains_key(*name))
    );
    stack.local("down", &[]).well();
    let left: Vec<_> = processes.iter().filter(|(_, pid)| is_alive(**pid)).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(stack.local("status", &[]).status, Some(3));

    // and a second start finds everything, and plays nothing again
    let said = stack.up().well();
    assert!(!said.contains("history"), "{said}");
    let again = Person(stack.variables());
    assert_eq!(again.history(), history);
    assert_eq!(again.charges(), [charge]);
    for key in ["TOLLBOOTH_ADMIN_KEY", "TOLLBOOTH_BOOTH_KEY", "TOLLBOOTH_ACCOUNT_KEY"] {
        assert_eq!(again.0[key], person.0[key]);
    }

    // and its data goes when it is asked to, not before it is stopped
    assert_ne!(stack.local("reset", &[]).status, Some(0));
    stack.local("down", &[]).well();
    stack.local("reset", &[]).well();
    assert!(!stack.dir.exists());
}

/// As `make verify` does it.
fn verify(stack: &Stack, person: &Person) -> String {
    let mut meter = stack.command(&Path::new(env!("CARGO_BIN_EXE_tollbooth-local")).with_file_name("tollbooth-meter"));
    meter.args(["verify", "--journal", &person.0["TOLLBOOTH_FLEET_JOURNAL"], "--journal-shared"]).envs(&person.0).envs(
        [
            ("TOLLBOOTH_METER__TOPICS__PARTITIONS", "8"),
            ("TOLLBOOTH_METER__AGE_LIMIT_DAYS", "400"),
            ("TOLLBOOTH_METER__OPERATION_RETENTION_DAYS", "400"),
        ],
    );
    Said::of(meter).well()
}

/// The answer of a Prometheus.
fn observed(url: &str, path: &str) -> Value {
    let answer = http::request("GET", &format!("{url}/api/v1/{path}"), &[], "", PATIENCE).unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    let mut answer: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(answer["status"], "success", "{path}: {answer}");
    answer["data"].take()
}

fn list<'a>(data: &'a Value, name: &str) -> &'a [Value] {
    data[name].as_array().unwrap_or_else(|| panic!("{name}: {data}"))
}

/// The alerts that the rule files of processes have.
fn written_alerts() -> BTreeSet<String> {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../prometheus");
    ["money", "pipeline", "query", "infrastructure"]
        .iter()
        .flat_map(|name| {
            let text = fs::read_to_string(rules.join(format!("{name}.rules.yml"))).unwrap();
            text.lines().filter_map(|line| Some(line.trim().strip_prefix("- alert: ")?.to_owned())).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn an_observed_stack_is_seen_whole_by_its_prometheus() {
    // given a stack with Prometheus
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let stack = Stack::new();
    let prometheus = format!("127.0.0.1:{}", free_port().unwrap());
    let listen = ["--observe", "--prometheus-listen", &prometheus];
    let of_trial = ["--detach", "--history-events", "0", "--accounts", "1", "--rate", "5"];
    let said = stack.local("up", &[of_trial.as_slice(), &listen].concat()).well();
    let url = format!("http://{prometheus}");
    assert!(said.contains(&format!("{url}/alerts")), "{said}");

    // then every process is its target, and answers it
    let jobs = ["effects", "ingest", "meter", "query", "sink"].map(|name| format!("tollbooth-{name}"));
    wait_for("every target is up", PATIENCE, || {
        let targets = observed(&url, "targets");
        let up = list(&targets, "activeTargets").iter().filter(|target| target["health"] == "up");
        let up: BTreeSet<&str> = up.filter_map(|target| target["labels"]["job"].as_str()).collect();
        up.iter().copied().eq(jobs.iter().map(String::as_str))
    });

    // and every rule is loaded and could be evaluated
    let mut loaded = BTreeSet::new();
    wait_for("every rule is evaluated", PATIENCE, || {
        let rules = observed(&url, "rules");
        let rules = list(&rules, "groups").iter().flat_map(|group| list(group, "rules"));
        let (mut names, mut is_whole) = (BTreeSet::new(), true);
        for rule in rules {
            assert_ne!(rule["health"], "err", "{rule}");
            is_whole &= rule["health"] == "ok";
            if rule["type"] == "alerting" {
                names.insert(rule["name"].as_str().unwrap().to_owned());
            }
        }
        loaded = names;
        is_whole
    });
    assert_eq!(loaded, written_alerts());

    // and a question about what the processes do is answered
    let ask = |query: &str| list(&observed(&url, &format!("query?query={query}")), "result").to_vec();
    wait_for("every process is ready", PATIENCE, || {
        ask("sum(tollbooth_ready)").first().is_some_and(|sum| sum["value"][1] == "5")
    });
    wait_for("the fleet's events are counted", PATIENCE, || {
        let posted = ask("sum(tollbooth_ledger_posts_total)");
        posted.first().and_then(|sum| sum["value"][1].as_str()?.parse::<f64>().ok()).is_some_and(|sum| sum > 0.0)
    });

    // and what alerts says so: nothing is wrong, and the dead man's switch is held
    wait_for("the dead man's switch", PATIENCE, || {
        let alerts = observed(&url, "alerts");
        list(&alerts, "alerts").iter().any(|alert| alert["labels"]["alertname"] == "Watchdog")
    });

    // and it ends with the stack
    let pid = stack.processes()["prometheus"];
    stack.local("down", &[]).well();
    assert!(!is_alive(pid));
}
