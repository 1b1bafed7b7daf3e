//! What the words of a search mean: the services, engines, events and booths whose names they are a part of.
//!
//! Services and engines are searched by what price books call them, too. Names are few, rows are many: so a word is looked
//! up among the names, and the rows are asked for by those. Which names a large account has stands in its rollups.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use clickhouse::Row;
use clickhouse::query::Query;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde::Deserialize;
use tollbooth_schemas::ledger::EntryType;

use super::activity::Below;
use super::{Store, StoreError};
use crate::activity::ActivityFilter;
use crate::prices::Names as Labels;

/// Most events, and most booths, that are named one by one; beyond it every row's is looked at.
const NAMES_MAX: usize = 1_000;

/// Most names of a kind that are kept of an account.
const KEPT_MAX: usize = 50_000;
/// Entries of one insert of the sink: rollups are not committed with them, and may be behind by one.
const BLOCK_ENTRIES_MAX: u64 = 100_000;
/// Of a name in memory, beside its letters.
const NAME_BYTES: usize = 64;
/// Guess of what is kept of an account, for the first allocation alone.
const GUESS_BYTES: u64 = 65_536;

#[derive(Debug, Row, Deserialize)]
struct NameRow {
    kind: String,
    name: String,
    /// What is searched of it.
    text: String,
    /// The entry that named it last; 0 where that does not matter.
    named_by: u64,
}

/// The names of the kinds of rows.
const SERVICE: &str = "service";
const ENGINE: &str = "engine";
const EVENT: &str = "event";
/// An event by what it is called.
const CALLED: &str = "called";
const BOOTH: &str = "booth";
/// No name: how far the server that answered has the account's entries.
const REACHED: &str = "reached";

/// The newest entry that is there, with the other pieces of a question.
const REACHED_SQL: &str = "SELECT 'reached' AS kind, '' AS name, '' AS text, seq AS named_by FROM ledger \
     WHERE account_id = {account:String} AND seq <= {upper:UInt64} ORDER BY seq DESC LIMIT 1";

/// The names of one account, as far as entry `seq` knows them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Names {
    seq: u64,
    /// Whether services and engines are all that the account has; else what events are called is all that was asked for.
    is_whole: bool,
    services: BTreeSet<String>,
    engines: BTreeSet<String>,
    events: BTreeSet<String>,
    booths: BTreeSet<String>,
    /// By id, what an event is called, in lower case, and by which entry.
    called: BTreeMap<String, (u64, String)>,
}

impl Names {
    fn add(&mut self, row: NameRow) {
        let names = match row.kind.as_str() {
            SERVICE => &mut self.services,
            ENGINE => &mut self.engines,
            EVENT => &mut self.events,
            BOOTH => &mut self.booths,
            REACHED => {
                self.seq = row.named_by;
                return;
            }
            _ => {
                self.called.insert(row.name, (row.named_by, row.text));
                return;
            }
        };
        names.insert(row.name);
    }

    fn is_cut(&self) -> bool {
        self.events.len() > KEPT_MAX || self.booths.len() > KEPT_MAX || self.called.len() > KEPT_MAX
    }

    fn word(&self, term: &str, labels: &Labels) -> Word {
        let having = |names: &BTreeSet<String>| -> Vec<String> {
            names.iter().filter(|name| name.to_ascii_lowercase().contains(term)).cloned().collect()
        };
        let called = self.called.iter().filter(|(_, (_, text))| text.contains(term));
        let mut called: Vec<(u64, &String)> = called.map(|(event_id, (seq, _))| (*seq, event_id)).collect();
        // Of too many those that were named last.
        called.sort_unstable_by(|one, other| other.cmp(one));
        let mut events: BTreeSet<String> =
            called.into_iter().take(NAMES_MAX).map(|(_, event_id)| event_id.clone()).collect();
        let labelled = |codes: Vec<String>, more: BTreeSet<&str>, known: &BTreeSet<String>| -> Vec<String> {
            let more = more.into_iter().filter(|code| !self.is_whole || known.contains(*code)).map(str::to_owned);
            codes.into_iter().chain(more).collect::<BTreeSet<_>>().into_iter().collect()
        };
        let (by_id, mut booths) = (having(&self.events), having(&self.booths));
        let has_many_events = by_id.len() > NAMES_MAX || self.is_cut();
        let has_many_booths = booths.len() > NAMES_MAX || self.is_cut();
        if !has_many_events {
            events.extend(by_id);
        }
        if has_many_booths {
            booths.clear();
        }
        Word {
            services: labelled(having(&self.services), labels.services_called(term), &self.services),
            engines: labelled(having(&self.engines), labels.engines_called(term), &self.engines),
            events: events.into_iter().collect(),
            booths,
            has_many_events,
            has_many_booths,
        }
    }
}

