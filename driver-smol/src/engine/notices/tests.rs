//! What arrives when nobody reads.

use super::{End, Hub};
use crate::ClientError;
use parcacik_core::border::{IoFault, Notice, TorrentId, TorrentState};
use proptest::prelude::*;

const ONE: TorrentId = TorrentId(1);

fn piece(piece: u32) -> Notice {
    Notice::PieceDone { torrent: ONE, piece }
}

fn saved(pieces: u32) -> Notice {
    Notice::Saved { torrent: ONE, pieces }
}

fn state(torrent: u32, state: TorrentState) -> Notice {
    Notice::State { torrent: TorrentId(torrent), state }
}

fn finished(torrent: u32) -> Notice {
    Notice::Finished { torrent: TorrentId(torrent) }
}

/// What a receiver that was asleep finds.
fn found(capacity: usize, told: impl IntoIterator<Item = Notice>) -> (Vec<Notice>, u64) {
    let hub = Hub::new(capacity);
    let mut receiver = hub.subscribe();
    for notice in told {
        hub.tell(notice);
    }
    let found = std::iter::from_fn(|| receiver.try_recv()).map(Result::unwrap).collect();
    (found, receiver.dropped())
}

#[test]
fn in_a_queue_with_room_everything_arrives_in_order() {
    let told = [piece(1), finished(1), saved(1), piece(2), Notice::Stopped];
    assert_eq!(found(5, told.clone()), (told.to_vec(), 0));
}

#[test]
fn the_oldest_progress_goes_first() {
    let told = [saved(1), piece(1), piece(2), finished(1), piece(3)];
    assert_eq!(found(3, told), (vec![saved(1), finished(1), piece(3)], 2));
}

#[test]
fn reports_go_when_there_is_no_progress_left() {
    let told = [saved(1), saved(2), finished(1), finished(2)];
    assert_eq!(found(2, told), (vec![finished(1), finished(2)], 2));
}

#[test]
fn what_matters_is_kept_beyond_the_bound() {
    let told: Vec<Notice> = (0..10).map(finished).collect();
    assert_eq!(found(3, told.clone()), (told, 0));
}

#[test]
fn of_states_only_the_last_of_each_torrent_matters() {
    let (failed, again) = (TorrentState::Failed(IoFault::NoSpace), TorrentState::Downloading);
    let told = [state(1, again), state(2, again), state(1, failed), state(1, again), state(2, failed)];
    assert_eq!(found(2, told), (vec![state(1, again), state(2, failed)], 3));
}

#[test]
fn receivers_do_not_take_from_each_other() {
    let hub = Hub::new(1);
    let (mut a, mut b) = (hub.subscribe(), hub.subscribe());
    hub.tell(piece(1));
    assert_eq!(a.recv_blocking(), Ok(piece(1)));
    hub.tell(piece(2));
    assert_eq!((a.recv_blocking(), a.dropped()), (Ok(piece(2)), 0));
    assert_eq!((b.recv_blocking(), b.dropped()), (Ok(piece(2)), 1));
}

#[test]
fn the_end_comes_after_what_was_told_and_stays() {
    let hub = Hub::new(4);
    let mut receiver = hub.subscribe();
    hub.tell(piece(1));
    hub.close(End::Broken("why".into()));
    // The first word counts.
    hub.close(End::Stopped);
    assert_eq!(receiver.recv_blocking(), Ok(piece(1)));
    let broken = Err(ClientError::Broken("why".into()));
    assert_eq!(receiver.recv_blocking(), broken);
    assert_eq!(receiver.recv_blocking(), broken);
    assert_eq!(hub.subscribe().recv_blocking(), broken);
}

#[test]
fn a_receiver_that_sleeps_is_woken() {
    let hub = Hub::new(4);
    let mut receiver = hub.subscribe();
    let waiting = std::thread::spawn(move || (0..3).map(|_| receiver.recv_blocking()).collect::<Vec<_>>());
    hub.tell(piece(1));
    hub.tell(piece(2));
    hub.close(End::Stopped);
    assert_eq!(waiting.join().unwrap(), [Ok(piece(1)), Ok(piece(2)), Err(ClientError::Stopped)]);
}

proptest! {
    /// Against the rule as it is written down: over any list, what is found is what is left of the list when, whenever
    /// it is too long, the first notice of the lowest rank is struck out.
    #[test]
    fn what_is_dropped_follows_the_rule(kinds in proptest::collection::vec(0u32..3, 0..60), capacity in 1usize..10) {
        let told: Vec<Notice> = kinds.iter().zip(0..).map(|(kind, n)| match kind {
            0 => piece(n),
            1 => saved(n),
            _ => finished(n),
        }).collect();
        let mut expected: Vec<Notice> = Vec::new();
        for notice in &told {
            if expected.len() >= capacity {
                let lowest = expected.iter().position(|n| matches!(n, Notice::PieceDone { .. }))
                    .or_else(|| expected.iter().position(|n| matches!(n, Notice::Saved { .. })));
                if let Some(lowest) = lowest {
                    expected.remove(lowest);
                }
            }
            expected.push(notice.clone());
        }
        let dropped = (told.len() - expected.len()) as u64;
        prop_assert_eq!(found(capacity, told), (expected, dropped));
    }
}
