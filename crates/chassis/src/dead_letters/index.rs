//! What is kept of every letter. No I/O.

use std::collections::{BTreeMap, HashMap};

use tollbooth_schemas::{
    dead_letter::{LetterId, LetterOutcome, Reason, header},
    time::{DAY_MS, parse_rfc3339_ms},
};

use crate::kafka::batch::Record;

/// Most letters that are kept; beyond it the oldest is forgotten. About 300 bytes each.
pub const LETTERS_MAX: usize = 1_000_000;
/// As long as the topic keeps them.
const KEPT_MS: i64 = 90 * DAY_MS;

/// A letter, its bytes aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The record that it is of.
    pub id: LetterId,
    /// Where it lies.
    pub offset: i64,
    /// Why it was put there; `None`: for a reason that this release does not know.
    pub reason: Option<Reason>,
    /// Since when.
    pub dead_at_ms: i64,
    /// The newest word about it.
    pub word: Option<Word>,
}

impl Letter {
    /// Whether something is left to be done about it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.word.as_ref().is_none_or(|word| !word.outcome.is_final())
    }

    /// Whether it was dismissed while its charge was on its way: that is in the ledger.
    fn is_outweighed_by(&self, word: &Word) -> bool {
        let is_dismissed = self.word.as_ref().is_some_and(|word| word.outcome == LetterOutcome::Dismissed);
        is_dismissed && word.outcome == LetterOutcome::Posted
    }

    /// Why it is not charged, by the newest judgement.
    #[must_use]
    pub fn stands_for(&self) -> Option<Reason> {
        let refused = self.word.as_ref().filter(|word| !word.outcome.is_final());
        refused.and_then(|refused| Reason::from_code(&refused.reason)).or(self.reason)
    }
}

/// What became of a letter that was driven again or dismissed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// How it ended.
    pub outcome: LetterOutcome,
    /// Code of why it was refused, else empty.
    pub reason: String,
    /// The same for a person; of a dismissal the note of whoever decided it.
    pub detail: String,
    /// Id of the API key that asked for it.
    pub by: String,
    /// When it was decided, RFC 3339.
    pub at: String,
    /// The entry that was posted, else empty.
    pub entry_id: String,
}

/// Which open letters are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Selection {
    /// Of this reason by the newest judgement; `None`: of any.
    pub reason: Option<Reason>,
    /// That were put there before this instant.
    pub before_ms: Option<i64>,
    /// That lie behind this offset.
    pub after: Option<i64>,
    /// Most of them.
    pub limit: usize,
}

/// Open letters of a reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Open {
    /// How many.
    pub count: u64,
    /// Since when the oldest is there.
    pub oldest_ms: Option<i64>,
}

/// Letters by where they lie.
#[derive(Debug, Default)]
pub(super) struct Index {
    letters: BTreeMap<i64, Letter>,
    by_id: HashMap<LetterId, i64>,
    newest_ms: i64,
}

impl Index {
    /// A record of the topic, in order.
    pub(super) fn apply(&mut self, record: &Record<'_>) {
        let text = |name| String::from_utf8_lossy(record.header(name).unwrap_or_default()).into_owned();
        let id = LetterId {
            topic: text(header::SOURCE_TOPIC),
            partition: text(header::SOURCE_PARTITION).parse().unwrap_or(-1),
            offset: text(header::SOURCE_OFFSET).parse().unwrap_or(-1),
        };
        let reason = text(header::REASON);
        let Some(outcome) = record.header(header::OUTCOME) else {
            let dead_at_ms = parse_rfc3339_ms(&text(header::DEAD_AT));
            let dead_at_ms = dead_at_ms.or(record.timestamp().map(|timestamp| timestamp.millis)).unwrap_or_default();
            let (offset, reason) = (record.offset(), Reason::from_code(&reason));
            self.put(Letter { id, offset, reason, dead_at_ms, word: None });
            return;
        };
        let Some(outcome) = std::str::from_utf8(outcome).ok().and_then(LetterOutcome::from_code) else {
            tracing::error!(offset = record.offset(), "an outcome that this release does not know is left out");
            return;
        };
        let (detail, by) = (text(header::DETAIL), text(header::REDRIVEN_BY));
        let (at, entry_id) = (text(header::REDRIVEN_AT), text(header::ENTRY));
        self.settle(&id, Word { outcome, reason, detail, by, at, entry_id });
    }

