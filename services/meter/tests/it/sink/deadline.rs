//! A server that takes an insert and does not say so.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::forgetting::{TABLES, forget_tokens};
use super::harness::{NOON, World, account, wait_until};

/// Stands before a server and, when asked to, keeps the answers to inserts of rows to itself.
struct Proxy {
    url: String,
    is_holding: Arc<AtomicBool>,
}

impl Proxy {
    fn before(url: &str) -> Self {
        let server: SocketAddr = url.trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let is_holding = Arc::new(AtomicBool::new(false));
        let holding = Arc::clone(&is_holding);
        // Ends with the process.
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(server).unwrap());
                let is_insert = Arc::new(AtomicBool::new(false));
                let (asking, answering) = (Arc::clone(&holding), Arc::clone(&holding));
                let (up, down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let seen = Arc::clone(&is_insert);
                thread::spawn(move || {
                    pass_on(up, server, |bytes| {
                        let names_format = bytes.windows(6).any(|word| word == b"Native");
                        seen.fetch_or(names_format && asking.load(Ordering::SeqCst), Ordering::SeqCst);
                    });
                });
                thread::spawn(move || {
                    pass_on(down, client, |_| {
                        while is_insert.load(Ordering::SeqCst) && answering.load(Ordering::SeqCst) {
                            thread::park_timeout(Duration::from_millis(5));
                        }
                    });
                });
            }
        });
        Self { url, is_holding }
    }

    fn hold(&self, is_holding: bool) {
        self.is_holding.store(is_holding, Ordering::SeqCst);
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, mut before: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        before(&buffer[..count]);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    to.shutdown(Shutdown::Write).ok();
}

#[test]
fn an_insert_that_is_never_answered_is_given_up_at_its_deadline() {
    // given a server that accepts and stays silent
    let mut world = World::new("silent", 1);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    world.options.clickhouse.url = format!("http://{}", silent.local_addr().unwrap());
    world.options.sink.insert_timeout_ms = 300;
    world.write_between_aborted(&[account("acc_a", NOON, 4)]);
    let block = world.read_block(&[0], 1);

    // when a block is inserted
    let outcome = world.runtime.block_on(world.store().insert_block(&block.token, block.body));

    // then the call ends
    assert!(matches!(outcome, Err(clickhouse::error::Error::TimedOut)), "{outcome:?}");
}

#[test]
fn an_insert_whose_answer_is_lost_is_looked_for_and_counts_once() {
    // given a sink at work
    let mut world = World::new("unanswered", 2);
    let proxy = Proxy::before(&world.options.clickhouse.url);
    world.options.clickhouse.url.clone_from(&proxy.url);
    world.options.sink.insert_timeout_ms = 5_000;
    world.write_between_aborted(&[account("acc_a", NOON, 4)]);
    let running = world.start();
    let inserted = || running.metric("tollbooth_sink_rows_inserted_total");
    wait_until("the first block is through", || inserted() >= 5.0);

    // when the rows of the next block arrive, the answer does not, and the server forgets the token
    proxy.hold(true);
    world.write_between_aborted(&[account("acc_b", NOON, 4)]);
    world.wait_for_rows(10);
    assert!(inserted() < 6.0);
    forget_tokens(&world, &TABLES);

    // then the next try finds them in every table, and the sink goes on
    wait_until("the block counts as inserted", || inserted() >= 10.0);
    assert!((running.metric("tollbooth_sink_insert_retries_total") - 1.0).abs() < f64::EPSILON);
    proxy.hold(false);
    world.write_between_aborted(&[account("acc_c", NOON, 4)]);
    wait_until("all is through", || inserted() >= 15.0);
    running.stop().unwrap();
    world.assert_exact(15);
}
