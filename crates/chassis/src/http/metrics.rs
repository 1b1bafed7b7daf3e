//! Requests by route: rate, errors, duration, with handles bound when the router is built.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::extract::Request;
use axum::response::Response;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};
use tower::{Layer, Service};

const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "aborted"];
const SERVER_ERROR: usize = 4;
const ABORTED: usize = 5;

/// When the server gives a request up and answers in the handler's place; it puts one into every request.
#[derive(Debug, Clone, Copy)]
pub(super) struct AnswerBy(pub(super) tokio::time::Instant);

/// `tollbooth_<service>_requests_total{route, status_class}` and `tollbooth_<service>_request_duration_seconds{route}`.
#[derive(Debug, Clone)]
pub struct HttpMetrics {
    requests: IntCounterVec,
    duration: HistogramVec,
}

impl HttpMetrics {
    /// Registers both.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn register(registry: &Registry, service: &str) -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            Opts::new(
                format!("tollbooth_{service}_requests_total"),
                "Requests by route and status class; aborted: the client left before the answer.",
            ),
            &["route", "status_class"],
        )?;
        let buckets =
            vec![0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
        let duration = HistogramVec::new(
            HistogramOpts::new(
                format!("tollbooth_{service}_request_duration_seconds"),
                "Time from the request's head to the response's head.",
            )
            .buckets(buckets),
            &["route"],
        )?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(duration.clone()))?;
        Ok(Self { requests, duration })
    }

    /// The handles of one route, as a layer: `post(handler).layer(metrics.route("/v1/events"))`. The name is a fixed
    /// string of the router, never a request's path.
    #[must_use]
    pub fn route(&self, route: &'static str) -> RouteMetrics {
        RouteMetrics {
            classes: CLASSES.map(|class| self.requests.with_label_values(&[route, class])),
            duration: self.duration.with_label_values(&[route]),
        }
    }
}

/// The bound handles of one route.
#[derive(Debug, Clone)]
pub struct RouteMetrics {
    classes: [IntCounter; 6],
    duration: Histogram,
}

impl<S> Layer<S> for RouteMetrics {
    type Service = Measured<S>;

    fn layer(&self, inner: S) -> Measured<S> {
        Measured { inner, metrics: self.clone() }
    }
}

/// A service whose responses are counted.
#[derive(Debug, Clone)]
pub struct Measured<S> {
    inner: S,
    metrics: RouteMetrics,
}

impl<S> Service<Request> for Measured<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let answer_by = request.extensions().get::<AnswerBy>().copied();
        let count = Count { metrics: self.metrics.clone(), started: Instant::now(), class: None, answer_by };
        let answered = self.inner.call(request);
        Box::pin(async move {
            // Moved as a whole: a closure would capture the one field it writes and drop the rest right here.
            let mut count = count;
            let response = answered.await?;
            count.class = Some(usize::from(response.status().as_u16() / 100).clamp(1, ABORTED) - 1);
            Ok(response)
        })
    }
}

/// Counts when it is dropped, so that a request given up is counted, too.
struct Count {
    metrics: RouteMetrics,
    started: Instant,
    /// Of the handler's answer; none while there is none.
    class: Option<usize>,
    answer_by: Option<AnswerBy>,
}

impl Count {
    /// Where the handler gave no answer, who is to blame: a panic and a passed deadline are answered by the server with
    /// 500 and 504; everything else that drops a request is a client that left.
    fn class_without_answer(&self) -> usize {
        let is_late = self.answer_by.is_some_and(|AnswerBy(end)| tokio::time::Instant::now() >= end);
        if is_late || std::thread::panicking() { SERVER_ERROR } else { ABORTED }
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        let class = self.class.unwrap_or_else(|| self.class_without_answer());
        self.metrics.classes[class].inc();
        self.metrics.duration.observe(self.started.elapsed().as_secs_f64());
    }
}
