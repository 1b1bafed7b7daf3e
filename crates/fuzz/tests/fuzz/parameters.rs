//! Query strings of the API.

use axum::http::Uri;
use tollbooth_fuzz::fuzz;
use tollbooth_query::activity::{ActivityFilter, FILTER_PARAMS};
use tollbooth_query::params::Params;
use tollbooth_schemas::time::rfc3339;
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

fn parse(query: &str) -> Option<ActivityFilter> {
    let uri: Uri = format!("/v1/accounts/acc_luna/transactions?{query}").parse().ok()?;
    ActivityFilter::parse(&Params::parse(&uri, &[FILTER_PARAMS]).ok()?, "America/New_York").ok()
}

/// A filter as a query string.
fn printed(filter: &ActivityFilter) -> String {
    let mut pairs = Serializer::new(String::new());
    let lists = [
        ("service", &filter.services),
        ("engine", &filter.engines),
        ("event_id", &filter.event_ids),
        ("booth_id", &filter.booth_ids),
        ("type", &filter.types),
    ];
    for (name, values) in lists {
        for value in values {
            pairs.append_pair(name, value);
        }
    }
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
        "service=ai_modify,sms&service=ai_draw_me&engine=kling&event_id=evt_gala&booth_id=bth_17&type=consume",
        "from=2026-11-01&to=2026-11-21T20:15:03.120Z&tz=Europe/Berlin&status=failed&include=all",
        "q=AI%20Modify+(Nano+Banana+2)%3B",
    ];
    fuzz("query", seeds.map(|seed| seed.as_bytes().to_vec()).to_vec(), WORDS, |bytes| {
        let Some(filter) = parse(&String::from_utf8_lossy(bytes)) else { return };
        // then it is bounded, and holds nothing that a terminal or a log would carry out
        let lists = [&filter.services, &filter.engines, &filter.event_ids, &filter.booth_ids, &filter.types];
        assert!(lists.iter().all(|list| list.len() <= 50) && filter.terms.len() <= 8);
        let mut texts = lists.into_iter().flatten().chain(&filter.terms);
        assert!(texts.all(|text| !text.is_empty() && !text.chars().any(char::is_control)), "{filter:?}");
        // and what it prints is the same filter, of the same list
        let again = parse(&printed(&filter)).expect("a filter prints one");
        assert_eq!(again, filter);
        assert_eq!(again.fingerprint("acc_luna"), filter.fingerprint("acc_luna"));
    });
}
