//! The connections between each pair of processes, each through proxies of its own.
//!
//! A Kafka client goes where the broker tells it to. So every broker has a listener for each of its clients beside the one
//! that the tests use, and advertises it at the port of a proxy: what is cut for one client stands for the others.

use std::fmt;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::runtime::Runtime;
use tollbooth_local::free_port;

use super::properties;
use crate::process::Process;
use crate::proxy::{Counts, Mode, Proxy};
use crate::stack::Stack;

/// Something is sent on every connection sooner: the clerk asks query, the members their group.
const PATIENCE: Duration = Duration::from_secs(60);

/// Two processes, the one that connects first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Link {
    /// One of the two meters and the brokers.
    MeterKafka(usize),
    /// The sink and the brokers.
    SinkKafka,
    /// Ingest and the brokers.
    IngestKafka,
    /// What carries out effects, and the brokers.
    EffectsKafka,
    /// Query and the brokers.
    QueryKafka,
    /// The brokers among themselves.
    Brokers,
    /// The sink and ClickHouse.
    SinkClickHouse,
    /// Query and ClickHouse.
    QueryClickHouse,
    /// Ingest, which looks charges up, and ClickHouse.
    IngestClickHouse,
    /// The booths and ingest.
    FleetIngest,
}

impl Link {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::MeterKafka(0),
        Self::MeterKafka(1),
        Self::SinkKafka,
        Self::IngestKafka,
        Self::EffectsKafka,
        Self::QueryKafka,
        Self::Brokers,
        Self::SinkClickHouse,
        Self::QueryClickHouse,
        Self::IngestClickHouse,
        Self::FleetIngest,
    ];

    /// For people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MeterKafka(0) => "meter-a to Kafka",
            Self::MeterKafka(_) => "meter-b to Kafka",
            Self::SinkKafka => "sink to Kafka",
            Self::IngestKafka => "ingest to Kafka",
            Self::EffectsKafka => "effects to Kafka",
            Self::QueryKafka => "query to Kafka",
            Self::Brokers => "broker to broker",
            Self::SinkClickHouse => "sink to ClickHouse",
            Self::QueryClickHouse => "query to ClickHouse",
            Self::IngestClickHouse => "ingest to ClickHouse",
            Self::FleetIngest => "fleet to ingest",
        }
    }

    /// What may happen to it. The proxy counts what is held of connections that stand; query and ingest may make a new one
    /// for each look at ClickHouse, of which it would count nothing.
    #[must_use]
    pub const fn faults(self) -> &'static [Fault] {
        match self {
            Self::QueryClickHouse | Self::IngestClickHouse => &[Fault::Cut, Fault::Delay],
            _ => &Fault::ALL,
        }
    }

    /// The name of its listener; none where it does not lead to Kafka.
    fn listener(self) -> Option<&'static str> {
        Some(match self {
            Self::MeterKafka(0) => "METERA",
            Self::MeterKafka(_) => "METERB",
            Self::SinkKafka => "SINK",
            Self::IngestKafka => "INGEST",
            Self::EffectsKafka => "EFFECTS",
            Self::QueryKafka => "QUERY",
            Self::Brokers => "BETWEEN",
            Self::SinkClickHouse | Self::QueryClickHouse | Self::IngestClickHouse | Self::FleetIngest => return None,
        })
    }

    /// The service that connects by it; none for the brokers and the fleet.
    fn client(self, stack: &Stack) -> Option<&Process> {
        Some(match self {
            Self::MeterKafka(index) => stack.meters.get(index)?,
            Self::SinkKafka | Self::SinkClickHouse => &stack.sink,
            Self::IngestKafka | Self::IngestClickHouse => &stack.ingest,
            Self::EffectsKafka => &stack.effects,
            Self::QueryKafka | Self::QueryClickHouse => &stack.query,
            Self::Brokers | Self::FleetIngest => return None,
        })
    }
}

/// What becomes of the connections of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// All are reset, and for a moment new ones, too.
    Cut,
    /// All that is sent arrives late.
    Delay,
    /// Nothing arrives, and nobody is told; afterwards all of it does.
    Hold,
    /// Nothing arrives, and afterwards all connections are reset: what was sent is lost.
    Lose,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Cut, Self::Delay, Self::Hold, Self::Lose];
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cut => "cut",
            Self::Delay => "delay",
            Self::Hold => "hold",
            Self::Lose => "hold and cut",
        })
    }
}

/// One way to one server.
#[derive(Debug)]
struct Way {
    link: Link,
    /// Which of the brokers; 0 where there is one server.
    index: usize,
    /// Where the server listens for this client.
    port: u16,
    proxy: Proxy,
}

/// All proxies of a stack.
#[derive(Debug)]
pub(in crate::crash) struct Links {
    ways: Vec<Way>,
    // After the proxies, which end in it.
    _runtime: Runtime,
}

