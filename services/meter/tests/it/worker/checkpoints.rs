//! State elsewhere: a machine without a store begins with a checkpoint and the ledger's tail.

use super::{
    harness::{World, credit, image, open, wait_until},
    stores::{assert_goes_on, restored_from},
};

const ACCOUNT: &str = "acc_a";

#[test]
fn a_machine_without_a_store_begins_with_the_newest_checkpoint() {
    // given a meter that makes a checkpoint of everything it writes
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new("checkpoint", 1);
    world.config.store.dir = dir.path().join("store").display().to_string();
    world.config.store.write_seconds = 0;
    world.config.store.recent_mib_max = 0;
    world.config.store.checkpoint.url = format!("file://{}", dir.path().join("elsewhere").display());
    world.config.store.checkpoint.seconds = 0;
    world.commands(ACCOUNT, &[open(ACCOUNT, "open", "basic"), credit(ACCOUNT, "credit")]);
    let usage: Vec<Vec<u8>> = (0..10).map(|number| image(ACCOUNT, &format!("op_{number}"), "nano")).collect();
    world.usage(ACCOUNT, &usage[..5]);
    let running = world.start();
    wait_until("the first are charged", || world.entries(ACCOUNT).len() == 7);
    wait_until("a checkpoint is made", || running.is_at_least("tollbooth_meter_checkpoint_offset", 1));
    // and goes on, without any being made
    running.stop();
    world.config.store.checkpoint.url.clear();
    world.usage(ACCOUNT, &usage[5..]);
    world.run_until("the others are charged", || world.entries(ACCOUNT).len() == 12);
    // when its disk is lost
    std::fs::remove_dir_all(dir.path().join("store")).unwrap();
    let mut world = world.again();
    world.config.store.checkpoint.url = format!("file://{}", dir.path().join("elsewhere").display());
    let running = world.start();
    // then it begins with the checkpoint, and nothing is charged twice or lost
    wait_until("it is restored", || restored_from(&running, "checkpoint"));
    assert_goes_on(&world, &running, 10);
    running.stop();
    let report = world.verify();
    assert!(report.is_clean(), "{}", report.render(false));
}
