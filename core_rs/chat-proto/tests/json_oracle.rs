//! The JSON scanner: `serde_json` as the oracle, and the rows where it is stricter.

use std::borrow::Cow;

use chat_proto::json::{self, JsonError};
use proptest::prelude::*;
use serde_json::Value;

/// Texts that the scanner and the oracle must both take.
#[test]
fn valid_texts_are_taken() {
    for text in [
        "0",
        "-0",
        "1.5e-7",
        "1E+2",
        "-12.50",
        "true",
        "false",
        "null",
        "\"\"",
        "[]",
        "{}",
        " [ 1 , 2 ] ",
        "{\"a\":{\"a\":[{}]}}",
        "\"\\u00e9\\ud834\\udd1e\\/\\b\"",
        "1.7e308",
        "\"\u{7f}\u{80}\u{2028}\"",
        "\t\r\n{\n}\n",
        "1e-400",
        "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]",
    ] {
        assert_eq!(json::check(text.as_bytes()), Ok(()), "{text}");
        assert!(serde_json::from_str::<Value>(text).is_ok(), "{text}");
    }
}

/// Texts that the scanner refuses, and for what.
#[test]
fn invalid_texts_are_refused_for_their_reason() {
    let rows: &[(&[u8], JsonError)] = &[
        (b"", JsonError::Syntax),
        (b"   ", JsonError::Syntax),
        (b"{", JsonError::Syntax),
        (b"{\"a\"", JsonError::Syntax),
        (b"{\"a\":}", JsonError::Syntax),
        (b"{\"a\":1,}", JsonError::Syntax),
        (b"{a:1}", JsonError::Syntax),
        (b"{'a':1}", JsonError::Syntax),
        (b"[1,]", JsonError::Syntax),
        (b"[1 2]", JsonError::Syntax),
        (b"[,]", JsonError::Syntax),
        (b"tru", JsonError::Syntax),
        (b"True", JsonError::Syntax),
        (b"NaN", JsonError::Syntax),
        (b"Infinity", JsonError::Syntax),
        (b"-Infinity", JsonError::Syntax),
        (b"+1", JsonError::Syntax),
        (b".5", JsonError::Syntax),
        (b"1.", JsonError::Syntax),
        (b"1e", JsonError::Syntax),
        (b"-", JsonError::Syntax),
        (b"0x10", JsonError::Trailing),
        (b"01", JsonError::Trailing),
        (b"-01", JsonError::Trailing),
        (b"nullx", JsonError::Trailing),
        (b"{} {}", JsonError::Trailing),
        (b"1,", JsonError::Trailing),
        (b"\"abc", JsonError::Syntax),
        (b"\"\\x\"", JsonError::Syntax),
        (b"\"\\u12g4\"", JsonError::Syntax),
        (b"\"\\u12", JsonError::Syntax),
        (b"\"\\", JsonError::Syntax),
        (b"\"a\nb\"", JsonError::Control),
        (b"\"1234567\x1f\"", JsonError::Control),
        (b"\"\0\"", JsonError::Control),
        (b"\"\\ud800\"", JsonError::Surrogate),
        (b"\"\\udc00\"", JsonError::Surrogate),
        (b"\"\\ud800\\u0041\"", JsonError::Surrogate),
        (b"\"\\ud800\\n\"", JsonError::Surrogate),
        (b"\"\\ud800\\ud800\"", JsonError::Surrogate),
        (b"{\"\\udfff\":1}", JsonError::Surrogate),
        (b"1e400", JsonError::Number),
        (b"-1e309", JsonError::Number),
        (b"[1.8e308]", JsonError::Number),
        (b"\xff", JsonError::Utf8),
        (b"\"\xed\xa0\x80\"", JsonError::Utf8),
        (b"{\"a\":1,\"a\":2}", JsonError::Duplicate),
        (b"{\"a\":1,\"\\u0061\":2}", JsonError::Duplicate),
        (b"{\"\\u20ac\":1,\"\xe2\x82\xac\":2}", JsonError::Duplicate),
        (b"{\"x\":[{\"a\":1,\"b\":2,\"a\":3}]}", JsonError::Duplicate),
        (b"{\"\":1,\"\":2}", JsonError::Duplicate),
        (
            b"{\"longer than seven\":1,\"longer than seven\":2}",
            JsonError::Duplicate,
        ),
        (b"\xef\xbb\xbf{}", JsonError::Syntax),
        (b"{\"a\":1}//", JsonError::Trailing),
    ];
    for (text, reason) in rows {
        assert_eq!(json::check(text), Err(*reason), "{}", text.escape_ascii());
    }
    let digits = "9".repeat(309);
    assert_eq!(json::check(digits.as_bytes()), Err(JsonError::Number));
    assert_eq!(json::check(&digits.as_bytes()[1..]), Ok(()));
}

