//! Writing a file for the user: whole or not at all.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

/// Writes a file whole or not at all: under another name first.
pub fn publish(path: &Path, bytes: &[u8], replace: bool) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut hidden = OsStr::new(".").to_owned();
    hidden.push(name);
    hidden.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(hidden);
    let written = write_new(&temporary, bytes).and_then(|()| {
        if replace {
            return fs::rename(&temporary, path);
        }
        // Unlike a rename, a link never replaces what somebody has put there meanwhile.
        match fs::hard_link(&temporary, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
            // The file system has no links.
            Err(_) => fs::rename(&temporary, path),
            Ok(()) => fs::remove_file(&temporary),
        }
    });
    if written.is_err() {
        // The first error is the one to tell; this one would only say that there is nothing to remove.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
