//! Trackers: HTTP, UDP, HTTPS, and one that is dead.

use crate::lab::{self, Content, Lab, Libtorrent, Need, Ours, make_torrent};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

const LENGTH: usize = 1_000_000;

/// libtorrent seeds, announced to `its` tracker; we find it by the torrent's.
fn meets_libtorrent_by(lab: &Lab, http: &str, its: &str, trackers: &[&str]) -> String {
    let content = Content::file(&lab.folder("data"), "file.bin", LENGTH);
    let torrent = make_torrent(lab, &content, "64K", trackers);
    let _seed = Libtorrent::seed(&torrent, &content, "127.0.0.2", &[its]);
    lab::tracker_knows(http, &lab::metainfo(&torrent).hashes().best().to_hex(), 1);
    let said = Ours::download(lab, &torrent, "out").args(["--listen", "127.0.0.3:0"]).succeeds();
    content.assert_same_in(&lab.path("out"));
    said
}

#[test]
fn libtorrent_is_met_by_http() {
    lab::run(&[Need::Libtorrent], |lab| {
        let (_tracker, http, _) = lab::tracker();
        meets_libtorrent_by(lab, &http, &http, &[&http]);
    });
}

#[test]
fn libtorrent_is_met_by_udp() {
    lab::run(&[Need::Libtorrent], |lab| {
        let (_tracker, http, udp) = lab::tracker();
        meets_libtorrent_by(lab, &http, &udp, &[&udp]);
    });
}

#[test]
fn a_dead_tracker_first_in_the_list_is_passed_by() {
    lab::run(&[Need::Libtorrent], |lab| {
        let (_tracker, http, _) = lab::tracker();
        // In the namespace nobody else takes the port when it is free again.
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port is free");
        let dead = format!("http://{free}/announce");
        let said = meets_libtorrent_by(lab, &http, &http, &[&dead, &http]);
        assert!(said.contains(&format!("tracker {dead}: ")), "the dead tracker is told of:\n{said}");
    });
}

/// Certificates made for a test.
struct Certificates {
    /// Of the authority.
    authority: PathBuf,
    /// Of the tracker, signed by it, for 127.0.0.1.
    tracker: PathBuf,
    key: PathBuf,
}

fn certificates(lab: &Lab) -> Certificates {
    let made = || -> Result<_, rcgen::Error> {
        let authority_key = rcgen::KeyPair::generate()?;
        let mut params = rcgen::CertificateParams::new(Vec::new())?;
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = params.self_signed(&authority_key)?;
        let issuer = rcgen::Issuer::new(params, authority_key);
        let key = rcgen::KeyPair::generate()?;
        let tracker = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()])?.signed_by(&key, &issuer)?;
        Ok([authority.pem(), tracker.pem(), key.serialize_pem()])
    };
    let paths = ["authority.pem", "tracker.pem", "key.pem"].map(|name| lab.path(name));
    for (path, pem) in paths.iter().zip(made().expect("certificates can be made")) {
        fs::write(path, pem).expect("a file can be written");
    }
    let [authority, tracker, key] = paths;
    Certificates { authority, tracker, key }
}

/// A seed of ours, a TLS tracker that names it, and the torrent, which has the tracker with this path.
fn behind_tls(lab: &Lab, path: &str) -> (Content, PathBuf, Certificates, impl Sized) {
    let content = Content::file(&lab.folder("data"), "file.bin", LENGTH);
    let bare = make_torrent(lab, &content, "64K", &[]);
    let (seed, addr): (_, SocketAddr) = Ours::seed(lab, &bare, &content, "127.0.0.2", &[]);
    let certificates = certificates(lab);
    let (tracker, port) = lab::https_tracker(&certificates.tracker, &certificates.key, addr);
    let torrent = make_torrent(lab, &content, "64K", &[&format!("https://127.0.0.1:{port}{path}")]);
    (content, torrent, certificates, (seed, tracker))
}

#[test]
fn a_tracker_behind_tls() {
    lab::run(&[Need::Python], |lab| {
        let (content, torrent, certificates, _running) = behind_tls(lab, "/announce");
        Ours::download(lab, &torrent, "out")
            .args(["--listen", "127.0.0.3:0"])
            .env("SSL_CERT_FILE", &certificates.authority)
            .succeeds();
        content.assert_same_in(&lab.path("out"));
    });
}

#[test]
fn a_tracker_that_answers_with_dictionaries() {
    lab::run(&[Need::Python], |lab| {
        let (content, torrent, certificates, _running) = behind_tls(lab, "/announce/dictionary");
        Ours::download(lab, &torrent, "out")
            .args(["--listen", "127.0.0.3:0"])
            .env("SSL_CERT_FILE", &certificates.authority)
            .succeeds();
        content.assert_same_in(&lab.path("out"));
    });
}

#[test]
fn a_tracker_that_nobody_vouches_for_is_not_asked_and_told_of() {
    lab::run(&[Need::Python], |lab| {
        let (_, torrent, _, _running) = behind_tls(lab, "/announce");
        // A certificate of somebody else's.
        let stranger = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("it can be made");
        let trusted = lab.path("stranger.pem");
        fs::write(&trusted, stranger.cert.pem()).expect("a file can be written");
        let mut download = Ours::download(lab, &torrent, "out")
            .args(["--listen", "127.0.0.3:0", "--stop-after", "60s"])
            .env("SSL_CERT_FILE", &trusted)
            .start();
        let said = download.says("warning: file.bin: tracker https://127.0.0.1:");
        assert!(said.contains("certificate"), "{said}");
        assert_eq!(download.terminate().code(), Some(130));
        assert!(!lab.path("out").join("file.bin").exists(), "nothing came from anywhere");
    });
}
