//! A connection that gives up when its peer stops reading.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// Whether the connection of a request was closed because its client did not read on for `write_timeout_ms`. The server puts
/// one into every request; an extractor, too.
///
/// A body is dropped the same way whether its client was cut off or went away. One that lasts keeps this, and asks when it is
/// dropped. A client whose network is gone looks like one that does not read where enough is sent to fill the buffers in
/// between; where little is, the kernel gives the connection up, which is no write timeout.
#[derive(Debug, Clone, Default)]
pub struct WriteTimeout(Arc<AtomicBool>);

impl WriteTimeout {
    /// Whether it was closed for that reason.
    #[must_use]
    pub fn has_passed(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl<S: Sync> FromRequestParts<S> for WriteTimeout {
    type Rejection = Infallible;

    /// Without a server in front there is none that could pass.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

/// Fails a write that made no progress for `patience`.
///
/// hyper bounds how long a head may take to arrive, and nothing on the way back: a client that asks and never reads
/// would hold its connection's place for ever.
#[derive(Debug)]
pub(super) struct WriteDeadline<S> {
    stream: S,
    patience: Duration,
    /// Runs while a write waits for the peer.
    stalled: Option<Pin<Box<Sleep>>>,
    timeout: WriteTimeout,
}

impl<S> WriteDeadline<S> {
    pub(super) fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, stalled: None, timeout: WriteTimeout::default() }
    }

    /// Tells of this connection.
    pub(super) fn timeout(&self) -> WriteTimeout {
        self.timeout.clone()
    }

    /// Lets progress through; turns waiting that took too long into an error.
    fn bound<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        // Polled, so that the connection's task is woken when the time is over although the peer does nothing.
        ready!(stalled.as_mut().poll(context));
        // Before the error goes up: it is what has the body dropped.
        self.timeout.0.store(true, Ordering::Relaxed);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteDeadline<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteDeadline<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.bound(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.bound(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_read_is_told_from_one_that_went_away() {
        // given two connections whose buffers are full
        let [(deaf, _open), (left, peer)] = [tokio::io::duplex(8), tokio::io::duplex(8)];
        let [mut deaf, mut left] = [deaf, left].map(|stream| WriteDeadline::new(stream, PATIENCE));
        for stream in [&mut deaf, &mut left] {
            stream.write_all(&[0; 8]).await.unwrap();
        }

        // when the peer of one reads nothing for so long, and that of the other goes away
        drop(peer);
        let (unread, gone) = (deaf.write(&[0]).await.unwrap_err(), left.write(&[0]).await.unwrap_err());

        // then both fail, and one of them for that reason
        assert_eq!((unread.kind(), gone.kind()), (io::ErrorKind::TimedOut, io::ErrorKind::BrokenPipe));
        assert_eq!((deaf.timeout().has_passed(), left.timeout().has_passed()), (true, false));
    }
}
