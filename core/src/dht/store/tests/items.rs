use super::*;
use crate::dht::item::immutable_target;
use crate::dht::krpc::ErrorCode;
use crate::dht::store::{ItemLimits, ItemStore};
use crate::time::Time;
use std::string::String;

/// A value, bencoded; its hash is what it is.
fn value(n: u32) -> String {
    std::format!("i{n}e")
}

fn put(store: &mut ItemStore, now: Time, n: u32, from: u32) -> Result<(), ErrorCode> {
    store.put(now, OWN, ip(from), value(n).as_bytes(), None)
}

fn has(store: &ItemStore, now: Time, n: u32) -> bool {
    let value = value(n);
    store.get(now, immutable_target(value.as_bytes())).is_some_and(|item| item.value() == value.as_bytes())
}

/// So many values, the closest to [`OWN`] first.
fn by_distance(count: u32) -> std::vec::Vec<u32> {
    let mut values: std::vec::Vec<u32> = (0..count).collect();
    values.sort_by_key(|n| immutable_target(value(*n).as_bytes()).distance(OWN));
    values
}

#[test]
fn an_item_is_kept_for_its_life_and_as_long_as_it_is_announced() {
    let mut store = ItemStore::new(ItemLimits::default());
    let life = ItemLimits::default().life;
    assert!(store.is_empty() && store.deadline().is_none());
    assert_eq!(put(&mut store, Time::ZERO, 1, 1), Ok(()));
    assert_eq!(put(&mut store, Time::ZERO, 2, 1), Ok(()));
    assert_eq!(put(&mut store, Time::from_secs(3600), 2, 9), Ok(()), "by whomever");
    let end = Time::ZERO + life;
    assert!(has(&store, Time(end.0 - 1), 1));
    assert!(!has(&store, end, 1) && has(&store, end, 2));
    while let Some(at) = store.deadline() {
        assert!(at < Time::from_secs(20_000));
        store.tick(at);
    }
    assert!(store.is_empty());
}

#[test]
fn what_is_no_item_is_refused_by_its_code() {
    let mut store = ItemStore::new(ItemLimits::default());
    let mut put = |value: &str| store.put(Time::ZERO, OWN, ip(1), value.as_bytes(), None);
    assert_eq!(put(&std::format!("997:{}", "x".repeat(997))), Err(ErrorCode::TOO_BIG));
    assert_eq!(put("d1:bi1e1:ai1ee"), Err(ErrorCode::PROTOCOL));
    assert_eq!(put("i1e"), Ok(()));
    assert_eq!(store.len(), 1);
}

#[test]
fn no_network_has_more_than_its_share_of_items() {
    let mut store = ItemStore::new(ItemLimits { per_network: 3, ..ItemLimits::default() });
    assert!((0..3).all(|n| put(&mut store, Time::ZERO, n, 1).is_ok()));
    assert_eq!(put(&mut store, Time::ZERO, 3, 1), Err(ErrorCode::SERVER));
    assert_eq!(put(&mut store, Time::ZERO, 2, 1), Ok(()), "an old one counts once");
    assert_eq!(put(&mut store, Time::ZERO, 3, 2), Ok(()));
    let end = Time::ZERO + ItemLimits::default().life;
    assert_eq!(put(&mut store, end, 4, 1), Ok(()), "expired ones count no more, swept or not");
    assert_eq!(store.len(), 1);
}

