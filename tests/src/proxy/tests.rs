use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use anyhow::Context as _;
use tokio::runtime::Runtime;
use tollbooth_local::free_port;

use super::*;
use crate::wait::wait_until;

const PATIENCE: Duration = Duration::from_secs(20);

/// A server that gives every byte back, and a proxy before it.
struct Echo {
    proxy: Proxy,
    _runtime: Runtime,
}

impl Echo {
    fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        thread::spawn(move || {
            for mut stream in listener.incoming().filter_map(Result::ok) {
                thread::spawn(move || {
                    let mut buffer = [0; 1024];
                    while let Ok(bytes @ 1..) = stream.read(&mut buffer) {
                        if stream.write_all(&buffer[..bytes]).is_err() {
                            break;
                        }
                    }
                });
            }
        });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self { proxy: Proxy::start(runtime.handle(), free_port()?, port)?, _runtime: runtime })
    }

    fn connect(&self) -> anyhow::Result<TcpStream> {
        let stream = TcpStream::connect(self.proxy.address())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }
}

fn ask(stream: &mut TcpStream, text: &str) -> io::Result<String> {
    stream.write_all(text.as_bytes())?;
    answer(stream, text.len())
}

fn answer(stream: &mut TcpStream, bytes: usize) -> io::Result<String> {
    let mut answer = vec![0; bytes];
    stream.read_exact(&mut answer)?;
    String::from_utf8(answer).map_err(io::Error::other)
}

#[test]
fn what_is_sent_passes_and_comes_late_where_it_is_delayed() -> anyhow::Result<()> {
    let echo = Echo::start()?;
    let mut stream = echo.connect()?;
    assert_eq!(ask(&mut stream, "at once")?, "at once");
    // when each way takes a while
    let delay = Duration::from_millis(150);
    echo.proxy.set(Mode::Delay(delay));
    let begun = Instant::now();
    assert_eq!(ask(&mut stream, "later")?, "later");
    // then both ways do, and it is counted
    assert!(begun.elapsed() >= delay * 2, "{:?}", begun.elapsed());
    assert_eq!(echo.proxy.counts(), Counts { opened: 1, delayed_bytes: 10, ..Counts::default() });
    Ok(())
}

#[test]
fn what_is_held_arrives_when_it_is_over_and_nobody_is_told_meanwhile() -> anyhow::Result<()> {
    let echo = Echo::start()?;
    let mut stream = echo.connect()?;
    ask(&mut stream, "before")?;
    // when nothing arrives any more
    echo.proxy.set(Mode::Hold);
    stream.write_all(b"held")?;
    let mut newcomer = echo.connect()?;
    newcomer.write_all(b"new")?;
    wait_until("bytes to be held", PATIENCE, || (echo.proxy.counts().held_bytes == 7).then_some(()))?;
    stream.set_nonblocking(true)?;
    let silence = stream.read(&mut [0; 4]).err().map(|error| error.kind());
    assert_eq!(silence, Some(ErrorKind::WouldBlock));
    stream.set_nonblocking(false)?;
    // then it does afterwards
    echo.proxy.set(Mode::Pass);
    assert_eq!(answer(&mut stream, 4)?, "held");
    assert_eq!(answer(&mut newcomer, 3)?, "new");
    Ok(())
}

#[test]
fn who_is_cut_is_reset_and_may_come_again_unless_that_is_refused() -> anyhow::Result<()> {
    let echo = Echo::start()?;
    let mut stream = echo.connect()?;
    ask(&mut stream, "before")?;
    // when all connections are cut
    echo.proxy.cut();
    // then that is an error, not an end
    let cut = stream.read(&mut [0; 1]).err().map(|error| error.kind());
    assert_eq!(cut, Some(ErrorKind::ConnectionReset));
    assert_eq!(ask(&mut echo.connect()?, "again")?, "again");
    // and who comes while that is refused is reset, too
    echo.proxy.set(Mode::Refuse);
    assert!(ask(&mut echo.connect()?, "refused").is_err());
    wait_until("the connections to be counted", PATIENCE, || {
        let counts = echo.proxy.counts();
        (counts == Counts { opened: 2, cut: 1, refused: 1, ..Counts::default() } && echo.proxy.open() == 0)
            .then_some(())
    })
}

#[test]
fn a_trap_lets_half_of_the_body_through_and_holds_the_answer() -> anyhow::Result<()> {
    let echo = Echo::start()?;
    echo.proxy.arm(Trap { text: "INSERT", share: Share::Half });
    let mut other = echo.connect()?;
    assert_eq!(ask(&mut other, "POST /?query=SELECT")?, "POST /?query=SELECT");
    assert_eq!(echo.proxy.trapped(), None);
    // when a request comes that the trap waits for, its body after its head
    let mut stream = echo.connect()?;
    let (head, body) = ("POST /?query=INSERT HTTP/1.1\r\n\r\n", "0123456789");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    let (passed, answered) =
        wait_until("an answer to half of it", PATIENCE, || echo.proxy.trapped().filter(|(_, answered)| *answered > 0))?;
    // then half of the body has passed, and the answer has not
    assert_eq!(passed, 5, "{answered}");
    stream.set_nonblocking(true)?;
    assert_eq!(stream.read(&mut [0; 1]).err().map(|error| error.kind()), Some(ErrorKind::WouldBlock));
    stream.set_nonblocking(false)?;
    // and all of it goes on when it is let go
    echo.proxy.release();
    let whole = answer(&mut stream, head.len() + body.len()).context("after the release")?;
    assert_eq!(whole, format!("{head}{body}"));
    assert_eq!(ask(&mut other, "still here")?, "still here");
    Ok(())
}
