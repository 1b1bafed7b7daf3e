//! One operation, however often it is reported.

use tollbooth_tests::usage;

use crate::stage::{PATIENCE, amounts, balance_becomes, pair, shared};

#[test]
fn repeats_of_an_operation_are_charged_once() -> anyhow::Result<()> {
    // given an account
    let stack = shared();
    let account = "acc_repeats";
    stack.api.open_account(account, Some("10.00"))?;
    let event = usage::event(account, "op_repeated");

    // when the same event comes twice in a batch, in a second batch, and under another event id as a later attempt
    stack.api.send(&[event.clone(), event.clone()])?;
    stack.api.send(std::slice::from_ref(&event))?;
    stack.api.send(&[usage::retried(event, 2)])?;
    // and another operation behind them
    stack.api.send(&[usage::event(account, "op_behind")])?;

    // then two operations were charged
    balance_becomes(&stack, account, "9.52")?;
    let transactions = stack.api.transactions(account)?;
    assert_eq!(amounts(&transactions, "consume"), vec![pair("-0.24", "success"), pair("-0.24", "success")]);
    Ok(())
}

#[test]
fn failed_work_is_listed_with_nothing_and_its_retry_is_charged_once() -> anyhow::Result<()> {
    // given an account
    let stack = shared();
    let account = "acc_failed";
    stack.api.open_account(account, Some("10.00"))?;
    let event = usage::event(account, "op_retried");

    // when an attempt fails, its report comes twice, the next one succeeds, and the first report comes late once more
    let failed = usage::failed(event.clone(), 1);
    stack.api.send(&[failed.clone(), failed.clone()])?;
    stack.api.send(&[usage::retried(event, 2)])?;
    stack.api.send(&[failed])?;
    stack.api.send(&[usage::event(account, "op_after")])?;

    // then the failure is listed once with 0.00 and its reason, and the operation charged once
    balance_becomes(&stack, account, "9.52")?;
    let transactions = stack.api.transactions(account)?;
    let expected = vec![pair("0.00", "failed"), pair("-0.24", "success"), pair("-0.24", "success")];
    assert_eq!(amounts(&transactions, "consume"), expected);
    let listed = transactions.iter().find(|entry| entry["status"] == "failed");
    assert_eq!(listed.map(|entry| entry["reason"].clone()), Some("provider_timeout".into()));
    // and nobody has to look at it
    let letters = stack.log.dead_letters()?;
    assert!(!letters.iter().any(|letter| String::from_utf8_lossy(&letter.payload).contains(account)), "{letters:?}");
    Ok(())
}

#[test]
fn many_events_of_many_accounts_add_up() -> anyhow::Result<()> {
    // given accounts in several partitions
    let stack = shared();
    let accounts: Vec<String> = (0..12).map(|number| format!("acc_many_{number}")).collect();
    for account in &accounts {
        stack.api.open_account(account, Some("100.00"))?;
    }

    // when each has 100 images, all in batches that mix them, every tenth reported twice
    let mut events = Vec::new();
    for number in 0..100 {
        for account in &accounts {
            let event = usage::event(account, &format!("op_many_{number}"));
            if number % 10 == 0 {
                events.push(event.clone());
            }
            events.push(event);
        }
    }
    for batch in events.chunks(200) {
        stack.api.send(batch)?;
    }

    // then each paid for 100, and the numbers of its entries have no gap
    for account in &accounts {
        balance_becomes(&stack, account, "76.00")?;
        let newest =
            stack.wait("the newest entry", PATIENCE, || stack.api.transactions(account).ok()?.first().cloned())?;
        // Opening, credit, 100 charges.
        assert_eq!(newest["seq"], 102, "{newest}");
    }
    Ok(())
}
