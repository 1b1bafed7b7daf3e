//! The API, one resource a file.

mod account;
mod accounts;
mod ahead;
mod alerts;
mod audit;
mod balance;
mod booths;
mod compressed;
mod csv;
mod dead_letters;
mod document;
mod drift;
mod entry;
mod estimate;
mod event_usage;
mod events;
mod fallback;
mod fleet;
mod forecast;
mod keys;
mod parties;
mod portal;
mod price_book;
mod recharge;
mod services;
mod session;
mod simulate;
mod stream;
mod summary;
mod timeline;
mod transactions;
mod usage;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get, post};
use chrono_tz::Tz;
use prometheus::IntGauge;
use serde::Serialize;
use tokio::sync::Semaphore;
use tollbooth_chassis::kafka::table::TopicTable;
use tollbooth_chassis::key_usage::KeyUses;
use tollbooth_chassis::problem::Problem;
use tollbooth_chassis::shutdown::Shutdown;
use tollbooth_chassis::trail::Trail;
use tollbooth_schemas::AccountId;

pub(crate) use ahead::read_ahead;
// What requests ask for, read from their parameters alone.
pub use audit::AskedAudit;
pub use estimate::AskedEstimate;
pub use event_usage::AskedEventUsage;
pub use fleet::AskedFleet;
pub use forecast::AskedForecast;
pub use parties::AskedParties;
pub use summary::AskedSummary;
pub use usage::AskedTimeline;

use crate::access::{Access, Visitor, no_account};
use crate::answers::{self, Answers, Asker, Cubes, Kept, Parties, Question, Sums};
use crate::audit::AuditTrail;
use crate::calendar::{Bucket, QUARTER_MS};
use crate::conditional;
use crate::config::QueryConfig;
use crate::dead_letters::DeadLetters;
use crate::forward::Forwarder;
use crate::live::{LiveView, SunkOffsets};
use crate::metrics::{Endpoint, Metrics};
use crate::params::{Parameter, ParameterKind, Params};
use crate::prices::{Names, Prices};
use crate::site::Site;
use crate::store::Store;

/// What every route works with.
#[derive(Debug)]
pub struct Api {
    /// Settings.
    pub config: QueryConfig,
    /// Keys.
    pub access: Arc<Access>,
    /// Where commands go; `None`: nowhere.
    pub forwarder: Option<Forwarder>,
    /// The dashboard's pages.
    pub site: Site,
    /// Balances and newest entries.
    pub view: Arc<LiveView>,
    /// History.
    pub store: Arc<Store>,
    /// How far the sink is.
    pub sunk: SunkOffsets,
    /// Price books.
    pub prices: Arc<Prices>,
    /// What is kept of answers.
    pub answers: Answers,
    /// What is kept of events and booths.
    pub parties: Parties,
    /// Asks for sums of an account.
    pub cubes: Arc<Cubes>,
    /// Asks for sums of all accounts.
    pub asker: Asker,
    /// What could not be charged.
    pub dead_letters: DeadLetters,
    /// Who changed what.
    pub audit: AuditTrail,
    /// Writes it.
    pub trail: Trail,
    /// When keys were last used.
    pub key_uses: KeyUses,
    /// Feeds `prices`.
    pub price_table: TopicTable,
    /// Metrics.
    pub metrics: Metrics,
    /// Places of streams.
    pub stream_places: Arc<Semaphore>,
    /// Triggered when the listener is to drain: ends the streams.
    pub ending: Shutdown,
}

pub(crate) use document::description;

/// Read your own write.
const AWAIT: &[Parameter] = &[Parameter {
    name: "min_seq",
    kind: ParameterKind::Number(1, u64::MAX),
    about: "Waits until the answer can show this entry, the `seq` of a command's answer; then 503 `seq_not_reached`.",
}];

/// For its reader alone, and asked anew each time.
const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-cache");

type Route = MethodRouter<Arc<Api>>;

const PORTAL_TOKENS: &str = "/v1/portal-tokens";
const SESSION: &str = "/v1/session";
const PRICE_BOOKS: &str = "/v1/price-books";
const CURRENT_PRICE_BOOK: &str = "/v1/price-books/current";
const SERVICES: &str = "/v1/services";

