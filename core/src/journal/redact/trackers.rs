//! What trackers answer, with every address, hash and text replaced.

use super::bencoded::{Rules, rewrite};
use super::mapper::Mapper;
use crate::bencode::{Document, Limits, Mode};
use crate::border::{HttpResponse, InfoHash, PeerId};
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;

/// An answer by HTTP.
pub(super) fn http(mapper: &mut Mapper, response: &HttpResponse) -> HttpResponse {
    let location = response.location.as_ref().map(|location| mapper.url(location));
    let limits = Limits { bytes: response.body.len(), ..Limits::default() };
    let body = match Document::decode_prefix(&response.body, Mode::Lenient, &limits) {
        Ok(document) => {
            let mut out = Vec::with_capacity(response.body.len());
            rewrite(document.root(), &mut Vec::new(), &mut Answer(mapper), &mut out);
            out
        }
        // A page for people, or cut off: not bencoded then either.
        Err(_) => alloc::vec![b'x'; response.body.len()],
    };
    HttpResponse { status: response.status, location, retry_after: response.retry_after, body: Bytes::from(body) }
}

struct Answer<'m>(&'m mut Mapper);

impl Answer<'_> {
    fn text(&mut self, value: &[u8]) -> Vec<u8> {
        match core::str::from_utf8(value) {
            Ok(text) => {
                let new = self.0.key.words(text, |_| false);
                self.0.hide("text of a tracker", value, new.as_bytes());
                new.into_bytes()
            }
            Err(_) => self.0.letters("text of a tracker", value),
        }
    }
}

impl Rules for Answer<'_> {
    fn string(&mut self, path: &[&[u8]], value: &[u8]) -> Vec<u8> {
        match path {
            [b"peers"] => self.0.compact(value, false),
            [b"peers6"] => self.0.compact(value, true),
            [b"peers" | b"peers6", b"ip"] => match core::str::from_utf8(value) {
                Ok(host) => self.0.host(host).into_bytes(),
                Err(_) => self.0.letters("host name", value),
            },
            [b"peers" | b"peers6", b"peer id"] => match value.try_into() {
                Ok(id) => self.0.id(PeerId(id)).0.to_vec(),
                Err(_) => self.0.letters("peer id", value),
            },
            [b"peers" | b"peers6", b"port"] | [b"retry in"] => value.to_vec(),
            [b"external ip"] => match self.0.packed(value) {
                Some(new) => new,
                None => self.0.letters("address", value),
            },
            [b"tracker id"] => self.0.letters("tracker id", value),
            _ => self.text(value),
        }
    }

    fn key(&mut self, path: &[&[u8]], key: &[u8]) -> Vec<u8> {
        match (path, <[u8; 20]>::try_from(key)) {
            ([b"files"], Ok(hash)) => self.0.hash(InfoHash(hash)).0.to_vec(),
            _ => key.to_vec(),
        }
    }
}

/// Datagrams of one sender, end to end: answers of UDP trackers (BEP 15), announces of neighbours (BEP 14). What is none becomes zeros.
pub(super) fn datagrams(mapper: &mut Mapper, from: SocketAddr, segment: u16, bytes: &[u8]) -> Vec<u8> {
    let v6 = from.ip().to_canonical().is_ipv6();
    let each = |packet| super::local::announce(mapper, packet).unwrap_or_else(|| answer(mapper, packet, v6));
    bytes.chunks(usize::from(segment).max(1)).flat_map(each).collect()
}

fn answer(mapper: &mut Mapper, packet: &[u8], v6: bool) -> Vec<u8> {
    let zeros = alloc::vec![0; packet.len()];
    let Some((head, body)) = packet.split_at_checked(8) else { return zeros };
    let (action, transaction) = head.split_at(4);
    let Ok(transaction) = transaction.try_into().map(u32::from_be_bytes) else { return zeros };
    let new = match action {
        [0, 0, 0, 0] => match body.split_first_chunk::<8>() {
            Some((id, rest)) => {
                let id = mapper.connection(u64::from_be_bytes(*id));
                [&id.to_be_bytes()[..], &alloc::vec![0; rest.len()]].concat()
            }
            None => alloc::vec![0; body.len()],
        },
        [0, 0, 0, 1] => match body.split_at_checked(12) {
            Some((counts, peers)) => [counts, &mapper.compact(peers, v6)].concat(),
            None => body.to_vec(),
        },
        [0, 0, 0, 2] => body.to_vec(),
        [0, 0, 0, 3] => Answer(mapper).text(body),
        _ => return zeros,
    };
    [action, &mapper.transaction(transaction).to_be_bytes(), &new].concat()
}
