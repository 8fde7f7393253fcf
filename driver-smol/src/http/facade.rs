//! The backend behind surf's interface.
//!
//! surf's own words cannot hold everything that an exchange is about: its URL type rewrites some characters, its headers are ASCII only, its
//! status codes are the registered ones, and nowhere has it room for the address to connect to. So the border's words travel with the
//! request and the answer as extensions, exact; what surf itself shows (to a middleware, say) is as near as it can say.

use super::backend::Backend;
use parcacik_core::border::{HttpRequest, HttpResponse, IoFault};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use surf::http::{Method, Url};
use surf::{Body, HttpClient, StatusCode};

/// A surf client over our backend.
pub(super) fn client(backend: Arc<Backend>) -> surf::Client {
    surf::Client::with_http_client(Adapter(backend))
}

/// An exchange through surf.
pub(super) async fn exchange(client: &surf::Client, request: HttpRequest) -> Result<HttpResponse, IoFault> {
    let mut outer = surf::Request::new(Method::Get, url(&request)?);
    outer.set_ext(Asked(request));
    let mut answer = client.send(outer).await.map_err(|error| fault_of(&error))?;
    let body = answer.body_bytes().await.map_err(|error| fault_of(&error))?;
    // Always there: our backend is the only one.
    let Answered { status, location, retry_after } = answer.ext().cloned().ok_or(IoFault::Other)?;
    Ok(HttpResponse { status, location, retry_after, body: body.into() })
}

/// What was asked, exactly.
#[derive(Clone, Debug)]
struct Asked(HttpRequest);

/// The head of the answer, exactly.
#[derive(Clone, Debug)]
struct Answered {
    status: u16,
    location: Option<String>,
    retry_after: Option<u32>,
}

struct Adapter(Arc<Backend>);

impl fmt::Debug for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Adapter(..)")
    }
}

impl HttpClient for Adapter {
    fn send<'a, 'b>(
        &'a self,
        mut request: surf::http::Request,
    ) -> Pin<Box<dyn Future<Output = Result<surf::http::Response, surf::Error>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move {
            let Some(Asked(asked)) = request.ext_mut().remove::<Asked>() else {
                return Err(error_of(IoFault::Unsupported));
            };
            let HttpResponse { status, location, retry_after, body } =
                self.0.exchange(&asked).await.map_err(error_of)?;
            let mut answer = surf::http::Response::new(nearest(status));
            answer.ext_mut().insert(Answered { status, location, retry_after });
            answer.set_body(Body::from_bytes(body.into()));
            Ok(answer)
        })
    }
}

/// The URL for surf's eyes. A host that its type refuses is shown as the address: our own check of the request decides, not this one.
fn url(request: &HttpRequest) -> Result<Url, IoFault> {
    let scheme = if request.tls { "https" } else { "http" };
    Url::parse(&format!("{scheme}://{}:{}{}", request.host, request.port, request.path))
        .or_else(|_| Url::parse(&format!("{scheme}://{}/", request.to)))
        .or_else(|_| Url::parse("http://address.invalid/"))
        .map_err(|_| IoFault::Unsupported)
}

/// The registered status that says most of the same: RFC 9110, 15: "a client MUST understand the class of any status code".
fn nearest(status: u16) -> StatusCode {
    StatusCode::try_from(status)
        .or_else(|_| StatusCode::try_from(status / 100 * 100))
        .unwrap_or(StatusCode::InternalServerError)
}

fn error_of(fault: IoFault) -> surf::Error {
    surf::Error::new(StatusCode::BadGateway, fault)
}

fn fault_of(error: &surf::Error) -> IoFault {
    error.downcast_ref::<IoFault>().copied().unwrap_or(IoFault::Other)
}
