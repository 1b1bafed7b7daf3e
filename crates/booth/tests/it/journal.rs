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

#[test]
fn a_limited_journal_drops_its_oldest_files_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(dir.path(), Some(4 * 1024 * 1024)).unwrap();
    let mut number = 0;
    for _ in 0..200 {
        let group: Vec<Line> = (0..1_000)
            .map(|_| {
                number += 1;
                duplicate(number)
            })
            .collect();
        writer.write(&group).unwrap();
    }
    let bytes: u64 = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes < 5 * 1024 * 1024, "{bytes}");
    let read = lines(dir.path());
    assert!(matches!(read[0], Line::Gap { .. }), "{:?}", read[0]);
    assert_eq!(read.last(), Some(&duplicate(number)));
}