/// Keys that only look alike are no duplicates.
#[test]
fn keys_that_differ_are_not_duplicates() {
    for text in [
        "{\"a\":1,\"A\":2,\"\":3,\"a \":4,\"aa\":5}",
        "{\"longer than seven\":1,\"longer than sevem\":2}",
        "{\"\\u0000\":1,\"\\u0000\\u0000\":2,\"\":3}",
        "{\"a\":{\"a\":{\"a\":1}}}",
        "[{\"a\":1},{\"a\":2}]",
    ] {
        assert_eq!(json::check(text.as_bytes()), Ok(()), "{text}");
    }
}

/// 16 levels are read, objects and arrays alike, and the outer one counts.
#[test]
fn nesting_is_bounded_at_16() {
    let nested =
        |open: &str, close: &str, depth: usize| open.repeat(depth) + "0" + &close.repeat(depth);
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        assert_eq!(json::check(nested(open, close, 16).as_bytes()), Ok(()));
        assert_eq!(
            json::check(nested(open, close, 17).as_bytes()),
            Err(JsonError::Depth)
        );
        assert_eq!(
            json::check(nested(open, close, 30_000).as_bytes()),
            Err(JsonError::Depth)
        );
    }
}

/// 64 keys are read, at every level; the 65th is not.
#[test]
fn keys_are_bounded_at_64() {
    let object = |count: usize| {
        let members: Vec<_> = (0..count).map(|key| format!("\"k{key}\":{key}")).collect();
        format!("{{{}}}", members.join(","))
    };
    let text = object(64);
    let members = json::object(text.as_bytes()).unwrap();
    assert_eq!(members.len(), 64);
    assert_eq!(members.value("k63"), Some(&b"63"[..]));
    assert!(matches!(
        json::object(object(65).as_bytes()),
        Err(JsonError::Keys)
    ));
    let inner = format!("{{\"a\":{}}}", object(65));
    assert!(matches!(
        json::object(inner.as_bytes()),
        Err(JsonError::Keys)
    ));
}

/// A duplicate is seen wherever its first lies, also below and above the keys of other objects;
/// the keys of objects that have ended do not count.
#[test]
fn duplicates_are_seen_at_any_place() {
    let members =
        |count: usize| -> Vec<_> { (0..count).map(|key| format!("\"k{key}\":0")).collect() };
    for outer in [0, 1, 20, 31, 32, 40] {
        for inner in [1, 2, 31, 33, 64] {
            let inside = members(inner);
            let text = |inside: &[String], after: &str| {
                let mut all = members(outer);
                all.push(format!("\"in\":[{{{0}}},{{{0}}}]", inside.join(",")));
                all.push(after.into());
                format!("{{{}}}", all.join(","))
            };
            assert_eq!(json::check(text(&inside, "\"new\":0").as_bytes()), Ok(()));
            for first in [0, inner / 2, inner - 1] {
                let mut twice = inside.clone();
                twice.truncate(63);
                twice.push(inside[first.min(62)].clone());
                let text = text(&twice, "\"new\":0");
                assert_eq!(
                    json::check(text.as_bytes()),
                    Err(JsonError::Duplicate),
                    "{text}"
                );
            }
            for first in (0..outer).step_by(7) {
                let text = text(&inside, &format!("\"\\u006b{first}\":0"));
                assert_eq!(
                    json::check(text.as_bytes()),
                    Err(JsonError::Duplicate),
                    "{text}"
                );
            }
        }
    }
}

