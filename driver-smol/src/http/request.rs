//! From the border's request to the bytes that are sent.

use bytes::Bytes;
use http_body_util::Empty;
use hyper::header::{ACCEPT_ENCODING, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, Uri};
use parcacik_core::border::{HttpRequest, IoFault};

/// The request for the wire. Sent are `Host`, `User-Agent` when there is one, and `Accept-Encoding`; nothing else.
///
/// # Errors
/// `Unsupported` for what cannot be sent as it stands: nothing is ever escaped, cut or normalised here, because a tracker knows
/// a torrent by the very bytes of its query.
pub(super) fn encode(request: &HttpRequest) -> Result<Request<Empty<Bytes>>, IoFault> {
    let mut encoded = Request::new(Empty::new());
    *encoded.uri_mut() = target(&request.path)?;
    let headers = encoded.headers_mut();
    headers.insert(HOST, host(request)?);
    if let Some(agent) = &request.user_agent {
        headers.insert(USER_AGENT, HeaderValue::from_str(agent).map_err(|_| IoFault::Unsupported)?);
    }
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    Ok(encoded)
}

/// The path and query, byte for byte.
fn target(path: &str) -> Result<Uri, IoFault> {
    if !path.starts_with('/') {
        return Err(IoFault::Unsupported);
    }
    let target = hyper::http::uri::PathAndQuery::try_from(path).map_err(|_| IoFault::Unsupported)?;
    // The parser drops a fragment without a word; whoever sent us one did not mean what would be sent.
    if target.as_str() != path || !path.is_ascii() {
        return Err(IoFault::Unsupported);
    }
    Ok(Uri::from(target))
}

/// The `Host` header: RFC 9110, 7.2: "uri-host [ ":" port ]"; the port only when it is not the scheme's own.
fn host(request: &HttpRequest) -> Result<HeaderValue, IoFault> {
    let name = &request.host;
    let inner = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let sound = match inner {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        // Letters of names and of IPv4 addresses, with the underscore that some hosts have against the rules.
        None => !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)),
    };
    if !sound {
        return Err(IoFault::Unsupported);
    }
    let own = if request.tls { 443 } else { 80 };
    let value = if request.port == own {
        HeaderValue::from_str(name)
    } else {
        HeaderValue::from_str(&format!("{name}:{}", request.port))
    };
    value.map_err(|_| IoFault::Unsupported)
}
