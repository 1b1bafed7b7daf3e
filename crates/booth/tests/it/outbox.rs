//! The queue on disk.

use std::{fs, path::Path};

use tollbooth_booth::{AddressError, Booth, BoothConfig, BoothError, EnqueueError, OutboxError};

use crate::fake::{Answer, Ingest};

fn config(url: &str) -> BoothConfig {
    let mut config = BoothConfig::new(url, "tb_bk_live_test");
    config.backoff.base = std::time::Duration::from_millis(1);
    config
}

fn event(id: &str) -> (String, String) {
    (id.to_owned(), format!(r#"{{"id":"{id}"}}"#))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn only_segment(dir: &Path) -> std::path::PathBuf {
    let mut segments: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    segments.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    assert_eq!(segments.len(), 1, "{segments:?}");
    segments.remove(0)
}

async fn delivered_after(dir: &Path) -> Vec<String> {
    let ingest = Ingest::start().await;
    let booth = Booth::open(dir, config(&ingest.url)).await.unwrap();
    booth.flush().await.unwrap();
    ingest.batches().concat()
}

#[tokio::test]
async fn what_was_enqueued_survives_a_drop_without_flush() {
    let dir = tempfile::tempdir().unwrap();
    // given reports of several calls, none sent
    let booth = Booth::open(dir.path(), config("http://127.0.0.1:1")).await.unwrap();
    booth.enqueue_encoded([event("a"), event("b")]).await.unwrap();
    booth.enqueue_encoded([event("c")]).await.unwrap();
    drop(booth);
    // when it is opened again, then all of them are sent, in order
    assert_eq!(delivered_after(dir.path()).await, ["a", "b", "c"]);
    // and not once more
    assert!(delivered_after(dir.path()).await.is_empty());
}

#[tokio::test]
async fn a_tail_torn_at_any_byte_costs_only_what_was_not_answered_for() {
    let dir = tempfile::tempdir().unwrap();
    let booth = Booth::open(dir.path(), config("http://127.0.0.1:1")).await.unwrap();
    let mut ends = vec![0];
    for id in ["a", "b", "c"] {
        booth.enqueue_encoded([event(id)]).await.unwrap();
        ends.push(fs::metadata(only_segment(dir.path())).unwrap().len());
    }
    drop(booth);
    let whole = fs::read(only_segment(dir.path())).unwrap();
    for cut in 0..=whole.len() {
        for garbage in [&b""[..], &[0; 40], &[0xff; 40]] {
            // given a log that reached the disk up to this byte, with or without rubbish behind it
            let torn = tempfile::tempdir().unwrap();
            copy(dir.path(), torn.path());
            fs::write(only_segment(torn.path()), [&whole[..cut], garbage].concat()).unwrap();
            // when it is opened and more is enqueued
            let booth = Booth::open(torn.path(), config("http://127.0.0.1:1")).await.unwrap();
            let kept = ends.iter().filter(|end| **end <= cut as u64).count() - 1;
            let stats = booth.stats();
            assert_eq!(stats.pending, kept as u64, "cut at {cut}");
            assert_eq!(stats.torn_bytes, cut as u64 - ends[kept] + garbage.len() as u64, "cut at {cut}");
            booth.enqueue_encoded([event("d")]).await.unwrap();
            drop(booth);
            // then it holds the whole ones and the new one: nothing was written behind a torn frame
            let booth = Booth::open(torn.path(), config("http://127.0.0.1:1")).await.unwrap();
            assert_eq!((booth.stats().pending, booth.stats().torn_bytes), (kept as u64 + 1, 0), "cut at {cut}");
            if garbage.is_empty() && cut % 7 == 0 {
                drop(booth);
                let mut expected = vec!["a", "b", "c"];
                expected.truncate(kept);
                expected.push("d");
                assert_eq!(delivered_after(torn.path()).await, expected, "cut at {cut}");
            }
        }
    }
}

#[tokio::test]
async fn damage_before_the_tail_is_an_error_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut small = config("http://127.0.0.1:1");
    small.outbox.segment_bytes_max = 20;
    let booth = Booth::open(dir.path(), small.clone()).await.unwrap();
    for id in ["a", "b", "c"] {
        booth.enqueue_encoded([event(id)]).await.unwrap();
    }
    drop(booth);
    let first = dir.path().join(format!("{:020}.seg", 0));
    let mut bytes = fs::read(&first).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&first, &bytes).unwrap();
    let opened = Booth::open(dir.path(), small).await;
    assert!(matches!(opened, Err(BoothError::Outbox(OutboxError::Corrupt { seq: 0, .. }))));
    assert_eq!(fs::read(&first).unwrap(), bytes);
}

#[tokio::test]
async fn segments_are_removed_once_delivered_and_the_queue_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start().await;
    let mut small = config(&ingest.url);
    small.outbox.segment_bytes_max = 100;
    small.batch_events_max = 7;
    let mut expected = Vec::new();
    for round in 0..5 {
        let booth = Booth::open(dir.path(), small.clone()).await.unwrap();
        for number in 0..20 {
            let id = format!("{round}-{number}");
            booth.enqueue_encoded([event(&id)]).await.unwrap();
            expected.push(id);
        }
        booth.flush().await.unwrap();
        assert_eq!(booth.stats().pending_bytes, 0);
    }
    assert_eq!(ingest.batches().concat(), expected);
    only_segment(dir.path());
}