/// Members come in order, keys unescaped, values as their exact bytes without outer space.
#[test]
fn members_have_exact_values() {
    let text = br#" { "a" : [1, 2] , "\u0062\n":{ "x" :1 },"c":"\u00e9" } "#;
    let members = json::object(text).unwrap();
    let found: Vec<_> = members
        .iter()
        .map(|member| (member.key.clone(), member.value))
        .collect();
    let expected: [(Cow<str>, &[u8]); 3] = [
        ("a".into(), b"[1, 2]"),
        ("b\n".into(), br#"{ "x" :1 }"#),
        ("c".into(), br#""\u00e9""#),
    ];
    assert_eq!(found, expected);
    assert!(matches!(
        members.iter().next().unwrap().key,
        Cow::Borrowed(_)
    ));
    assert!(!members.is_empty());
    assert!(json::object(b"{}").unwrap().is_empty());
    for text in [&b"[]"[..], b"1", b"null", b"\"{}\""] {
        assert!(matches!(json::object(text), Err(JsonError::NotObject)));
    }
    assert!(matches!(json::object(b"x"), Err(JsonError::Syntax)));
}

/// Scalars are read from exact values and from nothing else.
#[test]
fn scalars_are_read_strictly() {
    assert_eq!(json::string(b"\"ab\""), Some("ab".into()));
    assert_eq!(
        json::string(br#""\ud834\udd1e\t""#),
        Some("\u{1d11e}\t".into())
    );
    for value in [
        &b"ab"[..],
        b"\"ab",
        b"\"a\"b\"",
        b"",
        b"1",
        b" \"a\"",
        b"\"\\ud800\"",
    ] {
        assert_eq!(json::string(value), None, "{}", value.escape_ascii());
    }
    assert_eq!(json::uint(b"0"), Some(0));
    assert_eq!(json::uint(b"9007199254740991"), Some((1 << 53) - 1));
    for value in [
        &b"9007199254740992"[..],
        b"-1",
        b"-0",
        b"1.0",
        b"1e3",
        b"01",
        b"00",
        b"",
        b"\"1\"",
        b"99999999999999999999999",
        b" 1",
        b"1 ",
        b"9999999999999999",
    ] {
        assert_eq!(json::uint(value), None, "{}", value.escape_ascii());
    }
    assert_eq!(json::boolean(b"true"), Some(true));
    assert_eq!(json::boolean(b"false"), Some(false));
    assert_eq!(json::boolean(b"1"), None);
    assert!(json::is_null(b"null"));
    assert!(!json::is_null(b"\"null\""));
}

/// What must be escaped is, and nothing else.
#[test]
fn written_strings_escape_what_must_be() {
    for code in 0..0x100_u32 {
        let Some(char) = char::from_u32(code) else {
            continue;
        };
        let (mut text, string) = (Vec::new(), format!("a{char}b"));
        json::write_string(&mut text, &string);
        let escaped = code < 0x20 || char == '"' || char == '\\';
        assert_eq!(text.contains(&b'\\'), escaped, "{code:#x}");
        assert_eq!(serde_json::from_slice::<String>(&text).ok(), Some(string));
    }
}

/// Every way a quote, a backslash or a control can lie in a word of eight bytes is seen.
#[test]
fn specials_are_seen_at_every_offset() {
    for special in 0..0x80_u8 {
        for offset in 0..20 {
            let mut text = b"\"\xc3\xa9aaaaaaaaaaaaaaaaaaaaaaaa\"".to_vec();
            text[3 + offset] = special;
            let expected = serde_json::from_slice::<Value>(&text).is_ok();
            assert_eq!(
                json::check(&text).is_ok(),
                expected,
                "{special:#x} at {offset}"
            );
        }
    }
}

/// Any JSON value that keeps our bounds.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            proptest::collection::btree_map(any::<String>(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// What serde_json writes is taken, and what we write it reads back.
    #[test]
    fn written_values_are_taken(value in value(), pretty in any::<bool>()) {
        let text = if pretty {
            serde_json::to_vec_pretty(&value).unwrap()
        } else {
            serde_json::to_vec(&value).unwrap()
        };
        prop_assert_eq!(json::check(&text), Ok(()));
        if let Value::Object(map) = &value {
            let members = json::object(&text).unwrap();
            prop_assert_eq!(members.len(), map.len());
            for member in &members {
                let read: Value = serde_json::from_slice(member.value).unwrap();
                let original = &map[&*member.key];
                prop_assert_eq!(read.is_string(), original.is_string());
                if let Value::String(string) = original {
                    let unescaped = json::string(member.value);
                    prop_assert_eq!(unescaped.as_deref(), Some(string.as_str()));
                }
            }
        }
    }

    /// Strings that we write are read back by both.
    #[test]
    fn written_strings_are_read_back(string in any::<String>()) {
        let mut text = Vec::new();
        json::write_string(&mut text, &string);
        prop_assert_eq!(json::string(&text), Some(Cow::Borrowed(string.as_str())));
        prop_assert_eq!(serde_json::from_slice::<String>(&text).unwrap(), string);
    }

    /// Bytes changed anywhere: what we take, the oracle takes; what it alone takes has a reason.
    #[test]
    fn changed_texts_are_judged_alike(
        value in value(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any_byte()), 1..4),
    ) {
        let mut text = serde_json::to_vec(&value).unwrap();
        for (at, byte) in changes {
            let at = at.index(text.len());
            text[at] = byte;
        }
        judged_alike(&text)?;
    }

    /// Texts of JSON's own letters are judged alike.
    #[test]
    fn texts_of_json_letters_are_judged_alike(
        text in "[\\[\\]{}:,\"\\\\ud8c0-9eE.+nltrfas -]{0,24}",
    ) {
        judged_alike(text.as_bytes())?;
    }
}

fn any_byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        any::<u8>(),
        proptest::sample::select(&b"\"\\{}[]:,0e-. \n"[..])
    ]
}

fn judged_alike(text: &[u8]) -> Result<(), TestCaseError> {
    let oracle = serde_json::from_slice::<Value>(text);
    match json::check(text) {
        Ok(()) => prop_assert!(oracle.is_ok(), "{}", text.escape_ascii()),
        Err(JsonError::Duplicate | JsonError::Depth | JsonError::Keys) => {}
        Err(_) => prop_assert!(oracle.is_err(), "{}", text.escape_ascii()),
    }
    Ok(())
}
