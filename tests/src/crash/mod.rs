//! Crash safety by enumeration: every place where the power can go, and everything that a disk may then be left with.
//!
//! A real session downloads a small torrent. Its disk is a [model of a file system](fs) between a program and a power cut: what was written
//! is in the cache, and on the medium only what was synced; names are made durable apart from what they name. The work of the storage is
//! done in the steps in which a driver does it ([`disk`]): a block is written file by file, a sync goes from file to file and then to
//! the folders, saving resume data is five steps.
//!
//! A **crash point** lies before every step of the disk and after every event of the session. At each, [`images`](image) of what may be
//! left are made: every write that was not synced is there whole, or torn (in units of 512 bytes or 4 KiB), or only in the file's length,
//! or not at all; every change of a name is seen or not; every file has its last time of change or the one that was synced. All
//! combinations where there are not too many; then all of "whole or not at all", as long as twelve operations wait; above, a sample.
//!
//! On each image that is not like one seen before a [new session](restart) starts. What must hold (the numbers are those of the project's list of oracles):
//! - it claims no piece that is not on the image, byte for byte (4);
//! - it claims every piece that the last durable resume data claim (5), unless these were damaged on purpose;
//! - it downloads what is missing, and at last every byte is right (1).
//!
//! And while it downloads, the peer, who is honest, is never banned for what the disk did (9).
//!
//! What is not modelled: folders that are lost with all that is in them, and a medium that loses what it said was safe.

pub mod disk;
pub mod fs;
pub mod image;
pub mod restart;
mod run;
mod seed;

pub use run::{Count, Faults, Plan, run};