/// Whose names, and whether all of them or only what events are called.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct NamesKey {
    account_id: Box<str>,
    is_whole: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Weight;

impl Weighter<NamesKey, Arc<Names>> for Weight {
    fn weight(&self, key: &NamesKey, names: &Arc<Names>) -> u64 {
        let sets = [&names.services, &names.engines, &names.events, &names.booths].into_iter().flatten();
        let all = sets.chain(names.called.iter().flat_map(|(event_id, (_, text))| [event_id, text]));
        let bytes: usize = all.map(|name| NAME_BYTES + name.len()).sum();
        u64::try_from(NAME_BYTES + key.account_id.len() + bytes).unwrap_or(u64::MAX)
    }
}

/// The names of large accounts that were searched, for the next search: they are only ever added to.
pub(super) type KeptNames = Cache<NamesKey, Arc<Names>, Weight>;

/// None yet.
pub(super) fn kept_names(bytes_max: u64) -> KeptNames {
    Cache::with_weighter(usize::try_from(bytes_max / GUESS_BYTES).unwrap_or(1).max(1), bytes_max, Weight)
}

/// What events are called, those that were named last.
const CALLED_SQL: &str = "SELECT 'called' AS kind, event_id AS name, lower(argMax(note, seq)) AS text, max(seq) AS named_by FROM ledger \
     WHERE account_id = {account:String} AND type = 'event_defined' AND seq <= {upper:UInt64} GROUP BY name \
     ORDER BY named_by DESC LIMIT {limit:UInt64}";

/// The same behind an entry, and the uppermost entry: by one question, so that both are of one state of the table.
const CALLED_SINCE_SQL: &str = "SELECT if(type = 'event_defined', 'called', 'reached') AS kind, \
     if(type = 'event_defined', event_id, '') AS name, lower(argMax(note, seq)) AS text, max(seq) AS named_by FROM ledger \
     WHERE account_id = {account:String} AND seq > {since:UInt64} AND seq <= {upper:UInt64} \
     AND (type = 'event_defined' OR seq = {upper:UInt64}) GROUP BY kind, name ORDER BY named_by DESC LIMIT {limit:UInt64}";

/// What one word may stand for.
#[derive(Debug, Default, Clone, PartialEq, Eq, Hash)]
pub(super) struct Word {
    services: Vec<String>,
    engines: Vec<String>,
    /// Of which the id or the name has it.
    events: Vec<String>,
    booths: Vec<String>,
    has_many_events: bool,
    has_many_booths: bool,
}

/// What all of them may stand for.
#[derive(Debug, Default, Clone, PartialEq, Eq, Hash)]
pub(super) struct Meaning {
    words: Vec<Word>,
}

impl Meaning {
    /// Bytes of its texts in memory.
    pub(super) fn text_bytes(&self) -> usize {
        let lists = self.words.iter().flat_map(|word| [&word.services, &word.engines, &word.events, &word.booths]);
        self.words.len() * size_of::<Word>()
            + lists.flatten().map(|name| name.len() + size_of::<String>()).sum::<usize>()
    }

    #[cfg(test)]
    pub(super) fn of_events(events: &[&str]) -> Self {
        let events = events.iter().map(|event| (*event).to_owned()).collect();
        Self { words: vec![Word { events, ..Word::default() }] }
    }

    /// Whether no row's names have all of the words, because one of them is in none.
    fn is_in_no_names(&self) -> bool {
        self.words.iter().any(Word::is_none)
    }

