//! What a torrent's state comes to. Nothing is left out but what is named here.

use super::{Facts, Peer, Torrent};
use crate::journal::canon::{Encoder, Put, canon_struct};
use crate::journal::{StatePart, Sums};

impl Put for Facts {
    fn put(&self, to: &mut Encoder<'_>) {
        // The rest follows from what the hashes are of.
        let Facts { hashes, name: _, geometry: _, piece_hashes: _, layout: _, private: _, info: _ } = self;
        hashes.put(to);
    }
}

canon_struct!(out Peer {
    conn,
    timer,
    interesting,
    counted,
    gave,
    ready,
    gave_back,
    shares,
    bystander_since,
    suggest,
    shown,
    unveiled,
    named_node,
});

impl Torrent {
    /// Adds it to a session's.
    pub(crate) fn sum_up(&self, sums: &mut Sums) {
        let Torrent {
            id,
            facts,
            peer_id,
            root,
            goal,
            overwrite,
            recheck,
            seed_only,
            phase,
            seeking,
            keeps_info,
            examined,
            told,
            selection,
            placement,
            picker,
            choker,
            candidates,
            pex,
            blame,
            persist,
            announcer,
            peers,
            ready_peers,
            peer_ids,
            timers,
            dials,
            hungry,
            dry,
            refill,
            held,
            waiting_reads,
            last_reader,
            jobs,
            disk,
            limits,
            places,
            suggestions,
            lost,
            wants_super_seed,
            super_seed,
            serving,
            health,
            life,
            chance_at,
            started_at,
            whole,
            told_only_gives,
            active,
            seeding,
            saved_at,
            completed_ever,
            goal_reached,
            downloaded,
            uploaded,
            uploaded_before,
            downloaded_before,
            verified_here,
            wasted,
            refused_peers,
            // Filled and emptied within one call.
            scratch: _,
            timer,
            dial_timer,
            noted,
            dht_noted,
            udp_keys,
            http_held,
            own_version,
        } = self;
        sums.add(StatePart::Torrents, &[id, facts, peer_id, root, goal, overwrite, recheck, seed_only, phase, told]);
        sums.add(StatePart::Torrents, &[selection, suggestions, lost, wants_super_seed, super_seed, serving, life]);
        sums.add(StatePart::Torrents, &[chance_at, started_at, whole, told_only_gives, active, seeding, goal_reached]);
        sums.add(StatePart::Torrents, &[downloaded, uploaded, uploaded_before, downloaded_before, verified_here]);
        sums.add(StatePart::Torrents, &[wasted, refused_peers, timer, noted, dht_noted, seeking, keeps_info]);
        sums.add(StatePart::Picker, &[picker, hungry, refill, blame]);
        sums.add(StatePart::Choker, &[choker]);
        sums.add(StatePart::Candidates, &[candidates, pex, places, dials, dry, dial_timer]);
        sums.add(StatePart::Announcer, &[announcer, completed_ever, udp_keys, http_held, own_version]);
        sums.add(StatePart::Persist, &[persist, examined, saved_at]);
        sums.add(StatePart::Disk, &[disk, placement, health, jobs, held, waiting_reads, last_reader]);
        sums.add(StatePart::Limits, &[limits]);
        sums.add(StatePart::Peers, &[ready_peers, peer_ids, timers]);
        for (key, peer) in peers.iter() {
            sums.add(StatePart::Peers, &[&key, peer]);
        }
    }

    /// Changes something in a part of its state that does not show at once.
    #[cfg(test)]
    pub(crate) fn tamper(&mut self, part: StatePart) {
        match part {
            StatePart::Limits => {
                // So high that nobody waits for it.
                let limits = crate::border::RateLimits { download: Some(1 << 50), upload: None };
                self.limits.buckets.set(self.started_at, &crate::border::RateConfig::default(), limits);
            }
            StatePart::Announcer => self.announcer.tamper(),
            StatePart::Torrents => self.wasted += 1,
            StatePart::Picker => self.picker.tamper(),
            StatePart::Choker => self.choker.tamper(),
            StatePart::Candidates => self.candidates.tamper(),
            StatePart::Persist => self.persist.tamper(),
            StatePart::Disk => self.last_reader.0 += 1,
            StatePart::Peers => self.ready_peers += 1,
            other => panic!("{other} is not a torrent's"),
        }
    }
}
