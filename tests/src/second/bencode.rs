//! Bencode, read plainly: what extended handshakes are written in.

/// A bencoded value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `i…e`.
    Int(i64),
    /// `n:…`.
    Bytes(Vec<u8>),
    /// `l…e`.
    List(Vec<Value>),
    /// `d…e`, in the order in which it stands.
    Dict(Vec<(Vec<u8>, Value)>),
}

impl Value {
    /// Reads all of `bytes` as one value, in the canonical form that BEP 3 asks for: sorted keys, no leading zeros,
    /// nothing behind it.
    pub fn read(bytes: &[u8]) -> Result<Value, String> {
        let mut at = 0;
        let value = value(bytes, &mut at, 0)?;
        if at == bytes.len() { Ok(value) } else { Err(format!("{} bytes behind the value", bytes.len() - at)) }
    }

    /// The value under a key of a dictionary.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Dict(entries) => entries.iter().find(|(name, _)| name == key.as_bytes()).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The number, where it is one.
    pub fn int(&self) -> Option<i64> {
        if let Value::Int(number) = self { Some(*number) } else { None }
    }
}

fn value(bytes: &[u8], at: &mut usize, depth: u32) -> Result<Value, String> {
    if depth > 20 {
        return Err("nested too deeply".into());
    }
    match bytes.get(*at) {
        Some(b'i') => {
            *at += 1;
            let number = digits(bytes, at, b'e')?;
            Ok(Value::Int(number))
        }
        Some(b'l') => {
            *at += 1;
            let mut list = Vec::new();
            while bytes.get(*at) != Some(&b'e') {
                list.push(value(bytes, at, depth + 1)?);
            }
            *at += 1;
            Ok(Value::List(list))
        }
        Some(b'd') => {
            *at += 1;
            let mut dict: Vec<(Vec<u8>, Value)> = Vec::new();
            while bytes.get(*at) != Some(&b'e') {
                let key = string(bytes, at)?;
                if dict.last().is_some_and(|(last, _)| *last >= key) {
                    return Err(format!("key {:?} out of order", String::from_utf8_lossy(&key)));
                }
                dict.push((key, value(bytes, at, depth + 1)?));
            }
            *at += 1;
            Ok(Value::Dict(dict))
        }
        Some(b'0'..=b'9') => string(bytes, at).map(Value::Bytes),
        other => Err(format!("{other:?} at {at}")),
    }
}

fn string(bytes: &[u8], at: &mut usize) -> Result<Vec<u8>, String> {
    let length = digits(bytes, at, b':')?;
    let length = usize::try_from(length).map_err(|_| "a negative length".to_string())?;
    let string = bytes.get(*at..at.saturating_add(length)).ok_or("a string that ends too soon")?;
    *at += length;
    Ok(string.to_vec())
}

fn digits(bytes: &[u8], at: &mut usize, end: u8) -> Result<i64, String> {
    let length = bytes[*at..].iter().position(|&byte| byte == end).ok_or("a number without an end")?;
    let text = std::str::from_utf8(&bytes[*at..*at + length]).map_err(|error| error.to_string())?;
    let number: i64 = text.parse().map_err(|_| format!("{text:?} is no number"))?;
    if number.to_string() != text {
        return Err(format!("{text:?} is not how {number} is written"));
    }
    *at += length + 1;
    Ok(number)
}