    /// Whether several words are asked of services and engines alone: do they ever meet?
    pub(super) fn must_meet_in_work(&self) -> bool {
        self.words.len() > 1 && self.words.iter().all(Word::is_of_work_alone)
    }
}

/// How the rows are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Words<'a> {
    /// Each row's text, and the events whose names have the word.
    Texts(&'a Meaning),
    /// The names alone.
    Names(&'a Meaning),
    /// The ids of operations, as a whole, one of which each row has.
    Operations(&'a Meaning),
}

impl Word {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }

    fn is_of_work_alone(&self) -> bool {
        self.events.is_empty() && self.booths.is_empty() && !self.has_many_events && !self.has_many_booths
    }

    /// What makes it be in a row's names; parameters are numbered by `index`.
    fn condition(&self, index: usize) -> Vec<String> {
        let lists = [
            ("service", &self.services, false),
            ("engine", &self.engines, false),
            ("event_id", &self.events, self.has_many_events),
            ("booth_id", &self.booths, self.has_many_booths),
        ];
        let mut any = Vec::new();
        for (column, names, has_many) in lists {
            if has_many {
                any.push(format!("position(lower({column}), {{term{index}:String}}) > 0"));
            }
            if !names.is_empty() {
                any.push(format!("{column} IN {{{column}{index}:Array(String)}}"));
            }
        }
        any
    }
}

impl Words<'_> {
    fn meaning(&self) -> &[Word] {
        let (Self::Texts(meaning) | Self::Names(meaning) | Self::Operations(meaning)) = self;
        &meaning.words
    }

    /// What is looked at before any other column of a row is read: nearly no row has it.
    pub(super) const fn prewhere(&self) -> &'static str {
        match self {
            Self::Texts(_) | Self::Names(_) => "",
            Self::Operations(_) => "PREWHERE lower(operation_id) IN {terms:Array(String)} ",
        }
    }

    /// One condition a word.
    pub(super) fn conditions(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for (index, word) in self.meaning().iter().enumerate() {
            let mut any = word.condition(index);
            match self {
                Self::Texts(_) => any.push(format!("position(search_text, {{term{index}:String}}) > 0")),
                Self::Operations(_) => any.push(format!("lower(operation_id) = {{term{index}:String}}")),
                Self::Names(_) if any.is_empty() => any.push("false".to_owned()),
                Self::Names(_) => {}
            }
            all.push(format!("({})", any.join(" OR ")));
        }
        all
    }

    pub(super) fn bind(&self, mut query: Query, filter: &ActivityFilter) -> Query {
        if matches!(self, Self::Operations(_)) {
            query = query.param("terms", &filter.terms);
        }
        for (index, (word, term)) in self.meaning().iter().zip(&filter.terms).enumerate() {
            query = query.param(&format!("term{index}"), term);
            for (column, names) in [
                ("service", &word.services),
                ("engine", &word.engines),
                ("event_id", &word.events),
                ("booth_id", &word.booths),
            ] {
                if !names.is_empty() {
                    query = query.param(&format!("{column}{index}"), names);
                }
            }
        }
        query
    }
}

/// Whether every entry that the filter lets pass is in the rollups, whose names are all that is looked at.
pub(super) fn is_in_rollups(filter: &ActivityFilter) -> bool {
    let is_listed = |code: &String| EntryType::from_code(code).is_some_and(EntryType::is_listed);
    !filter.include_all && filter.types.iter().all(is_listed)
}

impl Store {
    /// What the words stand for among the names of the account's entries up to `below.seq`; of a small account only among
    /// what its events are called. And up to which entry the table was seen to have them for this request; 0: not known.
    pub(super) async fn meaning(&self, below: Below<'_>, is_large: bool) -> Result<(Meaning, u64), StoreError> {
        let (names, reached_seq) = if is_large { (self.names(below).await?, 0) } else { self.called(below).await? };
        let labels = self.prices.names();
        let meaning = Meaning { words: below.filter.terms.iter().map(|term| names.word(term, &labels)).collect() };
        Ok((meaning, reached_seq))
    }