#[test]
fn the_farthest_item_gives_way_and_before_it_one_that_is_stale() {
    let limits = ItemLimits { items: 3, ..ItemLimits::default() };
    let mut store = ItemStore::new(limits);
    let sorted = by_distance(6);
    let now = Time::ZERO;
    for n in [1, 2, 4] {
        assert_eq!(put(&mut store, now, sorted[n], 1), Ok(()));
    }
    assert_eq!(put(&mut store, now, sorted[5], 2), Err(ErrorCode::SERVER), "it would be the farthest");
    assert_eq!(put(&mut store, now, sorted[3], 2), Ok(()));
    assert!(!has(&store, now, sorted[4]) && has(&store, now, sorted[1]));
    // The closest one is not announced again: it gives way, even to a far one.
    let later = now + limits.stale_after;
    for n in [2, 3] {
        assert_eq!(put(&mut store, Time(later.0 - 1), sorted[n], 1), Ok(()));
    }
    assert_eq!(put(&mut store, later, sorted[5], 2), Ok(()));
    assert!(!has(&store, later, sorted[1]) && store.len() == 3);
}

#[cfg(feature = "dht-mutable")]
mod mutable {
    use super::*;
    use crate::dht::item::{Item, MutableItem, SecretKey};
    use crate::dht::krpc::Signed;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn item(key: u8, salt: &str, seq: i64, n: u32) -> MutableItem {
        MutableItem::sign(&SecretKey::from_seed(&[key; 32]), salt.into(), seq, value(n).into()).unwrap()
    }

    fn put(store: &mut ItemStore, now: Time, item: &MutableItem, cas: Option<i64>) -> Result<(), ErrorCode> {
        let signed = Signed { key: item.key(), signature: item.signature(), seq: item.seq(), salt: item.salt(), cas };
        let result = store.put(now, OWN, ip(1), item.value(), Some(&signed));
        assert!(
            result.is_err()
                || store.get(now, ItemStore::target_of(item.value(), Some(&signed)))
                    == Some(&Item::Mutable(item.clone()))
        );
        result
    }

    #[test]
    fn a_mutable_item_grows_and_never_goes_back() {
        let mut store = ItemStore::new(ItemLimits::default());
        let mut put = |item: &MutableItem, cas| put(&mut store, Time::ZERO, item, cas);
        assert_eq!(put(&item(1, "", 4, 0), Some(77)), Ok(()), "where nothing is, cas is ignored");
        assert_eq!(put(&item(1, "", 3, 0), None), Err(ErrorCode::OLD_SEQ));
        assert_eq!(put(&item(1, "", 4, 1), None), Err(ErrorCode::OLD_SEQ), "the same number with another value");
        assert_eq!(put(&item(1, "", 4, 0), None), Ok(()), "announced again");
        assert_eq!(put(&item(1, "", 6, 1), Some(5)), Err(ErrorCode::CAS_MISMATCH));
        assert_eq!(put(&item(1, "", 6, 1), Some(4)), Ok(()));
        assert_eq!(put(&item(1, "", i64::MAX, 2), None), Ok(()));
        assert_eq!(put(&item(1, "x", 0, 2), None), Ok(()), "another salt is another item");
        assert_eq!(put(&item(2, "", 0, 2), None), Ok(()), "and another key");
        assert_eq!(store.len(), 3);
    }

    #[test]
    fn what_is_not_signed_changes_nothing() {
        let mut store = ItemStore::new(ItemLimits::default());
        let good = item(1, "", 4, 0);
        assert_eq!(put(&mut store, Time::ZERO, &good, None), Ok(()));
        for (seq, n) in [(5, 0), (5, 1)] {
            let signed = Signed { key: good.key(), signature: good.signature(), seq, salt: b"", cas: None };
            let forged = store.put(Time::ZERO, OWN, ip(1), value(n).as_bytes(), Some(&signed));
            assert_eq!(forged, Err(ErrorCode::BAD_SIGNATURE));
        }
        let long = [0; 65];
        let signed = Signed { key: good.key(), signature: good.signature(), seq: 5, salt: &long, cas: None };
        assert_eq!(store.put(Time::ZERO, OWN, ip(1), b"i1e", Some(&signed)), Err(ErrorCode::SALT_TOO_BIG));
        assert_eq!(store.get(Time::ZERO, good.target()), Some(&Item::Mutable(good)));
    }

