//! What an activity page is narrowed to.

use sha2::{Digest, Sha256};
use tollbooth_chassis::problem::Problem;
use tollbooth_schemas::ledger::EntryType;
use tollbooth_schemas::{BoothId, EventId};

use super::ActivityRow;
use crate::calendar::{RangeError, parse_edge, resolve_zone};
use crate::params::ParameterKind::{Choice, ChoiceList, List, Text};
use crate::params::{Parameter, Params, bad_parameter};

/// Parameters that [`ActivityFilter::parse`] reads.
pub const FILTER_PARAMS: &[Parameter] = &[
    SERVICE,
    ENGINE,
    VARIANT,
    PLAN,
    Parameter { name: "event_id", kind: List, about: "Only these events." },
    BOOTH,
    STATUS,
    TYPE,
    FROM,
    TO,
    ZONE,
    WORDS,
    INCLUDE,
];
/// Those of a list whose event is fixed.
pub const EVENT_FILTER_PARAMS: &[Parameter] =
    &[SERVICE, ENGINE, VARIANT, PLAN, BOOTH, STATUS, TYPE, FROM, TO, ZONE, WORDS, INCLUDE];

const SERVICE: Parameter = Parameter { name: "service", kind: List, about: "Only these services, by code." };
const ENGINE: Parameter = Parameter { name: "engine", kind: List, about: "Only these engines, by code." };
const VARIANT: Parameter = Parameter { name: "variant", kind: List, about: "Only these variants, by code." };
const PLAN: Parameter = Parameter {
    name: "plan",
    kind: List,
    about: "Only these plans, by code: what was paid on them, their fees, and with `include=all` where they begin.",
};
const BOOTH: Parameter = Parameter { name: "booth_id", kind: List, about: "Only these booths." };
const STATUS: Parameter =
    Parameter { name: "status", kind: ChoiceList(|| vec!["success", "failed"]), about: "Only work that ended so." };
const TYPE: Parameter = Parameter { name: "type", kind: ChoiceList(type_codes), about: "Only entries of these types." };
const FROM: Parameter =
    Parameter { name: "from", kind: Text, about: "First instant of `occurred_at`: RFC 3339, or a local date in `tz`." };
const TO: Parameter = Parameter { name: "to", kind: Text, about: "First instant after the range, written as `from`." };
const ZONE: Parameter = Parameter {
    name: "tz",
    kind: Text,
    about: "IANA zone in which dates without a time are meant; by default the account's.",
};
const WORDS: Parameter = Parameter {
    name: "q",
    kind: Text,
    about: "Words, each of which must be a part of service or engine (code or name), event (id or name), booth or \
            operation id; of a very large account the whole operation id.",
};
const INCLUDE: Parameter =
    Parameter { name: "include", kind: Choice(|| vec!["all"]), about: "`all`: also entries that move no money." };
/// Most words of a search.
const TERMS_MAX: usize = 8;

/// A conjunction; an empty list allows everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ActivityFilter {
    /// Service codes.
    pub services: Vec<String>,
    /// Engine codes.
    pub engines: Vec<String>,
    /// Variant codes.
    pub variants: Vec<String>,
    /// Plan codes.
    pub plans: Vec<String>,
    /// Events.
    pub event_ids: Vec<String>,
    /// Booths.
    pub booth_ids: Vec<String>,
    /// Type codes. Empty: those that are listed without being asked for, or all with `include_all`.
    pub types: Vec<String>,
    /// `Some(true)`: failed only, `Some(false)`: successful only.
    pub failed: Option<bool>,
    /// First instant of `occurred_at`.
    pub from_ms: Option<i64>,
    /// First instant of `occurred_at` after the range.
    pub to_ms: Option<i64>,
    /// Words, each of which must be a part of service, engine, event, booth or operation. Lower case as far as ASCII
    /// goes: ClickHouse's `lower`, which made the text that is searched, leaves everything else as it is.
    pub terms: Vec<String>,
    /// Also openings and plan changes.
    pub include_all: bool,
}

impl ActivityFilter {
    /// Reads the filters. Dates without a time are those of `tz`, or of `default_zone`.
    ///
    /// # Errors
    /// 400 for what is not a filter's value.
    pub fn parse(params: &Params, default_zone: &str) -> Result<Self, Problem> {
        let zone = resolve_zone(params.one("tz")?, default_zone);
        let zone = zone.map_err(|error| bad_parameter("tz", error.to_string()))?;
        let edge = |name: &str| match params.one(name)? {
            None => Ok(None),
            Some(text) => parse_edge(text, zone).map(Some).map_err(|error| bad_parameter(name, error.to_string())),
        };
        let filter = Self {
            services: params.list("service")?,
            engines: params.list("engine")?,
            variants: params.list("variant")?,
            plans: params.list("plan")?,
            event_ids: ids(params, "event_id", |text| text.parse::<EventId>().map(drop).map_err(|e| e.to_string()))?,
            booth_ids: ids(params, "booth_id", |text| text.parse::<BoothId>().map(drop).map_err(|e| e.to_string()))?,
            types: types(params)?,
            failed: status(params)?,
            from_ms: edge("from")?,
            to_ms: edge("to")?,
            terms: terms(params)?,
            include_all: match params.one("include")? {
                None => false,
                Some("all") => true,
                Some(_) => return Err(bad_parameter("include", "may be all")),
            },
        };
        match (filter.from_ms, filter.to_ms) {
            (Some(from), Some(to)) if from >= to => Err(bad_parameter("to", RangeError::Empty.to_string())),
            _ => Ok(filter),
        }
    }

