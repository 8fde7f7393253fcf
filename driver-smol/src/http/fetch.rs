//! A document by its URL: does what [`Fetch`] says, until it ends.

use super::HttpClient;
use crate::clock::Clock;
use crate::net::resolve::Resolver;
use parcacik_core::border::{IoFault, JobResult, Work};
use parcacik_core::fetch::{Fetch, FetchError, FetchOptions, FetchStep, Fetched};

impl HttpClient {
    /// Fetches what the user named by a URL, such as a `.torrent` file, through redirects as far as
    /// [`parcacik_core::fetch`] lets them lead. Dropping the future ends it.
    ///
    /// # Errors
    /// Why it cannot be had. The text does not repeat the URL.
    pub async fn fetch(&self, url: &str, options: FetchOptions) -> Result<Fetched, FetchError> {
        let (clock, resolver) = (Clock::start(), Resolver::new());
        let (mut fetch, mut work) = Fetch::begin(clock.now(), url, options)?;
        // Bounded by the machine: it counts redirects and addresses.
        loop {
            let result = match work {
                Work::Http(request) => self.exchange(request).await.map(JobResult::Http),
                Work::Resolve { host } => resolver.resolve(host).await.map(JobResult::Resolved),
                _ => Err(IoFault::Unsupported),
            };
            match fetch.done(clock.now(), result) {
                FetchStep::Work(next) => work = next,
                FetchStep::Got(got) => return Ok(got),
                FetchStep::Failed(error) => return Err(error),
            }
        }
    }
}
