//! The HTTP client: one GET to one address that the core chose.
//!
//! [`HttpClient::exchange`] does the work [`parcacik_core::border::Work::Http`] names, and nothing more: it resolves no name, follows no
//! redirect, stores no cookie, knows no proxy. What to do with a redirect, or which address to try next, is the core's decision; so
//! every hop passes through its rules about addresses. [`HttpClient::fetch`] lets the core's [`fetch`](parcacik_core::fetch) decide that, for a
//! document that the user names.
//!
//! ```text
//!  HttpClient ── surf::Client ── facade ─┐            (feature `surf`; left out without it, with equal results)
//!       └────────────────────────────────┴─ Backend ── pool ── Connection (hyper) ── Stream (meter, plain or TLS) ── dial
//! ```
//!
//! # States of an exchange
//! checked → (pooled connection taken | dialled → TLS) → head awaited → body read → decoded → connection given back.
//! Nothing is spawned: hyper's connection future lies beside the request that uses it, and whoever awaits the exchange drives it. So
//! dropping the future of an exchange closes its socket, and nothing is left behind.
//!
//! # Limits
//! Servers are strangers. Each of these ends an exchange: the time for all of it and the size of the decoded body (both in the request),
//! the time to connect, the time without progress (a head counts as progress only when it is whole, so dripping it byte by byte does not
//! help), the bytes of all heads together with the `1xx` ones, the number of header lines, and the bytes of a body before decoding. After
//! `stream::READ_TURNS` reads that did not have to wait, the stream gives way to the other tasks of its thread.
//!
//! # What is read leniently
//! Trackers are old and odd. HTTP/1.0, bodies that end with the connection, bytes beyond ASCII in headers, lines that are no header,
//! folded lines, spaces before the colon, and TLS that ends without `close_notify` are taken. A body shorter than its `Content-Length`,
//! a broken chunk, two different lengths, and an upgrade nobody asked for are not. A body that starts like gzip is decoded as gzip
//! whether or not a header says so, and one that does not start like it is taken as it stands.

mod backend;
mod clock;
mod connection;
mod decode;
mod dial;
#[cfg(feature = "surf")]
mod facade;
mod fault;
mod fetch;
mod options;
mod pool;
mod request;
mod stream;
#[cfg(test)]
mod tests;
mod tls;

pub use options::HttpOptions;

use backend::Backend;
use parcacik_core::border::{ConfigError, HttpRequest, HttpResponse, IoFault};
use std::sync::Arc;

/// A client; clones share its connections and certificates.
#[derive(Clone, Debug)]
pub struct HttpClient {
    backend: Arc<Backend>,
    #[cfg(feature = "surf")]
    surf: surf::Client,
}

impl HttpClient {
    /// A client with these options. Opens and loads nothing yet: certificates are read at the first `https` request.
    ///
    /// # Errors
    /// [`ConfigError`] names the option that cannot work.
    pub fn new(options: HttpOptions) -> Result<HttpClient, ConfigError> {
        options.check()?;
        let backend = Arc::new(Backend::new(options)?);
        Ok(HttpClient {
            #[cfg(feature = "surf")]
            surf: facade::client(Arc::clone(&backend)),
            backend,
        })
    }

    /// Sends a GET and returns the answer, of whatever status. Dropping the future closes the connection.
    ///
    /// # Errors
    /// - `Refused`, `Unreachable`, `AddressUnavailable`, `Denied`, `TooManyOpen`: no connection came about.
    /// - `TimedOut`: the whole exchange, the dial, or a pause took longer than allowed.
    /// - `Reset`: the connection ended before the answer did.
    /// - `Untrusted`: the certificate is not valid for `host`, or nobody we trust vouches for it.
    /// - `TooLarge`: the head, or the body before or after decoding, is over its limit.
    /// - `Protocol`: the answer breaks HTTP, TLS or the coding of its body.
    /// - `Unsupported`: the request cannot be sent as it stands (a space in the path, say).
    pub async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, IoFault> {
        #[cfg(feature = "surf")]
        return facade::exchange(&self.surf, request).await;
        #[cfg(not(feature = "surf"))]
        return self.exchange_directly(request).await;
    }

    /// [`HttpClient::exchange`] without surf between; the same results and errors, with one copy of the body less.
    ///
    /// # Errors
    /// As [`HttpClient::exchange`].
    pub async fn exchange_directly(&self, request: HttpRequest) -> Result<HttpResponse, IoFault> {
        self.backend.exchange(&request).await
    }

    /// Closes all connections that are kept for later use. Exchanges under way are not touched.
    pub fn close_idle(&self) {
        self.backend.close_idle();
    }
}
