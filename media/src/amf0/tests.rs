use bytes::BytesMut;
use proptest::prelude::*;

use super::*;

fn text(text: &str) -> Value {
    Value::String(text.into())
}

fn pairs(pairs: &[(&str, Value)]) -> Vec<(String, Value)> {
    let named = |(name, value): &(&str, Value)| ((*name).into(), value.clone());
    pairs.iter().map(named).collect()
}

/// Value and bytes, the same in both directions.
fn table() -> Vec<(&'static str, Value, Vec<u8>)> {
    let number = |bits: &[u8]| [&[0][..], bits].concat();
    vec![
        ("zero", Value::Number(0.0), number(&[0; 8])),
        (
            "one and a half",
            Value::Number(1.5),
            number(&[0x3F, 0xF8, 0, 0, 0, 0, 0, 0]),
        ),
        (
            "infinite",
            Value::Number(f64::INFINITY),
            number(&[0x7F, 0xF0, 0, 0, 0, 0, 0, 0]),
        ),
        ("true", Value::Boolean(true), vec![1, 1]),
        ("false", Value::Boolean(false), vec![1, 0]),
        ("string", text("live"), b"\x02\x00\x04live".to_vec()),
        ("empty string", text(""), vec![2, 0, 0]),
        (
            "emoji",
            text("\u{1F3A5}"),
            b"\x02\x00\x04\xF0\x9F\x8E\xA5".to_vec(),
        ),
        ("null", Value::Null, vec![5]),
        ("undefined", Value::Undefined, vec![6]),
        ("empty object", Value::Object(vec![]), vec![3, 0, 0, 9]),
        (
            "object",
            Value::Object(pairs(&[("app", text("live")), ("", Value::Null)])),
            b"\x03\x00\x03app\x02\x00\x04live\x00\x00\x05\x00\x00\x09".to_vec(),
        ),
        (
            "ECMA array",
            Value::EcmaArray(pairs(&[("stereo", Value::Boolean(true))])),
            b"\x08\x00\x00\x00\x01\x00\x06stereo\x01\x01\x00\x00\x09".to_vec(),
        ),
        (
            "empty strict array",
            Value::StrictArray(vec![]),
            vec![10, 0, 0, 0, 0],
        ),
        (
            "strict array",
            Value::StrictArray(vec![
                Value::Null,
                Value::StrictArray(vec![]),
                Value::Undefined,
            ]),
            vec![10, 0, 0, 0, 3, 5, 10, 0, 0, 0, 0, 6],
        ),
        (
            "date",
            Value::Date { unix_ms: 1.5 },
            vec![0x0B, 0x3F, 0xF8, 0, 0, 0, 0, 0, 0, 0, 0],
        ),
    ]
}

#[test]
fn values_and_bytes_agree_in_both_directions() {
    for (name, value, bytes) in table() {
        let mut out = BytesMut::new();
        encode(&value, &mut out);
        assert_eq!(out, bytes, "{name}: written");
        assert_eq!(decode_all(&bytes), Ok(vec![value]), "{name}: read");
    }
    let (values, bytes): (Vec<_>, Vec<_>) = table().into_iter().map(|(_, v, b)| (v, b)).unzip();
    assert_eq!(encode_all(&values), bytes.concat());
    assert_eq!(decode_all(&bytes.concat()), Ok(values));
    assert_eq!(decode_all(&[]), Ok(vec![]));
}

#[test]
fn what_only_others_write_is_read() {
    let one = Value::Object(pairs(&[("a", Value::Null)]));
    let array = Value::EcmaArray(pairs(&[("a", Value::Null)]));
    for (name, bytes, value) in [
        ("long string", &b"\x0C\x00\x00\x00\x02hi"[..], text("hi")),
        ("XML document", b"\x0F\x00\x00\x00\x04<a/>", text("<a/>")),
        (
            "typed object",
            b"\x10\x00\x03Foo\x00\x01a\x05\x00\x00\x09",
            one,
        ),
        (
            "array that counts too few",
            b"\x08\0\0\0\0\x00\x01a\x05\x00\x00\x09",
            array.clone(),
        ),
        (
            "array that counts 2^32-1",
            b"\x08\xFF\xFF\xFF\xFF\x00\x01a\x05\x00\x00\x09",
            array,
        ),
        ("unsupported", b"\x0D", Value::Undefined),
        ("boolean 2", b"\x01\x02", Value::Boolean(true)),
        ("not UTF-8", b"\x02\x00\x03a\xFFb", text("a\u{FFFD}b")),
        (
            "date in a zone",
            b"\x0B\0\0\0\0\0\0\0\0\x01\x2C",
            Value::Date { unix_ms: 0.0 },
        ),
    ] {
        assert_eq!(decode_all(bytes), Ok(vec![value]), "{name}");
    }
    let nan = decode_all(b"\x00\x7F\xF8\0\0\0\0\0\0").unwrap();
    assert!(nan[0].as_f64().unwrap().is_nan());
}

