//! Query strings of the API.

use axum::http::Uri;
use chrono_tz::TZ_VARIANTS;
use tollbooth_fuzz::fuzz;
use tollbooth_query::activity::{ActivityFilter, FILTER_PARAMS};
use tollbooth_query::answers::Question;
use tollbooth_query::calendar::{TimeRange, edge_text};
use tollbooth_query::config::LimitsSection;
use tollbooth_query::estimate;
use tollbooth_query::params::{Parameter, Params};
use tollbooth_query::routes::{
    AskedAudit, AskedEstimate, AskedEventUsage, AskedFleet, AskedForecast, AskedParties, AskedSummary, AskedTimeline,
};
use tollbooth_query::store::{GroupBy, Measure, PartyKind, Scope};
use tollbooth_schemas::time::{parse_rfc3339_ms, rfc3339};
use url::form_urlencoded::Serializer;

const WORDS: &[&str] = &[
    "%",
    "%00",
    "%C3",
    "%2C",
    "%20",
    "+",
    "&",
    "=",
    ",",
    "service=",
    "q=",
    "from=",
    "&to=",
    "tz=Europe/Berlin",
    "type=",
    "status=failed",
    "include=all",
    "2026-11-21",
    "T20:15:03Z",
    "1969-12-31",
    "%E2%80%AE",
];

/// Most values of a list.
const VALUES_MAX: usize = 50;
/// Most characters of a value.
const VALUE_CHARS_MAX: usize = 256;
/// Most rows of a page.
const ROWS_MAX: usize = 200;
/// Stretches of a forecast.
const STRETCHES_MAX: usize = 2_000;

/// The parameters of a query string, where they are those of a route.
fn params(query: &str, known: &[&[Parameter]]) -> Option<Params> {
    let uri: Uri = format!("/v1/accounts/acc_luna/transactions?{query}").parse().ok()?;
    Params::parse(&uri, known).ok()
}

fn parse(query: &str) -> Option<ActivityFilter> {
    ActivityFilter::parse(&params(query, &[FILTER_PARAMS])?, "America/New_York").ok()
}

fn append_lists(pairs: &mut Serializer<'_, String>, lists: &[(&str, &Vec<String>)]) {
    for (name, values) in lists {
        for value in *values {
            pairs.append_pair(name, value);
        }
    }
}

/// That they are bounded, and hold nothing that a terminal or a log would carry out.
fn assert_lists<'a>(lists: impl IntoIterator<Item = &'a Vec<String>>) {
    for list in lists {
        assert!(list.len() <= VALUES_MAX, "{list:?}");
        list.iter().for_each(|text| assert_text(text));
    }
}

