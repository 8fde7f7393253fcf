//! Small torrents, good and hostile, and what must become of them.
//!
//! The torrents are our own; their classes follow arvidn/libtorrent's `test/test_torrents` and transmission's metainfo
//! tests. Hashes were computed by independent Python code, and the verdicts are those of libtorrent 2.1.1, but where a
//! comment says otherwise.

/// A torrent: what it is about, its bytes, and either what it says or why it is refused.
pub(super) type Case = (&'static str, &'static [u8], Result<&'static [&'static str], &'static str>);

pub(super) const CASES: &[Case] = &[
    (
        "min-single",
        b"d4:infod6:lengthi425e4:name4:temp12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee",
        Ok(&["v1:b7d1d612e44200ed773e5c9e15a7c6ceffd970cb", "name temp", "1 x 16384, 425", "file temp, 425"]),
    ),
    (
        "min-multi",
        b"d4:infod5:filesld6:lengthi5e4:pathl1:aeed6:lengthi6e4:pathl1:b1:ceee4:name4:temp12:piece lengthi16384e6:\
            pieces20:aaaaaaaaaaaaaaaaaaaaee",
        Ok(&[
            "v1:5ba2c35e980db700839af7b87206fd31be7c2099",
            "name temp",
            "1 x 16384, 11",
            "file temp/a, 5",
            "file temp/b/c, 6",
        ]),
    ),
    (
        "announce-list",
        b"d8:announce17:http://a/announce13:announce-listll17:http://b/announce18:udp://c:1/announceel17:http://d/\
            announceee4:infod6:lengthi425e4:name4:temp12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee",
        Ok(&[
            "v1:b7d1d612e44200ed773e5c9e15a7c6ceffd970cb",
            "name temp",
            "1 x 16384, 425",
            "trackers [[\"http://b/announce\", \"udp://c:1/announce\"], [\"http://d/announce\"]]",
            "file temp, 425",
        ]),
    ),
    (
        "announce-list-empty",
        b"d8:announce17:http://a/announce13:announce-listle4:infod6:lengthi425e4:name4:temp12:piece lengthi16384e6\
            :pieces20:aaaaaaaaaaaaaaaaaaaaee",
        Ok(&[
            "v1:b7d1d612e44200ed773e5c9e15a7c6ceffd970cb",
            "name temp",
            "1 x 16384, 425",
            "trackers [[\"http://a/announce\"]]",
            "file temp, 425",
        ]),
    ),
    (
        "announce-list-dup",
        b"d13:announce-listll17:http://a/announce17:http://a/announceel17:http://a/announceee4:infod6:lengthi425e4\
            :name4:temp12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee",
        Ok(&[
            "v1:b7d1d612e44200ed773e5c9e15a7c6ceffd970cb",
            "name temp",
            "1 x 16384, 425",
            "trackers [[\"http://a/announce\"], [\"http://a/announce\"]]",
            "file temp, 425",
        ]),
    ),
    (
        "private-1",
        b"d4:infod6:lengthi425e4:name4:temp12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaa7:privatei1eee",
        Ok(&[
            "v1:26f5d95b854719ad228145386a4ea6f22d3cb585",
            "name temp",
            "1 x 16384, 425",
            "private",
            "file temp, 425",
        ]),
    ),
    (
        "private-0",
        b"d4:infod6:lengthi425e4:name4:temp12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaa7:privatei0eee",
        Ok(&["v1:a44aa60beaf08ae144c0b855ccbe29c069140316", "name temp", "1 x 16384, 425", "file temp, 425"]),
    ),
    (
        "private-top",
        b"d4:infod6:lengthi425e4:name4:temp12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae7:privatei1ee",
        Ok(&["v1:b7d1d612e44200ed773e5c9e15a7c6ceffd970cb", "name temp", "1 x 16384, 425", "file temp, 425"]),
    ),
    (
        "url-list-str",
        b"d4:infod6:lengthi425e4:name4:temp12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae8:url-list10:http\
            ://w/xe",
        Ok(&[
            "v1:b7d1d612e44200ed773e5c9e15a7c6ceffd970cb",
            "name temp",
            "1 x 16384, 425",
            "web seeds [\"http://w/x\"]",
            "file temp, 425",
        ]),
    ),
    (
        "nodes",
        b"d4:infod6:lengthi425e4:name4:temp12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae5:nodesll9:127.0.\
            0.1i6881eel9:x.examplei1eeee",
        Ok(&[
            "v1:b7d1d612e44200ed773e5c9e15a7c6ceffd970cb",
            "name temp",
            "1 x 16384, 425",
            "nodes [(\"127.0.0.1\", 6881), (\"x.example\", 1)]",
            "file temp, 425",
        ]),
    ),
    // libtorrent takes the port that is none.
    (
        "nodes-junk",
        b"d4:infod6:lengthi425e4:name4:temp12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae5:nodesll9:127.0.\
            0.1ei5el1:a1:bel7:1.2.3.4i70000eeee",
        Ok(&[
            "v1:b7d1d612e44200ed773e5c9e15a7c6ceffd970cb",
            "name temp",
            "1 x 16384, 425",
            "file temp, 425",
            "warning \"nodes\": byte 95: not a node, ignored",
            "warning \"nodes\": byte 108: not a node, ignored",
            "warning \"nodes\": byte 111: not a node, ignored",
            "warning \"nodes\": byte 119: not a node, ignored",
        ]),
    ),
    (
        "utf8-names",
        b"d4:infod6:lengthi425e4:name2:\xff\xfe10:name.utf-84:good12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaa\
            aaaaaee",
        Ok(&["v1:81fc5b5dd6075573e703a6689092a0dc084a46c6", "name good", "1 x 16384, 425", "file good, 425"]),
    ),
    (
        "creation-date-neg",
        b"d13:creation datei-1e4:infod6:lengthi425e4:name4:temp12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaa\
            aaee",
        Ok(&[
            "v1:b7d1d612e44200ed773e5c9e15a7c6ceffd970cb",
            "name temp",
            "1 x 16384, 425",
            "file temp, 425",
            "warning \"creation date\" is before 1970, ignored",
        ]),
    ),
    (
        "creation-date-str",
        b"d13:creation date9:yesterday4:infod6:lengthi425e4:name4:temp12:piece lengthi16384e6:pieces20:aaaaaaaaaaa\
            aaaaaaaaaee",
        Ok(&[
            "v1:b7d1d612e44200ed773e5c9e15a7c6ceffd970cb",
            "name temp",
            "1 x 16384, 425",
            "file temp, 425",
            "warning field \"creation date\" (byte 17): not an integer, ignored",
        ]),
    ),
    (
        "symlink",
        b"d4:infod5:filesld6:lengthi5e4:pathl1:a1:beed4:attr1:l6:lengthi0e4:pathl1:le12:symlink pathl1:a1:beee4:na\
            me4:temp12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee",
        Ok(&[
            "v1:f3d14b4e2e90924f23055877d40bf14c5a03fd57",
            "name temp",
            "1 x 16384, 5",
            "file temp/a/b, 5",
            "file temp/l, 0, link to temp/a/b",
        ]),
    ),
    (
        "symlink-nolength",
        b"d4:infod5:filesld6:lengthi5e4:pathl1:aeed4:attr1:l4:pathl1:le12:symlink pathl1:aeee4:name4:temp12:piece \
            lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee",
        Ok(&[
            "v1:e74fb4e57c7a88fde42efe975b34436e847cdc15",
            "name temp",
            "1 x 16384, 5",
            "file temp/a, 5",
            "file temp/l, 0, link to temp/a",
        ]),
    ),
    // libtorrent makes it an empty file.
    (
        "symlink-empty",
        b"d4:infod5:filesld6:lengthi5e4:pathl1:aeed4:attr1:l6:lengthi0e4:pathl1:le12:symlink pathleee4:name4:temp1\
            2:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee",
        Ok(&[
            "v1:d7dd6f1b4dfdfc72a250a7a3aa4f720b7c540816",
            "name temp",
            "1 x 16384, 5",
            "file temp/a, 5",
            "file temp/l, 0, link to temp/l",
            "warning the link temp/l does not lead to a file of the torrent",
        ]),
    ),
    // BEP 47: readers must not require a path.
    (
        "pad-nopath",
        b"d4:infod5:filesld6:lengthi100e4:pathl1:aeed4:attr1:p6:lengthi16284eed6:lengthi5e4:pathl1:beee4:name4:tem\
            p12:piece lengthi16384e6:pieces40:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaee",
        Ok(&[
            "v1:8887ed495339883e627505e637dffa8937ff050d",
            "name temp",
            "2 x 16384, 16389",
            "file temp/a, 100",
            "file temp/.pad/16284, 16284, pad",
            "file temp/b, 5",
        ]),
    ),
    (
        "pad-only",
        b"d4:infod5:filesld4:attr1:p6:lengthi100e4:pathl4:.pad3:100eee4:name4:temp12:piece lengthi16384e6:pieces20\
            :aaaaaaaaaaaaaaaaaaaaee",
        Ok(&[
            "v1:c26cfd951cad411b5bb8c3f43893e66d86ab862f",
            "name temp",
            "1 x 16384, 100",
            "file temp/.pad/100, 100, pad",
        ]),
    ),
    (
        "pad-traverse",
        b"d4:infod5:filesld6:lengthi100e4:pathl1:aeed4:attr1:p6:lengthi10e4:pathl2:..2:..1:xeee4:name4:temp12:piec\
            e lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee",
        Ok(&[
            "v1:87ac5d8c975e9ef85a6efab4a2f1e30c08a85456",
            "name temp",
            "1 x 16384, 110",
            "file temp/a, 100",
            "file temp/_/_/x, 10, pad",
        ]),
    ),
    (
        "unsorted-info",
        b"d4:infod6:lengthi425e6:pieces20:aaaaaaaaaaaaaaaaaaaa12:piece lengthi16384e4:name4:tempee",
        Ok(&[
            "v1:93a6c2c1a58708e856e73ba8144097cdf6bed9da",
            "name temp",
            "1 x 16384, 425",
            "file temp, 425",
            "warning byte 52: dictionary keys are not sorted",
        ]),
    ),
    // Either verdict is fine; the first one counts.
    (
        "dup-info",
        b"d4:infod6:lengthi425e4:name4:temp12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae4:infod6:lengthi4\
            25e4:name5:other12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee",
        Ok(&[
            "v1:b7d1d612e44200ed773e5c9e15a7c6ceffd970cb",
            "name temp",
            "1 x 16384, 425",
            "file temp, 425",
            "warning byte 87: a dictionary key is there twice, the first one counts",
        ]),
    ),
    (
        "bom",
        b"\xef\xbb\xbfd4:infod6:lengthi425e4:name4:temp12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee",
        Err("not a torrent file: byte 0: no value begins with the byte 0xef"),
    ),
    ("bad-info-str", b"d4:info1:xe", Err("field \"info\" (byte 7): not a dictionary")),
    ("bad-info-list", b"d4:infolee", Err("field \"info\" (byte 7): not a dictionary")),
    (
        "bad-pl-neg",
        b"d4:infod6:lengthi425e4:name4:temp12:piece lengthi-16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee",
        Err("info: field \"piece length\" (byte 48): negative"),
    ),
    (
        "bad-no-length",
        b"d4:infod4:name4:temp12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee",
        Err("info: field \"length\" (byte 7): missing"),
    ),
    // Either verdict is fine.
    (
        "bad-len-zero",
        b"d4:infod6:lengthi0e4:name4:temp12:piece lengthi16384e6:pieces0:ee",
        Err("info: the torrent holds no data"),
    ),
    (
        "bad-file-neg",
        b"d4:infod5:filesld6:lengthi-5e4:pathl1:aeee4:name4:temp12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaa\
            aaaee",
        Err("info.files[0]: field \"length\" (byte 25): negative"),
    ),
    (
        "bad-file-nopath",
        b"d4:infod5:filesld6:lengthi5eee4:name4:temp12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee",
        Err("info.files[0]: field \"path\" (byte 16): missing"),
    ),
    // Either verdict is fine.
    (
        "bad-file-path-empty",
        b"d4:infod5:filesld6:lengthi5e4:pathleee4:name4:temp12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae\
            e",
        Err("info.files[0]: field \"path\" (byte 34): empty"),
    ),
    (
        "bad-file-path-int",
        b"d4:infod5:filesld6:lengthi5e4:pathli5eeee4:name4:temp12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaa\
            aaee",
        Err("info.files[0]: field \"path\" (byte 34): an element is not a string"),
    ),
    // libtorrent stores it as `ab`.
    (
        "name-slash",
        b"d4:infod6:lengthi425e4:name3:a/b12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee",
        Ok(&["v1:232318dadffaaa25d113531b1d33b0bf2c261108", "name a_b", "1 x 16384, 425", "file a_b, 425"]),
    ),
    // libtorrent refuses it.
    (
        "name-dotdot",
        b"d4:infod6:lengthi425e4:name2:..12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee",
        Ok(&[
            "v1:b243c9017bc3c663de93656542f2c4d7cfd7fd6a",
            "name b243c9017bc3c663de93656542f2c4d7cfd7fd6a",
            "1 x 16384, 425",
            "file b243c9017bc3c663de93656542f2c4d7cfd7fd6a, 425",
        ]),
    ),
    ("string", b"4:spam", Err("not a torrent file: byte 0: not a dictionary")),
    // libtorrent also counts the gap behind the last file.
    (
        "v2-ok",
        b"d4:infod9:file treed5:a.bind0:d6:lengthi20000e11:pieces root32:\xbfH\x97\xf4{;03\xc7\x9a*\x83\x88\xaa\
            \x83a\x15\xd9LL/H+\xe4\x0bL\xab\x8c\x8eL\x84Geee12:meta versioni2e4:name2:v212:piece lengthi16384ee12:pi\
            ece layersd32:\xbfH\x97\xf4{;03\xc7\x9a*\x83\x88\xaa\x83a\x15\xd9LL/H+\xe4\x0bL\xab\x8c\x8eL\x84G64:Q\
            \x92qj\xfblm\x08\xb9\x9c=\xc1x\xc2)\xde\xd0B6\xfc\x92~\xc1\xeb\\\x03|f\xbal\x1bL\xfe\x9e\xab\\\xbcP~u\
            \xcae\xc0\xab\xa9Uu\xb6\xb0\xdf50\xab?\xfdz\x7f\xben\x18\x14\x08\x0d\xeaee",
        Ok(&[
            "v2:1546ca2e245c7a3dc5f23e4772814f98afc988b79f58e445252f6c190da02b5e",
            "name a.bin",
            "2 x 16384, 20000",
            "file a.bin, 20000, root bf4897f47b3b3033c79a2a8388aa836115d94c4c2f482be40b4cab8c8e4c8447",
        ]),
    ),
    // The layers can be had from peers.
    (
        "v2-no-layers-key",
        b"d4:infod9:file treed5:a.bind0:d6:lengthi20000e11:pieces root32:\xbfH\x97\xf4{;03\xc7\x9a*\x83\x88\xaa\
            \x83a\x15\xd9LL/H+\xe4\x0bL\xab\x8c\x8eL\x84Geee12:meta versioni2e4:name2:v212:piece lengthi16384eee",
        Ok(&[
            "v2:1546ca2e245c7a3dc5f23e4772814f98afc988b79f58e445252f6c190da02b5e",
            "name a.bin",
            "2 x 16384, 20000",
            "file a.bin, 20000, root bf4897f47b3b3033c79a2a8388aa836115d94c4c2f482be40b4cab8c8e4c8447",
            "warning \"piece layers\" lacks the hashes of a.bin",
        ]),
    ),
    (
        "bad-v2-layer-odd",
        b"d4:infod9:file treed5:a.bind0:d6:lengthi20000e11:pieces root32:\xbfH\x97\xf4{;03\xc7\x9a*\x83\x88\xaa\
            \x83a\x15\xd9LL/H+\xe4\x0bL\xab\x8c\x8eL\x84Geee12:meta versioni2e4:name2:v212:piece lengthi16384ee12:pi\
            ece layersd32:\xbfH\x97\xf4{;03\xc7\x9a*\x83\x88\xaa\x83a\x15\xd9LL/H+\xe4\x0bL\xab\x8c\x8eL\x84G63:Q\
            \x92qj\xfblm\x08\xb9\x9c=\xc1x\xc2)\xde\xd0B6\xfc\x92~\xc1\xeb\\\x03|f\xbal\x1bL\xfe\x9e\xab\\\xbcP~u\
            \xcae\xc0\xab\xa9Uu\xb6\xb0\xdf50\xab?\xfdz\x7f\xben\x18\x14\x08\x0dee",
        Err("field \"piece layers\": the entry of \"a.bin\" does not match its root"),
    ),
    // Either verdict is fine.
    (
        "bad-v2-leaf-and-child",
        b"d4:infod9:file treed1:ad0:d6:lengthi100e11:pieces root32:K\xad\xaa\x88\xaeZ\xe7\x0b\xd01>\xd4\xdd\x9c^i\
            \x9e\xc9\xa1?\xaf\xeaW%E\xe1m}\xe31\x8a+e1:bd0:d6:lengthi100e11:pieces root32:K\xad\xaa\x88\xaeZ\xe7\x0b\
            \xd01>\xd4\xdd\x9c^i\x9e\xc9\xa1?\xaf\xeaW%E\xe1m}\xe31\x8a+eeee12:meta versioni2e4:name2:v212:piece len\
            gthi16384eee",
        Err("info.file tree: field \"\" (byte 26): a file has siblings"),
    ),
    (
        "bad-v2-emptyname",
        b"d4:infod9:file treed0:d6:lengthi100e11:pieces root32:K\xad\xaa\x88\xaeZ\xe7\x0b\xd01>\xd4\xdd\x9c^i\x9e\
            \xc9\xa1?\xaf\xeaW%E\xe1m}\xe31\x8a+ee12:meta versioni2e4:name2:v212:piece lengthi16384eee",
        Err("info.file tree: field \"\" (byte 22): the root of the tree is a file"),
    ),
    (
        "v2-traverse",
        b"d4:infod9:file treed2:..d2:..d4:evild0:d6:lengthi100e11:pieces root32:K\xad\xaa\x88\xaeZ\xe7\x0b\xd01>\
            \xd4\xdd\x9c^i\x9e\xc9\xa1?\xaf\xeaW%E\xe1m}\xe31\x8a+eeeee12:meta versioni2e4:name2:v212:piece lengthi1\
            6384eee",
        Ok(&[
            "v2:cee4ba794a43dc86e39978018c43c0a0cfe6bb3ad97663e15853f1d826ef6c0d",
            "name v2",
            "1 x 16384, 100",
            "file v2/_/_/evil, 100, root 4badaa88ae5ae70bd0313ed4dd9c5e699ec9a13fafea572545e16d7de3318a2b",
        ]),
    ),
    (
        "hyb-ok",
        b"d4:infod9:file treed5:a.bind0:d6:lengthi20000e11:pieces root32:\xbfH\x97\xf4{;03\xc7\x9a*\x83\x88\xaa\
            \x83a\x15\xd9LL/H+\xe4\x0bL\xab\x8c\x8eL\x84Gee5:b.bind0:d6:lengthi100e11:pieces root32:K\xad\xaa\x88\
            \xaeZ\xe7\x0b\xd01>\xd4\xdd\x9c^i\x9e\xc9\xa1?\xaf\xeaW%E\xe1m}\xe31\x8a+eee5:filesld6:lengthi20000e4:pa\
            thl5:a.bineed4:attr1:p6:lengthi12768e4:pathl4:.pad5:12768eed6:lengthi100e4:pathl5:b.bineee12:meta versio\
            ni2e4:name1:h12:piece lengthi16384e6:pieces60:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
            aae12:piece layersd32:\xbfH\x97\xf4{;03\xc7\x9a*\x83\x88\xaa\x83a\x15\xd9LL/H+\xe4\x0bL\xab\x8c\x8eL\x84\
            G64:Q\x92qj\xfblm\x08\xb9\x9c=\xc1x\xc2)\xde\xd0B6\xfc\x92~\xc1\xeb\\\x03|f\xbal\x1bL\xfe\x9e\xab\\\xbcP\
            ~u\xcae\xc0\xab\xa9Uu\xb6\xb0\xdf50\xab?\xfdz\x7f\xben\x18\x14\x08\x0d\xeaee",
        Ok(&[
            "v1:5112899a3ab76b23c0f8302daf5e5a6d0d7240eb v2:611a81e8a482496ea0c836d55d51cfe28910186b4918ac703274c50b4999f897",
            "name h",
            "3 x 16384, 32868",
            "file h/a.bin, 20000, root bf4897f47b3b3033c79a2a8388aa836115d94c4c2f482be40b4cab8c8e4c8447",
            "file h/.pad/12768, 12768, pad",
            "file h/b.bin, 100, root 4badaa88ae5ae70bd0313ed4dd9c5e699ec9a13fafea572545e16d7de3318a2b",
        ]),
    ),
    (
        "hyb-order",
        b"d4:infod9:file treed5:a.bind0:d6:lengthi20000e11:pieces root32:\xbfH\x97\xf4{;03\xc7\x9a*\x83\x88\xaa\
            \x83a\x15\xd9LL/H+\xe4\x0bL\xab\x8c\x8eL\x84Gee5:b.bind0:d6:lengthi100e11:pieces root32:K\xad\xaa\x88\
            \xaeZ\xe7\x0b\xd01>\xd4\xdd\x9c^i\x9e\xc9\xa1?\xaf\xeaW%E\xe1m}\xe31\x8a+eee5:filesld6:lengthi100e4:path\
            l5:b.bineed4:attr1:p6:lengthi16284e4:pathl4:.pad5:16284eed6:lengthi20000e4:pathl5:a.bineee12:meta versio\
            ni2e4:name1:h12:piece lengthi16384e6:pieces60:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
            aae12:piece layersd32:\xbfH\x97\xf4{;03\xc7\x9a*\x83\x88\xaa\x83a\x15\xd9LL/H+\xe4\x0bL\xab\x8c\x8eL\x84\
            G64:Q\x92qj\xfblm\x08\xb9\x9c=\xc1x\xc2)\xde\xd0B6\xfc\x92~\xc1\xeb\\\x03|f\xbal\x1bL\xfe\x9e\xab\\\xbcP\
            ~u\xcae\xc0\xab\xa9Uu\xb6\xb0\xdf50\xab?\xfdz\x7f\xben\x18\x14\x08\x0d\xeaee",
        Err("info: \"files\" and \"file tree\" do not agree on file 0"),
    ),
];
