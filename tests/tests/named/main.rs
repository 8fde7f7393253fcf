//! What libtorrent simulates, by its names for it, as far as it applies to what exists here.
//!
//! The scenarios that had no test yet are in this folder, under those names. The others have one elsewhere:
//!
//! | there | here |
//! |---|---|
//! | `alternate_have_all_have_none`, `short_bitfield`, `long_bitfield` | `hostile_peers/lying.rs`: the same names |
//! | `invalid_request`, `large_message` | `hostile_peers/resource.rs`: the same names |
//! | `handshake_timeout` | `hostile_peers/resource.rs`: `handshake_timeout_for_who_dials_us`, `handshake_timeout_for_whom_we_dial` |
//! | `allow_fast_stress` | `announcing.rs`: `an_address_is_allowed_the_same_pieces_each_time_and_none_twice` |
//! | `lazy_bitfields` | `announcing.rs`: `a_seed_with_a_lazy_bitfield_gives_everything` |
//! | `block_uploaded_alert` | `announcing.rs`: `what_is_uploaded_is_what_the_others_downloaded` |
//! | `dead_peers` | `scenarios.rs`: `dead_peers_are_given_up_and_the_living_one_is_found` |
//! | `self_connect` | `scenarios.rs`: `self_connect_is_noticed_at_once_and_not_repeated` |
//! | `shutdown` | `swarm.rs`: `shutting_down_ends_within_its_bound` |
//! | `super_seeding` | `traffic/super_seeding.rs`: `a_super_seed_gives_little_more_than_one_copy` |
//! | `suggest` | `traffic/suggesting.rs`: `leeches_follow_suggestions_and_the_disk_is_not_read_more` |
//! | `upload_rate_limit`, `download_rate_limit` | `traffic/limits.rs`: `an_upload_limit_holds_with_one_peer_and_with_many`, `a_download_limit_holds_with_one_peer_and_with_many` |
//! | `no_interest_timeout`, `no_interest_timeout_few_peers` | `traffic/places.rs`: `no_interest_timeout_frees_a_place_when_all_are_taken`, `no_interest_timeout_leaves_bystanders_alone_while_there_are_places` |
//! | `active_downloads`, `active_seeds` | `lifecycle.rs`: `downloads_are_queued_and_come_one_after_the_other`, `seeds_take_turns_and_their_clocks_stand_meanwhile` |
//! | `disk_full_recover` | `lifecycle.rs`: the same name |
//! | `delete_files`, `delete_partfile` | `lifecycle.rs`: `deleting_takes_only_its_own_files_and_empty_folders`; `selection.rs`: `the_part_file_is_moved_checked_and_deleted_with_the_files` |
//! | `paused_session_in_flight_announce` | `lifecycle.rs`: `an_announce_that_is_in_flight_when_paused_brings_no_peers` |
//! | `stop_start_download`, `stop_start_download_graceful` | `lifecycle.rs`: `a_paused_torrent_has_no_connections_and_goes_on_where_it_was`, `a_graceful_pause_finishes_outstanding_blocks_first` |
//! | `paused_torrent_add_peers` | `lifecycle.rs`: `peers_that_are_added_while_paused_are_kept` |
//! | `seeding_time_survives_force_recheck` | `lifecycle.rs`: `a_recheck_while_seeding_keeps_counters_and_seeding_time` |
//! | `test_http_status`, `test_invalid_bencoding` | `hostile_trackers.rs`: `statuses`, `a_failure_reason_that_would_play_with_the_terminal` |

mod trackers;
mod transfer;
mod wire;

use std::path::Path;

/// Each test that the table names is there.
#[test]
fn the_table_is_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let page = std::fs::read_to_string(folder.join("named/main.rs")).unwrap();
    let mut named = 0;
    for row in page.lines().filter_map(|line| line.strip_prefix("//! | `")) {
        let [theirs, ours] = row.splitn(2, " | ").collect::<Vec<_>>()[..] else { panic!("{row}") };
        let words = |text: &str| -> Vec<String> {
            format!("`{text}").split('`').skip(1).step_by(2).map(str::to_owned).collect()
        };
        let mut source = None;
        let mut tests = 0;
        for word in words(ours.strip_prefix('`').unwrap_or(ours)) {
            if word.ends_with(".rs") {
                source = Some(std::fs::read_to_string(folder.join(&word)).unwrap_or_else(|_| panic!("no file {word}")));
                continue;
            }
            let source = source.as_ref().unwrap_or_else(|| panic!("{row}: no file"));
            assert!(source.contains(&format!("fn {word}()")), "no test {word}");
            tests += 1;
        }
        if ours.contains("same name") {
            let source = source.as_ref().unwrap_or_else(|| panic!("{row}: no file"));
            for word in words(theirs) {
                assert!(source.contains(&format!("fn {word}()")), "no test {word}");
                tests += 1;
            }
        }
        assert!(tests > 0, "{row}: no test");
        named += tests;
    }
    assert!(named > 25, "{named} tests");
}