/// Answered here alone: what is not among their methods is none of ingest's either. Some of them need no key, so that 401
/// would be a wrong word.
const WITHOUT_COMMANDS: [&str; 5] = [PORTAL_TOKENS, SESSION, PRICE_BOOKS, CURRENT_PRICE_BOOK, SERVICES];

/// What answers where. The OpenAPI document lists the same paths, and a test holds the two together.
fn table() -> Vec<(&'static str, Route)> {
    vec![
        ("/v1/accounts", get(accounts::list)),
        ("/v1/accounts/{account_id}", get(account::get)),
        ("/v1/accounts/{account_id}/balance", get(balance::get)),
        ("/v1/accounts/{account_id}/recharge", get(recharge::get)),
        ("/v1/accounts/{account_id}/alerts", get(alerts::get)),
        ("/v1/accounts/{account_id}/summary", get(summary::get)),
        ("/v1/accounts/{account_id}/transactions", get(transactions::list)),
        ("/v1/accounts/{account_id}/transactions.csv", get(csv::get)),
        ("/v1/accounts/{account_id}/transactions/{entry_id}", get(entry::get)),
        ("/v1/accounts/{account_id}/usage", get(usage::get)),
        ("/v1/accounts/{account_id}/booths", get(booths::list)),
        ("/v1/accounts/{account_id}/forecast", get(forecast::get)),
        ("/v1/accounts/{account_id}/events", get(events::list)),
        ("/v1/accounts/{account_id}/events/{event_id}", get(events::get)),
        ("/v1/accounts/{account_id}/events/{event_id}/estimate", get(estimate::get)),
        ("/v1/accounts/{account_id}/events/{event_id}/transactions", get(transactions::list_of_event)),
        ("/v1/accounts/{account_id}/events/{event_id}/usage", get(event_usage::get)),
        ("/v1/accounts/{account_id}/stream", get(stream::get)),
        ("/v1/audit", get(audit::list)),
        ("/v1/dead-letters", get(dead_letters::list)),
        ("/v1/dead-letters/{letter_id}", get(dead_letters::get)),
        ("/v1/fleet/drift", get(drift::get)),
        ("/v1/fleet/usage", get(fleet::usage)),
        ("/v1/keys", get(keys::list)),
        (PRICE_BOOKS, get(price_book::list)),
        (CURRENT_PRICE_BOOK, get(price_book::current)),
        ("/v1/price-books/{version}", get(price_book::version)),
        ("/v1/price-books/{version}/simulate", post(simulate::create)),
        (SERVICES, get(services::list)),
        (PORTAL_TOKENS, post(portal::create)),
        (SESSION, get(session::get).post(session::create).delete(session::end)),
        ("/openapi.json", get(document::json)),
        ("/docs", get(document::html)),
    ]
}

/// All routes, each with its metrics.
pub fn router(api: Arc<Api>) -> Router {
    let http = api.metrics.http.clone();
    let counted = from_fn_with_state(Arc::clone(&api), counted);
    let fallback = any(fallback::path).layer(counted.clone()).layer(http.route("other"));
    let add = |router: Router<Arc<Api>>, (path, route): (&'static str, Route)| {
        let route: Route = route.layer(from_fn(conditional::answer));
        let route: Route = route.layer(compressed::layer()).layer(from_fn(compressed::weaken));
        // What is not read here may be a command. Before it is counted: a layer is around what is there by then.
        let takes_commands = path.starts_with("/v1/") && !WITHOUT_COMMANDS.contains(&path);
        let route = if takes_commands { route.fallback(fallback::method) } else { route };
        router.route(path, route.layer(counted.clone()).layer(http.route(path)))
    };
    let fallback = fallback.with_state(Arc::clone(&api));
    table().into_iter().fold(Router::new(), add).with_state(api).fallback_service(fallback)
}

/// Counts a request of who is known, and gives it what it may spend. Who is not known is refused by the route.
async fn counted(State(api): State<Arc<Api>>, request: Request, next: Next) -> Result<Response, Problem> {
    let is_counted = request.uri().path().starts_with("/v1/");
    let visitor = if is_counted { api.access.visitor(request.headers()).ok() } else { None };
    let left = visitor.map(|visitor| api.access.rate().take(&visitor)).transpose()?.flatten();
    let budget = api.store.budget();
    let mut response = budget.spent_by(next.run(request)).await;
    if let Some(left) = left {
        left.tell(response.headers_mut());
    }
    Ok(response)
}

