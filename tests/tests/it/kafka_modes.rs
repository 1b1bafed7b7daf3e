//! Booth backends that write straight into `usage`.

use tollbooth_tests::usage;

use crate::stage::{balance_becomes, shared, write};

#[test]
fn structured_and_binary_records_are_charged_alike() -> anyhow::Result<()> {
    // given an account and a backend's producer
    let stack = shared();
    let account = "acc_backend";
    stack.api.open_account(account, Some("10.00"))?;
    let producer = stack.log.producer()?;

    // when it writes one operation in each mode, and each once more in the other
    for operation in ["op_structured", "op_binary"] {
        let event = usage::event(account, operation);
        write(&stack, &producer, account, usage::structured(&event))?;
        write(&stack, &producer, account, usage::binary(&event))?;
    }
    write(&stack, &producer, account, usage::binary(&usage::event(account, "op_binary_alone")))?;

    // then three operations were charged
    balance_becomes(&stack, account, "9.28")?;
    assert_eq!(stack.api.transactions(account)?.len(), 4, "three charges and the credit");
    Ok(())
}