impl Links {
    /// Proxies to the ports at which the servers will listen.
    pub(super) fn new(stack: &Stack) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let mut ways = Vec::new();
        for link in Link::ALL {
            let ports = match link {
                Link::SinkClickHouse | Link::QueryClickHouse | Link::IngestClickHouse => {
                    vec![port_of(stack.clickhouse.url())?]
                }
                Link::FleetIngest => vec![port_of(stack.api.ingest_url())?],
                _ => stack.brokers().map(|_| free_port()).collect::<Result<_, _>>()?,
            };
            for (index, port) in ports.into_iter().enumerate() {
                let proxy = Proxy::start(runtime.handle(), free_port()?, port)?;
                ways.push(Way { link, index, port, proxy });
            }
        }
        Ok(Self { ways, _runtime: runtime })
    }

    /// Gives every broker a listener for each of its clients. The last line of a setting wins.
    pub(super) fn name_listeners(&self, stack: &Stack) -> anyhow::Result<()> {
        for (index, _) in stack.brokers().enumerate() {
            let path = properties(stack, index);
            let mut text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let setting = |name: &str| {
                let mut lines = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
                lines.next_back().map(str::to_owned).with_context(|| format!("{name} in {}", path.display()))
            };
            let names = ["listeners", "advertised.listeners", "listener.security.protocol.map"];
            let mut values = names.iter().map(|name| setting(name)).collect::<anyhow::Result<Vec<String>>>()?;
            for way in self.ways.iter().filter(|way| way.index == index) {
                let Some(name) = way.link.listener() else { continue };
                let further = [
                    format!(",{name}://127.0.0.1:{}", way.port),
                    format!(",{name}://{}", way.proxy.address()),
                    format!(",{name}:PLAINTEXT"),
                ];
                values.iter_mut().zip(further).for_each(|(value, further)| value.push_str(&further));
            }
            for (name, value) in names.into_iter().zip(values) {
                text += &format!("{name}={value}\n");
            }
            text += &format!("inter.broker.listener.name={}\n", Link::Brokers.listener().unwrap_or_default());
            // Of each listener.
            text += "num.network.threads=1\n";
            fs::write(&path, text).with_context(|| path.display().to_string())?;
        }
        Ok(())
    }

    /// Tells each service the way.
    pub(super) fn lead(&self, stack: &Stack) {
        for link in Link::ALL {
            let Some(client) = link.client(stack) else { continue };
            if link.listener().is_some() {
                let addresses: Vec<String> = self.of(link).map(Proxy::address).collect();
                client.set("KAFKA_BOOTSTRAP", addresses.join(","));
            } else {
                client.set("CLICKHOUSE_URL", self.url(link));
            }
        }
    }

    /// Of a pair that speaks HTTP.
    pub(super) fn url(&self, link: Link) -> String {
        self.of(link).map(|proxy| format!("http://{}", proxy.address())).next().unwrap_or_default()
    }

    /// The proxies of a pair, one to each server.
    pub(in crate::crash) fn of(&self, link: Link) -> impl Iterator<Item = &Proxy> {
        self.ways.iter().filter(move |way| way.link == link).map(|way| &way.proxy)
    }

    /// Does it to every connection of the pair for as long as it says, at least until it has hit something; what it hit.
    pub(in crate::crash) fn disturb(
        &self,
        stack: &Stack,
        link: Link,
        fault: Fault,
        lasting: Duration,
    ) -> anyhow::Result<Hit> {
        let sum = |counts: fn(&Counts) -> u64| self.of(link).map(|proxy| counts(&proxy.counts())).sum::<u64>();
        let set = |mode| self.of(link).for_each(|proxy| proxy.set(mode));
        let begun = Instant::now();
        let what = |what: &str| format!("{} to have {what}", link.name());
        let hit = match fault {
            Fault::Cut => {
                let before = sum(|counts| counts.cut);
                let open = || self.of(link).any(|proxy| proxy.open() > 0).then_some(());
                stack.wait(&what("a connection"), PATIENCE, open)?;
                set(Mode::Refuse);
                self.of(link).for_each(Proxy::cut);
                thread::sleep(lasting);
                stack.wait(&what("lost one"), PATIENCE, || {
                    Some(sum(|counts| counts.cut) - before).filter(|cut| *cut > 0)
                })
            }
            Fault::Delay | Fault::Hold | Fault::Lose => {
                let (mode, count): (Mode, fn(&Counts) -> u64) = match fault {
                    Fault::Delay => (Mode::Delay(lasting / 12), |counts| counts.delayed_bytes),
                    _ => (Mode::Hold, |counts| counts.held_bytes),
                };
                let before = sum(count);
                set(mode);
                stack.wait(&what("sent something"), PATIENCE, || {
                    (begun.elapsed() >= lasting).then(|| sum(count) - before).filter(|bytes| *bytes > 0)
                })
            }
        };
        // Also where it was in vain.
        if fault == Fault::Lose {
            self.of(link).for_each(Proxy::cut);
        }
        set(Mode::Pass);
        let unit = if fault == Fault::Cut { "connections" } else { "bytes" };
        Ok(Hit { count: hit?, unit })
    }
}

/// What a fault came upon.
#[derive(Debug, Clone, Copy)]
pub(in crate::crash) struct Hit {
    pub(in crate::crash) count: u64,
    pub(in crate::crash) unit: &'static str,
}

fn port_of(url: &str) -> anyhow::Result<u16> {
    let (_, port) = url.trim_end_matches('/').rsplit_once(':').with_context(|| url.to_owned())?;
    port.parse().with_context(|| url.to_owned())
}
