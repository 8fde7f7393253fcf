//! What the storage may use, with the reason beside each number.

use std::path::PathBuf;
use std::time::Duration;

/// What the storage may use. Everything that is not stated is the default.
#[derive(Clone, Debug)]
pub struct StorageOptions {
    /// Threads that read, write and hash; at least one is started. By default one fewer than there are cores, so that the
    /// network thread has its own.
    pub workers: usize,
    /// The most content files open at once, over all torrents. A quarter of the 1,024 descriptors that many systems allow a
    /// process: the rest is for sockets. The least recently used is closed.
    pub max_open_files: usize,
    /// How long a block may wait for its neighbours before it is written alone. At 1 Gbit/s a 256 KiB batch fills in 2 ms.
    pub write_linger: Duration,
    /// How many unfinished pieces each worker knows what was written of; about 300 bytes each, and what `max_unhashed` allows.
    /// Above it the least recently written is read back when it is verified.
    pub hash_cache_pieces: usize,
    /// The most bytes that were written and are kept to be hashed, shared out among the workers. Eight pieces of 1 MiB,
    /// or seven and what is under way: measured, more brings nothing. Pieces of more than a quarter are hashed as they are written, unless
    /// several are under way.
    pub max_unhashed: usize,
    /// How long a verification may wait for others, to be hashed in lockstep with them. At 400 MB/s eight pieces of 1 MiB
    /// come in 20 ms; to the swarm, that hears of the piece so much later, it is less than one round trip.
    pub verify_linger: Duration,
    /// Bytes of read buffers kept for use again; what is above is freed.
    pub pool_bytes: usize,
    /// The longest single read in bytes. Requests are 16 KiB and runs of 64 are 1 MiB; nobody needs more at once.
    pub max_read: u32,
    /// Where resume data and locks lie; nothing is stored when `None`.
    pub state_dir: Option<PathBuf>,
    /// The largest resume file that is loaded, in bytes. Two million pieces are a bitfield of 256 KiB; a hundred thousand
    /// files are some megabytes.
    pub max_state: u64,
    /// How long [`stop`](super::Storage::stop) waits for the writes that were submitted.
    pub stop_limit: Duration,
}

impl Default for StorageOptions {
    fn default() -> StorageOptions {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        StorageOptions {
            workers: cores.saturating_sub(1).max(1),
            max_open_files: 256,
            write_linger: Duration::from_millis(2),
            hash_cache_pieces: 256,
            max_unhashed: 8 << 20,
            verify_linger: Duration::from_millis(20),
            pool_bytes: 4 << 20,
            max_read: 16 << 20,
            state_dir: None,
            max_state: 64 << 20,
            stop_limit: Duration::from_secs(10),
        }
    }
}
