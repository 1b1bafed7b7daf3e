//! Every kind of defect is planted, and counted.

mod alerts;
mod engines;
mod fees;
mod journal;
mod kinds;
mod ledger;
mod log;
mod profile;
mod recharge;
mod redrive;
mod repricing;
mod sources;
mod tables;
mod world;

use super::{Defect, Report};

/// The report names these defects, each as often, and no others.
#[track_caller]
fn assert_defects(report: &Report, expected: &[(Defect, u64)]) {
    let mut found: Vec<(Defect, u64)> = report.defects().collect();
    let mut expected = expected.to_vec();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected, "{report}");
    assert_eq!(report.is_clean(), expected.is_empty(), "{report}");
}

#[test]
fn nothing_of_the_core_is_used_here() {
    // The name is put together so that this file does not contain it.
    let core = ["tollbooth", "_ledger"].concat();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/verify");
    let mut folders = vec![root];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(!text.contains(&core), "{} uses the core", path.display());
            // Other modules of the meter may use the core; of them only the configuration is read.
            let imports = text.lines().filter(|line| line.trim_start().starts_with("use crate::"));
            let own = ["use crate::config::", "use crate::verify::"];
            let foreign: Vec<&str> = imports.filter(|line| !own.iter().any(|own| line.contains(own))).collect();
            let is_test = path.ends_with("tests/engines.rs");
            assert!(foreign.is_empty() || is_test, "{}: {foreign:?}", path.display());
            files += 1;
        }
    }
    assert!(files > 10, "the sources were found");
}

#[test]
fn an_audit_of_nothing_is_not_clean() {
    let report = world::World::new().report();
    assert_eq!(report.count(Defect::Lost), 0);
    assert!(!report.is_clean());
    assert!(report.to_string().contains("nothing was checked"));
    assert_eq!(report.to_json()["ok"], false);
}

#[test]
fn the_report_tells_people_and_machines_the_same() {
    // given a world with a lost record
    let mut world = world::World::with_history();
    let record = world.structured("acc_luna", "op_lost", "1", "success");
    world.usage.push(record);

    // when
    let report = world.report();

    // then
    let json = report.to_json();
    assert_eq!(json["defects"]["lost"], 1);
    assert_eq!(json["defects"]["doubled"], 0);
    assert_eq!(json["ok"], false);
    assert_eq!(json["totals"]["USD"]["drift"], "0");
    assert!(json["examples"][0]["detail"].as_str().unwrap().contains("op_lost"), "{json}");
    let text = report.to_string();
    assert!(text.contains("NOT clean") && text.contains("op_lost"), "{text}");
}
