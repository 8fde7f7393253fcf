//! Conversations as text: a script of what peers, trackers, the disk and time do, and below each line what one of ours does about it.
//!
//! A dialogue is a file that a person writes and reads. What a real [`Session`](parcacik_core::session::Session) decides stands
//! in indented lines, in the words of [`journal::text`](parcacik_core::journal::text); they are not written by hand: [`run`] plays
//! the script and gives the whole file back as it should be. A test compares; a change of behaviour is a difference of the file.
//!
//! ```
//! use parcacik_testkit::dialogue::Delivery;
//!
//! let file = "\
//! torrent 2 pieces of 16384
//! we have all
//!
//! A dials
//! A: handshake; interested
//!     > A: handshake info-hash ours can [fast, extended] peer-id ours
//!     > A: extended handshake m [ut_metadata 1, upload_only 3] client ours yourip A reqq 500 upload-only yes
//! ";
//! let played = parcacik_testkit::dialogue::run(file, Delivery::Lines).expect("it is a script");
//! assert!(played.starts_with("torrent 2 pieces of 16384\nwe have all\n\nA dials\nA: handshake; interested\n    > A: handshake"));
//! ```
//!
//! # The language
//! A line that begins with `#` and an empty line mean nothing. First come lines that say what there is:
//!
//! | line | says |
//! |---|---|
//! | `torrent N pieces of BYTES` | the torrent; `, last BYTES` behind it for a shorter last piece, `, private`, `, N files` of one length |
//! | `tracker URL` | one more tracker, a tier of its own |
//! | `host NAME is IP IP ...` | what a name's look-up finds; other names are not found |
//! | `we have PIECES` | what of it lies on our disk: `all`, `none` (so it is without this line), or `0,2-4` |
//! | `we add WITH` | how we add it: `super seed`, `seed only`, `sequential`, `paused`, `by magnet link`, `hold at metadata`, `goal none`, `peers A`, `priorities 4 0` |
//! | `config NAME VALUE` | one of the settings that [`stage`] knows by name |
//!
//! Then comes what happens, one line after the other. Peers are `A` to `Z`; each has an address of its own.
//!
//! | line | what happens |
//! |---|---|
//! | `we start` | we add the torrent. Without this line we do so before the first other one, and it is not shown |
//! | `A dials` | a stream comes in |
//! | `we know A` | the application names the peer |
//! | `A accepts`, `A refuses` | our dial succeeds, or fails |
//! | `A: MESSAGE; MESSAGE` | the peer says so, in one go |
//! | `A: N x MESSAGE` | so many times |
//! | `A: answers`, `A: answers N`, `A: answers damaged` | it sends the blocks that it was asked for, all or the first N of them, or other bytes in their place |
//! | `A: rejects`, `A: rejects N` | it rejects what it was asked for |
//! | `A closes`, `A resets` | its stream ends |
//! | `A stops reading`, `A reads` | what we send is not taken; is taken again |
//! | `wait SPAN` | time passes: `30s`, `5m`, `1h`, `200ms`. In front of what we do stands how much of it has passed |
//! | `we pause`, `we resume`, `we remove`, `we reannounce`, `we force a reannounce`, `we shut down`, `we super seed`, `we block A`, `we scrape` | commands |
//! | `the disk fails WORK FAULT`, `the disk works` | from now on: `write no space` |
//! | `the disk waits`, `the disk goes on` | nothing is answered meanwhile |
//! | `the tracker answers ...` and its like | see [`trackers`] |
//!
//! Messages are in the words of a transcript: `choke`, `have 3`, `request 0` (a piece; `begin` 0 and `length` 16384 unless they
//! are said: `request 0 begin 16384 length 100`), `bitfield 0,2`, `extended handshake d1:mdee`. Besides:
//!
//! | message | is |
//! |---|---|
//! | `handshake WITH` | with `no fast`, `no extended`, `other torrent`, `our id`, `id of B`, `dht`, with commas between |
//! | `start of handshake`, `rest of handshake` | its first 48 bytes, up to the info-hash; the peer id |
//! | `piece 0 damaged` | other bytes |
//! | `metadata offer`, `metadata wanted` | an extended handshake that takes messages of BEP 9 as number 3, with the size of the info dictionary and without |
//! | `metadata request 0`, `metadata reject 0`, `metadata data 0`, `metadata data 0 damaged` | such messages |
//! | `extended 3 "TEXT"`, `message 21 "TEXT"` | `\x01` is a byte |
//! | `bytes "TEXT"` | no message: these bytes |
//!
//! # What is shown
//! Messages, requests to trackers, dials, closing; work that reads, writes and verifies, looks names up or gets a page; notices.
//! What keeps books is not (credit, syncing, resume data), nor are numbers of things, secrets, and what is `no`. `ours` is our id or name or the
//! torrent's hash; the letter stands for the peer's address.

mod say;
mod script;
pub mod stage;
pub mod trackers;

pub use script::{Wrong, run};
pub use stage::Delivery;
