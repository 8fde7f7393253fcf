//! CRC-32C (Castagnoli), which BEP 40 makes priorities of and BEP 42 node ids.

/// One entry for each value of a byte: its remainder under the reflected polynomial of RFC 3720.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut rest = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            rest = (rest >> 1) ^ (0x82f6_3b78 * (rest & 1));
            bit += 1;
        }
        table[byte] = rest;
        byte += 1;
    }
    table
};

/// The CRC-32C of `bytes`.
pub fn crc32c(bytes: &[u8]) -> u32 {
    // The index is one byte, the table has 256 entries: it cannot be out of range.
    !bytes.iter().fold(!0, |rest, &byte| TABLE[usize::from(rest as u8 ^ byte)] ^ (rest >> 8))
}

#[cfg(test)]
mod tests {
    use super::crc32c;

    /// The first three are RFC 3720 B.4's, the fourth is the customary check value of this CRC.
    #[test]
    fn known_answers() {
        let rising: std::vec::Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(&rising), 0x46dd_794e);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(b""), 0);
        assert_eq!(crc32c(b"a"), 0xc1d0_4330);
    }
}
