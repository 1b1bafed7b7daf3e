//! The one thread that writes reports to disk.

use std::sync::{
    Arc,
    atomic::Ordering::{Relaxed, Release},
};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::{
    booth::{EnqueueError, Shared},
    outbox::{HEADER_BYTES, LogWriter},
};

/// Bytes that one write to disk gathers.
const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Reports of one call, and who waits for them.
pub(crate) struct Write {
    pub(crate) payloads: Vec<Bytes>,
    pub(crate) done: oneshot::Sender<Result<(), EnqueueError>>,
}

/// Gathers what waits and pays for the disk once, until nobody can send any more.
#[allow(clippy::needless_pass_by_value)] // Owns its end of the channel for as long as it runs.
pub(crate) fn write_all(mut writer: LogWriter, mut requests: mpsc::Receiver<Write>, shared: &Shared, bytes_max: u64) {
    while let Some(first) = requests.blocking_recv() {
        let mut payloads: Vec<Bytes> = Vec::new();
        let mut taken: Vec<oneshot::Sender<Result<(), EnqueueError>>> = Vec::new();
        let mut group_bytes: usize = 0;
        let mut next = Some(first);
        while let Some(write) = next {
            let bytes: usize = write.payloads.iter().map(|payload| payload.len() + HEADER_BYTES).sum();
            let pending_bytes = shared.pending_bytes.load(Relaxed) + group_bytes as u64;
            if pending_bytes + bytes as u64 > bytes_max {
                // A caller that gave up waiting needs no answer.
                drop(write.done.send(Err(EnqueueError::Full { pending_bytes, bytes_max })));
            } else {
                group_bytes += bytes;
                payloads.extend(write.payloads);
                taken.push(write.done);
            }
            next = if group_bytes < GROUP_BYTES_MAX { requests.try_recv().ok() } else { None };
        }
        if payloads.is_empty() {
            continue;
        }
        match writer.append(&payloads) {
            Ok(bytes) => {
                shared.pending_bytes.fetch_add(bytes, Relaxed);
                shared.enqueued.fetch_add(payloads.len() as u64, Relaxed);
                shared.durable_seq.store(writer.next_seq(), Release);
                shared.work.notify_waiters();
                for done in taken {
                    drop(done.send(Ok(())));
                }
            }
            Err(error) => {
                tracing::error!(%error, "outbox write failed");
                let error = Arc::new(error);
                for done in taken {
                    drop(done.send(Err(EnqueueError::Disk(Arc::clone(&error)))));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Read, os::fd::OwnedFd};

    use super::*;
    use crate::outbox::{OutboxError, encode_payload};

    #[test]
    fn after_a_failed_sync_nobody_is_told_that_nothing_was_kept() {
        // given a log on a pipe: it takes bytes, and cannot sync them
        let (mut taken, log) = std::io::pipe().unwrap();
        let log = LogWriter::on(File::from(OwnedFd::from(log)));
        let (writes, requests) = mpsc::channel(2);
        let mut answers = ["a", "b"].map(|id| {
            let (done, answer) = oneshot::channel();
            let payloads = vec![encode_payload(id, b"{}").unwrap()];
            writes.try_send(Write { payloads, done }).unwrap();
            answer
        });
        drop(writes);
        // when reports are written
        let shared = Shared::default();
        write_all(log, requests, &shared, u64::MAX);
        // then their callers are told that it is unknown and what to do about it
        for answer in &mut answers {
            let error = answer.try_recv().unwrap().unwrap_err();
            assert!(matches!(&error, EnqueueError::Disk(cause) if matches!(**cause, OutboxError::Io(_))), "{error}");
            let told = error.to_string();
            assert!(told.contains("unknown") && told.contains("same ids"), "{told}");
        }
        assert_eq!(shared.durable_seq.load(Relaxed), 0);
        // for it was taken
        let mut kept = Vec::new();
        taken.read_to_end(&mut kept).unwrap();
        assert!(kept.ends_with(b"b{}"), "{kept:?}");
    }
}
