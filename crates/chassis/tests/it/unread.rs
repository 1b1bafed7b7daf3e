//! Answers that are read, that are not, and whose client goes away.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use futures_util::stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tollbooth_chassis::http::{HttpLimits, WriteTimeout};

use crate::http::{exchange, limits, request, routes, start};
use crate::support::PATIENCE;

const ENDLESS: &[u8] = b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n";

/// Chunks of 64 KiB: more than the buffers of a connection hold, and less than a test may fill memory with.
const CHUNKS: usize = 1_024;

/// Says at its end whether its client did not read on in time.
struct Ending {
    timeout: WriteTimeout,
    said: mpsc::UnboundedSender<bool>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.said.send(self.timeout.has_passed()).unwrap_or_default();
    }
}

/// With `/endless`, which nobody here reads to its end, and what its answers say when they are dropped.
fn with_endless(routes: Router) -> (Router, mpsc::UnboundedReceiver<bool>) {
    let (said, endings) = mpsc::unbounded_channel();
    let handler = move |timeout: WriteTimeout| {
        let ending = Ending { timeout, said: said.clone() };
        let chunks = stream::unfold((ending, CHUNKS), async |(ending, left)| {
            Some((Ok::<_, Infallible>(vec![b'x'; 64 * 1024]), (ending, left.checked_sub(1)?)))
        });
        async { Body::from_stream(chunks) }
    };
    (routes.route("/endless", get(handler)), endings)
}

async fn next(endings: &mut mpsc::UnboundedReceiver<bool>) -> bool {
    tokio::time::timeout(PATIENCE, endings.recv()).await.expect("the answer ends").unwrap()
}

#[tokio::test]
async fn a_client_that_asks_and_never_reads_loses_its_place() {
    // given the only place held by a client that asks for more than all buffers hold and reads nothing
    let limits = HttpLimits { connections_max: 1, write_timeout_ms: 100, ..limits() };
    let (routes, mut endings) = with_endless(routes());
    let (address, ..) = start(limits, routes).await;
    let mut deaf = TcpStream::connect(address).await.unwrap();
    deaf.write_all(ENDLESS).await.unwrap();
    // when somebody else comes, then the place is free after the time for a write
    assert!(exchange(address, &request("GET", "/id", "", b"")).await.starts_with("HTTP/1.1 200"));
    // and the answer knows why it ended, of which no more was taken than is sent
    assert!(next(&mut endings).await);
    drop(deaf);
}

#[tokio::test]
async fn a_client_that_goes_away_is_not_one_that_does_not_read() {
    // given a client that reads the beginning of an answer without an end
    let (routes, mut endings) = with_endless(routes());
    let (address, ..) = start(limits(), routes).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(ENDLESS).await.unwrap();
    client.read_exact(&mut [0; 1024]).await.unwrap();
    // when it goes away
    drop(client);
    // then the answer ends, and not because it was not read
    assert!(!next(&mut endings).await);
}

#[tokio::test]
async fn an_answer_is_sent_as_it_comes_although_the_next_request_is_there() {
    // given a client that sends two requests at once
    let (routes, mut endings) = with_endless(routes());
    let (address, ..) = start(limits(), routes).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(&[ENDLESS, ENDLESS].concat()).await.unwrap();
    // when it reads the beginning of the first answer
    tokio::time::timeout(PATIENCE, client.read_exact(&mut vec![0; 1024 * 1024])).await.unwrap().unwrap();
    // then the rest of it has not been taken yet
    assert!(endings.try_recv().is_err());
}

#[tokio::test]
async fn a_large_answer_reaches_a_client_that_reads() {
    let (address, ..) = start(limits(), routes()).await;
    let answer = exchange(address, &request("GET", "/big", "", b"")).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.len() > 1024 * 1024);
}
