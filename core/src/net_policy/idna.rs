//! Internationalised host names, shown as what they are.
//!
//! A name such as `archivｅ.org`, with one letter that only looks like an `e`, is a trap. Here it becomes
//! `xn--archiv-0y43d.org` or the like, before anybody sees it or looks it up.
//!
//! Labels that are not ASCII are folded to lower case and written in Punycode (RFC 3492). That is not the whole of IDNA:
//! nothing is normalised, so a name that other programs would first map to another one stays apart from it, and will most
//! likely not exist. For this use that is the safe side.

use alloc::string::String;
use alloc::vec::Vec;

/// What marks a label in Punycode (RFC 5890, 2.3.2.1).
const PREFIX: &str = "xn--";

/// A host name in ASCII and lower case. `None` when it is not a host name: an empty label, one of more than 63 bytes
/// or 253 in all (RFC 1035, 2.3.4), or characters that none can have. A dot at the end is allowed, and kept.
pub fn to_ascii(name: &str) -> Option<String> {
    // The other full stops that IDNA knows (RFC 3490, 3.1).
    let is_dot = |c: char| matches!(c, '.' | '\u{3002}' | '\u{ff0e}' | '\u{ff61}');
    // A longer name cannot become a shorter one; nothing is done for a megabyte of dots.
    if name.len() > 4 * 254 {
        return None;
    }
    let (labels, rooted) = match name.strip_suffix(is_dot) {
        Some(labels) => (labels, true),
        None => (name, false),
    };
    let mut out = String::new();
    for label in labels.split(is_dot) {
        if !out.is_empty() {
            out.push('.');
        }
        let label = label_to_ascii(label)?;
        out.push_str(&label);
    }
    if out.len() > 253 {
        return None;
    }
    if rooted {
        out.push('.');
    }
    Some(out)
}

/// Whether a name in ASCII stands for one that is not.
pub fn is_internationalised(name: &str) -> bool {
    name.split('.').any(|label| label.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX)))
}

fn label_to_ascii(label: &str) -> Option<String> {
    let label: String = label.chars().flat_map(char::to_lowercase).collect();
    let plain = match label.is_ascii() {
        true => label,
        false => {
            let mut coded = String::from(PREFIX);
            punycode(&label, &mut coded)?;
            coded
        }
    };
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let fits = (1..=63).contains(&plain.len());
    (fits && plain.bytes().all(allowed)).then_some(plain)
}

/// RFC 3492, 5: "Parameter values for Punycode".
const BASE: u32 = 36;
const T_MIN: u32 = 1;
const T_MAX: u32 = 26;
const SKEW: u32 = 38;
const DAMP: u32 = 700;
const INITIAL_BIAS: u32 = 72;
const INITIAL_N: u32 = 0x80;

/// RFC 3492, 6.3. `None` when a number overflows, which no label that fits into DNS makes it do.
fn punycode(label: &str, out: &mut String) -> Option<()> {
    let points: Vec<u32> = label.chars().map(u32::from).collect();
    let basic = label.chars().filter(char::is_ascii);
    let mut handled = u32::try_from(basic.clone().count()).ok()?;
    let basic_count = handled;
    out.extend(basic);
    if basic_count > 0 {
        out.push('-');
    }
    let (mut n, mut delta, mut bias) = (INITIAL_N, 0u32, INITIAL_BIAS);
    while (handled as usize) < points.len() {
        let next = points.iter().copied().filter(|&point| point >= n).min()?;
        delta = delta.checked_add((next - n).checked_mul(handled.checked_add(1)?)?)?;
        n = next;
        for &point in &points {
            if point < n {
                delta = delta.checked_add(1)?;
            }
            if point == n {
                put_number(delta, bias, out);
                bias = adapt(delta, handled + 1, handled == basic_count);
                delta = 0;
                handled += 1;
            }
        }
        delta = delta.checked_add(1)?;
        n += 1;
    }
    Some(())
}

/// "Represent delta as a generalized variable-length integer".
fn put_number(mut q: u32, bias: u32, out: &mut String) {
    let mut k = BASE;
    loop {
        let t = k.saturating_sub(bias).clamp(T_MIN, T_MAX);
        if q < t {
            out.push(digit(q));
            return;
        }
        out.push(digit(t + (q - t) % (BASE - t)));
        q = (q - t) / (BASE - t);
        k += BASE;
    }
}

/// "a-z = 0 to 25, 0-9 = 26 to 35"; what is given is always below 36.
fn digit(value: u32) -> char {
    char::from_digit((value + 10) % BASE, BASE).unwrap_or('0')
}

/// "Bias adaptation".
fn adapt(delta: u32, points: u32, first: bool) -> u32 {
    let mut delta = if first { delta / DAMP } else { delta / 2 };
    delta += delta / points;
    let mut k = 0;
    while delta > ((BASE - T_MIN) * T_MAX) / 2 {
        delta /= BASE - T_MIN;
        k += BASE;
    }
    k + (BASE - T_MIN + 1) * delta / (delta + SKEW)
}

#[cfg(test)]
mod tests;
