//! A charge that is made anew stands in every rollup that the first one stands in, and counts once.

use tollbooth_schemas::v1::{self, entry::Kind};

use super::harness::{NOON, World, account, usage};

#[test]
fn a_charge_that_is_made_anew_is_summed_by_every_view_and_counts_once() {
    // given a charge of an event and a booth
    let world = World::new("repriced", 1);
    world.migrate();
    let mut record = account("acc_a", NOON, 0);
    let mut balance = 0;
    let charge = usage(2, &mut balance, NOON);
    let Some(Kind::Usage(work)) = charge.kind.clone() else { panic!("{charge:?} is no usage") };

    // when it is given back and made anew at a lower price
    let back = v1::Reversal {
        original_seq: 2,
        reason: "repricing".to_owned(),
        note: "rpr_1".to_owned(),
        cause: v1::ReversalCause::Repricing.into(),
        operation_id: work.operation_id.clone(),
        service: work.service.clone(),
        engine: work.engine.clone(),
        unit: work.unit.clone(),
        plan: work.plan.clone(),
        event_id: work.event_id.clone(),
        booth_id: work.booth_id.clone(),
        quantity_micros: work.quantity_micros,
        ..v1::Reversal::default()
    };
    let anew = v1::Repriced {
        repricing_id: "rpr_1".to_owned(),
        replaced_seq: 2,
        undo: false,
        charge: Some(Box::new(v1::Usage { price_version: 2, provider_cost_micros: None, ..work })),
    };
    let entry = |seq, amount_micros, kind| v1::Entry { seq, amount_micros, kind: Some(kind), ..charge.clone() };
    let entries = [charge.clone(), entry(3, 240_000, Kind::Reversal(back)), entry(4, -150_000, Kind::Repriced(anew))];
    record.entries.extend(entries);
    world.write_between_aborted(&[record]);
    world.sink_until(4);

    // then each rollup says one operation, its quantity once, the new amount, and the cost of the first one
    for table in ["usage_15m_by_account", "usage_15m_by_event", "usage_15m_by_booth"] {
        let sums =
            "toString(sum(count)), toString(sum(t.quantity)), toString(sum(t.amount)), toString(sum(t.provider_cost))";
        let found = world.query(&format!("SELECT concatWithSeparator(' ', {sums}) FROM {{db}}.{table} AS t"));
        assert_eq!(found, "1 1 -0.15 0.067", "{table}");
    }
}
