//! The journal's files.

use std::io::Write;

use tollbooth_booth::journal::{Line, Reader, Writer};

fn lines(dir: &std::path::Path) -> Vec<Line> {
    Reader::open(dir).unwrap().map(Result::unwrap).collect()
}

fn duplicate(number: u64) -> Line {
    Line::Duplicate { id: format!("run-{number:08x}") }
}

#[test]
fn a_line_torn_by_a_kill_is_skipped_and_the_next_start_goes_on_in_a_new_file() {
    let dir = tempfile::tempdir().unwrap();
    Writer::create(dir.path(), None).unwrap().write(&[duplicate(1), duplicate(2)]).unwrap();
    let first = dir.path().join("journal-000001.jsonl");
    std::fs::OpenOptions::new().append(true).open(&first).unwrap().write_all(br#"{"record":"dupl"#).unwrap();
    Writer::create(dir.path(), None).unwrap().write(&[duplicate(3)]).unwrap();
    let mut reader = Reader::open(dir.path()).unwrap();
    let read: Vec<Line> = reader.by_ref().map(Result::unwrap).collect();
    assert_eq!(read, [duplicate(1), duplicate(2), duplicate(3)]);
    assert_eq!(reader.torn_lines, 1);
}

#[test]
fn damage_inside_a_file_is_an_error_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("journal-000001.jsonl"), "{\"record\":\"duplicate\",\"id\":\"a\"}\nrubbish\n")
        .unwrap();
    let error = Reader::open(dir.path()).unwrap().find_map(Result::err).unwrap().to_string();
    assert!(error.contains("journal-000001.jsonl:2:"), "{error}");
}

fn bytes_in(dir: &std::path::Path) -> u64 {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

fn group(from: u64, lines: u64) -> Vec<Line> {
    (from..from + lines).map(duplicate).collect()
}

#[test]
fn a_limited_journal_drops_its_oldest_files_and_says_so() {
    const LIMIT: u64 = 4 * 1024 * 1024;
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(dir.path(), Some(LIMIT)).unwrap();
    for round in 0..200 {
        writer.write(&group(round * 1_000, 1_000)).unwrap();
        assert!(bytes_in(dir.path()) <= LIMIT, "{}", bytes_in(dir.path()));
    }
    assert!(bytes_in(dir.path()) > LIMIT / 2, "{}", bytes_in(dir.path()));
    let read = lines(dir.path());
    assert_eq!(read[0], Line::Gap { files_removed: 1 });
    assert!(!dir.path().join("journal-000001.jsonl").exists());
    assert_eq!(read.last(), Some(&duplicate(199_999)));
}

#[test]
fn many_short_runs_stay_within_the_limit_together() {
    const LIMIT: u64 = 200_000;
    let dir = tempfile::tempdir().unwrap();
    // given starts that each begin a file and end long before it is full
    for start in 0..100 {
        let mut writer = Writer::create(dir.path(), Some(LIMIT)).unwrap();
        assert!(bytes_in(dir.path()) <= LIMIT, "at start {start}: {}", bytes_in(dir.path()));
        writer.write(&group(start * 300, 300)).unwrap();
        assert!(bytes_in(dir.path()) <= LIMIT, "in run {start}: {}", bytes_in(dir.path()));
    }
    // then the newest runs are there whole, and the rest is told to be missing
    assert!(bytes_in(dir.path()) > LIMIT / 2, "{}", bytes_in(dir.path()));
    let read = lines(dir.path());
    assert_eq!(read[0], Line::Gap { files_removed: 1 });
    let newest: Vec<Line> = read.into_iter().filter(|line| !matches!(line, Line::Gap { .. })).collect();
    assert!(newest.ends_with(&group(27_000, 3_000)));
    // and a first write that is larger than a file has its room
    Writer::create(dir.path(), Some(LIMIT)).unwrap().write(&group(30_000, 3_000)).unwrap();
    assert!(bytes_in(dir.path()) <= LIMIT, "{}", bytes_in(dir.path()));
    assert!(lines(dir.path()).ends_with(&group(30_000, 3_000)));
    // and a journal that grew without a limit is cut at the next start with one
    drop(Writer::create(dir.path(), Some(LIMIT / 10)).unwrap());
    assert!(bytes_in(dir.path()) <= LIMIT / 10, "{}", bytes_in(dir.path()));
}
