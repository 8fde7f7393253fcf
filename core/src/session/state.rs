//! What a session's state comes to. Nothing is left out but what is named here.

use super::Session;
use crate::journal::{State, StatePart, Sums};
use crate::torrent::Shared;

impl Session {
    /// A digest of each part of its state: equal for two sessions that have been told the same, content apart, and will answer the same.
    ///
    /// It takes a session of a hundred busy connections some 100 µs.
    pub fn state(&self) -> State {
        let Session {
            config,
            filter,
            // They do not change, and are not told.
            seeds: _,
            now,
            ids,
            shared,
            sockets,
            acceptor,
            torrents,
            alive,
            next_torrent,
            names,
            streams,
            answers,
            timers,
            dialers,
            ready_dialers,
            last_dialler,
            readers,
            last_reader,
            turns,
            held,
            removing,
            queue,
            dial_window,
            announce_turns,
            probes,
            lsd,
            discovery,
            dht,
            started,
            stopping,
            unix_seconds,
        } = self;
        let Shared {
            disk_queue,
            read_ahead,
            peers,
            half_open,
            bystanders,
            blocked_incoming,
            buckets,
            serving,
            brake,
            sockets: listening_sockets,
            listening,
            dht: has_dht,
            named_nodes,
            http_announces,
            external,
            own_version,
            gone,
            next_peer,
        } = shared;
        let mut sums = Sums::new();
        // A list of a million ranges comes as one: its length tells it from most others.
        sums.add(StatePart::Session, &[config, &filter.v4().len(), &filter.v6().len(), now, ids, alive, next_torrent]);
        sums.add(StatePart::Session, &[names, streams, answers, timers, started, stopping, unix_seconds]);
        sums.add(StatePart::Session, &[removing, peers, bystanders, serving, gone, next_peer, blocked_incoming]);
        sums.add(StatePart::Sockets, &[sockets, listening_sockets, listening, external, own_version, lsd, discovery]);
        sums.add(StatePart::Acceptor, &[acceptor]);
        sums.add(StatePart::Queue, &[queue]);
        sums.add(StatePart::Limits, &[turns, buckets]);
        sums.add(StatePart::Announcer, &[announce_turns, probes, http_announces]);
        sums.add(StatePart::Candidates, &[dialers, ready_dialers, last_dialler, dial_window, half_open, brake]);
        sums.add(StatePart::Disk, &[disk_queue, read_ahead, readers, last_reader, held]);
        sums.add(StatePart::Dht, &[dht, has_dht, named_nodes]);
        torrents.values().for_each(|torrent| torrent.sum_up(&mut sums));
        sums.end()
    }

    /// Changes something in a part of its state that does not show at once.
    #[cfg(test)]
    pub(crate) fn tamper(&mut self, part: StatePart) {
        match part {
            StatePart::Session => self.shared.blocked_incoming += 1,
            StatePart::Sockets => self.shared.sockets.clear(),
            StatePart::Acceptor => self.acceptor.tamper(),
            StatePart::Queue => self.queue.tamper(),
            StatePart::Dht => self.dht.tamper(),
            _ => self.torrents.values_mut().for_each(|torrent| torrent.tamper(part)),
        }
    }
}
