//! Defects that only the fleet's journal can tell.

use std::{fs, io::Write as _};

use tollbooth_schemas::{dead_letter::Reason, time::rfc3339};

use super::{
    super::{Checked, Defect, Unchecked, journal_files::JournalFiles},
    assert_defects,
    world::{NOON, World},
};

/// A line that plans a record as [`World::structured`] makes it.
fn planned(id: &str, account: &str, operation: &str, attempt: u32, quantity: &str, expect: &str) -> String {
    let plan = if account == "acc_sol" { "pro" } else { "payg" };
    let status = if expect == "failed" { "failed" } else { "success" };
    let time = rfc3339(NOON);
    format!(
        r#"{{"record":"planned","id":"{id}","source":"/booths/bth_1","operation_id":"{operation}","attempt":{attempt},
        "account_id":"{account}","plan":"{plan}","service":"ai_modify","engine":"nano","unit":"image",
        "quantity":"{quantity}","occurred_at":"{time}","event_id":"evt_gala","booth_id":"bth_1","status":"{status}",
        "via":"http","expect":"{expect}"}}"#
    )
}

fn dead(id: &str, reason: &str) -> String {
    let line = planned(id, "acc_luna", id, 1, "1", "dead_letter");
    line.replace("\"via\"", &format!("\"reason\":\"{reason}\",\"via\""))
}

