//! What comes back: a state, row by row.

use prost::Message as _;

use super::{
    ImageError,
    rows::{self, Head},
};
use crate::{
    account::Account,
    digest::{self, Digest},
    due::Due,
    holds::Hold,
    state::{Limits, State, ViewMut as _},
};

impl State {
    /// An empty state that stands where the other one stood; its rows follow. Changes are noted from here on.
    ///
    /// # Errors
    /// [`ImageError`] where the bytes are no head.
    pub fn restore(limits: &Limits, head: &[u8]) -> Result<Self, ImageError> {
        let head = Head::decode(head)?;
        let mut state = Self::new(limits);
        state.positions = head.positions()?;
        state.posted_at_ms = head.posted_at_ms;
        Ok(state)
    }

    /// Takes an account back, and what is due of it.
    ///
    /// # Errors
    /// [`ImageError`] where the bytes are no account.
    pub fn restore_account(&mut self, id: &str, bytes: &[u8]) -> Result<(), ImageError> {
        let account = Account::of_image(prost::Message::decode(bytes)?)?;
        for lot in account.lots() {
            if let Some(expires_at_ms) = lot.expires_at_ms {
                self.add_due(Due::bonus(id, lot.granted_seq, expires_at_ms));
            }
        }
        if let Some((period, at_ms)) = account.fee_due() {
            self.add_due(Due::fee(id, period, at_ms));
        }
        if let Some(at_ms) = account.recharge.as_deref().and_then(crate::recharge::Recharge::due_at_ms) {
            self.add_due(Due::recharge(id, at_ms));
        }
        for alert in account.alerts.iter().flat_map(|alerts| alerts.pending()) {
            self.add_due(Due::alert(id, alert.number, alert.crossed_at_ms));
        }
        self.accounts.insert(id.into(), account);
        Ok(())
    }

    /// Takes an event back.
    ///
    /// # Errors
    /// [`ImageError`] where the bytes are no event.
    pub fn restore_event(&mut self, account_id: &str, event_id: &str, bytes: &[u8]) -> Result<(), ImageError> {
        let event = rows::read_event(bytes)?;
        self.events.entry(account_id.into()).or_default().insert(event_id.into(), event);
        Ok(())
    }

    /// Takes a count back.
    ///
    /// # Errors
    /// [`ImageError`] where the bytes are no count.
    pub fn restore_counter(&mut self, key: Digest, bytes: &[u8]) -> Result<(), ImageError> {
        self.counters.insert(key, rows::read_counter(bytes)?);
        Ok(())
    }

    /// Takes an open hold back, and its expiry.
    ///
    /// # Errors
    /// [`ImageError`] where the bytes are no hold, or another's.
    pub fn restore_hold(&mut self, key: Digest, bytes: &[u8]) -> Result<(), ImageError> {
        let (account_id, hold_id, hold) = rows::read_open_hold(bytes)?;
        if digest::of_pair(&account_id, &hold_id) != key {
            return Err(ImageError::Value("a key"));
        }
        self.add_due(Due::hold(&account_id, &hold_id, hold.expires_at_ms));
        self.holds.insert(key, Hold::Open(Box::new(hold)));
        Ok(())
    }
}
