//! Where the next page begins, as an opaque text.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

const VERSION: u8 = 2;
const BODY_BYTES: usize = 1 + 8 + 8 + 8;
/// Of before there was a time in it: whoever is in the middle of a list goes on.
const OLD_VERSION: u8 = 1;
const OLD_BODY_BYTES: usize = 1 + 8 + 8;
const CHECK_BYTES: usize = 4;

/// The last entry of a page; the next one holds what is older.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Its `seq`.
    pub before_seq: u64,
    /// When it was posted: nothing older was posted later, so that the search for it may begin there.
    pub posted_at_ms: i64,
    /// [`super::ActivityFilter::fingerprint`] of the list it belongs to.
    pub fingerprint: [u8; 8],
}

/// Not a cursor, or one of another list.
///
/// The check digits catch what was cut or mistyped; they are no secret. A cursor made up by a client shows it nothing
/// that its key would not: the account and the filters come from the request, never from the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCursor {
    /// Not of the form.
    #[error("is not a cursor of this API: pass next_cursor on as it was received")]
    Form,
    /// Another account or other filters.
    #[error("belongs to a list with other filters: a changed filter begins at the first page")]
    OtherList,
}

impl Cursor {
    /// The text for `next_cursor`.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(BODY_BYTES + CHECK_BYTES);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.fingerprint);
        bytes.extend_from_slice(&self.before_seq.to_be_bytes());
        bytes.extend_from_slice(&self.posted_at_ms.to_be_bytes());
        let check = check(&bytes);
        bytes.extend_from_slice(&check);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a cursor of the list with this fingerprint.
    ///
    /// # Errors
    /// [`BadCursor`]
    pub fn decode(text: &str, fingerprint: [u8; 8]) -> Result<Self, BadCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| BadCursor::Form)?;
        let body_bytes = match bytes.first() {
            Some(&VERSION) => BODY_BYTES,
            Some(&OLD_VERSION) => OLD_BODY_BYTES,
            _ => return Err(BadCursor::Form),
        };
        let (body, given) = bytes.split_at_checked(body_bytes).ok_or(BadCursor::Form)?;
        if given != check(body) {
            return Err(BadCursor::Form);
        }
        if body[1..9] != fingerprint {
            return Err(BadCursor::OtherList);
        }
        let number = |at: usize| {
            let bytes = body.get(at..at + 8).and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
            bytes.ok_or(BadCursor::Form)
        };
        let before_seq = u64::from_be_bytes(number(9)?);
        let posted_at_ms = if body.len() == BODY_BYTES { i64::from_be_bytes(number(17)?) } else { i64::MAX };
        Ok(Self { before_seq, posted_at_ms, fingerprint })
    }
}

fn check(body: &[u8]) -> [u8; CHECK_BYTES] {
    let digest = Sha256::new().chain_update("tollbooth cursor").chain_update(body).finalize();
    [digest[0], digest[1], digest[2], digest[3]]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIST: [u8; 8] = *b"a list..";

    #[test]
    fn a_cursor_of_the_release_before_is_read() {
        let mut bytes = vec![OLD_VERSION];
        bytes.extend_from_slice(&LIST);
        bytes.extend_from_slice(&77_u64.to_be_bytes());
        let check = check(&bytes);
        bytes.extend_from_slice(&check);
        let expected = Cursor { before_seq: 77, posted_at_ms: i64::MAX, fingerprint: LIST };
        assert_eq!(Cursor::decode(&URL_SAFE_NO_PAD.encode(&bytes), LIST), Ok(expected));
        bytes[9] ^= 1;
        assert_eq!(Cursor::decode(&URL_SAFE_NO_PAD.encode(&bytes), LIST), Err(BadCursor::Form));
    }

    proptest! {
        #[test]
        fn a_cursor_comes_back_as_it_went(before_seq: u64, posted_at_ms: i64) {
            let cursor = Cursor { before_seq, posted_at_ms, fingerprint: LIST };
            prop_assert_eq!(Cursor::decode(&cursor.encode(), LIST), Ok(cursor));
            prop_assert_eq!(Cursor::decode(&cursor.encode(), *b"another."), Err(BadCursor::OtherList));
        }

        #[test]
        fn any_changed_character_is_noticed(before_seq: u64, at in 0_usize..39, with in "[A-Za-z0-9_-]") {
            let text = Cursor { before_seq, posted_at_ms: 1, fingerprint: LIST }.encode();
            let mut forged = text.clone();
            forged.replace_range(at..=at, &with);
            prop_assume!(forged != text);
            prop_assert!(Cursor::decode(&forged, LIST).is_err());
        }

        #[test]
        fn nothing_else_is_a_cursor(text in ".{0,60}") {
            prop_assert!(Cursor::decode(&text, LIST).is_err());
        }
    }
}