    /// Bytes of its texts in memory.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        let lists = self.lists().into_iter().chain([&self.variants, &self.plans]);
        lists.flatten().map(|text| text.capacity() + size_of::<String>()).sum()
    }

    /// Whether only ClickHouse can answer: it makes the text that is searched.
    #[must_use]
    pub fn is_search(&self) -> bool {
        !self.terms.is_empty()
    }

    /// Whether a row passes. The search words are not looked at.
    #[must_use]
    pub fn allows(&self, row: &ActivityRow) -> bool {
        let within = |list: &[String], value: &str| list.is_empty() || list.iter().any(|allowed| allowed == value);
        let listed = || self.include_all || EntryType::from_code(&row.entry_type).is_none_or(EntryType::is_listed);
        within(&self.services, &row.service)
            && within(&self.engines, &row.engine)
            && within(&self.variants, &row.variant)
            && within(&self.plans, &row.plan)
            && within(&self.event_ids, &row.event_id)
            && within(&self.booth_ids, &row.booth_id)
            && if self.types.is_empty() { listed() } else { within(&self.types, &row.entry_type) }
            && self.failed.is_none_or(|failed| failed == row.failed)
            && self.from_ms.is_none_or(|from_ms| from_ms <= row.occurred_at_ms)
            && self.to_ms.is_none_or(|to_ms| row.occurred_at_ms < to_ms)
    }

    /// The lists that every fingerprint is made of, in its order.
    fn lists(&self) -> [&Vec<String>; 6] {
        [&self.services, &self.engines, &self.event_ids, &self.booth_ids, &self.types, &self.terms]
    }

    /// What tells this filter on this account from others: a cursor belongs to one.
    #[must_use]
    pub fn fingerprint(&self, account_id: &str) -> [u8; 8] {
        let mut digest = Sha256::new();
        let mut put = |text: &str| {
            digest.update(text.len().to_be_bytes());
            digest.update(text);
        };
        put(account_id);
        for list in self.lists() {
            put(&list.len().to_string());
            list.iter().for_each(|value| put(value));
        }
        put(&format!("{:?} {:?} {:?} {}", self.failed, self.from_ms, self.to_ms, self.include_all));
        // Where they say nothing they add nothing: a cursor of the release that did not have them goes on.
        for (name, list) in [("variant", &self.variants), ("plan", &self.plans)] {
            if !list.is_empty() {
                put(name);
                put(&list.len().to_string());
                list.iter().for_each(|value| put(value));
            }
        }
        let mut fingerprint = [0; 8];
        fingerprint.copy_from_slice(&digest.finalize()[..8]);
        fingerprint
    }
}

fn type_codes() -> Vec<&'static str> {
    EntryType::ALL.iter().map(|known| known.code()).collect()
}

fn ids(params: &Params, name: &str, check: impl Fn(&str) -> Result<(), String>) -> Result<Vec<String>, Problem> {
    let values = params.list(name)?;
    for value in &values {
        check(value).map_err(|detail| bad_parameter(name, detail))?;
    }
    Ok(values)
}

fn types(params: &Params) -> Result<Vec<String>, Problem> {
    let values = params.list("type")?;
    match values.iter().find(|value| EntryType::from_code(value).is_none()) {
        None => Ok(values),
        Some(_) => Err(bad_parameter("type", format!("must be of {}", type_codes().join(", ")))),
    }
}

/// `status`: `Some(true)` for failed only, `Some(false)` for successful only.
///
/// # Errors
/// 400 for any other word.
pub(crate) fn status(params: &Params) -> Result<Option<bool>, Problem> {
    let values = params.list("status")?;
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    match values.as_slice() {
        [] | ["failed", "success"] => Ok(None),
        ["failed"] => Ok(Some(true)),
        ["success"] => Ok(Some(false)),
        _ => Err(bad_parameter("status", "must be success or failed")),
    }
}

