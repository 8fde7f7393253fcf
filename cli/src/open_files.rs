//! How many files and sockets this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// More than the program's own limits (peers, content files) come to together.
const ENOUGH: u64 = 65_536;

/// Many systems begin with 1,024, so that old programs that count descriptors in a bitmap do no harm, and let each program raise that by itself. Where it
/// fails, the first limit stays, and whoever needs more is told so when it is reached.
pub fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(ENOUGH).min(ENOUGH);
    if limit.current.is_some_and(|current| current < most) {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: limit.maximum });
    }
}
