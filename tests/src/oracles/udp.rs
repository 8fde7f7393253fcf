//! What a session says to a UDP tracker, packet by packet (43).
//!
//! A conversation has one packet under way. It keeps its transaction while it is sent again, and has another one for the next
//! packet; so what is told apart here are transactions. Several conversations may go on with one address at a time: an announce, and
//! each scrape that the user wanted.

use super::{Oracle, Tally};
use crate::Breach;
use parcacik_core::time::Time;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// The first eight bytes of a UDP connect (BEP 15).
const CONNECT: [u8; 8] = 0x417_2710_1980u64.to_be_bytes();
/// BEP 15: "If a response is not received after 15 * 2 ^ n seconds, the client should retransmit the request, where n starts at 0 and
/// is increased up to 8".
const WAIT: Duration = Duration::from_secs(15);
/// BEP 15: "A client can use a connection ID until one minute after it has received it."
const LIFE: Duration = Duration::from_secs(60);

/// The four bytes by which an answer is known.
type Transaction = [u8; 4];

/// A UDP tracker's address.
#[derive(Debug, Default)]
pub(super) struct Udp {
    /// Packets that have not been answered.
    open: BTreeMap<Transaction, Packet>,
    /// The connection ids that were given, and when.
    ids: Vec<([u8; 8], Time)>,
}

/// A packet that waits for its answer.
#[derive(Debug)]
struct Packet {
    /// What it asks for: 0 a connection id, 1 an announce, 2 a scrape.
    action: u32,
    sent_at: Time,
    /// How often it was sent.
    times: u32,
}

impl Udp {
    /// What has not been answered is not waited for any more.
    pub fn forget(&mut self) {
        self.open.clear();
    }

    /// A packet goes out. `at_once`: how many conversations there may be with one address, where that is known. Whether it is more
    /// than a connect.
    pub fn sends(
        &mut self,
        now: Time,
        to: SocketAddr,
        bytes: &[u8],
        at_once: Option<usize>,
        tally: &mut Tally,
    ) -> Result<bool, Breach> {
        let Some((id, action, transaction)) = head(bytes) else {
            tally.judge(Oracle::UdpTrackers, false, || format!("a datagram of {} bytes", bytes.len()))?;
            return Ok(false);
        };
        let connects = id == CONNECT && action == 0;
        if let Some(packet) = self.open.get_mut(&transaction) {
            let (gap, least) = (now.since(packet.sent_at), WAIT * (1 << (packet.times - 1).min(8)));
            (packet.sent_at, packet.times) = (now, packet.times + 1);
            tally.judge(Oracle::UdpTrackers, gap >= least, || {
                format!("{to} is sent the same again after {gap:?} without an answer, not after {least:?}")
            })?;
        } else {
            let waits = self.open.values().filter(|packet| now.since(packet.sent_at) < WAIT).count();
            if let Some(most) = at_once {
                tally.judge(Oracle::UdpTrackers, waits < most, || {
                    format!("{to} is written to again while {waits} packets wait for their answers, of {most}")
                })?;
            }
            self.open.insert(transaction, Packet { action, sent_at: now, times: 1 });
        }
        if !connects {
            self.ids.retain(|(_, since)| now.since(*since) <= LIFE);
            let good = self.ids.iter().any(|(known, _)| *known == id);
            tally.judge(Oracle::UdpTrackers, good, || {
                format!("{to} is sent the connection id {id:?}, and gave {:?} in the last minute", self.ids)
            })?;
        }
        Ok(!connects)
    }

    /// A packet has come from there. Whether it is an answer.
    pub fn answers(&mut self, now: Time, bytes: &[u8]) -> bool {
        let word = |at: usize| bytes.get(at..at + 4).and_then(|word| Transaction::try_from(word).ok());
        let (Some(action), Some(transaction)) = (word(0).map(u32::from_be_bytes), word(4)) else { return false };
        let Some(packet) = self.open.get(&transaction) else { return false };
        // The shortest that each may be; errors answer everything.
        let fits = match action {
            0 => bytes.len() >= 16,
            1 => bytes.len() >= 20,
            2 | 3 => true,
            _ => false,
        };
        if !fits || (action != packet.action && action != 3) {
            return false;
        }
        self.open.remove(&transaction);
        if let (0, Some(Ok(id))) = (action, bytes.get(8..16).map(TryInto::try_into)) {
            self.ids.push((id, now));
        }
        true
    }
}

/// How every packet begins that a client sends: connection id, action, transaction.
fn head(bytes: &[u8]) -> Option<([u8; 8], u32, Transaction)> {
    let (id, rest) = bytes.split_first_chunk::<8>()?;
    let (action, rest) = rest.split_first_chunk::<4>()?;
    let (transaction, _) = rest.split_first_chunk::<4>()?;
    Some((*id, u32::from_be_bytes(*action), *transaction))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACKER: &str = "9.0.0.1:80";

    fn connect(transaction: u8) -> Vec<u8> {
        [&CONNECT[..], &[0; 4], &[transaction; 4]].concat()
    }

    fn announce(id: u8, transaction: u8) -> Vec<u8> {
        [&[id; 8][..], &[0, 0, 0, 1], &[transaction; 4], &[0; 82]].concat()
    }

    fn send(udp: &mut Udp, at: u64, bytes: &[u8]) -> Result<bool, Breach> {
        let to = TRACKER.parse().expect("an address");
        udp.sends(Time::from_secs(at), to, bytes, Some(1), &mut Tally::default())
    }

    #[test]
    fn packets_are_repeated_ever_more_slowly() {
        let mut udp = Udp::default();
        for at in [0, 15, 45] {
            send(&mut udp, at, &connect(1)).expect("in time");
        }
        assert!(send(&mut udp, 104, &connect(1)).is_err());
    }

    #[test]
    fn another_packet_waits_for_the_answer_to_the_first() {
        let mut udp = Udp::default();
        send(&mut udp, 0, &connect(1)).expect("the first");
        assert!(send(&mut udp, 1, &connect(2)).is_err());
        let mut udp = Udp::default();
        send(&mut udp, 0, &connect(1)).expect("the first");
        let answer = [&[0; 4][..], &[1; 4], &[7; 8]].concat();
        // Too short, of another transaction, of another kind.
        assert!(!udp.answers(Time::ZERO, &answer[..15]));
        assert!(!udp.answers(Time::ZERO, &[&[0; 4][..], &[9; 4], &[7; 8]].concat()));
        assert!(!udp.answers(Time::ZERO, &[&[0, 0, 0, 1][..], &[1; 4], &[7; 12]].concat()));
        assert!(udp.answers(Time::ZERO, &answer));
        send(&mut udp, 1, &announce(7, 2)).expect("it has answered");
    }

    #[test]
    fn a_connection_id_lives_a_minute() {
        let mut udp = Udp::default();
        send(&mut udp, 0, &connect(1)).expect("the first");
        assert!(udp.answers(Time::from_secs(1), &[&[0; 4][..], &[1; 4], &[7; 8]].concat()));
        assert!(send(&mut udp, 2, &announce(8, 2)).is_err());
        udp.forget();
        send(&mut udp, 61, &announce(7, 3)).expect("a minute has not passed");
        udp.forget();
        assert!(send(&mut udp, 62, &announce(7, 4)).is_err());
    }
}
