//! Commands: carried out at most once per (account, idempotency key); a rejected one is judged anew.

mod alerts;
mod hold;
mod money;
mod recharge;
mod redrive;
mod refund;
mod reprice;
mod settings;

use tollbooth_schemas::{
    Money,
    v1::{
        Accepted, Command, CommandRef, Entry, Rejected, Reply, SourceTopic, command::Body, entry::Kind, reply::Outcome,
    },
};

use crate::{
    account::Account,
    decision::{CommandDecision, CommandInput, rejected},
    place::{Draft, place},
    pricing::PriceBooks,
    state::{Answer, Limits, View, week_of},
};

/// What a command of an open account is decided on.
struct Context<'a, V> {
    view: &'a V,
    books: &'a PriceBooks,
    limits: &'a Limits,
    account_id: &'a str,
    account: &'a Account,
    now_ms: i64,
}

pub(crate) fn apply(
    view: &impl View,
    books: &PriceBooks,
    limits: &Limits,
    input: CommandInput<'_>,
    now_ms: i64,
) -> CommandDecision {
    let command = input.command;
    let account = view.account(&command.account_id);
    let first_kept = view.first_kept(week_of(now_ms));
    let answer = view.answer(&command.account_id, &command.idempotency_key);
    if let Some(answer) = answer.filter(|answer| answer.week >= first_kept) {
        return CommandDecision::Answer(replay(command, account, answer));
    }
    let entries =
        decide(view, (books, limits), command, now_ms).and_then(|decided| entries_of(account, input, decided));
    match entries {
        Ok(_) if matches!(command.body, Some(Body::PreparePurchase(_))) => {
            CommandDecision::Answer(reply(command, Outcome::Accepted(as_it_stands(account, now_ms))))
        }
        Ok(entries) => {
            let entry = entries.last();
            let currency = match &entry.kind {
                Some(Kind::AccountOpened(opened)) => opened.currency.clone(),
                _ => currency_of(account),
            };
            let accepted = Accepted {
                replayed: false,
                seq: entry.seq,
                amount_micros: entry.amount_micros,
                balance_micros: entry.balance_after_micros,
                held_micros: entry.held_after_micros,
                posted_at_ms: now_ms,
                currency,
                hold_amount_micros: entry.hold_amount_micros(),
                account_seq: 0,
            };
            let reply = reply(command, Outcome::Accepted(accepted));
            match entries {
                Entries::One(entry) => CommandDecision::Post(entry, reply),
                Entries::Two(entries) => CommandDecision::PostTwo(entries, reply),
            }
        }
        Err(why) => {
            let why = Rejected { currency: currency_of(account), ..why };
            CommandDecision::Answer(reply(command, Outcome::Rejected(why)))
        }
    }
}

/// The answer to a question that is answered with yes.
fn as_it_stands(account: Option<&Account>, now_ms: i64) -> Accepted {
    let micros = |of: fn(&Account) -> Money| account.map(of).unwrap_or_default().micros();
    Accepted {
        balance_micros: micros(|account| account.balance),
        held_micros: micros(|account| account.held),
        posted_at_ms: now_ms,
        currency: currency_of(account),
        account_seq: account.map_or(0, |account| account.seq),
        ..Accepted::default()
    }
}

fn currency_of(account: Option<&Account>) -> String {
    account.map(|account| account.currency().to_owned()).unwrap_or_default()
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
        currency: currency_of(account),
        hold_amount_micros: answer.hold_amount.micros(),
        account_seq: 0,
    };
    reply(command, Outcome::Accepted(accepted))
}

