//! The acts that need a scene: what is done to connections, disks, clocks and copies, and what each of them hit.

use std::cell::Cell;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use super::beside;
use super::cluster::wait_in_sync;
use super::fleet::Fleet;
use super::plan::{Act, Copies, Step};
use super::rot;
use super::scene::{Disk, Fault, Link, Scene, broker};
use super::summary::Summary;
use crate::proxy::{Share, Trap};
use crate::stack::{Stack, Victim};

/// An insert comes twice a second while the fleet is at work.
const INSERT_PATIENCE: Duration = Duration::from_secs(60);
/// How an insert of the sink begins, in the address of its request.
const INSERT: &str = "INSERT+INTO+ledger+";
/// A broker that is gone is missed by the others: longer than its session.
const MISSED: Duration = Duration::from_secs(4);
/// How long a connection is slow, or a clock off.
const A_WHILE: Duration = Duration::from_secs(6);
/// Longer than the session of 10 s and the transaction of 12 s: the group has given the partitions away.
const BEYOND_SESSION: Duration = Duration::from_secs(14);
/// The rhythm of somebody who looks at the dashboard.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// How long a disk stays full after the first that was refused.
const FULL: Duration = Duration::from_secs(3);

/// Does one of them; `Ok(false)`: this machine does not allow it.
pub(super) fn carry_out(
    stack: &Stack,
    scene: &Scene,
    step: &Step,
    fleet: &Fleet<'_>,
    summary: &mut Summary,
) -> anyhow::Result<bool> {
    match step.act {
        Act::KillBroker(index) => {
            wait_in_sync(stack)?;
            let duties = stack.log.duties(index)?;
            broker(stack, index)?.kill()?;
            thread::sleep(MISSED + step.down);
            broker(stack, index)?.restart()?;
            summary.hit("ledgers led by killed brokers", duties.leads);
        }
        Act::Net(link, fault) => {
            if link == Link::Brokers {
                wait_in_sync(stack)?;
            }
            let hit = beside(
                |over| {
                    if link == Link::QueryClickHouse {
                        ask_history(stack, over);
                    }
                },
                || scene.links.disturb(stack, link, fault, lasting(link, fault, step.down)),
            );
            let hit = hit.1?;
            summary.hit(&format!("{fault}, {}: {}", link.name(), hit.unit), hit.count);
        }
        Act::Full(disk) => {
            if !scene.disks.are_there() {
                return Ok(false);
            }
            if disk == Disk::Broker {
                wait_in_sync(stack)?;
            }
            summary.stores.is_disk_full |= disk == Disk::Stores;
            let told = scene.disks.fill(stack, disk, FULL + step.down)?;
            ensure!(fleet.is_running(), "the fleet has ended at a full disk\n{}", fleet.log_tail());
            summary.hit(&format!("full disk, {}: refusals told", disk.name()), told);
        }
        Act::Clock(index, by_s) => {
            if !scene.clocks.are_there() {
                return Ok(false);
            }
            let services = stack.services();
            let service = services.get(index).context("no such service")?;
            stack.wait_ready(service)?;
            let looks = scene.clocks.jump(stack, service, by_s, || thread::sleep(A_WHILE))?;
            summary.hit(&format!("clock of {}: looks while it was off", service.name()), looks);
        }
        Act::Rot(Copies::Stores) => rot::stores(stack, summary)?,
        Act::Rot(Copies::Checkpoints) => rot::checkpoints(stack, summary)?,
        Act::MidInsert { is_whole } => interrupt_insert(stack, scene, is_whole, step.down, summary)?,
        Act::Kill(_) | Act::Point(_) | Act::Stores | Act::Zombie => bail!("it needs no scene"),
    }
    Ok(true)
}

/// Query answers from memory what it can; what is searched it asks ClickHouse for.
fn ask_history(stack: &Stack, over: &dyn Fn() -> bool) {
    while !over() {
        // Without an answer while nothing gets through.
        stack.api.read("acc_clerk_0/transactions?q=clerk").ok();
        thread::sleep(ASK_EVERY);
    }
}

fn lasting(link: Link, fault: Fault, down: Duration) -> Duration {
    match (fault, link) {
        (Fault::Cut, _) => down,
        (Fault::Hold | Fault::Lose, Link::MeterKafka(_) | Link::SinkKafka) => BEYOND_SESSION,
        _ => A_WHILE,
    }
}

/// Kills ClickHouse while it works on an insert of the sink: half of the body has come, or all of it and no answer has gone.
fn interrupt_insert(
    stack: &Stack,
    scene: &Scene,
    is_whole: bool,
    down: Duration,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    let proxy = scene.links.of(Link::SinkClickHouse).next().context("no proxy before ClickHouse")?;
    proxy.arm(Trap { text: INSERT, share: if is_whole { Share::Whole } else { Share::Half } });
    let is_seen = Cell::new(false);
    let trapped = stack.wait("an insert of the sink to be under way", INSERT_PATIENCE, || proxy.trapped());
    let killed = trapped.and_then(|_| {
        // Of less than 256 KiB the server begins with nothing before all of it has come, so of half there is nothing to see.
        if is_whole {
            let sql = "SELECT count() FROM system.processes WHERE query LIKE 'INSERT INTO ledger%'";
            let is_at_it = || stack.clickhouse.query(sql).is_ok_and(|count| count.trim() == "1");
            let is_answered = || proxy.trapped().is_some_and(|(_, answered)| answered > 0);
            stack.wait("ClickHouse to be at it, or through", INSERT_PATIENCE, || {
                let seen = is_at_it();
                is_seen.set(seen);
                (seen || is_answered()).then_some(())
            })?;
        }
        stack.kill(Victim::ClickHouse)
    });
    let trapped = proxy.trapped();
    // Also where it was in vain: what waits behind the trap would wait for ever.
    proxy.release();
    ensure!(killed?, "ClickHouse did not run");
    let (passed, answered) = trapped.context("no insert")?;
    thread::sleep(down);
    stack.restart(Victim::ClickHouse)?;
    let outcome = match (is_whole, answered > 0) {
        (false, _) => "half of it had come",
        (true, true) => "it was through, its answer is lost",
        (true, false) if is_seen.get() => "the server said that it was at it",
        (true, false) => "it was not answered",
    };
    summary.hit(&format!("insert, {outcome}: bytes"), passed);
    Ok(())
}
