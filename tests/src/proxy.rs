//! A TCP proxy in user space, whose connections can be delayed, held and cut: what a network does, between two processes
//! of one machine.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;

const CHUNK_BYTES: usize = 64 * 1024;
/// A client that comes before its server listens tries again itself.
const REFUSED_PAUSE: Duration = Duration::from_millis(5);

/// What becomes of bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They pass.
    #[default]
    Pass,
    /// Each chunk arrives that much later.
    Delay(Duration),
    /// Nothing arrives and nobody is told. When this is over, what was held goes on its way, as TCP's repeats do.
    Hold,
    /// Whoever connects is reset; connections that stand go on.
    Refuse,
}

/// What a proxy has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Connections that were made.
    pub(crate) opened: u64,
    /// Connections that stood and were reset.
    pub(crate) cut: u64,
    /// Connections that were reset at once.
    pub(crate) refused: u64,
    /// Bytes that were held up for a moment.
    pub(crate) delayed_bytes: u64,
    /// Bytes that were held.
    pub(crate) held_bytes: u64,
}

/// How much of a request is let through to the server that is about to be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// Half of the first bytes of its body.
    Half,
    /// All of it; the answer is held.
    Whole,
}

/// Waits for a request.
#[derive(Debug, Clone)]
pub(crate) struct Trap {
    /// What stands in the first bytes of the request.
    pub(crate) text: &'static str,
    /// How much of it passes.
    pub(crate) share: Share,
}

#[derive(Debug, Clone, Copy, Default)]
struct Weather {
    mode: Mode,
    cuts: u64,
    /// Where a trap has closed, its connection is held until this changes.
    releases: u64,
}

#[derive(Debug, Default)]
struct Tally {
    opened: AtomicU64,
    cut: AtomicU64,
    refused: AtomicU64,
    delayed_bytes: AtomicU64,
    held_bytes: AtomicU64,
    /// Bytes of the body that passed a trap, and of the answer that was held behind one.
    trapped_bytes: AtomicU64,
    answer_bytes: AtomicU64,
    open: AtomicU64,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    weather: watch::Sender<Weather>,
    trap: Mutex<Option<Trap>>,
    tally: Tally,
}

/// Listens on loopback until it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    listening: tokio::task::AbortHandle,
}

impl Proxy {
    /// Listens on a port and connects whoever comes to another one.
    ///
    /// # Errors
    /// When the port is taken.
    pub(crate) fn start(runtime: &Handle, port: u16, target_port: u16) -> io::Result<Self> {
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, port)))?;
        let shared = Arc::new(Shared {
            target: (Ipv4Addr::LOCALHOST, target_port).into(),
            weather: watch::Sender::default(),
            trap: Mutex::default(),
            tally: Tally::default(),
        });
        let listening = runtime.spawn(listen(listener, Arc::clone(&shared))).abort_handle();
        Ok(Self { port, shared, listening })
    }

    /// Where it listens, `host:port`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// From now on.
    pub(crate) fn set(&self, mode: Mode) {
        self.shared.weather.send_modify(|weather| weather.mode = mode);
    }

    /// Resets every connection that stands.
    pub(crate) fn cut(&self) {
        self.shared.weather.send_modify(|weather| weather.cuts += 1);
    }

    /// Connections that stand.
    pub(crate) fn open(&self) -> u64 {
        self.shared.tally.open.load(Ordering::Relaxed)
    }

    /// What it has done so far.
    pub(crate) fn counts(&self) -> Counts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Tally { opened, cut, refused, delayed_bytes, held_bytes, .. } = &self.shared.tally;
        Counts {
            opened: read(opened),
            cut: read(cut),
            refused: read(refused),
            delayed_bytes: read(delayed_bytes),
            held_bytes: read(held_bytes),
        }
    }

    /// The next request with this text is let through in part; see [`Proxy::trapped`].
    pub(crate) fn arm(&self, trap: Trap) {
        self.shared.tally.trapped_bytes.store(0, Ordering::Relaxed);
        self.shared.tally.answer_bytes.store(0, Ordering::Relaxed);
        *self.shared.trap() = Some(trap);
    }

    /// How many bytes of its body have passed, and how many of the answer came, once there is such a request.
    pub(crate) fn trapped(&self) -> Option<(u64, u64)> {
        let Tally { trapped_bytes, answer_bytes, .. } = &self.shared.tally;
        let passed = trapped_bytes.load(Ordering::Relaxed);
        (passed > 0).then(|| (passed, answer_bytes.load(Ordering::Relaxed)))
    }

    /// Disarms a trap that has not closed, and lets go of the connection of one that has.
    pub(crate) fn release(&self) {
        *self.shared.trap() = None;
        self.shared.weather.send_modify(|weather| weather.releases += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.cut();
    }
}

impl Shared {
    fn trap(&self) -> std::sync::MutexGuard<'_, Option<Trap>> {
        self.trap.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the trap where the chunk begins a request that it waits for.
    fn spring(&self, chunk: &[u8]) -> Option<Share> {
        let mut trap = self.trap();
        let text = trap.as_ref()?.text.as_bytes();
        chunk.windows(text.len()).any(|part| part == text).then(|| trap.take())?.map(|trap| trap.share)
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            // Out of files, most often.
            tokio::time::sleep(REFUSED_PAUSE).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move { serve(client, &shared).await });
    }
}