    /// As they are kept, with those that entries since then brought.
    async fn names(&self, below: Below<'_>) -> Result<Arc<Names>, StoreError> {
        let key = NamesKey { account_id: below.account_id.into(), is_whole: true };
        let kept = self.names.get(&key);
        let names = match kept {
            Some(names) if names.seq >= below.seq => return Ok(names),
            Some(names) => self.names_since(below, &names).await?,
            // The newest are looked at once more with the next search.
            None => {
                let names = self.all_names(below).await?;
                Names { seq: names.seq.saturating_sub(BLOCK_ENTRIES_MAX), ..names }
            }
        };
        let names = Arc::new(names);
        if !names.is_cut() {
            self.names.insert(key, Arc::clone(&names));
        }
        Ok(names)
    }

    /// The rollups have those of every entry that moves money up to `below.seq`, and perhaps of newer ones.
    async fn all_names(&self, below: Below<'_>) -> Result<Names, StoreError> {
        let mut pieces = vec![CALLED_SQL.to_owned(), REACHED_SQL.to_owned()];
        for (kind, column, rollup) in [
            (SERVICE, "service", "usage_15m_by_account"),
            (ENGINE, "engine", "usage_15m_by_account"),
            (EVENT, "event_id", "usage_15m_by_event"),
            (BOOTH, "booth_id", "usage_15m_by_booth"),
        ] {
            pieces.push(format!(
                "SELECT '{kind}' AS kind, toString({column}) AS name, '' AS text, toUInt64(0) AS named_by FROM (SELECT DISTINCT {column} \
                 FROM {rollup} WHERE account_id = {{account:String}}) LIMIT {{limit:UInt64}}"
            ));
        }
        let whole = Names { is_whole: true, ..Names::default() };
        self.ask_names(below, &pieces.join(" UNION ALL "), whole).await
    }

    async fn names_since(&self, below: Below<'_>, names: &Names) -> Result<Names, StoreError> {
        let new = "FROM ledger WHERE account_id = {account:String} AND seq > {since:UInt64} AND seq <= {upper:UInt64}";
        let sql = format!(
            "{REACHED_SQL} UNION ALL SELECT kind, name, '' AS text, toUInt64(0) AS named_by FROM (SELECT DISTINCT arrayJoin([('{SERVICE}', toString(service)), \
             ('{ENGINE}', toString(engine)), ('{EVENT}', event_id), ('{BOOTH}', booth_id)]) AS named, named.1 AS kind, \
             named.2 AS name {new}) WHERE name != '' UNION ALL SELECT '{CALLED}' AS kind, event_id AS name, \
             lower(argMax(note, seq)) AS text, max(seq) AS named_by {new} AND type = 'event_defined' GROUP BY name"
        );
        self.ask_names(below, &sql, names.clone()).await
    }

    /// What events are called up to `below.seq`, as it is kept, with what entries since then brought. It is kept where the
    /// table was seen to have the uppermost entry. And how far it was seen now; 0: it was not looked at.
    async fn called(&self, below: Below<'_>) -> Result<(Arc<Names>, u64), StoreError> {
        let key = NamesKey { account_id: below.account_id.into(), is_whole: false };
        let kept = self.names.get(&key);
        let names = match kept {
            Some(names) if names.seq >= below.seq => return Ok((names, 0)),
            Some(names) => Names::clone(&names),
            None => Names::default(),
        };
        let names = self.ask_names(below, CALLED_SINCE_SQL, names).await?;
        let names = Arc::new(names);
        if names.seq == below.seq && !names.is_cut() {
            self.names.insert(key, Arc::clone(&names));
        }
        let reached_seq = names.seq;
        Ok((names, reached_seq))
    }

    async fn ask_names(&self, below: Below<'_>, sql: &str, mut names: Names) -> Result<Names, StoreError> {
        let query = self
            .bounded_query(sql)
            .param("account", below.account_id)
            .param("upper", below.seq)
            .param("since", names.seq)
            .param("limit", KEPT_MAX + 1);
        let rows = self.rows::<NameRow>(query).await?;
        // Whoever named something last may be the uppermost entry itself.
        let is_reached = rows.iter().any(|row| row.named_by == below.seq);
        rows.into_iter().for_each(|row| names.add(row));
        if is_reached {
            names.seq = below.seq;
        }
        Ok(names)
    }

