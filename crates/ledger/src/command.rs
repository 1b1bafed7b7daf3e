//! Commands: carried out at most once per (account, idempotency key); a rejected one is judged anew.

use tollbooth_schemas::{
    Money,
    v1::{
        Accepted, AccountOpened, Adjustment, ChangePlan, Command, CommandRef, Entry, OpenAccount, PlanChanged,
        PostAdjustment, Rejected, Reply, SourceTopic, command::Body, entry::Kind, reply::Outcome,
    },
};

use crate::{
    decision::{CommandDecision, CommandInput, rejected},
    pricing::PriceBooks,
    state::{Account, Answer, View, week_of},
};

/// What a command posts, before it has its place in the ledger.
struct Draft {
    amount: Money,
    occurred_at_ms: i64,
    kind: Kind,
}

pub(crate) fn apply(view: &impl View, books: &PriceBooks, input: CommandInput<'_>, now_ms: i64) -> CommandDecision {
    let command = input.command;
    let account = view.account(&command.account_id);
    let first_kept = view.first_kept(week_of(now_ms));
    let answer = view.answer(&command.account_id, &command.idempotency_key);
    if let Some(answer) = answer.filter(|answer| answer.week >= first_kept) {
        return CommandDecision::Answer(replay(command, account, answer));
    }
    let entry = decide(account, books, command, now_ms).and_then(|draft| place(account, input, draft));
    match entry {
        Ok(entry) => {
            let currency = match &entry.kind {
                Some(Kind::AccountOpened(opened)) => opened.currency.clone(),
                _ => account.map(|account| account.currency.clone()).unwrap_or_default(),
            };
            let accepted = Accepted {
                replayed: false,
                seq: entry.seq,
                amount_micros: entry.amount_micros,
                balance_micros: entry.balance_after_micros,
                held_micros: entry.held_after_micros,
                posted_at_ms: now_ms,
                currency,
            };
            CommandDecision::Post(Box::new(entry), reply(command, Outcome::Accepted(accepted)))
        }
        Err(why) => CommandDecision::Answer(reply(command, Outcome::Rejected(why))),
    }
}

fn reply(command: &Command, outcome: Outcome) -> Reply {
    Reply {
        correlation_id: command.correlation_id.clone(),
        account_id: command.account_id.clone(),
        outcome: Some(outcome),
    }
}

fn replay(command: &Command, account: Option<&Account>, answer: &Answer) -> Reply {
    if *answer.body_hash != *command.body_hash {
        let why = rejected(422, "idempotency_mismatch", "this Idempotency-Key was used with another body");
        return reply(command, Outcome::Rejected(why));
    }
    let accepted = Accepted {
        replayed: true,
        seq: answer.seq,
        amount_micros: answer.amount.micros(),
        balance_micros: answer.balance.micros(),
        held_micros: answer.held.micros(),
        posted_at_ms: answer.posted_at_ms,
        currency: account.map(|account| account.currency.clone()).unwrap_or_default(),
    };
    reply(command, Outcome::Accepted(accepted))
}

fn decide(account: Option<&Account>, books: &PriceBooks, command: &Command, now_ms: i64) -> Result<Draft, Rejected> {
    let unknown = || rejected(404, "unknown_account", format!("{} was never opened", command.account_id));
    match &command.body {
        Some(Body::OpenAccount(open)) => match account {
            Some(_) => Err(rejected(409, "account_exists", format!("{} is open", command.account_id))),
            None => open_account(books, open, now_ms),
        },
        Some(Body::PostAdjustment(adjustment)) => account.ok_or_else(unknown).and_then(|_| adjust(adjustment, now_ms)),
        Some(Body::ChangePlan(change)) => account.ok_or_else(unknown).and_then(|_| change_plan(books, change, now_ms)),
        None => Err(rejected(422, "unknown_command", "this release does not know the command")),
    }
}

fn open_account(books: &PriceBooks, open: &OpenAccount, now_ms: i64) -> Result<Draft, Rejected> {
    check_plan(books, &open.plan)?;
    let opened = AccountOpened {
        name: open.name.clone(),
        plan: open.plan.clone(),
        currency: open.currency.clone(),
        time_zone: open.time_zone.clone(),
    };
    let occurred_at_ms = open.occurred_at_ms.unwrap_or(now_ms);
    Ok(Draft { amount: Money::ZERO, occurred_at_ms, kind: Kind::AccountOpened(opened) })
}

/// Before any book is published every plan is taken: accounts may be imported first.
fn check_plan(books: &PriceBooks, plan: &str) -> Result<(), Rejected> {
    if books.is_empty() || books.has_plan(plan) {
        Ok(())
    } else {
        Err(rejected(422, "unknown_plan", format!("no price book names the plan {plan:?}")))
    }
}

fn adjust(adjustment: &PostAdjustment, now_ms: i64) -> Result<Draft, Rejected> {
    let amount = Money::from_micros(adjustment.amount_micros).ok_or_else(out_of_range)?;
    if amount == Money::ZERO {
        return Err(rejected(422, "out_of_range", "the amount must not be 0"));
    }
    let kind = Kind::Adjustment(Adjustment { reason: adjustment.reason.clone(), note: adjustment.note.clone() });
    Ok(Draft { amount, occurred_at_ms: adjustment.occurred_at_ms.unwrap_or(now_ms), kind })
}

fn change_plan(books: &PriceBooks, change: &ChangePlan, now_ms: i64) -> Result<Draft, Rejected> {
    check_plan(books, &change.plan)?;
    let effective_at_ms = change.effective_at_ms.unwrap_or(now_ms);
    let kind = Kind::PlanChanged(PlanChanged { plan: change.plan.clone(), effective_at_ms });
    Ok(Draft { amount: Money::ZERO, occurred_at_ms: now_ms, kind })
}

fn out_of_range() -> Rejected {
    rejected(422, "out_of_range", "the amount or the balance after it is beyond 10^12")
}

fn place(account: Option<&Account>, input: CommandInput<'_>, draft: Draft) -> Result<Entry, Rejected> {
    let (seq, balance, held) =
        account.map_or((0, Money::ZERO, Money::ZERO), |account| (account.seq, account.balance, account.held));
    let balance = balance.checked_add(draft.amount).ok_or_else(out_of_range)?;
    let command = input.command;
    Ok(Entry {
        seq: seq.checked_add(1).ok_or_else(out_of_range)?,
        amount_micros: draft.amount.micros(),
        balance_after_micros: balance.micros(),
        held_after_micros: held.micros(),
        occurred_at_ms: draft.occurred_at_ms,
        source_topic: SourceTopic::Commands.into(),
        source_offset: input.offset,
        command: Some(CommandRef {
            idempotency_key: command.idempotency_key.clone(),
            body_hash: command.body_hash.clone(),
            actor: command.actor.clone(),
        }),
        kind: Some(draft.kind),
    })
}
