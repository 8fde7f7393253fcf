//! A connection's state in its canonical form.

use super::state::{Patience, PeerConn, Phase, Timers};
use crate::journal::canon::{Encoder, Put, canon_enum, canon_struct};

canon_enum!(out Phase { 0 = Handshake { bytes }, 1 = Open, 2 = Closed });

canon_struct!(out Timers { keep_alive, idle, request, send, no_request });

canon_struct!(out Patience { bad_requests, choked_requests, unrequested, useless, useless_since });

impl Put for PeerConn {
    fn put(&self, to: &mut Encoder<'_>) {
        let PeerConn {
            key,
            link,
            remote,
            incoming,
            connected_at,
            torrent,
            timers,
            phase,
            framer,
            outbox,
            credit,
            said,
            last_received_at,
            progress,
            handshake_until,
            peer_id,
            fast,
            extended,
            introduction,
            extension_ids,
            pieces,
            pieces_known,
            choking_us,
            am_choking,
            interested,
            am_interested,
            requests,
            refill_batch,
            depth_min,
            depth_max,
            peer_reqq,
            allowed_fast,
            suggested,
            upload,
            uploaded,
            watermark,
            our_fast,
            patience,
            metadata,
            early,
            asked_at,
        } = self;
        // What it says is taken before an event ends: nothing is left.
        said.len().put(to);
        let parts: &[&dyn Put] = &[
            key,
            link,
            remote,
            incoming,
            connected_at,
            torrent,
            timers,
            phase,
            framer,
            outbox,
            credit,
            last_received_at,
            progress,
            handshake_until,
            peer_id,
            fast,
            extended,
            introduction,
            extension_ids,
            pieces,
            pieces_known,
            choking_us,
            am_choking,
            interested,
            am_interested,
            requests,
            refill_batch,
            depth_min,
            depth_max,
            peer_reqq,
            allowed_fast,
            suggested,
            upload,
            uploaded,
            watermark,
            our_fast,
            patience,
            metadata,
            early,
            asked_at,
        ];
        parts.iter().for_each(|part| part.put(to));
    }
}