    fn put(&mut self, letter: Letter) {
        // Written once more by a meter that was set back: the first one stands, and what became of it.
        if self.by_id.contains_key(&letter.id) {
            return;
        }
        self.newest_ms = self.newest_ms.max(letter.dead_at_ms);
        self.by_id.insert(letter.id.clone(), letter.offset);
        self.letters.insert(letter.offset, letter);
        while self.letters.len() > LETTERS_MAX || self.is_oldest_gone() {
            self.forget_oldest();
        }
    }

    fn is_oldest_gone(&self) -> bool {
        self.letters.values().next().is_some_and(|oldest| oldest.dead_at_ms < self.newest_ms - KEPT_MS)
    }

    fn forget_oldest(&mut self) {
        if let Some((_, oldest)) = self.letters.pop_first() {
            self.by_id.remove(&oldest.id);
        }
    }

    /// What is final stays: a later word about it can only be that of a repetition, or of a charge that outweighs a dismissal.
    fn settle(&mut self, id: &LetterId, redriven: Word) {
        let letter = self.by_id.get(id).and_then(|offset| self.letters.get_mut(offset));
        if let Some(letter) = letter.filter(|letter| letter.is_open() || letter.is_outweighed_by(&redriven)) {
            letter.word = Some(redriven);
        }
    }

    /// The topic begins there now.
    pub(super) fn forget_below(&mut self, low: i64) {
        while self.letters.first_key_value().is_some_and(|(offset, _)| *offset < low) {
            self.forget_oldest();
        }
    }

    pub(super) fn letter(&self, id: &LetterId) -> Option<Letter> {
        self.by_id.get(id).and_then(|offset| self.letters.get(offset)).cloned()
    }

    pub(super) fn open(&self, selection: &Selection) -> (Vec<Letter>, usize) {
        let Selection { reason, before_ms, after, limit } = *selection;
        let from = after.map_or(i64::MIN, |after| after.saturating_add(1));
        let letters = self.letters.range(from..).map(|(_, letter)| letter).filter(|letter| letter.is_open());
        let letters = letters.filter(|letter| reason.is_none_or(|reason| letter.stands_for() == Some(reason)));
        let mut letters = letters.filter(|letter| before_ms.is_none_or(|before_ms| letter.dead_at_ms < before_ms));
        let found: Vec<Letter> = letters.by_ref().take(limit).cloned().collect();
        let count = found.len() + letters.count();
        (found, count)
    }

