//! Faults of the disk, told at moments that matter.

use super::*;

fn started(actions: &Actions, wanted: fn(&Work) -> bool) -> Vec<JobId> {
    let jobs = actions.list.iter().filter_map(|action| match action {
        Action::Start { job, work } if wanted(work) => Some(*job),
        _ => None,
    });
    jobs.collect()
}

fn is_load(work: &Work) -> bool {
    matches!(work, Work::Load { .. })
}

fn is_verify(work: &Work) -> bool {
    matches!(work, Work::Verify { .. })
}

fn is_sync(work: &Work) -> bool {
    matches!(work, Work::Sync { .. })
}

fn is_save(work: &Work) -> bool {
    matches!(work, Work::Save { .. })
}

fn fails(rig: &mut Rig, job: JobId) -> Actions {
    rig.tell(Event::JobDone { job, result: Err(IoFault::Device) })
}

fn is_right(rig: &mut Rig, job: JobId) -> Actions {
    let verdict = Verdict { matches: true, blocks: vec![] };
    rig.tell(Event::JobDone { job, result: Ok(JobResult::Verified(verdict)) })
}

/// Waits until the session wants to be called.
fn due(rig: &mut Rig) -> Actions {
    let at = rig.session.deadline().expect("something to wait for");
    rig.wait(at.since(rig.now))
}

/// Without them, files of ours that hold no whole piece yet were taken for somebody else's.
#[test]
fn resume_data_that_cannot_be_read_are_tried_again_before_they_count_as_none() {
    let mut rig = Rig::new(|_| ());
    let added = rig.add(1, vec![]);
    let opened = rig.serve_disk_but(added, is_load);
    let mut load = started(&opened, is_load)[0];
    for _ in 1..Config::default().storage.read_tries {
        let failed = fails(&mut rig, load);
        assert_eq!(started(&failed, |_| true), [], "not at once");
        load = started(&due(&mut rig), is_load)[0];
    }
    let given_up = fails(&mut rig, load);
    assert_eq!(started(&given_up, |work| matches!(work, Work::Check { .. })).len(), 1, "as good as none");
}

#[test]
fn resume_data_are_not_read_again_before_the_storage_is_open() {
    let mut rig = Rig::new(|_| ());
    let added = rig.add(1, vec![]);
    fails(&mut rig, started(&added, is_load)[0]);
    assert_eq!(started(&due(&mut rig), |_| true), []);
    let open = started(&added, |work| matches!(work, Work::Open { .. }))[0];
    let opened = rig.tell(Event::JobDone { job: open, result: Ok(JobResult::Done) });
    assert_eq!(started(&opened, is_load).len(), 1);
    rig.serve_disk(opened);
    assert_eq!(rig.session.view(TorrentId(0)).unwrap().state, TorrentState::Downloading);
}

#[test]
fn pieces_that_cannot_be_read_at_the_start_are_hashed_once_more() {
    let mut rig = Rig::new(|_| ());
    rig.disk_has_all = true;
    let added = rig.add(1, vec![]);
    let checked = rig.serve_disk_but(added, is_verify);
    let [first, second] = started(&checked, is_verify)[..] else { panic!("two pieces: {checked:?}") };
    is_right(&mut rig, first);
    let again = started(&fails(&mut rig, second), is_verify);
    assert_eq!(again.len(), 1);
    is_right(&mut rig, again[0]);
    assert_eq!(rig.session.view(TorrentId(0)).unwrap().state, TorrentState::Seeding);
}

/// A read had put a piece in doubt, and while it was hashed a sync failed: what was hashed may not be there any more. It was believed,
/// and claimed.
#[test]
fn a_hash_that_began_before_a_sync_failed_proves_nothing() {
    let mut rig = Rig::new(|_| ());
    rig.disk_has_all = true;
    let added = rig.add(1, vec![]);
    let mut all = rig.serve_disk_but(added, is_sync);
    while started(&all, is_sync).is_empty() {
        let more = due(&mut rig);
        all = rig.serve_disk_but(more, is_sync);
    }
    let sync = started(&all, is_sync)[0];
    // A peer is unchoked, asks, and the read fails.
    rig.accept(1);
    let hash = rig.hash();
    rig.handshake(1, hash, 7);
    rig.tell(Event::Received { tcp: TcpId(1), bytes: Bytes::from_static(&[0, 0, 0, 1, 2]) });
    for _ in 0..100 {
        due(&mut rig);
        if !rig.session.torrent(TorrentId(0)).unwrap().peer_list(rig.session.now())[0].choked {
            break;
        }
    }
    let request = [0, 0, 0, 13, 6, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 14, 32];
    let asked = rig.tell(Event::Received { tcp: TcpId(1), bytes: Bytes::from(request.to_vec()) });
    let read = started(&asked, |work| matches!(work, Work::Read { .. }))[0];
    let doubted = started(&fails(&mut rig, read), is_verify)[0];
    let distrusted = started(&fails(&mut rig, sync), is_verify);
    assert_eq!(distrusted.len(), 1, "the other piece; this one is being hashed");
    is_right(&mut rig, distrusted[0]);
    let again = started(&is_right(&mut rig, doubted), is_verify);
    assert_eq!(again.len(), 1, "what was read before proves nothing");
    is_right(&mut rig, again[0]);
    // Then it is claimed.
    let more = due(&mut rig);
    assert_eq!(started(&rig.serve_disk(more), is_save).len(), 1);
}
