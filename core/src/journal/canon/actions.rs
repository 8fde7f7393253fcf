//! Actions: written, never read back. A replay makes its own.

use super::super::hash;
use super::super::sketch::What;
use super::{Encoder, Put, canon_enum};
use crate::bitfield::Bitfield;
use crate::border::{
    Action, Actions, HttpRequest, JobId, LayoutFile, PieceHash, Route, SocketKind, StorageLayout, TcpId, TorrentId,
    Work,
};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

/// Content of a torrent, known by its place: only its length counts.
struct Content<'a>(&'a Bytes);

impl Put for Content<'_> {
    #[inline]
    fn put(&self, to: &mut Encoder<'_>) {
        to.length(self.0.len());
    }
}

/// Appends the actions and the notices.
pub(super) fn put(actions: &Actions, to: &mut Encoder<'_>) {
    // `opaque` is written with the event, as its holes.
    let Actions { list, notices, opaque: _ } = actions;
    list.put(to);
    notices.put(to);
}

/// Hands out what the actions and the notices are about, each with the XXH3-64 of its encoding. `scratch` is where it is encoded, if it has to be.
#[inline]
pub(in crate::journal) fn hash_each(actions: &Actions, scratch: &mut Vec<u8>, mut each: impl FnMut(What, u64)) {
    let Actions { list, notices, opaque: _ } = actions;
    for action in list {
        // Those that a busy session does most have fixed layouts: they are written and hashed at once, not number by number. And they are asked for one by one, the most
        // frequent first, which is quicker than to ask which of all kinds it is.
        if let Action::Start { job, work: Work::Write { torrent, piece, begin, bytes } } = action {
            let [a, b, c, d] = write(*job, *torrent, *piece, *begin, bytes);
            each(What::write(*torrent), hash::four(a, b, c, d));
            continue;
        }
        let (what, hash) = if let Action::Send { tcp, bytes } = action {
            let [a, b] = send(*tcp, bytes);
            (What::send(*tcp), hash::two_and(a, b, bytes, scratch))
        } else if let Action::Grant { tcp, bytes } = action {
            let [a, b] = grant(*tcp, *bytes);
            (What::grant(*tcp), hash::two(a, b))
        } else if let Action::SendContent { tcp, torrent, piece, begin, bytes } = action {
            let [a, b, c, d] = send_content(*tcp, *torrent, *piece, *begin, bytes);
            (What::send_content(*tcp), hash::four(a, b, c, d))
        } else if let Action::Start { job, work: Work::Read { torrent, piece, begin, length } } = action {
            let [a, b, c, d] = read(*job, *torrent, *piece, *begin, *length);
            (What::read(*torrent), hash::four(a, b, c, d))
        } else {
            (What::action(action), hash(action, scratch))
        };
        each(what, hash);
    }
    for notice in notices {
        each(What::notice(notice), hash(notice, scratch));
    }
}

#[inline(never)]
fn hash(item: &dyn Put, scratch: &mut Vec<u8>) -> u64 {
    scratch.clear();
    item.put(&mut Encoder::new(scratch));
    hash::short(scratch)
}

#[inline]
fn send(tcp: TcpId, bytes: &Bytes) -> [u64; 2] {
    [head(4, bytes.len() as u64), tcp.0]
}

#[inline]
fn send_content(tcp: TcpId, torrent: TorrentId, piece: u32, begin: u32, bytes: &Bytes) -> [u64; 4] {
    [head(5, torrent.0.into()), tcp.0, pair(piece, begin), bytes.len() as u64]
}

#[inline]
fn grant(tcp: TcpId, bytes: u32) -> [u64; 2] {
    [head(6, bytes.into()), tcp.0]
}

#[inline]
fn read(job: JobId, torrent: TorrentId, piece: u32, begin: u32, length: u32) -> [u64; 4] {
    [head(12, torrent.0.into()), job.0, pair(piece, begin), length.into()]
}

#[inline]
fn write(job: JobId, torrent: TorrentId, piece: u32, begin: u32, bytes: &Bytes) -> [u64; 4] {
    [head(13, torrent.0.into()), job.0, pair(piece, begin), bytes.len() as u64]
}

