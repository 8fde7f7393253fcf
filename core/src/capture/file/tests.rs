use super::{FileFault, Frame, Reader};
use crate::capture::{CaptureLimits, Stamp};
use alloc::vec::Vec;
use proptest::prelude::*;

/// Writes numbers in one of the orders.
struct Writer {
    big: bool,
    bytes: Vec<u8>,
}

impl Writer {
    fn new(big: bool) -> Writer {
        Writer { big, bytes: Vec::new() }
    }

    fn u16(&mut self, number: u16) -> &mut Writer {
        self.bytes.extend(if self.big { number.to_be_bytes() } else { number.to_le_bytes() });
        self
    }

    fn u32(&mut self, number: u32) -> &mut Writer {
        self.bytes.extend(if self.big { number.to_be_bytes() } else { number.to_le_bytes() });
        self
    }

    fn raw(&mut self, bytes: &[u8]) -> &mut Writer {
        self.bytes.extend(bytes);
        self
    }

    fn pcap(&mut self, magic: u32, link: u32) -> &mut Writer {
        self.u32(magic).u16(2).u16(4).u32(0).u32(0).u32(65_535).u32(link)
    }

    fn block(&mut self, kind: u32, body: impl FnOnce(&mut Writer)) -> &mut Writer {
        let mut inner = Writer::new(self.big);
        body(&mut inner);
        inner.bytes.resize(inner.bytes.len().next_multiple_of(4), 0);
        let length = inner.bytes.len() as u32 + 12;
        self.u32(kind).u32(length).raw(&inner.bytes).u32(length)
    }

    fn section(&mut self) -> &mut Writer {
        self.block(0x0a0d_0d0a, |w| _ = w.u32(0x1a2b_3c4d).u16(1).u16(0).raw(&[0xff; 8]))
    }

    fn interface(&mut self, link: u16, options: &[(u16, &[u8])]) -> &mut Writer {
        self.block(1, |w| {
            w.u16(link).u16(0).u32(4);
            for (code, value) in options {
                w.u16(*code).u16(value.len() as u16).raw(value);
                w.bytes.resize(w.bytes.len().next_multiple_of(4), 0);
            }
            w.u32(0);
        })
    }

    fn packet(&mut self, interface: u32, time: u64, data: &[u8]) -> &mut Writer {
        self.block(6, |w| {
            let length = data.len() as u32;
            _ = w.u32(interface).u32((time >> 32) as u32).u32(time as u32).u32(length).u32(length + 1).raw(data);
        })
    }
}

/// The frames of a file that is fed in parts of this size, whether it ends in a record, and why it ended before.
fn read(file: &[u8], part: usize) -> (Vec<Frame>, bool, Option<FileFault>) {
    let mut reader = Reader::new(CaptureLimits { max_record: 1000, ..CaptureLimits::default() });
    let mut frames = Vec::new();
    for part in file.chunks(part.max(1)) {
        reader.feed(part);
        loop {
            match reader.next() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(fault) => {
                    assert_eq!(reader.next(), Err(fault.clone()));
                    return (frames, reader.is_inside_record(), Some(fault));
                }
            }
        }
    }
    (frames, reader.is_inside_record(), None)
}

fn frames(file: &[u8]) -> Vec<(u64, u16, Vec<u8>, u32)> {
    let (frames, inside, fault) = read(file, usize::MAX);
    assert_eq!((inside, fault), (false, None));
    frames.into_iter().map(|frame| (frame.time.0, frame.link, frame.data.to_vec(), frame.length)).collect()
}

#[test]
fn pcap_in_both_orders_and_both_resolutions() {
    for big in [true, false] {
        for (magic, nanos) in [(0xa1b2_c3d4, 5_000), (0xa1b2_3c4d, 5)] {
            let mut file = Writer::new(big);
            // The upper half of the link type tells of check sequences.
            file.pcap(magic, 0x2400_0001);
            file.u32(7).u32(5).u32(3).u32(9).raw(b"abc");
            file.u32(u32::MAX).u32(0).u32(0).u32(0);
            let expected = [
                (7_000_000_000 + nanos, 1, b"abc".to_vec(), 9),
                (u64::from(u32::MAX) * 1_000_000_000, 1, Vec::new(), 0),
            ];
            assert_eq!(frames(&file.bytes), expected);
        }
    }
}

#[test]
fn pcapng_in_both_orders_with_several_sections_and_interfaces() {
    let mut file = Writer::new(true);
    for big in [true, false, true] {
        file.big = big;
        file.section();
        // A name resolution block, a block of nobody's.
        file.block(4, |w| _ = w.u32(0)).block(0x8000_0001, |w| _ = w.raw(b"anything"));
        file.interface(1, &[(2, b"eth0")]).interface(101, &[(9, &[9])]);
        file.packet(0, 3_000_000, b"abc").packet(1, 4_000_000_007, b"defgh");
        // Of an interface that nobody has described.
        file.packet(2, 0, b"lost");
        // Without a time of its own, and cut at the four bytes of the interface.
        file.block(3, |w| _ = w.u32(6).raw(b"simp"));
        // The older kind.
        file.block(2, |w| _ = w.u16(1).u16(0).u32(1).u32(0).u32(2).u32(2).raw(b"xy"));
    }
    let one = [
        (3_000_000_000, 1, b"abc".to_vec(), 4),
        (4_000_000_007, 101, b"defgh".to_vec(), 6),
        (4_000_000_007, 1, b"simp".to_vec(), 6),
        (1 << 32, 101, b"xy".to_vec(), 2),
    ];
    assert_eq!(frames(&file.bytes), [&one[..], &one, &one].concat());
}