    /// Whether rows can have all of the words in their names.
    pub(super) async fn are_in_names(&self, below: Below<'_>, meaning: &Meaning) -> Result<bool, StoreError> {
        if meaning.is_in_no_names() || !meaning.must_meet_in_work() {
            return Ok(!meaning.is_in_no_names());
        }
        let words = Words::Names(meaning);
        let sql = format!(
            "SELECT toUInt64(1) FROM usage_15m_by_account WHERE account_id = {{account:String}} AND {} LIMIT 1",
            words.conditions().join(" AND ")
        );
        let query = words.bind(self.bounded_query(&sql).param("account", below.account_id), below.filter);
        Ok(!self.rows::<u64>(query).await?.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(rows: &[(&str, &str, &str)]) -> Names {
        let mut names = Names::default();
        for (kind, name, text) in rows {
            let named_by = names.called.len() as u64;
            names.add(NameRow {
                kind: (*kind).to_owned(),
                name: (*name).to_owned(),
                text: (*text).to_owned(),
                named_by,
            });
        }
        names
    }

    fn meaning(terms: &[&str], names: &Names) -> Meaning {
        Meaning { words: terms.iter().map(|term| names.word(term, &Labels::default())).collect() }
    }

    #[test]
    fn rows_are_not_asked_for_what_is_in_no_name() {
        // given an account with work of two services, and an event that is called after one of them
        let names = names(&[
            (SERVICE, "sms", ""),
            (SERVICE, "ai_modify", ""),
            (ENGINE, "kling", ""),
            (EVENT, "evt_a", ""),
            (CALLED, "evt_a", "the kling party"),
        ]);
        // then a word that is in no name is nowhere, and what only work has must meet there
        assert!(meaning(&["sms", "seedance"], &names).is_in_no_names());
        assert!(!meaning(&["sms", "party"], &names).is_in_no_names());
        assert!(meaning(&["sms", "modify"], &names).must_meet_in_work());
        assert!(!meaning(&["sms", "kling"], &names).must_meet_in_work());
        assert!(!meaning(&["sms"], &names).must_meet_in_work());
        assert_eq!(meaning(&["evt_", "party"], &names).words[0].events, ["evt_a"]);
    }

    #[test]
    fn of_too_many_events_with_a_word_those_are_searched_that_were_named_last() {
        // given more events of one name than are named one by one, the newest with the smallest ids
        let mut many = Names::default();
        for number in 0..=NAMES_MAX as u64 {
            let name = format!("evt_{:05}", NAMES_MAX as u64 - number);
            many.add(NameRow { kind: CALLED.to_owned(), name, text: "a wedding".to_owned(), named_by: number });
        }
        // then it is the oldest that is left out
        let events = &meaning(&["wedding"], &many).words[0].events;
        assert_eq!((events.len(), events[0].as_str()), (NAMES_MAX, "evt_00000"));
        assert!(!events.contains(&format!("evt_{NAMES_MAX:05}")));
    }

    #[test]
    fn of_too_many_names_every_row_is_looked_at() {
        // given more events that have a word than are named one by one
        let mut many = Names::default();
        many.events.extend((0..=NAMES_MAX).map(|number| format!("evt_{number}")));
        // then every row's is looked at for it, and not for a word that few of them have
        let word = meaning(&["evt"], &many);
        assert!(!word.is_in_no_names());
        assert_eq!(Words::Names(&word).conditions(), ["(position(lower(event_id), {term0:String}) > 0)"]);
        assert_eq!(meaning(&["evt_77"], &many).words[0].events.len(), 11);
        // and where more than are kept were told, none is known not to be there
        many.booths.extend((0..=KEPT_MAX).map(|number| format!("bth_{number}")));
        assert!(!meaning(&["nothing"], &many).is_in_no_names());
    }
}
