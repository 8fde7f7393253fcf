use super::*;
use proptest::prelude::*;
use std::vec::Vec;

/// From 1 KiB to 1 GB a second.
fn limits() -> impl Strategy<Value = u64> {
    (10..30u32)
        .prop_flat_map(|shift| (1u64 << shift)..=(1u64 << shift) * 2 - 1)
        .prop_map(|limit| limit.min(1_000_000_000))
}

fn bucket(limit: u64) -> Bucket {
    let mut bucket = Bucket::default();
    bucket.set(Time::from_secs(7), &RateConfig::default(), Some(limit));
    bucket
}

fn burst(limit: u64) -> u64 {
    limit / 8 + (limit / 62).max(LEAST)
}

/// Bytes that come in within so many microseconds.
fn earned(limit: u64, micros: u64) -> u64 {
    (u128::from(limit) * u128::from(micros) / 1_000_000) as u64
}

#[test]
fn without_a_limit_everything_is_there() {
    let mut bucket = Bucket::default();
    bucket.take(Time::ZERO, u64::MAX);
    assert!(bucket.has(Time::ZERO, u64::MAX) && !bucket.is_limited());
    assert_eq!(bucket.due(Time::from_secs(3), u64::MAX), Time::from_secs(3));
    bucket.set(Time::ZERO, &RateConfig::default(), Some(5));
    bucket.set(Time::ZERO, &RateConfig::default(), None);
    assert!(bucket.has(Time::ZERO, u64::MAX));
}

#[test]
fn it_begins_empty_and_holds_a_burst_at_most() {
    let bucket = bucket(8_000);
    let start = Time::from_secs(7);
    assert!(!bucket.has(start, 1));
    assert!(
        bucket.has(start + Duration::from_millis(100), 800) && !bucket.has(start + Duration::from_millis(100), 801)
    );
    assert!(bucket.has(Time::from_secs(1_000), 1_256) && !bucket.has(Time::from_secs(1_000), 1_257));
    assert_eq!(bucket.due(start, 1_256), start + Duration::from_millis(157));
    assert_eq!(bucket.due(start, 1_257), Time::NEVER);
    assert_eq!((bucket.there(start), bucket.there(start + Duration::from_millis(10))), (0, 80));
}

#[test]
fn what_is_owed_is_paid_first_and_another_limit_begins_anew() {
    let mut bucket = bucket(1_024);
    let start = Time::from_secs(7);
    bucket.take(start, 16_384);
    assert_eq!(bucket.due(start, 1), start + Duration::from_micros(16_000_977));
    bucket.set(start, &RateConfig::default(), Some(2_048));
    assert!(bucket.has(start + Duration::from_secs(1), 256));
}

#[test]
fn what_cannot_be_limited_owes_a_burst_at_most() {
    let mut bucket = bucket(8_000);
    let start = Time::from_secs(7);
    for _ in 0..100 {
        bucket.take_unasked(start, 500);
    }
    assert_eq!(bucket.due(start, 1_000), start + Duration::from_millis(282));
    // What is owed for another reason stays.
    bucket.take(start, 8_000);
    bucket.take_unasked(start, 500);
    assert_eq!(bucket.due(start, 1_000), start + Duration::from_millis(1_282));
}

#[test]
fn the_greatest_limits_and_times_do_not_overflow() {
    for limit in [0, 1, u64::MAX] {
        let mut bucket = Bucket::default();
        bucket.set(Time::ZERO, &RateConfig::default(), Some(limit));
        for now in [Time::ZERO, Time::from_secs(1), Time::NEVER, Time::ZERO] {
            bucket.take(now, u64::MAX);
            bucket.take_unasked(now, u64::MAX);
            bucket.put_back(now, u64::MAX);
            bucket.put_back(now, u64::MAX);
            assert!(bucket.due(now, bucket.turn()) >= now);
        }
    }
}

proptest! {
    /// Whatever is asked when, no more than limit × t + burst goes out; and asking changes nothing.
    #[test]
    fn never_more_than_the_limit_and_a_burst(limit in limits(), asks in prop::collection::vec((0..300_000u64, 1..1u64 << 28), 1..200)) {
        let mut bucket = bucket(limit);
        let (mut micros, mut taken) = (0, 0u64);
        for (wait, bytes) in asks {
            micros += wait;
            let now = Time::from_secs(7) + Duration::from_micros(micros);
            if bucket.has(now, bytes) {
                bucket.take(now, bytes);
                taken += bytes;
            }
            prop_assert!(taken <= earned(limit, micros) + burst(limit), "{taken} in {micros} us");
        }
    }

    /// With one unit owed at a time, no more than limit × t + burst + a unit.
    #[test]
    fn owing_costs_one_unit(limit in limits(), unit in 1..131_072u64, waits in prop::collection::vec(0..200_000u64, 1..200)) {
        let mut bucket = bucket(limit);
        let (mut micros, mut taken) = (0, 0u64);
        for wait in waits {
            micros += wait;
            let now = Time::from_secs(7) + Duration::from_micros(micros);
            while bucket.has(now, 1) {
                bucket.take(now, unit);
                taken += unit;
            }
            prop_assert!(taken <= earned(limit, micros) + burst(limit) + unit);
        }
    }

    /// Woken at the time it names, or by a clock that ticks every 100 ms only, it gives the limit to within 5 %.
    #[test]
    fn demand_gets_the_limit(limit in limits(), tick in prop_oneof![Just(1u64), Just(1_000), Just(10_000), Just(100_000)]) {
        let mut bucket = bucket(limit);
        let start = Time::from_secs(7);
        let (mut now, mut taken, mut wakes) = (start, 0u64, 0u64);
        let span = 20_000_000u64;
        while now.since(start).as_micros() < u128::from(span) {
            while bucket.has(now, bucket.turn()) {
                bucket.take(now, bucket.turn());
                taken += bucket.turn();
            }
            let due = bucket.due(now, bucket.turn());
            prop_assert!(due > now, "it is not woken in vain");
            now = Time(due.0.div_ceil(tick) * tick);
            wakes += 1;
        }
        let expected = earned(limit, span);
        prop_assert!(taken * 100 >= expected * 95 && taken * 100 <= expected * 105, "{taken} of {expected}");
        prop_assert!(wakes <= span / 15_000, "{wakes} wake-ups");
    }

    /// Any debt is paid in the end, at the moment that it names and not before.
    #[test]
    fn it_never_starves(limit in limits(), debts in prop::collection::vec(0..1u64 << 32, 0..5)) {
        let mut bucket = bucket(limit);
        let now = Time::from_secs(8);
        for debt in debts {
            bucket.take(now, debt);
        }
        let due = bucket.due(now, bucket.turn());
        prop_assert!(bucket.has(due, bucket.turn()));
        prop_assert!(due == now || !bucket.has(Time(due.0 - 1), bucket.turn()));
    }

    /// How often it is asked on the way makes no difference.
    #[test]
    fn refilling_does_not_depend_on_looks(limit in limits(), waits in prop::collection::vec(0..10_000u64, 1..50)) {
        let (mut often, mut once) = (bucket(limit), bucket(limit));
        let mut now = Time::from_secs(7);
        often.take(now, limit);
        once.take(now, limit);
        for wait in waits {
            now = now + Duration::from_micros(wait);
            often.take(now, 0);
        }
        let levels: Vec<Time> = [1, 100, 256].iter().map(|&bytes| often.due(now, bytes)).collect();
        prop_assert_eq!(levels, [1, 100, 256].iter().map(|&bytes| once.due(now, bytes)).collect::<Vec<_>>());
    }
}
