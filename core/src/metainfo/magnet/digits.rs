//! Hashes as links write them.

/// `N` bytes out of `2 * N` hexadecimal digits of any case; nothing else is taken.
pub(super) fn unhex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let pairs = text.chunks_exact(2);
    if text.len() != N.checked_mul(2)? {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        let digit = |at: usize| char::from(*pair.get(at)?).to_digit(16);
        *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
    }
    Some(bytes)
}

/// 20 bytes out of 32 digits of base32 (RFC 4648, 6: `A` to `Z`, `2` to `7`), of any case and without padding.
pub(super) fn unbase32(text: &[u8]) -> Option<[u8; 20]> {
    let mut bytes = [0; 20];
    if text.len() != 32 {
        return None;
    }
    // Eight digits of five bits are five bytes.
    for (out, digits) in bytes.chunks_exact_mut(5).zip(text.chunks_exact(8)) {
        let mut bits: u64 = 0;
        for digit in digits {
            let value = match digit.to_ascii_uppercase() {
                letter @ b'A'..=b'Z' => letter - b'A',
                number @ b'2'..=b'7' => number - b'2' + 26,
                _ => return None,
            };
            bits = bits << 5 | u64::from(value);
        }
        for (out, byte) in out.iter_mut().zip(bits.to_be_bytes().into_iter().skip(3)) {
            *out = byte;
        }
    }
    Some(bytes)
}
