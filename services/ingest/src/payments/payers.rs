//! What accounts are known as at the provider: the documents `payer:<account>` of `registry`.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tollbooth_schemas::payers::{PayerDocument, REGISTRY_KEY_PREFIX};

/// Every account's payer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Payers(Arc<Mutex<HashMap<String, Arc<PayerDocument>>>>);

impl Payers {
    /// Takes a record of `registry`; those of other documents are none of its.
    pub(crate) fn apply(&self, record_key: &[u8], payload: Option<&[u8]>) {
        let key = std::str::from_utf8(record_key).ok().and_then(|key| key.strip_prefix(REGISTRY_KEY_PREFIX));
        let Some(account_id) = key else { return };
        match payload.map(serde_json::from_slice::<PayerDocument>) {
            None => self.remove(account_id),
            Some(Ok(document)) if document.account_id.as_str() == account_id => self.insert(document),
            Some(Ok(_)) => tracing::error!(account_id, "a payer in the registry is another account's"),
            Some(Err(error)) => tracing::error!(account_id, %error, "a record of the registry is no payer"),
        }
    }

    pub(crate) fn insert(&self, document: PayerDocument) {
        self.0.lock().insert(document.account_id.to_string(), Arc::new(document));
    }

    pub(crate) fn remove(&self, account_id: &str) {
        self.0.lock().remove(account_id);
    }

    pub(crate) fn get(&self, account_id: &str) -> Option<Arc<PayerDocument>> {
        self.0.lock().get(account_id).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_document_counts_until_its_tombstone_and_is_its_accounts_own() {
        let payers = Payers::default();
        let mut document = PayerDocument {
            account_id: "acc_luna".parse().unwrap(),
            provider: "stripe".to_owned(),
            customer_id: "cus_1".to_owned(),
            payment_method_id: None,
            set_at_ms: 1,
        };
        let key = document.registry_key();
        let put = |key: &str, document: &PayerDocument| {
            payers.apply(key.as_bytes(), Some(&serde_json::to_vec(document).unwrap()));
        };
        put(&key, &document);
        document.payment_method_id = Some("pm_1".to_owned());
        put(&key, &document);
        put("payer:acc_sol", &document);
        payers.apply(b"payer:acc_sol", Some(b"{"));
        payers.apply(b"webhook:acc_luna", None);
        assert_eq!(payers.get("acc_luna").as_deref(), Some(&document));
        assert_eq!(payers.get("acc_sol"), None);
        payers.apply(key.as_bytes(), None);
        assert_eq!(payers.get("acc_luna"), None);
    }
}