#[tokio::test]
async fn a_full_outbox_refuses_and_takes_again_after_delivery() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start().await;
    let mut small = config(&ingest.url);
    small.outbox.pending_bytes_max = 100;
    let booth = Booth::open(dir.path(), small).await.unwrap();
    let mut taken = 0;
    let refused = loop {
        match booth.enqueue_encoded([event("a")]).await {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(taken > 1);
    assert!(matches!(refused, EnqueueError::Full { bytes_max: 100, .. }), "{refused}");
    booth.flush().await.unwrap();
    booth.enqueue_encoded([event("a")]).await.unwrap();
    assert_eq!(booth.stats().enqueued, taken + 1);
}

#[tokio::test]
async fn a_second_process_is_kept_out() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Booth::open(dir.path(), config("http://127.0.0.1:1")).await.unwrap();
    let second = Booth::open(dir.path(), config("http://127.0.0.1:1")).await;
    assert!(matches!(second, Err(BoothError::Outbox(OutboxError::Locked { .. }))));
}

#[tokio::test]
async fn callers_at_once_all_get_their_place() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start().await;
    let booth = std::sync::Arc::new(Booth::open(dir.path(), config(&ingest.url)).await.unwrap());
    let callers: Vec<_> = (0..200)
        .map(|number| {
            let booth = std::sync::Arc::clone(&booth);
            tokio::spawn(async move { booth.enqueue_encoded([event(&number.to_string())]).await.unwrap() })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    booth.flush().await.unwrap();
    let mut ids: Vec<u32> = ingest.batches().concat().iter().map(|id| id.parse().unwrap()).collect();
    ids.sort_unstable();
    assert!(ids.into_iter().eq(0..200));
}

#[tokio::test]
async fn an_event_beyond_the_limit_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let booth = Booth::open(dir.path(), config("http://127.0.0.1:1")).await.unwrap();
    let large = "x".repeat(65 * 1024);
    assert!(matches!(booth.enqueue_encoded([("a", large)]).await, Err(EnqueueError::TooLarge)));
    assert_eq!(booth.stats().pending, 0);
}

#[tokio::test]
async fn an_event_that_is_no_json_is_refused_at_once_with_its_whole_call() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start().await;
    let booth = Booth::open(dir.path(), config(&ingest.url)).await.unwrap();
    for bad in [&b"no json"[..], b"", b"{\"id\": ", b"{}{}", b"{},{}", b"{\"id\":\"\xff\"}", b"{\"id\":\"a\nb\"}"] {
        let good = event("good");
        let refused = booth.enqueue_encoded([("good", good.1.as_bytes()), ("bad", bad)]).await.unwrap_err();
        assert!(matches!(&refused, EnqueueError::NotJson { id, .. } if id == "bad"), "{refused}");
        assert!(refused.to_string().contains("\"bad\" is not JSON"), "{refused}");
    }
    // and the queue goes on
    assert_eq!(booth.stats().pending, 0);
    booth.enqueue_encoded([event("next")]).await.unwrap();
    booth.flush().await.unwrap();
    assert_eq!(ingest.batches(), [["next"]]);
}

#[tokio::test]
async fn an_event_over_several_lines_is_parked_like_any_other() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start().await;
    ingest.script([Answer::Batch(vec![(0, 422)])]);
    let booth = Booth::open(dir.path(), config(&ingest.url)).await.unwrap();
    booth.enqueue_encoded([("a", "{\n  \"id\": \"a\"\n}\n")]).await.unwrap();
    booth.enqueue_encoded([event("b")]).await.unwrap();
    booth.flush().await.unwrap();
    drop(booth);
    let booth = Booth::open(dir.path(), config(&ingest.url)).await.unwrap();
    let parked = booth.parked().unwrap();
    assert_eq!((parked.len(), parked[0].id.as_str()), (1, "a"));
    assert_eq!(serde_json::from_str::<serde_json::Value>(parked[0].event.get()).unwrap()["id"], "a");
}

#[tokio::test]
async fn an_address_that_needs_tls_is_refused_before_anything_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = dir.path().join("outbox");
    let refused = Booth::open(&outbox, config("https://ingest.example.com")).await.err().unwrap();
    assert!(matches!(refused, BoothError::Address(AddressError::Https { .. })), "{refused}");
    assert!(refused.to_string().contains("needs TLS"), "{refused}");
    let refused = Booth::open(&outbox, config("ingest.example.com:8080")).await.err().unwrap();
    assert!(matches!(refused, BoothError::Address(AddressError::Invalid { .. })), "{refused}");
    assert!(!outbox.exists());
}

#[tokio::test]
async fn missing_folders_above_the_outbox_are_made() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = dir.path().join("a/b/outbox");
    let booth = Booth::open(&outbox, config("http://127.0.0.1:1")).await.unwrap();
    booth.enqueue_encoded([event("a")]).await.unwrap();
    drop(booth);
    assert_eq!(delivered_after(&outbox).await, ["a"]);
}
