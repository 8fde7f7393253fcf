use super::*;
use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr};

/// BEP 33's own: 192.0.2.0 to 192.0.2.255 and 2001:DB8:: to 2001:DB8::3E7 make 1224.9308.
fn of_the_bep() -> BloomFilter {
    let mut filter = BloomFilter::new();
    (0..=255).for_each(|n| filter.insert(Ipv4Addr::new(192, 0, 2, n).into()));
    (0..=0x3e7).for_each(|n| filter.insert(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n).into()));
    filter
}

#[test]
fn the_estimate_of_the_bep() {
    let filter = of_the_bep();
    assert_eq!(filter.as_bytes()[..8], [0xf6, 0xc3, 0xf5, 0xea, 0xa0, 0x7f, 0xfd, 0x91]);
    assert_eq!(filter.as_bytes()[252..], [0xfd, 0x8f, 0x72, 0xef]);
    assert_eq!(filter.estimate_thousandths(), 1_224_931);
    assert_eq!(filter.estimate(), 1225);
}

/// Against the formula with floats, for every number of bits that are not set.
#[test]
fn the_integer_logarithm_is_that_of_the_formula() {
    let m = f64::from(BITS);
    for zeros in 1..BITS {
        let mut filter = BloomFilter([0xff; 256]);
        (0..zeros).for_each(|bit| filter.0[bit as usize / 8] &= !(1 << (bit % 8)));
        assert_eq!(filter.zeros(), zeros);
        let due = (f64::from(zeros) / m).ln() / (2.0 * (1.0 - 1.0 / m).ln()) * 1000.0;
        assert!((f64::from(filter.estimate_thousandths()) - due).abs() <= 0.51, "{zeros}: {due}");
    }
}

#[test]
fn empty_and_full_filters_have_an_end() {
    let empty = BloomFilter::new();
    assert!(empty.is_empty() && !empty.may_contain("192.0.2.1".parse().unwrap()));
    assert_eq!((empty.estimate(), empty.estimate_thousandths()), (0, 500));
    let full = BloomFilter::from_bytes([0xff; 256]);
    assert_eq!(full.estimate(), 7806);
    assert!(full.may_contain("192.0.2.1".parse().unwrap()));
    let mut one = BloomFilter::new();
    one.insert("::ffff:192.0.2.1".parse().unwrap());
    assert!(one.may_contain("192.0.2.1".parse().unwrap()), "a mapped address is the one inside");
    assert_eq!(one.estimate(), 1);
    assert_eq!(std::format!("{one:?}"), "BloomFilter(about 1)");
}

proptest! {
    /// Nothing that was put in is ever missing, and the union is the filter of the union.
    #[test]
    fn a_union_is_the_filter_of_all(here in prop::collection::vec(any::<IpAddr>(), 0..100), there in prop::collection::vec(any::<IpAddr>(), 0..100)) {
        let filter = |addresses: &[IpAddr]| {
            let mut filter = BloomFilter::new();
            addresses.iter().for_each(|ip| filter.insert(*ip));
            filter
        };
        let mut union = filter(&here);
        union.union(&filter(&there));
        let all = [here, there].concat();
        prop_assert_eq!(&union, &filter(&all));
        prop_assert!(all.iter().all(|ip| union.may_contain(*ip)));
    }
}
