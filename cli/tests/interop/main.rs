//! The built program among real processes: clients that others wrote, trackers, damage, `kill -9`, and a look at its system calls.
//!
//! Each test runs in a network namespace of its own that holds a loopback device and nothing else (see [`lab`]). A test whose client is missing prints
//! `skipped: ...` and passes; with `PARCACIK_REQUIRE_INTEROP=1` it fails. `PARCACIK_PYTHON` names a Python that has libtorrent (default: `python3`).
//!
//! | module | what |
//! |---|---|
//! | [`libtorrent`] | files of all shapes from and to libtorrent; a swarm; a recording |
//! | [`magnet`] | magnet links, from and to libtorrent and Transmission |
//! | [`aria2`] | from and to aria2, which finds its peers by our tracker |
//! | [`transmission`] | from and to Transmission, and both at once |
//! | [`opentracker`] | announces and scrapes; a seed that is found by it |
//! | [`trackers`] | HTTP, UDP and HTTPS; a dead tracker first in the list |
//! | [`neighbours`] | peers that are found by other peers and on the local network, from and to libtorrent |
//! | [`dht`] | a DHT of ten nodes of libtorrent that we join, and that store in us |
//! | [`hostile`] | a peer that sends damaged data |
//! | [`sockets`] | peers that misuse their connection: half-open, reset, never read from, a byte at a time, half closed |
//! | [`kill`] | `kill -9` twenty times in one download |
//! | [`trace`] | the order of writes, syncs and renames |
//! | [`tshark`] | captures taken apart as tshark does |

// Where there are no such namespaces there is nothing to run.
#![cfg(target_os = "linux")]

mod aria2;
#[path = "../common/mod.rs"]
mod common;
mod dht;
mod hostile;
mod kill;
mod lab;
mod libtorrent;
mod magnet;
mod neighbours;
mod opentracker;
mod sockets;
mod trace;
mod trackers;
mod transmission;
mod tshark;
