//! Configurations: every field, in the order of its section. A field that is added, moved or taken away makes a new
//! [`FORMAT`](crate::journal::FORMAT).

use super::{DecodeError, Decoder, Encoder, Put, Take, canon_enum, canon_struct};
use crate::border::{
    AnnounceConfig, CandidateConfig, ChokeConfig, Config, DhtConfig, ExternalConfig, LsdConfig, MetadataConfig,
    NetPolicy, PeerConfig, PersistConfig, PexConfig, PickConfig, PickOrder, QueueConfig, RateConfig, RateLimits,
    SessionConfig, StorageConfig,
};
use alloc::sync::Arc;

/// The sections in their order. The table of addresses is no part of it: a header has it apart, when there is one.
macro_rules! canon_sections {
    ($($section:ident),* $(,)?) => {
        impl Put for Config {
            fn put(&self, to: &mut Encoder<'_>) {
                let Config { $($section),*, addresses: _ } = self;
                $($section.put(to);)*
            }
        }
        impl Take for Config {
            fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                $(let $section = from.take()?;)*
                Ok(Config { $($section),*, addresses: Arc::default() })
            }
        }
    };
}

canon_sections!(
    session, peer, pick, choke, candidates, announce, persist, net, rate, external, storage, queue, pex, lsd, metadata,
    dht
);

canon_struct!(SessionConfig {
    client,
    peer_id_prefix,
    max_torrents,
    max_peers,
    max_peers_per_torrent,
    max_unrouted,
    max_unrouted_per_ip,
    max_peers_per_ip,
    no_interest_timeout,
    replaceable_after,
    max_half_open,
    dials_per_second,
    dials_per_network,
    max_http_announces,
    announces_per_second,
    max_disk_queue,
    max_read_ahead,
    pause_limit,
    shutdown_limit,
});

canon_struct!(PeerConfig {
    handshake_timeout,
    keep_alive,
    idle_timeout,
    min_progress,
    request_timeout,
    max_fruitless,
    send_timeout,
    no_request_timeout,
    reject_grace,
    reject_wait,
    reject_wait_max,
    reqq,
    default_reqq,
    depth_min,
    depth_max,
    depth_margin,
    refill_batch,
    max_given_up,
    max_unrequested,
    max_bad_requests,
    max_useless_per_minute,
    max_request_length,
    max_message_length,
    allowed_fast,
    max_allowed_fast,
    max_suggested,
    read_window,
    read_window_fast,
    fast_rate,
    send_watermark_min,
    send_watermark_max,
    max_control_queue,
    max_client_name,
});

canon_enum!(PickOrder { 0 = RarestFirst, 1 = Random });

canon_struct!(PickConfig {
    order,
    random_first,
    max_blocks_per_pick,
    max_partial_pieces,
    max_open_blocks,
    end_game_requesters,
    parole_patience,
    scan,
    max_suggested,
    voices_per_network,
    blame_pieces,
    blame_blocks,
});

canon_struct!(ChokeConfig {
    slots,
    round,
    optimistic_turn,
    seed_turn,
    seed_quota,
    seed_memory,
    min_served,
    changes_per_round,
    super_seed_patience,
    suggest_to,
    suggest_rest,
});

canon_struct!(CandidateConfig {
    max_known,
    max_hearsay,
    max_banned,
    retry_step,
    unproven_rest,
    max_failures,
    forget_after,
    max_knocks,
    max_knockers,
    max_ports_per_ip,
    reconnect_after,
    user_retry_min,
    user_retry_max,
});

canon_struct!(AnnounceConfig {
    min_interval,
    max_interval,
    default_interval,
    num_want,
    num_want_enough,
    max_peers,
    max_tracker_id,
    max_text,
    body_limit,
    max_redirects,
    max_addresses,
    resolve_timeout,
    http_timeout,
    udp_wait,
    udp_doublings,
    udp_doublings_short,
    udp_connection_life,
    retry_base,
    retry_step,
    retry_max,
    retry_jitter,
    stop_timeout,
    all_tiers,
    all_trackers,
    prefer_udp,
    hide_client,
    max_asks,
});

canon_struct!(PersistConfig {
    sync_interval,
    sync_bytes,
    totals_interval,
    retry_min,
    retry_max,
    samples_per_file,
    max_samples,
});

canon_struct!(NetPolicy {
    allow_local_from_global,
    local_needs_announce_path,
    allow_service_ports,
    min_peer_port,
    allow_idna,
    allow_http,
    allow_https,
    allow_udp,
    filter_trackers,
    max_filter_ranges,
});

canon_struct!(RateConfig { limits, burst, turn });

canon_struct!(RateLimits { download, upload });

canon_struct!(ExternalConfig { min_networks, max_votes, vote_life });

canon_struct!(StorageConfig { retry_min, retry_max, look_max, read_tries, check_space, reserve, delete_limit });

canon_struct!(MetadataConfig {
    max_size,
    requests_per_peer,
    request_timeout,
    hurry_after,
    retry_after,
    retry_max,
    sizes_at_once,
    alone_at_once,
    turn,
    max_early_haves,
    serve_queue,
    serve_factor,
});

canon_struct!(QueueConfig {
    max_downloads,
    max_seeds,
    max_active,
    skip_slow,
    slow_download,
    slow_upload,
    slow_after,
    start_spacing,
    review,
    seed_turn,
});

canon_struct!(PexConfig {
    enabled,
    first_after,
    interval,
    max_first,
    max_contacts,
    max_recent,
    max_messages,
    max_taken,
    max_named,
    max_in_message,
});

canon_struct!(LsdConfig { enabled, port, interval, spacing, gather, max_heard, max_sources });

canon_struct!(DhtConfig {
    k,
    root_bits,
    replacements,
    good_for,
    refresh_after,
    refresh_pace,
    retry_after,
    max_failures,
    forget_after,
    max_per_network_bucket,
    max_per_network,
    alpha,
    alpha_max,
    paths,
    max_candidates,
    max_nodes_per_answer,
    max_asked_per_network,
    max_queries_per_lookup,
    max_peers_per_answer,
    max_peers_per_lookup,
    lookup_life,
    query_life,
    first_patience,
    min_patience,
    max_lookups,
    max_waiting,
    max_queries,
    replies_per_second,
    max_reply,
    reply_bytes_per_second,
    block_after,
    block_window,
    block_for,
    max_sources,
    announce_interval,
    item_interval,
    search_interval,
    hungry_interval,
    lookups_per_second,
    max_nodes_per_torrent,
    max_kept,
    bootstrap_wait,
    bootstrap_wait_max,
    enough_contacts,
    id_votes,
    save_interval,
    max_saved,
    read_only,
});
