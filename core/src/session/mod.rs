//! All torrents, sockets and limits.