impl Api {
    /// Checks key and account of a request, and waits for the entry that `min_seq` names.
    ///
    /// A read that names a `seq` (from the answer to a command) sees at least that entry, or is told to come back: 503
    /// `seq_not_reached` after [`crate::config::LiveSection::min_seq_wait_ms`]. Here that is true of memory; an answer
    /// from ClickHouse waits for it once more, see [`Api::wait_until_sunk`].
    async fn open(&self, headers: &HeaderMap, account_id: &str, params: &Params) -> Result<Reader, Problem> {
        let visitor = self.access.read_account(headers, account_id)?;
        self.open_for(&visitor, account_id, params).await
    }

    /// As [`Api::open`], for an event of the account.
    async fn open_event(
        &self,
        headers: &HeaderMap,
        account_id: &str,
        event_id: &str,
        params: &Params,
    ) -> Result<Reader, Problem> {
        let visitor = self.access.read_event(headers, account_id, event_id)?;
        self.open_for(&visitor, account_id, params).await
    }

    async fn open_for(&self, visitor: &Visitor, account_id: &str, params: &Params) -> Result<Reader, Problem> {
        let is_admin = visitor.is_admin();
        if account_id.parse::<AccountId>().is_err() {
            return Err(no_account());
        }
        if !self.view.is_confirmed_for(account_id) {
            return Err(Problem::unavailable(1).with_detail("balances are being read"));
        }
        let Some(seq) = params.number("min_seq", 1..=u64::MAX)? else { return Ok(Reader { awaited: None, is_admin }) };
        let _waiting = Waiting::begin(&self.metrics.waiting_reads);
        let patience = Duration::from_millis(self.config.live.min_seq_wait_ms);
        let awaited = Awaited { seq, until: Instant::now() + patience };
        if self.view.wait_for_seq(account_id, seq, patience).await {
            Ok(Reader { awaited: Some(awaited), is_admin })
        } else {
            Err(awaited.missing())
        }
    }

    /// The account's newest entry in ClickHouse, with all below it.
    async fn newest_stored_seq(&self, account_id: &str) -> Result<u64, Problem> {
        Ok(self.store.newest_seq(account_id, self.view.posted(account_id)).await?)
    }

    /// Waits until ClickHouse has the entry that a request named, in every table, for what is left of the time.
    async fn wait_until_sunk(&self, account_id: &str, awaited: Option<Awaited>) -> Result<(), Problem> {
        let Some(awaited) = awaited else { return Ok(()) };
        let _waiting = Waiting::begin(&self.metrics.waiting_reads);
        let place = self.view.place_after(account_id, awaited.seq).ok_or_else(|| awaited.missing())?;
        let patience = awaited.until.saturating_duration_since(Instant::now());
        // The offsets say that the sink's server has it; of several the one that is asked here may be behind.
        if self.sunk.wait_for(place, patience).await && self.newest_stored_seq(account_id).await? >= awaited.seq {
            return Ok(());
        }
        Err(awaited.missing())
    }

    /// An answer made of sums, kept for whoever asks the same in the same zone and carried forward; `body` makes it, and says
    /// of how many rows. A request that names no zone means another one once the account's is changed.
    async fn sums<B: Serialize>(
        &self,
        account_id: &str,
        reader: Reader,
        (uri, zone): (&Uri, Tz),
        questions: Vec<Question>,
        now_ms: i64,
        body: impl FnOnce(Sums, &Names) -> Result<(B, usize), Problem>,
    ) -> Result<(Response, usize), Problem> {
        let names = self.prices.names();
        let request = answers::Request {
            key: format!("{} {}", key_of(uri, reader.is_admin), zone.name()),
            account_id: account_id.to_owned(),
            questions: questions.clone(),
            quarter: now_ms.div_euclid(QUARTER_MS),
            names: Arc::clone(&names),
        };
        let render = |sums: Sums| {
            let (body, rows) = body(sums, &names)?;
            kept(&body, rows)
        };
        let ask = Arc::clone(&self.cubes).ask(account_id.to_owned(), questions);
        let kept = match reader.awaited {
            None => self.answers.get(request, ask, render).await?,
            Some(_) => {
                let ask = async {
                    self.wait_until_sunk(account_id, reader.awaited).await?;
                    ask.await
                };
                self.answers.get_awaited(request, ask, render).await?
            }
        };
        let rows = kept.rows;
        Ok((given(kept), rows))
    }

