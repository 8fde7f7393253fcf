//! The experiment is held against what must be true of it.

use super::*;
use std::time::Duration;

fn small() -> Options {
    Options { peers: 12, size: 4 << 20, piece_length: 64 << 10, links: 8, ..Options::default() }
}

fn without_cost(report: &Report) -> serde_json::Value {
    let mut json = report.to_json();
    json.as_object_mut().and_then(|all| all.remove("cost")).expect("a cost");
    json
}

#[test]
fn everybody_gets_everything_and_nobody_is_faster_than_the_bound() {
    for policy in Policy::ALL {
        let report = run(&Options { policy, ..small() }).unwrap();
        assert_eq!(report.finished(), 12, "{policy:?}");
        let efficiency = report.efficiency().unwrap();
        assert!((0.05..=1.0).contains(&efficiency), "{policy:?}: {efficiency}");
        assert!(report.leeches().all(|peer| peer.downloaded == 4 << 20));
        // Each introduces itself once; peer exchange comes besides.
        let first = ["bitfield", "have_none", "have_all"].map(|name| report.messages().of(name));
        assert!(first.iter().sum::<u64>() <= report.messages().of("extended"));
        assert_eq!(report.pieces.len(), 12 * 64);
    }
}

#[test]
fn the_same_options_give_the_same_report_and_another_seed_another() {
    let options = Options { leave: true, free_riders: 2, join: Join::Poisson(Duration::from_millis(300)), ..small() };
    let first = run(&options).unwrap();
    assert_eq!(first.finished(), 12);
    assert_eq!(without_cost(&first), without_cost(&run(&options).unwrap()));
    assert_ne!(without_cost(&first), without_cost(&run(&Options { seed: 2, ..options }).unwrap()));
}

#[test]
fn what_was_sent_was_sent_no_faster_than_the_line() {
    let report = run(&small()).unwrap();
    let seconds = report.ended.as_micros() as f64 / 1e6 + 0.1;
    for peer in &report.peers {
        assert!(peer.sent as f64 <= seconds * report.options.up as f64, "{peer:?} in {seconds} s");
        assert!(peer.uploaded <= peer.sent);
    }
    let given: u64 = report.peers.iter().map(|peer| peer.uploaded).sum();
    let had: u64 = report.leeches().map(|peer| peer.downloaded + peer.wasted).sum();
    assert!(given >= had, "{given} was given, and {had} had");
}

#[test]
fn free_riders_give_nothing_and_wait_longer() {
    let rate = 250_000;
    // More peers than slots, and more for them to give each other than the seed gives.
    let riders = Options { peers: 24, free_riders: 6, size: 16 << 20, links: 24, up: rate, down: 4 * rate, ..small() };
    let report = run(&Options { seed_up: Some(2 * rate), ..riders }).unwrap();
    let mean = |of: bool| {
        let took: Vec<f64> =
            report.leeches().filter(|peer| peer.free_rider == of).filter_map(PeerReport::took).collect();
        took.iter().sum::<f64>() / took.len() as f64
    };
    let given = report.leeches().filter(|peer| peer.free_rider).map(|peer| peer.uploaded).max();
    assert!(given.unwrap() < 1 << 20, "{given:?}");
    assert!(mean(true) > mean(false), "{} {}", mean(true), mean(false));
}

#[test]
fn the_bound_is_the_largest_of_its_three() {
    let options = Options { peers: 10, size: 1_000, up: 10, down: 10, ..Options::default() };
    // Ten thousand bytes through eleven uplinks, a thousand through one: the seed is what holds it up.
    assert!((shortest(&options, 0.0) - 100.0).abs() < 1e-9);
    assert!((shortest(&Options { seed_up: Some(1_000), ..options.clone() }, 0.0) - 100.0).abs() < 1e-9, "a downlink");
    let riders = Options { free_riders: 9, ..options.clone() };
    assert!((shortest(&riders, 0.0) - 500.0).abs() < 1e-9, "all uplinks together");
    assert!((shortest(&options, 50.0) - 150.0).abs() < 1e-9, "who comes last has a way to go");
}

#[test]
fn the_first_copy_is_out_before_anybody_is_done_with_it_and_each_uplink_is_looked_at_each_second() {
    let report = run(&small()).unwrap();
    let copy = report.first_copy.unwrap();
    assert!(report.leeches().all(|peer| peer.finished.unwrap() >= copy.at));
    assert!(copy.sent >= report.options.size, "the only seed has given each piece once");
    let twice = report.given_twice().unwrap();
    assert!((0.0..1.0).contains(&twice), "{twice}");
    let after = [50, 95, 100].map(|hundredths| report.after_first_copy(hundredths).unwrap());
    assert!(after[0] <= after[1] && after[1] <= after[2], "{after:?}");
    assert!(report.idle.windows(2).all(|pair| pair[0].at < pair[1].at && pair[0].sent <= pair[1].sent));
    assert!(report.idle.len() as f64 >= report.last().unwrap() / 2.0);
    assert!(report.idle.iter().skip(1).all(|sample| sample.all() == 13), "twelve peers and the seed");
    assert!(report.idle.iter().any(|sample| sample.busy > 6));
    assert!((0.0..1.0).contains(&report.idle_shares().iter().sum::<f64>()));
}

#[test]
fn what_makes_no_experiment_is_refused() {
    let refused = |options: Options| run(&options).unwrap_err().to_string();
    assert_eq!(refused(Options { peers: 0, ..small() }), "there is no peer");
    assert_eq!(refused(Options { piece_length: 100_000, ..small() }), "the length of a piece is not a power of two");
    assert_eq!(refused(Options { free_riders: 13, ..small() }), "there are more free riders than peers");
}

#[test]
fn the_picture_has_both_curves_of_each_and_the_text_all_figures() {
    let reports: Vec<Report> = Policy::ALL.iter().map(|&policy| run(&Options { policy, ..small() }).unwrap()).collect();
    let svg = plot(&reports);
    assert_eq!(svg.matches("fill=\"none\" stroke=\"#").count(), 7, "axes, and two of each");
    assert!(svg.ends_with("</svg>\n"));
    for policy in Policy::ALL {
        assert!(svg.contains(&format!("{}: efficiency", policy.name())));
        assert!(table(&reports).contains(policy.name()));
    }
    let text = reports[0].to_string();
    for word in ["completion", "efficiency", "first copy", "idle", "fairness", "waste", "messages", "cost"] {
        assert!(text.contains(word), "{text}");
    }
}
