//! The native HTTP API: thin translations of [`Control`]'s operations, and nothing else.
//!
//! A handler says who asks ([`asking::Tenant`]), reads what came ([`asking`]), calls one operation
//! and answers ([`answering`]). Errors are problem+json throughout, for unknown paths and wrong
//! methods too. The OpenAPI document is made from the handlers themselves, so it cannot drift.
//! [`server`] owns the sockets and their limits.

mod answering;
mod asking;
mod destinations;
mod event_test;
mod events;
#[expect(unused_qualifications, reason = "utoipa's macro qualifies the parameters' types")]
mod functions;
mod hooks;
mod invocations;
#[expect(unused_qualifications, reason = "utoipa's macro qualifies the parameters' types")]
mod invoke;
#[expect(unused_qualifications, reason = "utoipa's macro qualifies the parameters' types")]
mod logs;
mod replays;
pub mod server;
#[expect(unused_qualifications, reason = "utoipa's macro qualifies the parameters' types")]
mod sources;
mod system;
mod triggers;

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::SwaggerUi;
use wire::http::problem::{Code, Problem};

use crate::Control;
use crate::auth::Auth;
use crate::sources::webhook::PATH;
use answering::Told;

/// Uploads read at once: each may hold 50 MiB while it is checked.
const UPLOADS: usize = 4;
/// Followers of logs at once: each asks the store some times a second.
const FOLLOWERS: usize = 64;
/// Dry runs of events at once: one may keep a processor busy for a while, and others are needed.
const DRY_RUNS: usize = 1;

/// What the handlers share.
#[derive(Clone)]
pub struct Api {
    pub control: Arc<Control>,
    pub auth: Arc<Auth>,
    /// Renders the metrics in Prometheus' text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    uploads: Arc<Semaphore>,
    followers: Arc<Semaphore>,
    dry_runs: Arc<Semaphore>,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("auth", &self.auth).finish_non_exhaustive()
    }
}

impl Api {
    pub fn new(
        control: Arc<Control>,
        auth: Arc<Auth>,
        metrics: Arc<dyn Fn() -> String + Send + Sync>,
    ) -> Self {
        let uploads = Arc::new(Semaphore::new(UPLOADS));
        let followers = Arc::new(Semaphore::new(FOLLOWERS));
        let dry_runs = Arc::new(Semaphore::new(DRY_RUNS));
        Self { control, auth, metrics, uploads, followers, dry_runs }
    }

    /// Every path of the service.
    pub fn router(self) -> Router {
        let (router, document) = documented().split_for_parts();
        router
            .merge(SwaggerUi::new("/docs").url("/openapi.json", document))
            .fallback(async || no_such_path())
            .method_not_allowed_fallback(async || {
                let detail = "this path does not take this method; see /docs";
                Told(Problem::new(Code::MethodNotAllowed, detail))
            })
            .layer(middleware::from_fn_with_state(self.clone(), guard))
            .with_state(self)
    }
}

fn no_such_path() -> Told {
    Problem::new(Code::NotFound, "there is no such path; see /docs").into()
}

/// The OpenAPI document, for the reference and for its test.
pub fn openapi() -> utoipa::openapi::OpenApi {
    documented().into_openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Lambent",
        description = "Upload a function; call it, or let events run it. Errors are problem+json \
                       (RFC 9457) with a stable `code`. Lists take `limit` and `cursor`."
    ),
    tags(
        (name = "functions", description = "What can run"),
        (name = "events", description = "What happened"),
        (name = "sources", description = "What events come from by themselves"),
        (name = "invocations", description = "What ran, and how it went"),
        (name = "service", description = "The service itself"),
    )
)]
struct Document;

fn documented() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(functions::list))
        .routes(routes!(functions::put, functions::get, functions::delete))
        .routes(routes!(functions::versions))
        .routes(routes!(triggers::list))
        .routes(routes!(triggers::put, triggers::get, triggers::delete))
        .routes(routes!(destinations::put, destinations::get, destinations::delete))
        .routes(routes!(invoke::invoke))
        .routes(routes!(logs::of_function))
        .routes(routes!(events::post))
        .routes(routes!(event_test::post))
        .routes(routes!(events::get))
        .routes(routes!(sources::list))
        .routes(routes!(sources::put, sources::get, sources::delete))
        .routes(routes!(hooks::by_token))
        .routes(routes!(hooks::by_name))
        .routes(routes!(invocations::list))
        .routes(routes!(invocations::get))
        .routes(routes!(logs::of_invocation))
        .routes(routes!(replays::list, replays::post))
        .routes(routes!(replays::get, replays::cancel))
        .routes(routes!(invocations::dead_letters))
        .routes(routes!(invocations::redrive))
        .routes(routes!(system::workers))
        .routes(routes!(system::healthz))
        .routes(routes!(system::readyz))
        .routes(routes!(system::metrics))
        .routes(routes!(system::errors))
}

/// Without keys, whoever reaches the socket is trusted, and so would be a web page that a browser
/// on this machine has open. Such requests tell themselves apart by their `Origin`, or by a `Host`
/// that is a foreign name (DNS rebinding); both are refused.
///
/// Not so for webhooks: they come through tunnels and proxies that call this machine otherwise, and
/// each shows by its token or its signature that it may, which a foreign page cannot.
async fn guard(
    axum::extract::State(api): axum::extract::State<Api>,
    request: Request,
    next: Next,
) -> Response {
    if request.uri().path().starts_with(PATH) {
        return next.run(request).await;
    }
    let allowed = {
        let header = |name| request.headers().get(name).map(|it| it.to_str().unwrap_or("?"));
        api.auth.same_machine(header("host"), header("origin"))
    };
    match allowed {
        Ok(()) => next.run(request).await,
        Err(problem) => Told(problem).into_response(),
    }
}
