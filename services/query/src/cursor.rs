//! Where the next page of a list begins whose order is not that of the ledger, as an opaque text.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use tollbooth_chassis::problem::Problem;

const VERSION: u8 = 1;
const PRINT_BYTES: usize = 8;
const CHECK_BYTES: usize = 4;

/// What a list is known by: a cursor belongs to one list.
///
/// As that of transactions, a cursor shows nobody more than the request would: account and filters are the request's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct List([u8; PRINT_BYTES]);

impl List {
    /// The list that these words describe: which one, whose, and its filters.
    #[must_use]
    pub fn of(words: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for word in words {
            hash.update(word.len().to_be_bytes());
            hash.update(word);
        }
        let mut print = [0; PRINT_BYTES];
        print.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
        Self(print)
    }

    /// The text for `next_cursor` of a page that ends at `position`.
    #[must_use]
    pub fn cursor(&self, position: &str) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.0);
        bytes.extend_from_slice(position.as_bytes());
        let check = check(&bytes);
        bytes.extend_from_slice(&check);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The position of a cursor of this list.
    ///
    /// # Errors
    /// 400 `bad_cursor`
    pub fn position(&self, text: &str) -> Result<String, Problem> {
        let form = || Problem::bad_cursor("is not a cursor of this API: pass next_cursor on as it was received");
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| form())?;
        let at = bytes.len().checked_sub(CHECK_BYTES).ok_or_else(form)?;
        let (body, given) = bytes.split_at(at);
        let (head, position) = body.split_at_checked(1 + PRINT_BYTES).ok_or_else(form)?;
        if given != check(body) || head[0] != VERSION {
            return Err(form());
        }
        if head[1..] != self.0 {
            return Err(Problem::bad_cursor(
                "belongs to a list with other filters: a changed filter begins at the first page",
            ));
        }
        String::from_utf8(position.to_vec()).map_err(|_| form())
    }
}

fn check(body: &[u8]) -> [u8; CHECK_BYTES] {
    let digest = Sha256::new().chain_update("tollbooth list cursor").chain_update(body).finalize();
    [digest[0], digest[1], digest[2], digest[3]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_belongs_to_one_list() {
        let list = List::of(&["events", "acc_luna", "ga"]);
        let text = list.cursor("1700 evt_gala");
        assert_eq!(list.position(&text).unwrap(), "1700 evt_gala");
        // Words do not run together.
        for other in [["events", "acc_lunaga", ""], ["events", "acc_luna", "gal"], ["booths", "acc_luna", "ga"]] {
            assert_eq!(List::of(&other).position(&text).unwrap_err().code(), "bad_cursor");
        }
        for wrong in ["", "x", &text[1..], &text[..text.len() - 2], &format!("{text}A")] {
            assert_eq!(list.position(wrong).unwrap_err().code(), "bad_cursor", "{wrong}");
        }
    }
}