fn terms(params: &Params) -> Result<Vec<String>, Problem> {
    let Some(text) = params.one("q")? else { return Ok(Vec::new()) };
    // As people copy them: "AI Modify (Nano Banana 2)".
    let words = text.split_whitespace().map(|word| word.trim_matches(['(', ')', ',', ';', '"']));
    let terms: Vec<String> = words.filter(|word| !word.is_empty()).map(str::to_ascii_lowercase).collect();
    match terms.len() {
        0 => Err(bad_parameter("q", "must hold a word")),
        1..=TERMS_MAX => Ok(terms),
        _ => Err(bad_parameter("q", format!("may hold {TERMS_MAX} words"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(query: &str) -> Result<ActivityFilter, Problem> {
        ActivityFilter::parse(
            &Params::parse(&format!("/x?{query}").parse().unwrap(), &[FILTER_PARAMS])?,
            "America/New_York",
        )
    }

    fn row() -> ActivityRow {
        ActivityRow {
            entry_type: "consume".to_owned(),
            service: "ai_modify".to_owned(),
            engine: "kling".to_owned(),
            variant: "1k".to_owned(),
            plan: "basic".to_owned(),
            event_id: "evt_gala".to_owned(),
            occurred_at_ms: 1_000,
            ..ActivityRow::default()
        }
    }

    #[test]
    fn every_filter_narrows() {
        for (query, allowed) in [
            ("", true),
            ("service=ai_modify,sms", true),
            ("service=sms", false),
            ("engine=kling", true),
            ("engine=sora", false),
            ("variant=1k,4k", true),
            ("variant=4k", false),
            ("plan=basic&variant=1k", true),
            ("plan=pro", false),
            ("event_id=evt_gala", true),
            ("event_id=evt_other", false),
            ("booth_id=bth_1", false),
            ("type=consume", true),
            ("type=purchase", false),
            ("status=success", true),
            ("status=failed", false),
            ("status=failed,success", true),
            ("from=1970-01-01T00:00:01Z", true),
            ("to=1970-01-01T00:00:01Z", false),
            ("from=1970-01-01&to=1970-01-02", false),
            ("from=1969-12-31&to=1970-01-01", true),
        ] {
            // 1970 begins in New York five hours later.
            assert_eq!(filter(query).map(|filter| filter.allows(&row())).unwrap_or(allowed), allowed, "{query}");
        }
    }

    #[test]
    fn openings_are_listed_when_asked_for() {
        let opened = ActivityRow { entry_type: "account_opened".to_owned(), ..row() };
        assert!(!filter("").unwrap().allows(&opened));
        assert!(filter("include=all").unwrap().allows(&opened));
        assert!(filter("type=account_opened").unwrap().allows(&opened));
    }

    #[test]
    fn what_has_no_plan_passes_no_filter_by_it() {
        let credit = ActivityRow { entry_type: "adjustment".to_owned(), ..ActivityRow::default() };
        assert!(filter("").unwrap().allows(&credit));
        for query in ["plan=basic", "variant=1k"] {
            assert!(!filter(query).unwrap().allows(&credit), "{query}");
        }
    }

    #[test]
    fn wrong_values_are_named() {
        for query in [
            "event_id=gala",
            "booth_id=17",
            "type=spend",
            "status=ok",
            "from=yesterday",
            "tz=EST",
            "include=some",
            "plan=",
            "variant=1k,,4k",
            "q=%20",
            "from=2026-01-02&to=2026-01-01",
            "q=a+b+c+d+e+f+g+h+i",
        ] {
            assert_eq!(filter(query).unwrap_err().code(), "bad_parameter", "{query}");
        }
        assert_eq!(filter("colour=red").unwrap_err().code(), "unknown_parameter");
    }

    #[test]
    fn the_fingerprint_follows_meaning_not_spelling() {
        let print = |query: &str| filter(query).unwrap().fingerprint("acc_a");
        assert_eq!(print("service=b,a"), print("service=a&service=b"));
        let all = [
            "",
            "service=a",
            "engine=a",
            "variant=a",
            "plan=a",
            "event_id=evt_a",
            "booth_id=bth_a",
            "status=failed",
            "type=bonus",
            "from=2026-01-01",
            "to=2026-01-01",
            "q=a",
            "include=all",
        ];
        let prints: std::collections::BTreeSet<_> = all.iter().map(|query| print(query)).collect();
        assert_eq!(prints.len(), all.len());
        assert_ne!(print(""), filter("").unwrap().fingerprint("acc_b"));
    }

    #[test]
    fn a_list_that_older_releases_knew_has_the_fingerprint_that_they_gave_it() {
        // given the fingerprints that were in cursors before one could filter by variant and plan
        for (query, print) in [
            ("", [250, 172, 109, 228, 43, 217, 153, 188]),
            ("service=a,b&status=failed&from=2026-01-01", [85, 197, 83, 90, 197, 198, 78, 213]),
        ] {
            // then cursors with them still belong to their lists
            assert_eq!(filter(query).unwrap().fingerprint("acc_a"), print, "{query}");
        }
    }
}