/// One connection, to its end.
async fn serve(mut client: TcpStream, shared: &Shared) {
    let mut weather = shared.weather.subscribe();
    let Weather { mode, cuts, .. } = *weather.borrow_and_update();
    let tally = &shared.tally;
    if mode == Mode::Refuse {
        tally.refused.fetch_add(1, Ordering::Relaxed);
        return reset([&client]);
    }
    if mode == Mode::Hold && !hold_newcomer(&client, tally, &mut weather).await {
        return;
    }
    let Ok(mut server) = TcpStream::connect(shared.target).await else {
        return reset([&client]);
    };
    for stream in [&client, &server] {
        stream.set_nodelay(true).ok();
    }
    tally.opened.fetch_add(1, Ordering::Relaxed);
    tally.open.fetch_add(1, Ordering::Relaxed);
    let is_cut = {
        let closed = watch::Sender::new(false);
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let up = Pump { shared, from: from_client, to: to_server, closed: &closed, is_request: true };
        let down = Pump { shared, from: from_server, to: to_client, closed: &closed, is_request: false };
        // An end is passed on, and the other direction may go on; an error ends both.
        let both = async { tokio::try_join!(up.run(), down.run()) };
        tokio::select! {
            outcome = both => outcome.is_err(),
            changed = weather.wait_for(|weather| weather.cuts != cuts) => {
                if changed.is_ok() {
                    tally.cut.fetch_add(1, Ordering::Relaxed);
                }
                true
            }
        }
    };
    if is_cut {
        reset([&client, &server]);
    }
    tally.open.fetch_sub(1, Ordering::Relaxed);
}

/// Whoever comes while nothing arrives waits: the system has answered for a server that cannot be reached. `false`: the proxy is
/// gone.
async fn hold_newcomer(client: &TcpStream, tally: &Tally, weather: &mut watch::Receiver<Weather>) -> bool {
    let mut first = vec![0; CHUNK_BYTES];
    let mut is_over = weather.clone();
    tokio::select! {
        sent = client.peek(&mut first) => {
            tally.held_bytes.fetch_add(sent.map_or(0, |bytes| bytes as u64), Ordering::Relaxed);
        }
        _ = is_over.wait_for(|weather| weather.mode != Mode::Hold) => {}
    }
    weather.wait_for(|weather| weather.mode != Mode::Hold).await.is_ok()
}

/// So that closing them tells the other side of an error, not of an end.
fn reset<'s>(streams: impl IntoIterator<Item = &'s TcpStream>) {
    for stream in streams {
        stream.set_zero_linger().ok();
    }
}

/// One direction of a connection.
struct Pump<'c> {
    shared: &'c Shared,
    from: ReadHalf<'c>,
    to: WriteHalf<'c>,
    /// Whether a trap has closed over this connection.
    closed: &'c watch::Sender<bool>,
    is_request: bool,
}

impl Pump<'_> {
    async fn run(mut self) -> io::Result<()> {
        let mut weather = self.shared.weather.subscribe();
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut share = None;
        loop {
            let bytes = self.from.read(&mut buffer).await?;
            if bytes == 0 {
                return self.to.shutdown().await;
            }
            let chunk = &buffer[..bytes];
            self.wait(bytes as u64, &mut weather).await;
            if self.is_request {
                let body = match share {
                    None => match self.shared.spring(chunk) {
                        Some(sprung) => {
                            share = Some(sprung);
                            self.closed.send_replace(true);
                            body_of(chunk)
                        }
                        None => &[],
                    },
                    Some(_) => chunk,
                };
                if !body.is_empty() && share == Some(Share::Half) {
                    let (passing, rest) = chunk.split_at(bytes - body.len() / 2);
                    self.to.write_all(passing).await?;
                    self.count_trapped(body.len() - rest.len());
                    self.wait_release(&mut weather).await;
                    share = None;
                    self.to.write_all(rest).await?;
                    continue;
                }
                self.to.write_all(chunk).await?;
                self.count_trapped(body.len());
                continue;
            }
            if *self.closed.borrow() {
                self.shared.tally.answer_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
                self.wait_release(&mut weather).await;
            }
            self.to.write_all(chunk).await?;
        }
    }

    fn count_trapped(&self, bytes: usize) {
        self.shared.tally.trapped_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// As long as the weather says.
    async fn wait(&self, bytes: u64, weather: &mut watch::Receiver<Weather>) {
        let mode = weather.borrow_and_update().mode;
        match mode {
            Mode::Pass | Mode::Refuse => {}
            Mode::Delay(delay) => {
                self.shared.tally.delayed_bytes.fetch_add(bytes, Ordering::Relaxed);
                tokio::time::sleep(delay).await;
            }
            Mode::Hold => {
                self.shared.tally.held_bytes.fetch_add(bytes, Ordering::Relaxed);
                // An error: the proxy is gone, and the connection with it.
                weather.wait_for(|weather| weather.mode != Mode::Hold).await.ok();
            }
        }
    }

    async fn wait_release(&self, weather: &mut watch::Receiver<Weather>) {
        let before = weather.borrow_and_update().releases;
        weather.wait_for(|weather| weather.releases != before).await.ok();
        self.closed.send_replace(false);
    }
}

/// What stands behind the head of a request over HTTP.
fn body_of(chunk: &[u8]) -> &[u8] {
    const END: &[u8] = b"\r\n\r\n";
    let end = chunk.windows(END.len()).position(|part| part == END);
    end.map_or(&[], |end| &chunk[end + END.len()..])
}

#[cfg(test)]
mod tests;
