//! Message bodies: what may be stored and sent, at each of its bounds.

use chat_proto::ErrorCode;
use chat_proto::body::{self, BodyError};
use chat_proto::command::parse;
use serde_json::json;

/// A body at 16 levels of its line is read over REST and the socket alike; one more is not.
#[test]
fn body_depth_is_counted_from_its_line() {
    let nested = |depth: usize| r#"{"a":"#.repeat(depth) + "1" + &"}".repeat(depth);
    let line = |depth| {
        format!(
            r#"{{"t":"send","id":1,"room":"r","cid":"c","body":{}}}"#,
            nested(depth)
        )
    };
    assert!(parse(line(15).as_bytes()).is_ok());
    assert!(parse(line(16).as_bytes()).is_err());
    assert_eq!(body::judge(nested(15).as_bytes()), Ok(()));
    assert!(body::judge(nested(16).as_bytes()).is_err());
}

/// The rows of the table for texts and bodies.
#[test]
fn bodies_are_judged() {
    let text = |text: &str| json!({"text": text}).to_string();
    let padded = |bytes: usize| format!(r#"{{"x":"{}"}}"#, "x".repeat(bytes - 8));
    let good = [
        "{}".into(),
        r#"{"poll":[1,2]}"#.into(),
        text("a"),
        text(&"€".repeat(4096)),
        text(&"𝄞".repeat(4093)),
        format!(r#"{{"text":"{}"}}"#, r"\ud834\udd1e".repeat(1364)),
        r#"{"text":"line\nand\ttab"}"#.into(),
        text("\u{7f}\u{200e}"),
        padded(16 * 1024),
    ];
    for body in good {
        assert_eq!(body::judge(body.as_bytes()), Ok(()), "{body:.60}");
    }
    let refuse = |code, field| Err(BodyError { code, field });
    let bad = [
        (text(""), refuse(ErrorCode::BadRequest, "body.text")),
        (
            r#"{"text":5}"#.into(),
            refuse(ErrorCode::BadRequest, "body.text"),
        ),
        (
            r#"{"text":null}"#.into(),
            refuse(ErrorCode::BadRequest, "body.text"),
        ),
        (text("a\u{0}"), refuse(ErrorCode::BadRequest, "body.text")),
        (text("a\r"), refuse(ErrorCode::BadRequest, "body.text")),
        (
            text("\u{1b}[31m"),
            refuse(ErrorCode::BadRequest, "body.text"),
        ),
        (
            text(&"a".repeat(4097)),
            refuse(ErrorCode::TooLarge, "body.text"),
        ),
        (
            text(&"é".repeat(4097)),
            refuse(ErrorCode::TooLarge, "body.text"),
        ),
        (padded(16 * 1024 + 1), refuse(ErrorCode::TooLarge, "body")),
        ("[]".into(), refuse(ErrorCode::BadRequest, "body")),
        ("{".into(), refuse(ErrorCode::BadRequest, "body")),
        (
            r#"{"a":1,"a":1}"#.into(),
            refuse(ErrorCode::BadRequest, "body"),
        ),
    ];
    for (body, expected) in bad {
        assert_eq!(body::judge(body.as_bytes()), expected, "{body:.60}");
    }
    assert_eq!(
        body::judge(b"{\"text\":\"\xff\"}"),
        refuse(ErrorCode::BadRequest, "body")
    );
}
