//! A partition with one account, and what is decided on it.

use tollbooth_ledger::{CommandDecision, CommandInput, Limits, Overlay, PriceBooks, State, apply_command};
use tollbooth_schemas::v1::{Command, Entry, GrantBonus, LedgerRecord, OpenAccount, command::Body};

use crate::examples::{NOON, book};

/// Whose.
pub(crate) const ACCOUNT: &str = "acc_luna";

/// The committed state of a partition, its prices and its limits.
pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) books: PriceBooks,
    pub(crate) limits: Limits,
}

impl World {
    /// The account of the examples, open since before their noon, with some money and a bonus that will expire.
    pub(crate) fn new() -> Self {
        let limits = Limits::from_days(35, 3_600_000, 90).unwrap();
        let mut state = State::new(&limits);
        state.keep_changes();
        let mut books = PriceBooks::default();
        assert!(books.publish(book()));
        let mut world = Self { state, books, limits };
        let opening = OpenAccount {
            name: "Luna".to_owned(),
            plan: "payg".to_owned(),
            currency: "USD".to_owned(),
            time_zone: "America/New_York".to_owned(),
            occurred_at_ms: None,
        };
        let bonus = GrantBonus {
            amount_micros: 25_000_000,
            expires_at_ms: Some(NOON + 86_400_000),
            reason: "welcome".to_owned(),
            note: String::new(),
        };
        for (key, body) in [("open", Body::OpenAccount(opening)), ("bonus", Body::GrantBonus(bonus))] {
            let command = Command {
                account_id: ACCOUNT.to_owned(),
                idempotency_key: key.to_owned(),
                body_hash: key.as_bytes().to_vec(),
                actor: "key_root".to_owned(),
                body: Some(body),
                ..Command::default()
            };
            let mut overlay = Overlay::new(&world.state);
            assert_eq!(world.carry_out(&mut overlay, &command).len(), 1, "{key}");
            let delta = overlay.into_delta();
            world.state.merge(delta);
        }
        assert_eq!(world.state.audit(), Ok(()));
        world
    }

    /// Decides a command on the overlay and folds what it posts.
    pub(crate) fn carry_out(&self, overlay: &mut Overlay<'_>, command: &Command) -> Vec<Entry> {
        let input = CommandInput { command, offset: 1 };
        let entries = match apply_command(overlay, &self.books, &self.limits, input, NOON) {
            CommandDecision::Post(entry, _) => vec![*entry],
            CommandDecision::PostTwo(entries, _) => Vec::from(*entries),
            CommandDecision::Answer(_) => Vec::new(),
        };
        for entry in &entries {
            overlay
                .post(0, &command.account_id, NOON, entry, None)
                .expect("what was decided on a state follows from it");
        }
        entries
    }
}

/// As the meter writes entries of one account.
pub(crate) fn record(account_id: &str, entries: Vec<Entry>) -> LedgerRecord {
    LedgerRecord { account_id: account_id.to_owned(), posted_at_ms: NOON, input_generation: 0, entries }
}