fn decide(
    view: &impl View,
    (books, limits): (&PriceBooks, &Limits),
    command: &Command,
    now_ms: i64,
) -> Result<Decided, Rejected> {
    let account_id = command.account_id.as_str();
    let body = command.body.as_ref();
    let body = body.ok_or_else(|| rejected(422, "unknown_command", "this release does not know the command"))?;
    let account = view.account(account_id);
    if let Body::OpenAccount(open) = body {
        return match account {
            Some(_) => Err(rejected(409, "account_exists", format!("{account_id} is open"))),
            None => settings::open_account(books, open, now_ms).map(Box::new).map(Decided::One),
        };
    }
    let account = account.ok_or_else(|| rejected(404, "unknown_account", format!("{account_id} was never opened")))?;
    let context = Context { view, books, limits, account_id, account, now_ms };
    let draft = match body {
        Body::OpenAccount(_) => Err(rejected(409, "account_exists", format!("{account_id} is open"))),
        Body::ChangePlan(change) => settings::change_plan(&context, change),
        Body::SetProfile(set) => settings::set_profile(&context, set),
        Body::SetCreditLimit(set) => settings::set_credit_limit(set, now_ms),
        Body::DefineEvent(define) => settings::define_event(&context, define),
        Body::SetBooth(set) => settings::set_booth(&context, set),
        Body::PostAdjustment(adjustment) => money::adjust(adjustment, now_ms),
        Body::PostPurchase(purchase) => money::purchase(purchase, now_ms),
        Body::PreparePurchase(prepare) => money::prepare_purchase(prepare, now_ms),
        Body::GrantBonus(grant) => money::grant_bonus(&context, grant),
        Body::PostPlanFee(fee) => money::plan_fee(&context, fee),
        Body::SetRecharge(set) => recharge::set(set, now_ms),
        Body::FailRecharge(fail) => recharge::fail(&context, fail),
        Body::SetAlerts(set) => alerts::set(set, now_ms),
        Body::Refund(refund) => refund::refund(&context, refund),
        Body::PlaceHold(place) => hold::place(&context, place),
        Body::VoidHold(void) => hold::void(&context, void),
        Body::RedriveLetter(letter) => redrive::redrive(&context, letter),
        Body::Reprice(reprice) => {
            return reprice::reprice(&context, reprice).map(|drafts| Decided::Two(Box::new(drafts)));
        }
    };
    draft.map(Box::new).map(Decided::One)
}

/// What a command comes to, before it has its place in the ledger.
enum Decided {
    One(Box<Draft>),
    Two(Box<[Draft; 2]>),
}

/// The same with its place.
enum Entries {
    One(Box<Entry>),
    Two(Box<[Entry; 2]>),
}

impl Entries {
    /// The one that the answer is about.
    const fn last(&self) -> &Entry {
        match self {
            Self::One(entry) => entry,
            Self::Two(entries) => &entries[1],
        }
    }
}

fn entries_of(account: Option<&Account>, input: CommandInput<'_>, decided: Decided) -> Result<Entries, Rejected> {
    match decided {
        Decided::One(draft) => entry_of(account, input, *draft).map(|entry| Entries::One(Box::new(entry))),
        Decided::Two(drafts) => {
            let [first, second] = *drafts;
            let first = entry_of(account, input, first)?;
            let after = account.and_then(|account| account.after(&first)).ok_or_else(out_of_range)?;
            let second = entry_of(Some(&after), input, second)?;
            Ok(Entries::Two(Box::new([first, second])))
        }
    }
}

fn entry_of(account: Option<&Account>, input: CommandInput<'_>, draft: Draft) -> Result<Entry, Rejected> {
    let command = input.command;
    let mut entry = place(account, draft, SourceTopic::Commands, input.offset).ok_or_else(out_of_range)?;
    entry.command = Some(CommandRef {
        idempotency_key: command.idempotency_key.clone(),
        body_hash: command.body_hash.clone(),
        actor: command.actor.clone(),
    });
    Ok(entry)
}

fn out_of_range() -> Rejected {
    rejected(422, "out_of_range", "the amount, the balance or what is held after it is beyond 10^12")
}

/// An amount above zero.
fn positive(micros: i64) -> Result<Money, Rejected> {
    let amount = Money::from_micros(micros).ok_or_else(out_of_range)?;
    if amount > Money::ZERO { Ok(amount) } else { Err(rejected(422, "out_of_range", "the amount must be above 0")) }
}

/// An amount of zero or more.
fn not_negative(micros: i64) -> Result<Money, Rejected> {
    let amount = Money::from_micros(micros).ok_or_else(out_of_range)?;
    if amount.is_negative() {
        return Err(rejected(422, "out_of_range", "the amount must not be below 0"));
    }
    Ok(amount)
}
