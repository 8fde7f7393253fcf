use super::*;
use std::string::ToString;

#[test]
fn an_immutable_item_lies_under_its_hash() {
    let item = ImmutableItem::new(b"12:Hello World!".to_vec()).unwrap();
    assert_eq!(item.target().to_string(), "e5f96f6f38320f0f33959cb4d3d656452117aadb");
    assert_eq!(ImmutableItem::new(std::format!("997:{}", "x".repeat(997)).into_bytes()), Err(ItemError::TooBig));
    for value in [&b""[..], b"x", b"i01e", b"d1:bi1e1:ai1ee", b"1:x1:y", b"l"] {
        assert_eq!(ImmutableItem::new(value.to_vec()), Err(ItemError::NotCanonical), "{value:?}");
    }
}

#[test]
fn what_is_signed_is_what_the_bep_says() {
    assert_eq!(signed_text(b"", 1, b"12:Hello World!"), b"3:seqi1e1:v12:Hello World!");
    assert_eq!(signed_text(b"foobar", 1, b"12:Hello World!"), b"4:salt6:foobar3:seqi1e1:v12:Hello World!");
    assert_eq!(signed_text(b"d1:ae", i64::MAX, b"de"), b"4:salt5:d1:ae3:seqi9223372036854775807e1:vde");
}

#[test]
fn an_answer_counts_only_for_what_was_asked() {
    let id = NodeId([1; 20]);
    let hello = b"12:Hello World!";
    let target = immutable_target(hello);
    assert_eq!(Item::from_response(target, b"", &Response::new(id)), Ok(None));
    let response = Response { value: Some(hello), ..Response::new(id) };
    let item = Item::from_response(target, b"", &response).unwrap().unwrap();
    assert_eq!((item.value(), item.seq(), item.target()), (&hello[..], None, target));
    assert_eq!(Item::from_response(id, b"", &response), Err(ItemError::OtherTarget));
}

#[cfg(feature = "dht-mutable")]
mod mutable {
    use super::*;
    use proptest::prelude::*;
    use std::vec;

    fn item(seq: i64) -> MutableItem {
        MutableItem::sign(&SecretKey::from_seed(&[3; 32]), b"salt".to_vec(), seq, b"2:ab".to_vec()).unwrap()
    }