    /// A forged signature does not keep an item alive, nor does it throw one out of a full store.
    #[test]
    fn a_forgery_has_no_effect_on_others() {
        let mut store = ItemStore::new(ItemLimits { items: 1, ..ItemLimits::default() });
        let sorted = {
            let mut items: std::vec::Vec<_> = (0..2).map(|key| item(key, "", 1, 0)).collect();
            items.sort_by_key(|item| item.target().distance(OWN));
            items
        };
        assert_eq!(put(&mut store, Time::ZERO, &sorted[1], None), Ok(()));
        let forged = Signed { key: sorted[0].key(), signature: &[1; 64], seq: 1, salt: b"", cas: None };
        assert_eq!(store.put(Time::ZERO, OWN, ip(2), b"i0e", Some(&forged)), Err(ErrorCode::BAD_SIGNATURE));
        assert!(store.get(Time::ZERO, sorted[1].target()).is_some());
        let again = Signed { key: sorted[1].key(), signature: &[1; 64], seq: 1, salt: b"", cas: None };
        assert_eq!(store.put(Time::from_secs(7000), OWN, ip(2), b"i0e", Some(&again)), Err(ErrorCode::BAD_SIGNATURE));
        assert!(store.get(Time::from_secs(7200), sorted[1].target()).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Limits hold; what is stored is the newest that was accepted; a `put` is accepted just when the books say so.
        #[test]
        fn items_are_as_plain_books_say(ops in prop::collection::vec((0u8..6, 0i64..4, 0u32..2, prop::option::of(0i64..4), 0u32..4, 0u64..2000), 0..60)) {
            let limits = ItemLimits { items: 4, per_network: 3, ..ItemLimits::default() };
            let mut store = ItemStore::new(limits);
            let mut now = Time::ZERO;
            // By key: number, value, when, whose.
            let mut books: BTreeMap<u8, (i64, u32, Time, u32)> = BTreeMap::new();
            for (key, seq, n, cas, from, wait) in ops {
                now = now + core::time::Duration::from_secs(wait);
                books.retain(|_, (_, _, at, _)| now < *at + limits.life);
                let item = item(key, "", seq, n);
                let signed = Signed { key: item.key(), signature: item.signature(), seq, salt: b"", cas };
                let result = store.put(now, OWN, ip(from), item.value(), Some(&signed));
                match books.get(&key).copied() {
                    Some((old, _, _, _)) if cas.is_some_and(|cas| cas != old) => prop_assert_eq!(result, Err(ErrorCode::CAS_MISMATCH)),
                    Some((old, stored, _, _)) if seq < old || seq == old && n != stored => prop_assert_eq!(result, Err(ErrorCode::OLD_SEQ)),
                    Some((_, _, _, first)) => {
                        prop_assert_eq!(result, Ok(()));
                        books.insert(key, (seq, n, now, first));
                    }
                    None => {
                        let is_full = books.values().filter(|(_, _, _, whose)| *whose == from).count() >= limits.per_network;
                        prop_assert!(!is_full || result == Err(ErrorCode::SERVER));
                        prop_assert!(is_full || books.len() >= limits.items || result == Ok(()));
                        if result.is_ok() {
                            books.insert(key, (seq, n, now, from));
                        }
                    }
                }
                // One gave way, if there was no room.
                let kept = |key: &u8| store.get(now, crate::dht::item::mutable_target(&SecretKey::from_seed(&[*key; 32]).public(), b""));
                let gone = books.keys().filter(|key| kept(key).is_none()).count();
                prop_assert!(gone <= 1 && (gone == 0 || books.len() > limits.items));
                books.retain(|key, _| kept(key).is_some());
                for (key, (seq, n, _, _)) in &books {
                    let stored = kept(key).unwrap();
                    prop_assert_eq!((stored.seq(), stored.value().to_vec()), (Some(*seq), value(*n).into_bytes()));
                }
                prop_assert!(store.len() <= limits.items);
            }
        }
    }
}