/// Two numbers of 32 bits in one word.
#[inline]
fn pair(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// The first word of an action whose layout is fixed: what it is, and something short.
#[inline]
fn head(tag: u8, short: u64) -> u64 {
    short << 8 | u64::from(tag)
}

impl Put for Action {
    fn put(&self, to: &mut Encoder<'_>) {
        match self {
            Action::Bind { sock, kind, addr, device } => {
                to.byte(0);
                sock.put(to);
                kind.put(to);
                addr.put(to);
                device.put(to);
            }
            Action::Unbind { sock } => {
                to.byte(1);
                sock.put(to);
            }
            Action::Dial { dial, to: target, from, via } => {
                to.byte(2);
                dial.put(to);
                target.put(to);
                from.put(to);
                via.put(to);
            }
            Action::CancelDial { dial } => {
                to.byte(3);
                dial.put(to);
            }
            Action::Send { tcp, bytes } => {
                to.words(send(*tcp, bytes));
                to.raw(bytes);
            }
            Action::SendContent { tcp, torrent, piece, begin, bytes } => {
                to.words(send_content(*tcp, *torrent, *piece, *begin, bytes));
            }
            Action::Grant { tcp, bytes } => to.words(grant(*tcp, *bytes)),
            Action::Close { tcp, flush } => {
                to.byte(7);
                tcp.put(to);
                flush.put(to);
            }
            Action::SendDatagrams { sock, to: whom, segment, bytes, dont_fragment } => {
                to.byte(8);
                sock.put(to);
                whom.put(to);
                segment.put(to);
                bytes.put(to);
                dont_fragment.put(to);
            }
            Action::Start { job, work } => match work {
                Work::Read { torrent, piece, begin, length } => to.words(read(*job, *torrent, *piece, *begin, *length)),
                Work::Write { torrent, piece, begin, bytes } => to.words(write(*job, *torrent, *piece, *begin, bytes)),
                work => {
                    to.byte(9);
                    job.put(to);
                    work.put(to);
                }
            },
            Action::GrantJob { job, bytes } => {
                to.byte(10);
                job.put(to);
                bytes.put(to);
            }
            Action::Cancel { job } => {
                to.byte(11);
                job.put(to);
            }
        }
    }
}

canon_enum!(out SocketKind { 0 = TcpListener, 1 = Udp, 2 = Multicast { group } });
canon_enum!(out Route { 0 = Direct });

impl Put for Work {
    fn put(&self, to: &mut Encoder<'_>) {
        match self {
            Work::Open { torrent, root, key, layout } => {
                to.byte(0);
                torrent.put(to);
                root.put(to);
                key.put(to);
                layout.put(to);
            }
            Work::Release { torrent } => {
                to.byte(1);
                torrent.put(to);
            }
            Work::Check { torrent } => {
                to.byte(2);
                torrent.put(to);
            }
            Work::CreateEmpty { torrent, files } => {
                to.byte(3);
                torrent.put(to);
                files.put(to);
            }
            Work::Read { torrent, piece, begin, length } => {
                to.byte(4);
                torrent.put(to);
                piece.put(to);
                begin.put(to);
                length.put(to);
            }
            Work::Write { torrent, piece, begin, bytes } => {
                to.byte(5);
                torrent.put(to);
                piece.put(to);
                begin.put(to);
                Content(bytes).put(to);
            }
            Work::Verify { torrent, piece, length, expect, blocks } => {
                to.byte(6);
                torrent.put(to);
                piece.put(to);
                length.put(to);
                expect.put(to);
                blocks.put(to);
            }
            Work::Sync { torrent } => {
                to.byte(7);
                torrent.put(to);
            }
            Work::Save { torrent, bytes } => {
                to.byte(8);
                torrent.put(to);
                bytes.put(to);
            }
            Work::Load { torrent } => {
                to.byte(9);
                torrent.put(to);
            }
            Work::Resolve { host } => {
                to.byte(10);
                host.put(to);
            }
            Work::Http(request) => {
                to.byte(11);
                request.put(to);
            }
            Work::Delete { torrent, spare } => {
                to.byte(12);
                torrent.put(to);
                spare.put(to);
            }
            Work::Move { torrent, root } => {
                to.byte(13);
                torrent.put(to);
                root.put(to);
            }
            Work::Place { torrent, apart, pieces } => {
                to.byte(14);
                torrent.put(to);
                apart.put(to);
                pieces.put(to);
            }
            Work::DropPart { torrent } => {
                to.byte(15);
                torrent.put(to);
            }
            Work::LoadDht { v6 } => {
                to.byte(16);
                v6.put(to);
            }
            Work::SaveDht { v6, bytes } => {
                to.byte(17);
                v6.put(to);
                bytes.put(to);
            }
        }
    }
}

impl Put for Bitfield {
    fn put(&self, to: &mut Encoder<'_>) {
        self.len().put(to);
        to.raw(&self.to_wire());
    }
}

canon_enum!(out PieceHash { 0 = Sha1(hash) });

impl Put for HttpRequest {
    fn put(&self, to: &mut Encoder<'_>) {
        let HttpRequest { to: whom, tls, host, port, path, user_agent, from, body_limit, time_limit } = self;
        whom.put(to);
        tls.put(to);
        host.put(to);
        port.put(to);
        path.put(to);
        user_agent.put(to);
        from.put(to);
        body_limit.put(to);
        time_limit.put(to);
    }
}

impl Put for Arc<StorageLayout> {
    fn put(&self, to: &mut Encoder<'_>) {
        self.piece_length().put(to);
        to.length(self.files().len());
        for LayoutFile { path, length, offset, pad, executable } in self.files() {
            to.length(path.elements().len());
            path.elements().iter().for_each(|element| element.put(to));
            length.put(to);
            offset.put(to);
            pad.put(to);
            executable.put(to);
        }
    }
}