fn assert_text(text: &str) {
    assert!(!text.is_empty() && text.chars().count() <= VALUE_CHARS_MAX, "{text:?}");
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

/// A filter as a query string.
fn printed(filter: &ActivityFilter) -> String {
    let mut pairs = Serializer::new(String::new());
    let lists = [
        ("service", &filter.services),
        ("engine", &filter.engines),
        ("variant", &filter.variants),
        ("plan", &filter.plans),
        ("event_id", &filter.event_ids),
        ("booth_id", &filter.booth_ids),
        ("type", &filter.types),
    ];
    append_lists(&mut pairs, &lists);
    for (name, ms) in [("from", filter.from_ms), ("to", filter.to_ms)] {
        if let Some(ms) = ms {
            pairs.append_pair(name, &rfc3339(ms));
        }
    }
    if let Some(failed) = filter.failed {
        pairs.append_pair("status", if failed { "failed" } else { "success" });
    }
    if !filter.terms.is_empty() {
        pairs.append_pair("q", &filter.terms.join(" "));
    }
    if filter.include_all {
        pairs.append_pair("include", "all");
    }
    pairs.finish()
}

#[test]
fn a_filter_that_is_taken_means_what_it_prints() {
    let seeds = [
        "service=ai_modify,sms&service=ai_draw_me&engine=kling&variant=4k&plan=pro,basic&event_id=evt_gala&booth_id=bth_17&type=consume",
        "from=2026-11-01&to=2026-11-21T20:15:03.120Z&tz=Europe/Berlin&status=failed&include=all",
        "q=AI%20Modify+(Nano+Banana+2)%3B",
    ];
    fuzz("query", seeds.map(|seed| seed.as_bytes().to_vec()).to_vec(), WORDS, |bytes| {
        let Some(filter) = parse(&String::from_utf8_lossy(bytes)) else { return };
        // then it is bounded
        let lists = [&filter.services, &filter.engines, &filter.variants, &filter.plans, &filter.event_ids];
        assert_lists(lists.into_iter().chain([&filter.booth_ids, &filter.types, &filter.terms]));
        assert!(filter.terms.len() <= 8, "{filter:?}");
        // and what it prints is the same filter, of the same list
        let again = parse(&printed(&filter)).expect("a filter prints one");
        assert_eq!(again, filter);
        assert_eq!(again.fingerprint("acc_luna"), filter.fingerprint("acc_luna"));
    });
}

const ASKED_WORDS: &[&str] = &[
    "%",
    "%2C",
    "+",
    "&",
    "=",
    ",",
    "&from=",
    "&to=",
    "&tz=",
    "Pacific/Apia",
    "America/Sao_Paulo",
    "Africa/Monrovia",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "&bucket=",
    "15m",
    "hour",
    "day",
    "week",
    "month",
    "year",
    "auto",
    "&group_by=",
    "engine",
    "account",
    "&top=",
    "100",
    "&measure=",
    "margin",
    "&compare=previous",
    "1969-12-31",
    "1970-01-01",
    "2011-12-30",
    "2199-12-31",
    "T24:00:00Z",
    "T23:59:60.999999999%2B14:00",
    "&service=",
    "&limit=",
    "&cursor=",
    "&q=",
    "&currency=EUR",
    "&min_seq=",
];

/// What a request meets: any zone that an account may have been opened in, any moment of some years, and any reader.
struct Moment {
    zone: &'static str,
    now_ms: i64,
    is_admin: bool,
}

impl Moment {
    /// The same for the same input.
    fn of(input: &[u8]) -> Self {
        const FROM_MS: u64 = 1_790_000_000_000;
        const YEARS_4_MS: u64 = 4 * 366 * 86_400_000;
        let print = input
            .iter()
            .fold(0xcbf2_9ce4_8422_2325, |print: u64, byte| (print ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
        let zones = u64::try_from(TZ_VARIANTS.len()).unwrap();
        Self {
            zone: TZ_VARIANTS[usize::try_from((print >> 8) % zones).unwrap()].name(),
            now_ms: (FROM_MS + (print >> 16) % YEARS_4_MS).cast_signed(),
            is_admin: print % 3 != 0,
        }
    }
}

fn assert_range(range: TimeRange) {
    assert!(range.from_ms < range.to_ms, "{range:?}");
    // Each end can be written, and is the instant that was meant.
    for ms in [range.from_ms, range.to_ms] {
        assert_eq!(parse_rfc3339_ms(&rfc3339(ms)), Some(ms));
    }
}

/// That a question is of its range and cut into no more than so many buckets, the first of which begins with the range.
fn assert_question(question: &Question, buckets_max: usize) {
    let (range, starts) = (question.range.unwrap(), &question.starts_ms);
    assert_range(range);
    assert!((1..=buckets_max).contains(&starts.len()), "{} buckets", starts.len());
    assert_eq!(starts.first(), Some(&range.from_ms));
    assert!(starts.is_sorted_by(|one, next| one < next) && starts.last().unwrap() < &range.to_ms, "{question:?}");
}

fn assert_timeline(asked: &AskedTimeline, scope: Scope<'_>, now_ms: i64) {
    let filter = &asked.filter;
    assert_lists([&filter.services, &filter.engines, &filter.variants, &filter.plans, &filter.types]);
    assert_lists([&filter.event_ids, &filter.booth_ids]);
    assert!(asked.top.is_none_or(|top| (1..=100).contains(&top) && asked.group_by.is_some()), "{asked:?}");
    let ranges = asked.ranges(now_ms);
    assert_eq!((ranges[0], ranges.len()), (asked.range, 1 + usize::from(asked.is_compared)));
    for range in &ranges {
        assert_range(*range);
        assert_eq!(parse_rfc3339_ms(&edge_text(range.from_ms, asked.zone)), Some(range.from_ms));
    }
    assert!(ranges.get(1).is_none_or(|before| before.to_ms <= asked.range.from_ms), "{ranges:?}");
    let buckets_max = LimitsSection::default().buckets_max;
    match asked.questions(scope, now_ms, buckets_max) {
        Ok(questions) => {
            assert_eq!(questions.iter().map(|question| question.range.unwrap()).collect::<Vec<_>>(), ranges);
            questions.iter().for_each(|question| assert_question(question, buckets_max));
        }
        Err(problem) => assert_eq!(problem.code(), "too_many_buckets"),
    }
}

/// A timeline as a query string; its zone is left to who reads it, since an account may have one that nobody may name.
fn printed_timeline(asked: &AskedTimeline, codes: &[(&str, GroupBy)]) -> String {
    let mut pairs = Serializer::new(String::new());
    pairs.append_pair("from", &rfc3339(asked.range.from_ms)).append_pair("to", &rfc3339(asked.range.to_ms));
    pairs.append_pair("bucket", asked.bucket.code());
    let measure = Measure::CODES.into_iter().find(|(_, measure)| *measure == asked.measure).unwrap();
    pairs.append_pair("measure", measure.0);
    if let Some(group_by) = asked.group_by {
        pairs.append_pair("group_by", codes.iter().find(|(_, known)| *known == group_by).unwrap().0);
    }
    if let Some(top) = asked.top {
        pairs.append_pair("top", &top.to_string());
    }
    if asked.is_compared {
        pairs.append_pair("compare", "previous");
    }
    let filter = &asked.filter;
    append_lists(&mut pairs, &[("service", &filter.services), ("engine", &filter.engines), ("type", &filter.types)]);
    append_lists(&mut pairs, &[("variant", &filter.variants), ("plan", &filter.plans)]);
    append_lists(&mut pairs, &[("event_id", &filter.event_ids), ("booth_id", &filter.booth_ids)]);
    if let Some(failed) = filter.failed {
        pairs.append_pair("status", if failed { "failed" } else { "success" });
    }
    pairs.finish()
}

/// How many of the routes take it.
fn try_timelines(query: &str, at: &Moment) -> usize {
    let mut taken = 0;
    // What begins before 1970 because nothing was said of it cannot be asked for.
    let can_be_named = |asked: &AskedTimeline| asked.range.from_ms >= 0;
    let of_account = |query: &str, zone: &str| {
        let params = params(query, AskedTimeline::PARAMS)?;
        AskedTimeline::parse(&params, &GroupBy::CODES, (zone, at.now_ms), at.is_admin).ok()
    };
    if let Some(asked) = of_account(query, at.zone) {
        taken += 1;
        assert!(at.is_admin || !asked.measure.is_confidential(), "{asked:?}");
        assert_timeline(&asked, Scope::Account("acc_luna"), at.now_ms);
        let again = of_account(&printed_timeline(&asked, &GroupBy::CODES), asked.zone.name());
        assert!(!can_be_named(&asked) || again.as_ref() == Some(&asked), "{again:?} is not {asked:?}");
    }
    let of_fleet = |query: &str| AskedFleet::parse(&params(query, AskedFleet::PARAMS)?, at.now_ms).ok();
    if let Some(AskedFleet { timeline, currency }) = of_fleet(query) {
        taken += 1;
        assert!(currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase()), "{currency}");
        assert_eq!(timeline.group_by.is_some(), timeline.top.is_some());
        assert_timeline(&timeline, Scope::Fleet { currency: &currency }, at.now_ms);
        let printed = printed_timeline(&timeline, &GroupBy::FLEET_CODES);
        let again = of_fleet(&format!("{printed}&currency={currency}&tz={}", timeline.zone.name()));
        assert!(!can_be_named(&timeline) || again.map(|again| again.timeline) == Some(timeline));
    }
    taken
}

/// How many of the routes take it.
fn try_event_usage(query: &str, at: &Moment) -> usize {
    let parse = |query: &str| AskedEventUsage::parse(&params(query, AskedEventUsage::PARAMS)?, at.zone).ok();
    let Some(asked) = parse(query) else { return 0 };
    let question = asked.question("acc_luna", "evt_gala");
    // It is of that event alone, in one sum for each engine, and of a range where an end of one is named.
    assert_eq!(question.filter.event_ids, ["evt_gala"]);
    assert!(question.starts_ms.is_empty() && question.top.is_none(), "{question:?}");
    let ends = [asked.from_ms, asked.to_ms];
    assert_eq!(question.range.is_some(), ends.iter().any(Option::is_some));
    assert!(question.range.is_none_or(|range| range.from_ms < range.to_ms), "{question:?}");
    let mut pairs = Serializer::new(String::new());
    for (name, ms) in ["from", "to"].into_iter().zip(ends).filter_map(|(name, ms)| Some((name, ms?))) {
        // Each end is answered in the zone, and is the instant that was meant.
        assert_eq!(parse_rfc3339_ms(&edge_text(ms, asked.zone)), Some(ms), "{asked:?}");
        pairs.append_pair(name, &rfc3339(ms));
    }
    let again = parse(&pairs.finish()).expect("what is asked for can be written");
    assert_eq!([again.from_ms, again.to_ms], ends);
    1
}

/// How many of the routes take it.
fn try_sums(query: &str, at: &Moment) -> usize {
    let mut taken = 0;
    let summary = params(query, AskedSummary::PARAMS).map(|params| AskedSummary::parse(&params, at.zone, at.now_ms));
    if let Some(Ok(AskedSummary { range, before, zone })) = summary {
        taken += 1;
        assert_range(range);
        assert_range(before);
        assert!(before.to_ms <= range.from_ms, "{before:?} {range:?}");
        assert_eq!(parse_rfc3339_ms(&edge_text(before.from_ms, zone)), Some(before.from_ms));
    }
    if let Some(Ok(asked)) = params(query, AskedForecast::PARAMS).map(|params| AskedForecast::parse(&params)) {
        taken += 1;
        // However long its eight weeks are: no request is a 500.
        let questions = asked.questions("acc_luna", at.zone.parse().unwrap(), at.now_ms).unwrap();
        questions.iter().for_each(|question| assert_question(question, STRETCHES_MAX));
        assert_eq!(questions[0].filter.event_ids.len(), usize::from(asked.event_id.is_some()));
    }
    if let Some(Ok(asked)) = params(query, AskedEstimate::PARAMS).map(|params| AskedEstimate::parse(&params)) {
        taken += 1;
        let AskedEstimate { guests, per_guest_micros } = asked;
        assert!((1..=1_000_000).contains(&guests) && (1..=100_000_000).contains(&per_guest_micros), "{asked:?}");
        assert!((0..=100_000_000).contains(&estimate::operations(guests, per_guest_micros)), "{asked:?}");
    }
    taken
}

/// How many of the routes take it.
fn try_lists(query: &str) -> usize {
    let mut taken = 0;
    for kind in [PartyKind::Event, PartyKind::Booth] {
        let read = |query: &str| AskedParties::parse(&params(query, AskedParties::PARAMS)?, "acc_luna", kind).ok();
        let Some(asked) = read(query) else { continue };
        taken += 1;
        assert!((1..=ROWS_MAX).contains(&asked.limit), "{asked:?}");
        assert!(asked.text.chars().count() <= VALUE_CHARS_MAX && !asked.text.chars().any(char::is_control));
        // The page after a party is one of the same list.
        let mut pairs = Serializer::new(String::new());
        pairs.append_pair("cursor", &asked.cursor(i64::MIN, "evt_gala"));
        if !asked.text.is_empty() {
            pairs.append_pair("q", &asked.text);
        }
        let next = read(&pairs.finish()).expect("a cursor is taken");
        assert_eq!((next.after, next.text), (Some((i64::MIN, "evt_gala".to_owned())), asked.text));
    }
    let audit = params(query, AskedAudit::PARAMS).map(|params| AskedAudit::parse(&params));
    let Some(Ok(asked)) = audit else { return taken };
    let filter = &asked.filter;
    assert!((1..=ROWS_MAX).contains(&asked.limit) && asked.below.is_none_or(|below| below >= 0), "{asked:?}");
    [&filter.actor, &filter.account_id, &filter.action].into_iter().flatten().for_each(|text| assert_text(text));
    if let (Some(from_ms), Some(to_ms)) = (filter.from_ms, filter.to_ms) {
        assert_range(TimeRange { from_ms, to_ms });
    }
    taken + 1
}

/// How many of the routes take a query string; those that do are asked for nothing beyond their bounds.
fn try_all(input: &[u8]) -> usize {
    let (query, at) = (String::from_utf8_lossy(input), Moment::of(input));
    try_timelines(&query, &at) + try_event_usage(&query, &at) + try_sums(&query, &at) + try_lists(&query)
}

#[test]
fn whatever_is_asked_for_is_bounded() {
    let list = AskedParties::parse(&Params::default(), "acc_luna", PartyKind::Event).unwrap();
    let cursor = format!("limit=200&cursor={}", list.cursor(1_790_000_000_000, "evt_gala"));
    let seeds = [
        "from=2026-11-01&to=2026-12-01&bucket=day&tz=America/New_York&group_by=engine&top=5&compare=previous",
        "from=2011-12-29&to=2012-01-02T00:00:00%2B14:00&tz=Pacific/Apia&bucket=hour&measure=margin&status=failed",
        "from=2026-10-25&to=2026-10-26&tz=Europe/Berlin&bucket=15m&group_by=status&top=100&service=sms&engine=sms_intl",
        "bucket=auto&variant=4k,1k&plan=pro&type=consume,repriced&event_id=evt_gala&booth_id=bth_17&group_by=plan",
        "from=1970-01-01&to=2199-12-31&bucket=year&compare=previous&currency=EUR&group_by=account",
        "to=1970-01-01T00:00:00Z&compare=previous&bucket=week",
        "tz=Africa/Monrovia&from=1971-12-31&to=1972-01-08&bucket=15m",
        "event_id=evt_gala&min_seq=18446744073709551615",
        "to=2026-11-21T20:15:00%2B14:00&tz=Pacific/Apia&min_seq=7",
        "from=2026-11-21&tz=America/Sao_Paulo",
        "guests=250&operations_per_guest=1.25",
        "q=gala%20night&limit=20",
        "actor=key_1&account_id=acc_luna&action=post_adjustment&from=2026-11-01&to=2026-11-02&limit=200",
        &cursor,
    ];
    for seed in seeds {
        assert!(try_all(seed.as_bytes()) > 0, "nobody takes {seed}");
    }
    fuzz("asked", seeds.map(|seed| seed.as_bytes().to_vec()).to_vec(), ASKED_WORDS, |bytes| {
        try_all(bytes);
    });
}
