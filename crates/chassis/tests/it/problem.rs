//! The wire form of errors.

use axum::body::to_bytes;
use axum::http::header;
use axum::response::IntoResponse;
use tollbooth_chassis::problem::{Problem, Quota};

#[test]
fn a_problem_with_everything() {
    let problem = Problem::malformed("line 3 is not JSON")
        .with_instance("/v1/events")
        .with_error("/data/quantity", "expected a decimal")
        .with_request_id("req_1");
    insta::assert_snapshot!(serde_json::to_string_pretty(&problem).unwrap(), @r#"
    {
      "type": "https://tollbooth.dev/problems/malformed",
      "title": "The request is malformed",
      "status": 400,
      "detail": "line 3 is not JSON",
      "instance": "/v1/events",
      "code": "malformed",
      "request_id": "req_1",
      "errors": [
        {
          "pointer": "/data/quantity",
          "detail": "expected a decimal"
        }
      ]
    }
    "#);
}

#[test]
fn an_internal_error_says_nothing_of_its_source() {
    let problem = Problem::internal("password wrong for user svc").with_detail("connection to 10.0.0.7 refused");
    insta::assert_snapshot!(serde_json::to_string(&problem).unwrap(), @r#"{"type":"https://tollbooth.dev/problems/internal","title":"Internal error","status":500,"code":"internal"}"#);
}

#[test]
fn a_quota_is_said_in_the_headers_of_the_draft() {
    let quota = Quota { policy: "requests", limit: 256, unit: "concurrent-requests" };
    let response = Problem::rate_limited(3).with_quota(quota).into_response();
    let header = |name: &str| response.headers()[name].to_str().unwrap();
    assert_eq!(response.status().as_u16(), 429);
    assert_eq!(header("retry-after"), "3");
    assert_eq!(header("ratelimit-policy"), "\"requests\";q=256;qu=\"concurrent-requests\"");
    assert_eq!(header("ratelimit"), "\"requests\";r=0;t=3");
}

#[test]
fn codes_and_statuses() {
    let all = [
        Problem::malformed(""),
        Problem::unauthenticated(""),
        Problem::insufficient_balance(""),
        Problem::forbidden(""),
        Problem::not_found(""),
        Problem::method_not_allowed(""),
        Problem::request_timeout(""),
        Problem::conflict(""),
        Problem::too_large(""),
        Problem::unsupported_media_type(""),
        Problem::invalid(""),
        Problem::idempotency_key_missing(""),
        Problem::idempotency_mismatch(""),
        Problem::unknown_parameter(""),
        Problem::bad_cursor(""),
        Problem::out_of_range(""),
        Problem::rate_limited(3),
        Problem::internal("x"),
        Problem::unavailable(2),
        Problem::timeout(),
    ];
    let lines: Vec<String> = all.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    400 malformed
    401 unauthenticated
    402 insufficient_balance
    403 forbidden
    404 not_found
    405 method_not_allowed
    408 request_timeout
    409 conflict
    413 too_large
    415 unsupported_media_type
    422 invalid
    400 idempotency_key_missing
    422 idempotency_mismatch
    400 unknown_parameter
    400 bad_cursor
    422 out_of_range
    429 rate_limited
    500 internal
    503 unavailable
    504 timeout
    ");
}

#[tokio::test]
async fn the_response_carries_media_type_and_retry_after() {
    let response = Problem::unavailable(2).into_response();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    assert_eq!(response.headers()[header::RETRY_AFTER], "2");
    let body = to_bytes(response.into_body(), 4096).await.unwrap();
    assert!(body.starts_with(b"{\"type\":"));

    let response = Problem::unauthenticated("no key").into_response();
    assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer");
}