#[test]
fn what_cannot_be_read_says_why_and_where() {
    for (name, bytes, reason, offset) in [
        (
            "reference",
            &b"\x03\x00\x01a\x07\x00\x00"[..],
            "a reference",
            5,
        ),
        ("movie clip", b"\x04", "a movie clip", 1),
        ("record set", b"\x05\x0E", "a record set", 2),
        ("AMF3", b"\x11\x04\x01", "a switch to AMF3", 1),
        ("unknown marker", b"\x12", "an unknown type marker", 1),
        (
            "stray end",
            b"\x00\0\0\0\0\0\0\0\0\x09",
            "an end without an object",
            10,
        ),
        (
            "end as an item",
            b"\x0A\0\0\0\x01\x09",
            "an end without an object",
            6,
        ),
        (
            "string past the end",
            b"\x02\x00\x05live",
            "ends inside a value",
            3,
        ),
        ("half a number", b"\x00\x3F\xF8", "ends inside a value", 1),
        (
            "no end marker",
            b"\x03\x00\x01a\x05",
            "ends inside a value",
            5,
        ),
        (
            "half an end marker",
            b"\x03\x00\x01a\x05\x00\x00",
            "ends inside a value",
            7,
        ),
        (
            "name without value",
            b"\x03\x00\x01a",
            "ends inside a value",
            4,
        ),
        (
            "array of 2^32-1",
            b"\x0A\xFF\xFF\xFF\xFF\x05",
            "ends inside a value",
            6,
        ),
    ] {
        let refused = Err(Error::Malformed { reason, offset });
        assert_eq!(decode_all(bytes), refused, "{name}");
    }
}

#[test]
fn each_limit_holds_exactly() {
    let nested = |depth: usize| {
        let open = b"\x03\x00\x01a".repeat(depth);
        [open, vec![5], b"\x00\x00\x09".repeat(depth)].concat()
    };
    let string = |bytes: usize| {
        let length = u32::try_from(bytes).unwrap().to_be_bytes();
        [&[0x0C][..], &length, &vec![b'x'; bytes]].concat()
    };
    let strings = |bytes: usize| {
        // Four strings of 16,000 bytes and one that fills up.
        [string(16_000).repeat(4), string(bytes - 4 * 16_005 - 5)].concat()
    };
    let over = |of, max| Err(Error::Limit { of, max });
    let depth = over("levels of objects and arrays", DEPTH_MAX);
    for (name, at, above, expected) in [
        ("depth", nested(16), nested(17), depth.clone()),
        ("depth 5,000", nested(16), nested(5_000), depth),
        (
            "values",
            vec![5; 1024],
            vec![5; 1025],
            over("values", VALUES_MAX),
        ),
        (
            "string",
            string(16_384),
            string(16_385),
            over("bytes in a string", STRING_BYTES_MAX),
        ),
        (
            "input",
            strings(65_536),
            strings(65_537),
            over("bytes", INPUT_BYTES_MAX),
        ),
    ] {
        assert!(decode_all(&at).is_ok(), "{name} at its limit");
        assert_eq!(decode_all(&above), expected, "{name} above its limit");
    }
}

#[test]
fn of_a_repeated_name_the_last_counts() {
    let bytes = b"\x03\x00\x01a\x05\x00\x01a\x01\x01\x00\x00\x09";
    let object = decode_all(bytes).unwrap().remove(0);
    assert_eq!(object.get("a"), Some(&Value::Boolean(true)));
    assert_eq!(object.get("b"), None);
    assert_eq!(Value::Null.get("a"), None);
    assert_eq!(text("a").as_str(), Some("a"));
    assert_eq!(Value::Null.as_str(), None);
}

#[test]
fn a_long_string_is_written_in_the_long_form() {
    let mut out = BytesMut::new();
    encode(&text(&"x".repeat(65_536)), &mut out);
    assert_eq!(out[..5], [0x0C, 0, 1, 0, 0]);
    out.clear();
    encode(&text(&"x".repeat(65_535)), &mut out);
    assert_eq!(out[..3], [0x02, 0xFF, 0xFF]);
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        (-1e9..1e9).prop_map(Value::Number),
        any::<bool>().prop_map(Value::Boolean),
        ".{0,8}".prop_map(Value::String),
        (-1e15..1e15).prop_map(|unix_ms| Value::Date { unix_ms }),
        Just(Value::Null),
        Just(Value::Undefined),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        let properties = proptest::collection::vec((".{0,8}", inner.clone()), 0..6);
        prop_oneof![
            properties.clone().prop_map(Value::Object),
            properties.prop_map(Value::EcmaArray),
            proptest::collection::vec(inner, 0..6).prop_map(Value::StrictArray),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(values in proptest::collection::vec(any_value(), 0..4)) {
        prop_assert_eq!(decode_all(&encode_all(&values)), Ok(values));
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(0..0x14u8, 0..256)) {
        if let Ok(values) = decode_all(&bytes) {
            prop_assert_eq!(decode_all(&encode_all(&values)).unwrap().len(), values.len());
        }
    }
}