#[test]
fn times_of_every_resolution() {
    for (options, units, nanos) in [
        (&[][..], 1_500_000, 1_500_000_000u64),
        (&[(9, &[6u8][..])], 1_500_000, 1_500_000_000),
        (&[(9, &[0])], 12, 12_000_000_000),
        (&[(9, &[12])], 1_234_567_890_123, 1_234_567_890),
        // 2^-10 seconds.
        (&[(9, &[0x8a])], 1536, 1_500_000_000),
        (&[(9, &[0xff])], u64::MAX, 0),
        (&[(9, &[127])], u64::MAX, 0),
        (&[(9, &[0])], u64::MAX, u64::MAX),
        // An hour more, and an hour less than there is.
        (&[(14, &3_600i64.to_be_bytes())], 0, 3_600_000_000_000),
        (&[(14, &(-3_600i64).to_be_bytes())], 0, 0),
        // Behind the end, nothing counts.
        (&[(0, &[]), (9, &[0])], 1, 1_000),
    ] {
        let mut file = Writer::new(true);
        file.section().interface(1, options).packet(0, units, b"");
        assert_eq!(frames(&file.bytes)[0].0, nanos, "{options:?}");
    }
}

#[test]
fn what_is_no_capture_is_refused() {
    let damaged = |file: &Writer| match read(&file.bytes, usize::MAX).2 {
        Some(FileFault::Damaged { at, problem }) => (at, problem),
        other => panic!("{other:?}"),
    };
    assert_eq!(read(b"d8:announce", 3).2, Some(FileFault::NotACapture));
    let mut file = Writer::new(true);
    file.u32(0xa1b2_c3d4).u16(2).u16(3).raw(&[0; 16]);
    assert_eq!(read(&file.bytes, 5).2, Some(FileFault::Version { major: 2, minor: 3 }));
    let mut file = Writer::new(false);
    file.pcap(0xa1b2_c3d4, 1).u32(0).u32(0).u32(1001).u32(0);
    assert_eq!(damaged(&file), (24, "a packet that is too long"));
    let mut file = Writer::new(false);
    file.block(0x0a0d_0d0a, |w| _ = w.u32(0x1a2b_3c4e));
    assert_eq!(damaged(&file), (0, "a section with no order of bytes"));
    let mut file = Writer::new(false);
    file.section().u32(1).u32(22);
    assert_eq!(damaged(&file), (28, "a block of an impossible length"));
    let mut file = Writer::new(false);
    file.section().u32(5).u32(16).u32(0).u32(12);
    assert_eq!(damaged(&file), (28, "a block whose two lengths differ"));
    let mut file = Writer::new(false);
    file.section()
        .interface(1, &[])
        .block(6, |w| _ = w.raw(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 9, 0, 0, 0]));
    assert_eq!(damaged(&file).1, "a packet that is longer than its block");
    let mut file = Writer::new(false);
    file.block(0x0a0d_0d0a, |w| _ = w.u32(0x1a2b_3c4d).u16(2).u16(0).raw(&[0xff; 8]));
    assert_eq!(read(&file.bytes, 1).2, Some(FileFault::Version { major: 2, minor: 0 }));
}

#[test]
fn long_blocks_are_passed_over_without_being_kept() {
    let mut file = Writer::new(false);
    file.section().interface(1, &[]);
    let head = file.bytes.len();
    file.block(6, |w| _ = w.raw(&[0; 5_000])).packet(0, 1, b"next");
    assert_eq!(frames(&file.bytes).len(), 1);
    let mut reader = Reader::new(CaptureLimits { max_record: 1000, ..CaptureLimits::default() });
    for part in file.bytes[..head + 4_000].chunks(100) {
        reader.feed(part);
        assert_eq!(reader.next(), Ok(None));
        assert!(reader.buffer.len() <= 100);
    }
    assert!(reader.is_inside_record());
}

#[test]
fn a_file_that_is_cut_off_is_read_as_far_as_it_goes() {
    let mut file = Writer::new(false);
    file.pcap(0xa1b2_c3d4, 1).u32(0).u32(0).u32(3).u32(3).raw(b"abc").u32(0).u32(0).u32(3).u32(3).raw(b"ab");
    let (frames, inside, fault) = read(&file.bytes, 7);
    assert_eq!((frames.len(), inside, fault), (1, true, None));
    assert_eq!(frames[0].time, Stamp(0));
}

proptest! {
    #[test]
    fn any_split_gives_the_same_frames(file in proptest::collection::vec(any::<u8>(), 0..300), part in 1..50usize, kind in 0..4u8) {
        // A good start, and then anything.
        let mut start = Writer::new(kind & 1 == 0);
        if kind & 2 == 0 {
            start.pcap(0xa1b2_c3d4, 1).u32(0).u32(0).u32(3).u32(3).raw(b"abc");
        } else {
            start.section().interface(1, &[]).packet(0, 1, b"abc");
        }
        start.raw(&file);
        let (whole, parts) = (read(&start.bytes, usize::MAX), read(&start.bytes, part));
        prop_assert_eq!(&whole.0, &parts.0);
        prop_assert_eq!(whole.2, parts.2);
        prop_assert!(!whole.0.is_empty());
    }
}
