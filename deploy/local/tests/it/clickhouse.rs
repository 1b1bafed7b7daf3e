//! ClickHouse keeps what it acknowledged.

use tollbooth_local::{ClickHouse, ClickHouseOptions};

#[test]
fn rows_survive_a_sigkill_and_an_orderly_stop() {
    // given a server with a table and a row
    let dir = tempfile::tempdir().unwrap();
    let server = ClickHouse::start(ClickHouseOptions::new(dir.path())).unwrap();
    server.create_database("kept").unwrap();
    server
        .query("CREATE TABLE kept.rows (id UInt64, name String) ENGINE = MergeTree ORDER BY id SETTINGS fsync_after_insert = 1")
        .unwrap();
    server.query("INSERT INTO kept.rows VALUES (1, 'one')").unwrap();
    let killed = server.pid().unwrap();

    // when it is killed
    server.kill().unwrap();
    assert_eq!(server.pid(), None);
    assert!(server.query("SELECT 1").is_err());
    server.restart().unwrap();

    // then the row is there, on the same address, in another process
    assert_ne!(server.pid().unwrap(), killed);
    assert_eq!(server.query("SELECT id, name FROM kept.rows").unwrap(), "1\tone\n");

    // and after an orderly stop as well
    server.query("INSERT INTO kept.rows VALUES (2, 'two')").unwrap();
    server.stop().unwrap();
    server.restart().unwrap();
    assert_eq!(server.query("SELECT count() FROM kept.rows").unwrap(), "2\n");
}

#[test]
fn a_refused_statement_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let server = ClickHouse::start(ClickHouseOptions::new(dir.path())).unwrap();
    let refused = server.query("SELECT * FROM no_such_table").unwrap_err().to_string();
    assert!(refused.contains("UNKNOWN_TABLE"), "{refused}");
}
