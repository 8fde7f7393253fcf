//! The file of a private key.
//!
//! One line of hexadecimal digits: 64 of them for the 32 bytes of an ed25519 private key (RFC 8032), or 128 for the 64 bytes that one is expanded to
//! (as libtorrent keeps it). Made for its owner alone, and never replaced.

use crate::output::Output;
use crate::values::{hex, unhex};
use anyhow::{Context as _, bail};
use parcacik_core::dht::SecretKey;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::Path;

/// More than a key file has.
const MAX_FILE: u64 = 1024;

/// The key in a file; a new one, and the file with it, when there is none.
///
/// # Errors
/// When the file cannot be read or made, or holds no key.
pub fn read_or_make(path: &Path, output: &Output) -> anyhow::Result<SecretKey> {
    let shown = path.display();
    match File::open(path) {
        Ok(file) => {
            warn_if_open(&file, path, output);
            let mut text = String::new();
            file.take(MAX_FILE).read_to_string(&mut text).with_context(|| format!("cannot read {shown}"))?;
            parse(&text)
                .with_context(|| format!("{shown} holds no key: it has one line of 64 hexadecimal digits, or 128"))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let seed = make(path).with_context(|| format!("cannot make {shown}"))?;
            output.say(format_args!("made a new key in {shown}; whoever has it can replace what is signed with it"));
            Ok(SecretKey::from_seed(&seed))
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {shown}")),
    }
}

fn parse(text: &str) -> Option<SecretKey> {
    let text = text.trim();
    let seed = unhex(text).map(|seed| SecretKey::from_seed(&seed));
    seed.or_else(|| unhex(text).map(|expanded| SecretKey::from_expanded(&expanded)))
}

fn make(path: &Path) -> anyhow::Result<[u8; 32]> {
    let mut seed = [0; 32];
    if let Err(error) = getrandom::fill(&mut seed) {
        bail!("the system has no randomness: {error}");
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let written = writeln!(file, "{}", hex(&seed)).and_then(|()| file.sync_all());
    if let Err(error) = written {
        // Half a key is none, and would be in the way.
        let _ = std::fs::remove_file(path);
        return Err(error.into());
    }
    Ok(seed)
}

#[cfg(unix)]
fn warn_if_open(file: &File, path: &Path, output: &Output) {
    use std::os::unix::fs::PermissionsExt as _;
    if file.metadata().is_ok_and(|about| about.permissions().mode() & 0o077 != 0) {
        output.warn(format_args!("others can read or change {}, and so what it signs: chmod 600 it", path.display()));
    }
}

#[cfg(not(unix))]
fn warn_if_open(_: &File, _: &Path, _: &Output) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_in_both_forms() {
        // RFC 8032, 7.1, test 1.
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert_eq!(hex(&parse(&format!("{seed}\n")).unwrap().public()), public);
        // BEP 44, test vector 1: expanded.
        let expanded = "e06d3183d14159228433ed599221b80bd0a5ce8352e4bdf0262f76786ef1c74d\
                        b7e7a9fea2c0eb269d61e3b38e450a22e754941ac78479d6c54e1faf6037881d";
        let public = "77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548";
        assert_eq!(hex(&parse(expanded).unwrap().public()), public);
        for wrong in ["", "9d61", &format!("{seed}00"), &format!("{seed} {seed}")] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }
}