    /// RFC 8032, 7.1, test 2: one byte, 0x72.
    #[test]
    fn keys_and_signatures_are_those_of_the_rfc() {
        let seed = [
            0x4c, 0xcd, 0x08, 0x9b, 0x28, 0xff, 0x96, 0xda, 0x9d, 0xb6, 0xc3, 0x46, 0xec, 0x11, 0x4e, 0x0f, 0x5b, 0x8a,
            0x31, 0x9f, 0x35, 0xab, 0xa6, 0x24, 0xda, 0x8c, 0xf6, 0xed, 0x4f, 0xb8, 0xa6, 0xfb,
        ];
        let secret = SecretKey::from_seed(&seed);
        let hex: std::string::String = secret.public().iter().map(|byte| std::format!("{byte:02x}")).collect();
        assert_eq!(hex, "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
        let signature = secret.sign(&[0x72]);
        assert_eq!(signature[..4], [0x92, 0xa0, 0x09, 0xa9]);
        assert!(key::verify(&secret.public(), &[0x72], &signature));
        assert_eq!(std::format!("{secret:?}"), "SecretKey", "no secrets in a log");
    }

    #[test]
    fn what_is_signed_is_verified_and_nothing_else() {
        let item = item(4);
        let verify = |salt: &[u8], seq, value: &[u8], signature| {
            MutableItem::verify(*item.key(), salt.to_vec(), seq, value.to_vec(), signature)
        };
        assert_eq!(verify(b"salt", 4, b"2:ab", *item.signature()), Ok(item.clone()));
        assert_eq!(verify(b"salz", 4, b"2:ab", *item.signature()), Err(ItemError::BadSignature));
        assert_eq!(verify(b"", 4, b"2:ab", *item.signature()), Err(ItemError::BadSignature));
        assert_eq!(verify(b"salt", 5, b"2:ab", *item.signature()), Err(ItemError::BadSignature));
        assert_eq!(verify(b"salt", 4, b"2:ac", *item.signature()), Err(ItemError::BadSignature));
        assert_eq!(verify(b"salt", 4, b"2:ab", [0; 64]), Err(ItemError::BadSignature));
        assert_eq!(verify(b"salt", -1, b"2:ab", *item.signature()), Err(ItemError::NegativeSeq));
        assert_eq!(verify(&[0; 65], 4, b"2:ab", *item.signature()), Err(ItemError::SaltTooBig));
        assert_eq!(verify(b"salt", 4, b"2:abc", *item.signature()), Err(ItemError::NotCanonical));
        let no_key = MutableItem::verify([0xff; 32], vec![], 1, b"le".to_vec(), [1; 64]);
        assert_eq!(no_key, Err(ItemError::BadSignature), "a key that is no point");
    }

    #[test]
    fn an_answer_with_a_mutable_item_is_checked_against_the_target() {
        let id = NodeId([1; 20]);
        let stored = Item::Mutable(item(4));
        let mut response = Response::new(id);
        stored.put_into(None, &mut response);
        let read = |target, salt: &[u8], response: &Response<'_>| Item::from_response(target, salt, response);
        assert_eq!(read(stored.target(), b"salt", &response), Ok(Some(stored.clone())));
        assert_eq!(read(stored.target(), b"other", &response), Err(ItemError::OtherTarget));
        assert_eq!(read(id, b"salt", &response), Err(ItemError::OtherTarget));
        let unsigned = Response { signature: None, ..response.clone() };
        assert_eq!(read(stored.target(), b"salt", &unsigned), Err(ItemError::BadSignature));
        let older = Response { seq: Some(3), ..response };
        assert_eq!(read(stored.target(), b"salt", &older), Err(ItemError::BadSignature));
    }

    /// BEP 44: "an item's value should only be sent if its sequence number is greater than the given value".
    #[test]
    fn a_value_that_is_known_is_not_sent_again() {
        let stored = Item::Mutable(item(4));
        for (newer_than, sent) in [(None, true), (Some(3), true), (Some(4), false), (Some(5), false)] {
            let mut response = Response::new(NodeId([1; 20]));
            stored.put_into(newer_than, &mut response);
            assert_eq!(response.seq, Some(4));
            let there = [response.value.is_some(), response.key.is_some(), response.signature.is_some()];
            assert_eq!(there, [sent; 3], "{newer_than:?}");
        }
        let immutable = Item::Immutable(ImmutableItem::new(b"le".to_vec()).unwrap());
        let mut response = Response::new(NodeId([1; 20]));
        immutable.put_into(Some(9), &mut response);
        assert_eq!((response.value, response.seq), (Some(&b"le"[..]), None));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_changed_bit_is_found(seed: [u8; 32], salt in prop::collection::vec(any::<u8>(), 0..=64), seq in 0i64.., bit in 0usize..768) {
            let item = MutableItem::sign(&SecretKey::from_seed(&seed), salt, seq, b"l1:ai7ee".to_vec()).unwrap();
            let verify = |key, signature| MutableItem::verify(key, item.salt().to_vec(), seq, item.value().to_vec(), signature);
            prop_assert!(verify(*item.key(), *item.signature()).is_ok());
            let (mut key, mut signature) = (*item.key(), *item.signature());
            match bit {
                0..256 => key[bit / 8] ^= 1 << (bit % 8),
                _ => signature[(bit - 256) / 8] ^= 1 << (bit % 8),
            }
            prop_assert_eq!(verify(key, signature), Err(ItemError::BadSignature));
        }
    }
}