    /// Whether all price books were read once.
    ///
    /// Before, what is known is an old book, or none. Later on an old reading will do: a book is published well before it
    /// begins.
    fn ensure_prices(&self) -> Result<(), Problem> {
        let current = self.price_table.ensure_current(Duration::MAX);
        current.map_err(|_| Problem::unavailable(1).with_detail("prices are being read"))
    }

    /// The problem of an account without a balance.
    fn missing(&self, account_id: &str) -> Problem {
        if self.view.is_incomplete(account_id) {
            Problem::unavailable(2).with_detail("the account is being reloaded")
        } else {
            no_account()
        }
    }
}

/// Who reads, and what the answer must show.
#[derive(Debug, Clone, Copy)]
struct Reader {
    awaited: Option<Awaited>,
    /// Whether what only an admin may know is in the answer.
    is_admin: bool,
}

/// The entry that an answer must show, and until when it is waited for.
#[derive(Debug, Clone, Copy)]
struct Awaited {
    seq: u64,
    until: Instant,
}

impl Awaited {
    fn missing(self) -> Problem {
        Problem::new("seq_not_reached", StatusCode::SERVICE_UNAVAILABLE, "The entry is not visible yet")
            .with_detail(format!("entry {} is not there yet", self.seq))
            .with_retry_after(1)
    }
}

/// Counts a request while it waits.
struct Waiting<'a>(&'a IntGauge);

impl<'a> Waiting<'a> {
    fn begin(gauge: &'a IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Measures one request, whatever becomes of it.
struct Timer<'a> {
    metrics: &'a Metrics,
    endpoint: Endpoint,
    bucket: Option<Bucket>,
    started: Instant,
}

impl<'a> Timer<'a> {
    fn start(metrics: &'a Metrics, endpoint: Endpoint) -> Self {
        Self { metrics, endpoint, bucket: None, started: Instant::now() }
    }

    fn bucket(&mut self, bucket: Bucket) {
        self.bucket = Some(bucket);
    }

    fn done(self, rows: usize) {
        self.metrics.answered(self.endpoint, self.bucket, rows);
    }
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        self.metrics.ended(self.endpoint, self.bucket, self.started.elapsed().as_secs_f64());
    }
}

/// What an answer is kept by: the request, without the entry that it waits for.
fn key_of(uri: &Uri, is_admin: bool) -> String {
    let words = uri.query().unwrap_or_default().split('&').filter(|word| !word.starts_with("min_seq="));
    let words: Vec<&str> = words.collect();
    format!("{}\0{}?{}", if is_admin { "admin" } else { "" }, uri.path(), words.join("&"))
}

/// An answer as it is kept, made of so many rows.
fn kept(body: &impl Serialize, rows: usize) -> Result<Kept, Problem> {
    let body = serde_json::to_vec(body).map_err(Problem::internal)?;
    Ok(Kept { etag: conditional::etag_as_of(&body), body: body.into(), rows, seq: None })
}

/// What is kept, as it is sent.
fn given(kept: Kept) -> Response {
    let head = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::ETAG, kept.etag),
        (header::CACHE_CONTROL, PRIVATE),
    ];
    let mut response = (head, kept.body).into_response();
    if let Some(seq) = kept.seq {
        response.headers_mut().insert(conditional::SEQ, seq.into());
    }
    response
}

/// A JSON answer about an account: for its reader alone, and asked anew each time.
fn private(body: &impl Serialize) -> Result<Response, Problem> {
    answer(body, PRIVATE)
}

fn answer(body: &impl Serialize, cache_control: HeaderValue) -> Result<Response, Problem> {
    let bytes = serde_json::to_vec(body).map_err(Problem::internal)?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::ETAG, conditional::etag_as_of(&bytes)),
        (header::CACHE_CONTROL, cache_control),
    ];
    Ok((headers, bytes).into_response())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::table;
    use crate::openapi::DOCUMENT;

    #[test]
    fn what_is_served_is_documented_and_the_other_way_round() {
        let served: BTreeSet<&str> = table().into_iter().map(|(path, _)| path).collect();
        let documented: BTreeSet<&str> = DOCUMENT.operations().map(|(_, path, _)| path).collect();
        assert_eq!(served, documented);
    }
}