    pub(super) fn open_by_reason(&self) -> Vec<(Reason, Open)> {
        let mut open: Vec<(Reason, Open)> = Reason::ALL.iter().map(|reason| (*reason, Open::default())).collect();
        for letter in self.letters.values().filter(|letter| letter.is_open()) {
            let reason = letter.stands_for();
            if let Some((_, open)) = open.iter_mut().find(|(known, _)| Some(*known) == reason) {
                open.count += 1;
                let oldest_ms = open.oldest_ms.map_or(letter.dead_at_ms, |oldest| oldest.min(letter.dead_at_ms));
                open.oldest_ms = Some(oldest_ms);
            }
        }
        open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(offset: i64, reason: Reason, dead_at_ms: i64) -> Letter {
        let id = LetterId { topic: "usage".to_owned(), partition: 0, offset: offset * 10 };
        Letter { id, offset, reason: Some(reason), dead_at_ms, word: None }
    }

    fn outcome(outcome: LetterOutcome, reason: &str) -> Word {
        let empty = String::new;
        Word { outcome, reason: reason.to_owned(), detail: empty(), by: empty(), at: empty(), entry_id: empty() }
    }

    fn offsets(index: &Index, reason: Option<Reason>, limit: usize) -> (Vec<i64>, usize) {
        let (letters, count) = index.open(&Selection { reason, before_ms: None, after: None, limit });
        (letters.iter().map(|letter| letter.offset).collect(), count)
    }

    #[test]
    fn a_letter_is_open_until_it_is_posted_and_stands_where_it_was_refused_last() {
        // given
        let mut index = Index::default();
        for (offset, reason) in [(1, Reason::UnknownAccount), (2, Reason::NoPrice), (3, Reason::NoPrice)] {
            index.put(letter(offset, reason, 1_000 * offset));
        }
        assert_eq!(offsets(&index, Some(Reason::NoPrice), 1), (vec![2], 2));
        // when one is refused for another reason, and one is posted
        let id = |offset| letter(offset, Reason::NoPrice, 0).id;
        index.settle(&id(1), outcome(LetterOutcome::Refused, "no_price"));
        index.settle(&id(2), outcome(LetterOutcome::Posted, ""));
        // then
        assert_eq!(offsets(&index, Some(Reason::NoPrice), 9), (vec![1, 3], 2));
        assert_eq!(offsets(&index, Some(Reason::UnknownAccount), 9), (vec![], 0));
        let open = index.open_by_reason().into_iter().find(|(reason, _)| *reason == Reason::NoPrice);
        assert_eq!(open.unwrap().1, Open { count: 2, oldest_ms: Some(1_000) });
        // and what is posted stays posted
        index.settle(&id(2), outcome(LetterOutcome::Refused, "conflict"));
        index.put(Letter { offset: 9, ..letter(2, Reason::NoPrice, 9_000) });
        assert_eq!(offsets(&index, None, 9), (vec![1, 3], 2));
    }

    #[test]
    fn a_dismissed_letter_is_closed_for_good_and_only_its_charge_outweighs_that() {
        // given a letter that was refused once more
        let mut index = Index::default();
        index.put(letter(1, Reason::NoPrice, 1_000));
        index.put(letter(2, Reason::NoPrice, 2_000));
        let id = letter(1, Reason::NoPrice, 0).id;
        index.settle(&id, outcome(LetterOutcome::Refused, "no_price"));
        // when it is dismissed
        let said = Word { detail: "a test".to_owned(), ..outcome(LetterOutcome::Dismissed, "") };
        index.settle(&id, said.clone());
        // then it is not open, nor in the gauge, and stays so whatever is repeated
        let repeated = Word { detail: "once more".to_owned(), ..said.clone() };
        for word in [repeated, outcome(LetterOutcome::Refused, "no_price"), outcome(LetterOutcome::Duplicate, "")] {
            index.settle(&id, word);
        }
        index.put(Letter { offset: 9, ..letter(1, Reason::NoPrice, 9_000) });
        assert_eq!(offsets(&index, None, 9), (vec![2], 1));
        let open = index.open_by_reason().into_iter().find(|(reason, _)| *reason == Reason::NoPrice);
        assert_eq!(open.unwrap().1, Open { count: 1, oldest_ms: Some(2_000) });
        assert_eq!(index.letter(&id).unwrap().word, Some(said));
        // and a charge that was on its way is told, since it is in the ledger
        index.settle(&id, outcome(LetterOutcome::Posted, ""));
        assert_eq!(index.letter(&id).unwrap().word.unwrap().outcome, LetterOutcome::Posted);
        assert_eq!(offsets(&index, None, 9), (vec![2], 1));
    }

    #[test]
    fn letters_are_chosen_by_when_and_where() {
        let mut index = Index::default();
        (1..=4).for_each(|offset| index.put(letter(offset, Reason::NoPrice, 1_000 * offset)));
        let ask = |index: &Index, before_ms, after| {
            let (letters, count) = index.open(&Selection { reason: None, before_ms, after, limit: 2 });
            (letters.iter().map(|letter| letter.offset).collect::<Vec<_>>(), count)
        };
        assert_eq!(ask(&index, Some(3_000), None), (vec![1, 2], 2));
        assert_eq!(ask(&index, None, Some(2)), (vec![3, 4], 2));
        index.forget_below(3);
        assert_eq!(ask(&index, None, None), (vec![3, 4], 2));
        assert!(index.letter(&letter(1, Reason::NoPrice, 0).id).is_none());
    }

    #[test]
    fn what_the_topic_has_forgotten_is_forgotten() {
        let mut index = Index::default();
        index.put(letter(1, Reason::NoPrice, 0));
        index.put(letter(2, Reason::NoPrice, 1));
        index.put(letter(3, Reason::NoPrice, KEPT_MS + 1));
        assert_eq!(offsets(&index, None, 9), (vec![2, 3], 2));
    }
}
