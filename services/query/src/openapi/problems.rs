//! Refusals, as the document describes them.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::{ContentBuilder, Ref, RefOr};
use utoipa::{IntoResponses, ToSchema};

/// An error (RFC 9457): `application/problem+json`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// A URI that ends with `code`.
    #[schema(examples("https://tollbooth.dev/problems/bad_parameter"))]
    pub r#type: String,
    /// What kind of problem it is.
    #[schema(examples("A parameter is not valid"))]
    pub title: String,
    /// The HTTP status.
    #[schema(examples(400))]
    pub status: u16,
    /// What is wrong this time.
    #[schema(nullable = false)]
    pub detail: Option<String>,
    /// Stable and machine-readable: switch on this.
    #[schema(examples("bad_parameter"))]
    pub code: String,
    /// As in `X-Request-Id`; give it to whoever helps.
    #[schema(nullable = false)]
    pub request_id: Option<String>,
    /// The parameters that are wrong.
    #[schema(nullable = false)]
    pub errors: Option<Vec<ProblemError>>,
}

/// One wrong parameter.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemError {
    /// Its name.
    #[schema(examples("bucket"))]
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

fn problem(about: &str) -> RefOr<Response> {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    RefOr::T(ResponseBuilder::new().description(about).content("application/problem+json", content).build())
}

fn too_many() -> RefOr<Response> {
    problem("`rate_limited`: the key sent too many requests; `RateLimit-Policy` and `RateLimit` say how many it may")
}

type Responses = BTreeMap<String, RefOr<Response>>;

fn with(mut responses: Responses, more: impl IntoIterator<Item = (&'static str, RefOr<Response>)>) -> Responses {
    responses.extend(more.into_iter().map(|(status, response)| (status.to_owned(), response)));
    responses
}

/// What can become of a request that needs no key.
#[derive(Debug)]
pub struct PublicProblems;

impl IntoResponses for PublicProblems {
    fn responses() -> Responses {
        with(
            Responses::new(),
            [
                ("400", problem("`unknown_parameter`, `bad_parameter`")),
                ("404", problem("`not_found`")),
                ("429", too_many()),
                ("503", problem("`unavailable`: what the answer is made of is being read")),
            ],
        )
    }
}

/// What can become of a request about all accounts.
#[derive(Debug)]
pub struct AdminProblems;

impl IntoResponses for AdminProblems {
    fn responses() -> Responses {
        with(
            Responses::new(),
            [
                ("400", problem("`unknown_parameter`, `bad_parameter`, `bad_cursor`, `query_too_large`")),
                ("401", problem("`unauthenticated`: no key, or none that is known")),
                ("403", problem("`forbidden`: needs an admin key")),
                ("429", too_many()),
                ("503", problem("`unavailable`: history or keys cannot be read at the moment")),
            ],
        )
    }
}

/// What can become of a request that changes something here.
#[derive(Debug)]
pub struct ChangeProblems;

impl IntoResponses for ChangeProblems {
    fn responses() -> Responses {
        with(
            Responses::new(),
            [
                ("400", problem("`unknown_parameter`, `malformed`")),
                ("401", problem("`unauthenticated`: no key, no session")),
                ("403", problem("`csrf`: a session without its `X-CSRF-Token`; `forbidden`")),
                ("429", too_many()),
                ("503", problem("`unavailable`: keys are being read")),
            ],
        )
    }
}

/// What can become of a request about one account.
#[derive(Debug)]
pub struct AccountProblems;

impl IntoResponses for AccountProblems {
    fn responses() -> Responses {
        with(
            AdminProblems::responses(),
            [
                ("403", problem("`forbidden`: a booth's key reads nothing")),
                ("404", problem("`not_found`: no such account, or not this key's; no such thing in it")),
                (
                    "503",
                    problem(
                        "`unavailable`: cannot be read at the moment; `seq_not_reached`: `min_seq` is not there yet",
                    ),
                ),
            ],
        )
    }
}
