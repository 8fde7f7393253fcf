//! The HTTP client against servers that are odd, broken or hostile: raw bytes over loopback, once through surf and once without.

mod answers;
mod connections;
mod fetch;
mod limits;
mod requests;
mod server;
mod tls;

use parcacik_core::border::{HttpRequest, HttpResponse, IoFault};
use parcacik_driver_smol::http::{HttpClient, HttpOptions};
use server::Server;
use std::time::Duration;

/// How an exchange is done; every test holds for both.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// As the driver does: through surf when the feature is on.
    Usual,
    /// Without surf.
    Direct,
}

const WAYS: [Way; 2] = [Way::Usual, Way::Direct];

impl Way {
    async fn exchange(self, client: &HttpClient, request: HttpRequest) -> Result<HttpResponse, IoFault> {
        match self {
            Way::Usual => client.exchange(request).await,
            Way::Direct => client.exchange_directly(request).await,
        }
    }

    fn run(self, client: &HttpClient, request: HttpRequest) -> Result<HttpResponse, IoFault> {
        async_io::block_on(self.exchange(client, request))
    }
}

/// A request to a server of ours by plain HTTP, with limits that no test reaches by accident.
fn get(server: &Server, path: &str) -> HttpRequest {
    HttpRequest {
        to: server.addr,
        tls: false,
        host: "tracker.test".into(),
        port: server.addr.port(),
        path: path.into(),
        user_agent: None,
        from: None,
        body_limit: 1 << 20,
        time_limit: Duration::from_secs(20),
    }
}

/// A client with everything at its default.
fn client() -> HttpClient {
    HttpClient::new(HttpOptions::default()).unwrap()
}

/// One exchange with a server that gives this answer to each request and then closes or not; the same both ways.
fn answer_to(answer: &[u8], then: server::Then) -> Result<HttpResponse, IoFault> {
    let [usual, direct] = WAYS.map(|way| {
        let server = Server::answering(answer.to_vec(), then);
        way.run(&client(), get(&server, "/"))
    });
    assert_eq!(usual, direct, "surf makes a difference");
    usual
}

/// Its body, for answers that have to be taken.
fn body_of(answer: &[u8], then: server::Then) -> Vec<u8> {
    match answer_to(answer, then) {
        Ok(answer) => answer.body.to_vec(),
        Err(fault) => panic!("{fault:?} for {}", String::from_utf8_lossy(&answer[..answer.len().min(200)])),
    }
}
