//! Lists of blocked addresses: how long a million ranges take to read, and a look-up in them.
//!
//! The aim is a second for reading.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use parcacik_core::net_policy::{FilterLimits, IpFilter};
use std::fmt::Write as _;
use std::hint::black_box;
use std::net::Ipv4Addr;

const RANGES: u32 = 1_000_000;

fn lists() -> [(&'static str, String); 3] {
    let range = |n: u32| {
        // Out of order, as a list that was put together from several is.
        let start = n.wrapping_mul(2_654_435_761) & !0xff;
        (Ipv4Addr::from_bits(start), Ipv4Addr::from_bits(start | 0x7f))
    };
    let (mut p2p, mut dat, mut cidr) = (String::new(), String::new(), String::new());
    for n in 0..RANGES {
        let (first, last) = range(n);
        let _ = writeln!(p2p, "Some organisation, number {n}:{first}-{last}");
        let [a, b] = [first, last].map(|ip| ip.octets().map(|octet| format!("{octet:03}")).join("."));
        let _ = writeln!(dat, "{a} - {b} , 000 , Some organisation");
        let _ = writeln!(cidr, "{first}/25");
    }
    [("p2p", p2p), ("dat", dat), ("cidr", cidr)]
}

fn ip_filter(c: &mut Criterion) {
    let mut group = c.benchmark_group("ip_filter");
    group.sample_size(10).throughput(Throughput::Elements(u64::from(RANGES)));
    for (name, list) in lists() {
        group.bench_function(format!("read_{name}"), |b| {
            b.iter(|| {
                IpFilter::parse(black_box(list.as_bytes()), &FilterLimits::default()).map(|(filter, _)| filter.len())
            });
        });
    }
    group.throughput(Throughput::Elements(1));
    let [_, _, (_, list)] = lists();
    let Ok((filter, _)) = IpFilter::parse(list.as_bytes(), &FilterLimits::default()) else { return };
    let mut n = 0u32;
    group.bench_function("look_up", |b| {
        b.iter(|| {
            n = n.wrapping_add(2_654_435_761);
            filter.blocks(black_box(Ipv4Addr::from_bits(n).into()))
        });
    });
    group.finish();
}

criterion_group!(benches, ip_filter);
criterion_main!(benches);