fn acked(id: &str) -> String {
    format!(r#"{{"record":"acked","at":"2026-11-21T20:00:01.000Z","ids":["{id}"]}}"#)
}

/// The history of [`World::with_history`] as its fleet wrote it down.
fn journaled() -> World {
    let mut world = World::with_history();
    world.tables = false;
    let account = |id: &str, plan: &str| {
        format!(
            r#"{{"record":"account_planned","account_id":"{id}","name":"Luna","plan":"{plan}","currency":"USD","time_zone":"Europe/Berlin"}}"#
        )
    };
    let top_up = r#""account_id":"acc_luna","idempotency_key":"top-1""#;
    world.journal = vec![
        r#"{"record":"run","run_id":"r","seed":1,"profile":"saturday","started_at":"2026-11-21T20:00:00.000Z"}"#.into(),
        account("acc_luna", "payg"),
        r#"{"record":"account_opened","account_id":"acc_luna"}"#.into(),
        account("acc_sol", "pro"),
        r#"{"record":"account_opened","account_id":"acc_sol"}"#.into(),
        format!(r#"{{"record":"top_up_planned",{top_up},"amount":"50","reason":"top_up"}}"#),
        format!(r#"{{"record":"top_up_done",{top_up}}}"#),
    ];
    let records = [
        planned("r-1", "acc_luna", "op_1", 1, "1", "charge"),
        planned("r-2", "acc_luna", "op_2", 1, "2.5", "charge"),
        planned("r-3", "acc_sol", "op_3", 1, "1", "charge"),
        planned("r-4", "acc_luna", "op_4", 1, "1", "failed"),
        planned("r-5", "acc_luna", "op_4", 2, "1", "charge"),
    ];
    for (index, line) in records.into_iter().enumerate() {
        world.journal.push(line);
        world.journal.push(acked(&format!("r-{}", index + 1)));
    }
    world.journal.push(r#"{"record":"duplicate","id":"r-1"}"#.into());
    world
}

#[test]
fn a_journal_that_came_true_is_clean() {
    let report = journaled().report();
    assert_defects(&report, &[]);
    assert_eq!(report.count_checked(Checked::Planned), 5);
    assert_eq!(report.count_checked(Checked::Acknowledged), 5);
}

#[test]
fn an_acknowledged_record_that_is_nowhere_is_lost() {
    let mut world = journaled();
    world.journal.push(planned("r-9", "acc_luna", "op_9", 1, "1", "charge"));
    // Planned and never acknowledged: may or may not be there.
    assert_defects(&world.report(), &[]);
    world.journal.push(acked("r-9"));
    assert_defects(&world.report(), &[(Defect::Lost, 1)]);
    world.journal.push(planned("r-10", "acc_luna", "op_10", 1, "1", "failed"));
    world.journal.push(acked("r-10"));
    assert_defects(&world.report(), &[(Defect::Lost, 2)]);
}

#[test]
fn a_charge_of_another_price_or_content_than_planned_is_counted() {
    let mut world = journaled();
    world.journal[9] = planned("r-2", "acc_luna", "op_2", 1, "2", "charge");
    assert_defects(&world.report(), &[(Defect::WrongContent, 1), (Defect::WrongPrice, 1)]);
    // On another plan only the price differs.
    world.journal[9] = planned("r-2", "acc_luna", "op_2", 1, "2.5", "charge").replace("payg", "pro");
    assert_defects(&world.report(), &[(Defect::WrongPrice, 1)]);
}

#[test]
fn what_nobody_planned_is_counted() {
    let mut world = journaled();
    world.journal.retain(|line| !line.contains("\"r-3\""));
    assert_defects(&world.report(), &[(Defect::Unplanned, 1)]);
    let mut world = journaled();
    world.top_up("acc_sol", "gift", 1_000_000);
    assert_defects(&world.report(), &[(Defect::Unplanned, 1)]);
    // After older files were removed nobody knows.
    world.journal.push(r#"{"record":"gap","files_removed":1}"#.into());
    assert_defects(&world.report(), &[]);
    // An account that is not the journal's is none of its business.
    let mut world = journaled();
    world.open("acc_other", "payg");
    world.charge("acc_other", "op_1", "1", 240_000);
    assert_defects(&world.report(), &[]);
}

#[test]
fn what_others_wrote_is_counted_apart_where_they_may() {
    // given a charge and a dead letter of somebody else's
    let mut world = journaled();
    world.charge("acc_luna", "op_mine", "1", 240_000);
    let stray = world.event("acc_luna", "stray", 1, "1", "success", "prototype");
    world.usage.push(stray.clone());
    world.dead_of(&stray, Reason::NoPrice);
    assert_defects(&world.report(), &[(Defect::Unplanned, 1), (Defect::DeadUnexpected, 1)]);

    // when the accounts are shared
    let report = world.report_with_journal(|audit| audit.journals_are_shared());

    // then neither is a defect, and what was promised is still asked for
    assert_defects(&report, &[]);
    assert_eq!(report.count_unchecked(Unchecked::OfOthers), 2);
    world.journal.extend([planned("r-9", "acc_luna", "op_9", 1, "1", "charge"), acked("r-9")]);
    assert_defects(&world.report_with_journal(|audit| audit.journals_are_shared()), &[(Defect::Lost, 1)]);
}

#[test]
fn an_acknowledgement_of_what_was_never_planned_is_counted() {
    let mut world = journaled();
    world.journal.extend([acked("r-99"), acked("r-99"), acked("r-98")]);
    assert_defects(&world.report(), &[(Defect::Unplanned, 2)]);
    // After older files were removed nobody knows.
    world.journal.insert(0, r#"{"record":"gap","files_removed":1}"#.into());
    assert_defects(&world.report(), &[]);
}

#[test]
fn dead_letters_are_the_injected_faults_no_more_no_less() {
    // given one fault of each form, and its dead letter
    let mut world = journaled();
    let mut structured = world.event("acc_luna", "f-1", 1, "1", "success", "prototype");
    structured.payload = String::from_utf8(structured.payload).unwrap().replace("f-1-1-success-1", "f-1").into_bytes();
    let mut malformed = world.structured("acc_luna", "x", "1", "success");
    malformed.payload = b"this is no event: f-2".to_vec();
    world.usage.push(structured.clone());
    world.usage.push(malformed.clone());
    world.dead_of(&structured, Reason::NoPrice);
    world.dead_of(&malformed, Reason::Malformed);
    world.journal.extend([dead("f-1", "no_price"), acked("f-1"), dead("f-2", "malformed"), acked("f-2")]);
    assert_defects(&world.report(), &[]);
    // The same letter once more is none more.
    world.dead_of(&malformed, Reason::Malformed);
    assert_defects(&world.report(), &[]);

    // when one more was injected, and acknowledged
    world.journal.extend([dead("f-3", "no_price"), acked("f-3")]);
    assert_defects(&world.report(), &[(Defect::DeadMissing, 1)]);
    world.journal.truncate(world.journal.len() - 2);

    // when one was not injected
    let stray = world.event("acc_luna", "stray", 1, "1", "success", "prototype");
    world.usage.push(stray.clone());
    world.dead_of(&stray, Reason::NoPrice);
    assert_defects(&world.report(), &[(Defect::DeadUnexpected, 1)]);
}

#[test]
fn a_dead_letter_of_another_reason_is_missing_and_unexpected() {
    let mut world = journaled();
    let record = world.event("acc_luna", "f-1", 1, "1", "success", "prototype");
    world.usage.push(record.clone());
    world.dead_of(&record, Reason::NoPrice);
    world.journal.extend([dead("f-1-1-success-1", "unit_mismatch"), acked("f-1-1-success-1")]);
    assert_defects(&world.report(), &[(Defect::DeadMissing, 1), (Defect::DeadUnexpected, 1)]);
}

#[test]
fn a_verdict_of_ingest_other_than_expected_is_counted() {
    let parked = |id: &str| format!(r#"{{"record":"parked","id":"{id}","status":422,"code":"too_old"}}"#);
    // given a refusal that came, and one that did not
    let mut world = journaled();
    world.journal.extend([planned("p-1", "acc_luna", "op_p", 1, "1", "refused"), parked("p-1")]);
    assert_defects(&world.report(), &[]);
    world.journal.extend([planned("p-2", "acc_luna", "op_q", 1, "1", "refused"), acked("p-2")]);
    assert_defects(&world.report(), &[(Defect::VerdictOff, 1)]);
    // and good work that was refused
    world.journal.extend([planned("p-3", "acc_luna", "op_r", 1, "1", "charge"), parked("p-3")]);
    assert_defects(&world.report(), &[(Defect::VerdictOff, 2)]);
}

#[test]
fn top_ups_that_are_lost_refused_or_other_are_counted() {
    let line = |record: &str, key: &str, rest: &str| {
        format!(r#"{{"record":"{record}","account_id":"acc_sol","idempotency_key":"{key}"{rest}}}"#)
    };
    let planned =
        |key: &str, amount: &str| line("top_up_planned", key, &format!(r#","amount":"{amount}","reason":"top_up""#));
    let mut world = journaled();
    world.journal.extend([planned("t-1", "5"), line("top_up_done", "t-1", "")]);
    assert_defects(&world.report(), &[(Defect::Lost, 1)]);

    let mut world = journaled();
    world.top_up("acc_sol", "t-1", 5_000_000);
    world.journal.push(planned("t-1", "6"));
    assert_defects(&world.report(), &[(Defect::WrongContent, 1)]);

    let mut world = journaled();
    world.top_up("acc_sol", "t-1", 5_000_000);
    world.journal.extend([planned("t-1", "5"), line("top_up_refused", "t-1", r#","status":422"#)]);
    assert_defects(&world.report(), &[(Defect::VerdictOff, 1)]);
}

#[test]
fn an_account_that_was_opened_and_is_not_there_is_lost() {
    let mut world = journaled();
    world.journal.push(r#"{"record":"account_opened","account_id":"acc_gone"}"#.into());
    assert_defects(&world.report(), &[(Defect::Lost, 1)]);
}

#[test]
fn an_account_opened_otherwise_than_planned_is_counted() {
    let mut world = journaled();
    world.journal[1] = world.journal[1].replace("Berlin", "Paris");
    assert_defects(&world.report(), &[(Defect::WrongContent, 1)]);
}

#[test]
fn what_is_acknowledged_while_the_audit_runs_is_not_held_against_it() {
    // given a record, an account and a top-up that are promised behind the ends that were taken
    let mut world = journaled();
    let top_up = r#""account_id":"acc_sol","idempotency_key":"t-1""#;
    world.journal.push(planned("r-9", "acc_luna", "op_9", 1, "1", "charge"));
    let meanwhile = [
        acked("r-9"),
        r#"{"record":"account_opened","account_id":"acc_new"}"#.into(),
        format!(r#"{{"record":"top_up_planned",{top_up},"amount":"5","reason":"top_up"}}"#),
        format!(r#"{{"record":"top_up_done",{top_up}}}"#),
    ];
    world.journal_meanwhile = meanwhile.to_vec();

    // then they are not lost, and are counted
    let report = world.report();
    assert_defects(&report, &[]);
    assert_eq!(report.count_unchecked(Unchecked::AckedMeanwhile), 3);

    // and had they been promised before, they would be lost
    world.journal_meanwhile.clear();
    world.journal.extend(meanwhile);
    assert_defects(&world.report(), &[(Defect::Lost, 3)]);
}

#[test]
fn what_was_planned_and_posted_while_the_audit_ran_is_planned() {
    // given a charge that came just before the ledger's end was taken
    let mut world = journaled();
    world.charge("acc_luna", "op_9", "1", 240_000);
    assert_defects(&world.report(), &[(Defect::Unplanned, 1)]);
    world.journal_meanwhile.push(planned("r-9", "acc_luna", "op_9", 1, "1", "charge"));
    assert_defects(&world.report(), &[]);
}

#[test]
fn what_is_acknowledged_and_waits_for_the_meter_is_not_lost() {
    // given work and two faults, one without a readable id, that are acknowledged
    let mut world = journaled();
    let work = world.structured("acc_luna", "op_9", "1", "success");
    let fault = world.event("acc_luna", "f-1", 1, "1", "success", "prototype");
    let mut malformed = world.structured("acc_luna", "x", "1", "success");
    malformed.payload = b"this is no event: f-2".to_vec();
    let id = |record: &super::world::Stored| {
        serde_json::from_slice::<serde_json::Value>(&record.payload).unwrap()["id"].as_str().unwrap().to_owned()
    };
    let (work_id, fault_id) = (id(&work), id(&fault));
    world.journal.extend([planned(&work_id, "acc_luna", "op_9", 1, "1", "charge"), acked(&work_id)]);
    world.journal.extend([dead(&fault_id, "no_price"), acked(&fault_id), dead("f-2", "malformed"), acked("f-2")]);
    assert_defects(&world.report(), &[(Defect::Lost, 1), (Defect::DeadMissing, 2)]);

    // when they lie in the input, behind what was consumed
    world.usage.extend([work, fault, malformed]);
    world.behind = 3;

    // then nothing is known of them
    let report = world.report();
    assert_defects(&report, &[]);
    assert!(report.count_unchecked(Unchecked::NotConsumed) >= 3);
}

#[test]
fn a_dead_letter_behind_what_was_consumed_is_not_judged() {
    // given a conflict with a charge that was posted behind the ledger's end
    let mut world = World::with_history();
    world.tables = false;
    let record = world.structured("acc_luna", "op_9", "2", "success");
    world.usage.push(record.clone());
    world.dead_of(&record, Reason::Conflict);
    assert_defects(&world.report(), &[(Defect::DeadUnfounded, 1)]);
    world.behind = 1;
    assert_defects(&world.report(), &[]);
}

#[test]
fn a_line_counts_by_when_it_was_written() {
    // given a journal of two files, found at one moment
    let mut world = journaled();
    let dir = tempfile::tempdir().unwrap();
    let file = |number: u32| dir.path().join(format!("journal-{number:06}.jsonl"));
    let line = |text: &str| format!("{}\n", text.replace('\n', " "));
    let before: String = std::mem::take(&mut world.journal).iter().map(|text| line(text)).collect();
    fs::write(file(1), line(r#"{"record":"gap","files_removed":0}"#)).unwrap();
    fs::write(file(2), before + &line(&planned("r-9", "acc_luna", "op_9", 1, "1", "charge"))).unwrap();
    let journals = JournalFiles::find(vec![dir.path().to_owned()]).unwrap();

    // when it grows, goes on in a third file and loses its first
    let mut grown = fs::OpenOptions::new().append(true).open(file(2)).unwrap();
    grown.write_all(line(&acked("r-9")).as_bytes()).unwrap();
    fs::write(file(3), line(&acked("r-10"))).unwrap();
    fs::remove_file(file(1)).unwrap();
    let report = world.report_with_journal(|audit| journals.read(audit).unwrap());

    // then only what was there counts as promised
    assert_defects(&report, &[]);
    assert_eq!(report.count_unchecked(Unchecked::AckedMeanwhile), 2);
    assert_eq!(report.count_unchecked(Unchecked::JournalFilesRemoved), 1);
    assert_eq!(report.count_checked(Checked::Acknowledged), 5);
}
