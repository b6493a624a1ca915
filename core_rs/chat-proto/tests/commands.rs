//! Lines to commands: every operation, every way a line can be wrong, and what a send costs.

use std::borrow::Cow;

use chat_proto::ErrorCode;
use chat_proto::body;
use chat_proto::command::{Anchor, BadLine, Command, Line, Position, Want, lines, parse};
use proptest::prelude::*;
use serde_json::json;

#[track_caller]
fn command(line: &str) -> (u64, Command<'_>) {
    match parse(line.as_bytes()) {
        Ok(Line { id, command }) => (id, command),
        Err(bad) => unreachable!("{line}: {bad:?}"),
    }
}

fn position(epoch: &str, seq: u64) -> Position<'_> {
    Position {
        epoch: epoch.into(),
        seq,
    }
}

/// Every operation on connections and subscriptions, with all its fields, with none of the
/// optional ones, and with `null` for them.
#[test]
fn every_operation_on_subscriptions_is_read() {
    let room = || Cow::from("lobby");
    let rows = [
        (
            r#"{"t":"hello","id":1}"#,
            Command::Hello {
                token: None,
                client: None,
                rooms: vec![],
            },
        ),
        (
            r#"{"t":"hello","id":1,"token":"a","client":"b","rooms":{"me":["e",0],"x":["e",9]}}"#,
            Command::Hello {
                token: Some("a".into()),
                client: Some("b".into()),
                rooms: vec![
                    ("me".into(), position("e", 0)),
                    ("x".into(), position("e", 9)),
                ],
            },
        ),
        (
            r#"{"t":"hello","id":1,"token":null,"client":null,"rooms":null}"#,
            Command::Hello {
                token: None,
                client: None,
                rooms: vec![],
            },
        ),
        (
            r#"{"t":"auth","id":1,"token":"x"}"#,
            Command::Auth { token: "x".into() },
        ),
        (
            r#"{"t":"sub","id":1,"room":"lobby","since":["e",7],"want":["typing","presence","x"]}"#,
            Command::Sub {
                room: room(),
                since: Some(position("e", 7)),
                want: Want {
                    bits: Want::PRESENCE | Want::TYPING,
                },
            },
        ),
        (
            r#"{"t":"sub","id":1,"room":"lobby","since":null,"want":null}"#,
            Command::Sub {
                room: room(),
                since: None,
                want: Want::default(),
            },
        ),
        (
            r#"{"t":"unsub","id":1,"room":"lobby"}"#,
            Command::Unsub { room: room() },
        ),
    ];
    for (line, expected) in rows {
        assert_eq!(command(line), (1, expected), "{line}");
    }
}

/// The operations on a room's log, likewise.
#[test]
fn every_operation_on_a_log_is_read() {
    let room = || Cow::from("lobby");
    let rows = [
        (
            r#"{"t":"send","id":1,"room":"lobby","cid":"~!","body":{ "a" : "\u00e9" },"thread":3}"#,
            Command::Send {
                room: room(),
                cid: "~!".into(),
                body: br#"{ "a" : "\u00e9" }"#,
                thread: Some(3),
            },
        ),
        (
            r#"{"t":"send","id":1,"room":"lobby","cid":"c","body":{},"thread":null}"#,
            Command::Send {
                room: room(),
                cid: "c".into(),
                body: b"{}",
                thread: None,
            },
        ),
        (
            r#"{"t":"read","id":1,"room":"lobby","n":0}"#,
            Command::Read { room: room(), n: 0 },
        ),
    ];
    for (line, expected) in rows {
        assert_eq!(command(line), (1, expected), "{line}");
    }
}

/// All rooms of a connection can be resumed at once, though other objects have 64 keys at most.
#[test]
fn hello_resumes_up_to_256_rooms() {
    let line = |field: &str, count: usize| {
        let rooms: Vec<_> = (0..count)
            .map(|room| format!(r#""r{room}":["e",{room}]"#))
            .collect();
        format!(
            r#"{{"t":"hello","id":1,"{field}":{{{}}}}}"#,
            rooms.join(",")
        )
    };
    for count in [1, 64, 65, 256] {
        let line = line("rooms", count);
        let Command::Hello { rooms, .. } = command(&line).1 else {
            unreachable!("a hello")
        };
        let last = count - 1;
        assert_eq!(rooms.len(), count);
        let name = format!("r{last}");
        assert_eq!(
            rooms[last],
            (name.as_str().into(), position("e", last as u64))
        );
    }
    let twice = line("rooms", 200).replace("r199", "r7");
    for line in [line("rooms", 257), line("other", 65), twice] {
        assert!(matches!(
            parse(line.as_bytes()),
            Err(BadLine {
                undecodable: true,
                ..
            })
        ));
    }
}

/// Pages, with and without their defaults.
#[test]
fn every_operation_on_pages_is_read() {
    let room = || Cow::from("lobby");
    let rows = [
        (
            r#"{"t":"hist","id":1,"room":"lobby"}"#,
            Command::Hist {
                room: room(),
                anchor: Anchor::Newest,
                limit: 50,
                epoch: None,
            },
        ),
        (
            r#"{"t":"hist","id":1,"room":"lobby","before":5,"after":null,"limit":1,"epoch":"e"}"#,
            Command::Hist {
                room: room(),
                anchor: Anchor::Before(5),
                limit: 1,
                epoch: Some("e".into()),
            },
        ),
        (
            r#"{"t":"hist","id":1,"room":"lobby","after":5,"limit":100}"#,
            Command::Hist {
                room: room(),
                anchor: Anchor::After(5),
                limit: 100,
                epoch: None,
            },
        ),
        (
            r#"{"t":"hist","id":1,"room":"lobby","around":5}"#,
            Command::Hist {
                room: room(),
                anchor: Anchor::Around(5),
                limit: 50,
                epoch: None,
            },
        ),
        (
            r#"{"t":"who","id":1,"room":"lobby"}"#,
            Command::Who {
                room: room(),
                limit: 50,
                cursor: None,
            },
        ),
        (
            r#"{"t":"who","id":1,"room":"lobby","limit":2,"cursor":"u7"}"#,
            Command::Who {
                room: room(),
                limit: 2,
                cursor: Some("u7".into()),
            },
        ),
    ];
    for (line, expected) in rows {
        assert_eq!(command(line), (1, expected), "{line}");
    }
}

/// `typing`, `signal` and `pong` have no id: none is needed, and any is ignored.
#[test]
fn operations_without_reply_ignore_their_id() {
    let room = || Cow::from("r");
    let rows = [
        (r#"{"t":"pong"}"#, Command::Pong),
        (r#"{"t":"pong","id":"x"}"#, Command::Pong),
        (
            r#"{"t":"typing","room":"r","on":true,"id":7}"#,
            Command::Typing {
                room: room(),
                on: true,
            },
        ),
        (
            r#"{"t":"typing","room":"r","on":false}"#,
            Command::Typing {
                room: room(),
                on: false,
            },
        ),
        (
            r#"{"t":"signal","room":"r","body":{"x":1}}"#,
            Command::Signal {
                room: room(),
                body: br#"{"x":1}"#,
            },
        ),
    ];
    for (line, expected) in rows {
        assert_eq!(command(line), (0, expected), "{line}");
    }
}

/// Unknown fields are ignored, order and escapes do not matter.
#[test]
fn unknown_fields_and_escapes_are_read_over() {
    let line = r#" {"x":{"y":[1]},"room":"l\u006fbby","id":9,"\u0074":"unsub","n":"?"} "#;
    assert_eq!(
        command(line),
        (
            9,
            Command::Unsub {
                room: "lobby".into()
            }
        )
    );
}

#[track_caller]
fn bad(line: &str) -> (Option<u64>, &'static str, Option<&'static str>) {
    match parse(line.as_bytes()) {
        Err(BadLine {
            id,
            code,
            field,
            undecodable: false,
        }) => (id, code.name(), field),
        other => unreachable!("{line}: {other:?}"),
    }
}

/// Lines without their id, and the field that is wrong in each.
const WRONG_FIELDS: &[(&str, &str)] = &[
    (r#"{"t":"auth"}"#, "token"),
    (r#"{"t":"auth","token":1}"#, "token"),
    (r#"{"t":"hello","token":1}"#, "token"),
    (r#"{"t":"hello","client":"a\u0000"}"#, "client"),
    (r#"{"t":"hello","rooms":[]}"#, "rooms"),
    (r#"{"t":"hello","rooms":{"a:b":["e",1]}}"#, "rooms"),
    (r#"{"t":"hello","rooms":{"a":["e"]}}"#, "rooms"),
    (r#"{"t":"hello","rooms":{"a":["e",1,2]}}"#, "rooms"),
    (r#"{"t":"hello","rooms":{"a":null}}"#, "rooms"),
    (r#"{"t":"sub"}"#, "room"),
    (r#"{"t":"sub","room":null}"#, "room"),
    (r#"{"t":"sub","room":1}"#, "room"),
    (r#"{"t":"sub","room":""}"#, "room"),
    (r#"{"t":"sub","room":"a b"}"#, "room"),
    (r#"{"t":"sub","room":"a:b"}"#, "room"),
    (r#"{"t":"sub","room":"a\u0000"}"#, "room"),
    (r#"{"t":"sub","room":"\u00e9"}"#, "room"),
    (r#"{"t":"sub","room":"r","since":1}"#, "since"),
    (r#"{"t":"sub","room":"r","since":["e","1"]}"#, "since"),
    (r#"{"t":"sub","room":"r","since":["e",-1]}"#, "since"),
    (r#"{"t":"sub","room":"r","since":["e",1.5]}"#, "since"),
    (r#"{"t":"sub","room":"r","since":["",1]}"#, "since"),
    (r#"{"t":"sub","room":"r","since":["e\n",1]}"#, "since"),
    (r#"{"t":"sub","room":"r","want":"typing"}"#, "want"),
    (r#"{"t":"sub","room":"r","want":[1]}"#, "want"),
    (r#"{"t":"unsub","room":{}}"#, "room"),
    (r#"{"t":"send","cid":"c","body":{}}"#, "room"),
    (r#"{"t":"send","room":"r","body":{}}"#, "cid"),
    (r#"{"t":"send","room":"r","cid":"","body":{}}"#, "cid"),
    (r#"{"t":"send","room":"r","cid":5,"body":{}}"#, "cid"),
    (r#"{"t":"send","room":"r","cid":"a b","body":{}}"#, "cid"),
    (r#"{"t":"send","room":"r","cid":"\u007f","body":{}}"#, "cid"),
    (
        r#"{"t":"send","room":"r","cid":"a\u0001","body":{}}"#,
        "cid",
    ),
    (r#"{"t":"send","room":"r","cid":"\u00e9","body":{}}"#, "cid"),
    (r#"{"t":"send","room":"r","cid":"c"}"#, "body"),
    (r#"{"t":"send","room":"r","cid":"c","body":null}"#, "body"),
    (r#"{"t":"send","room":"r","cid":"c","body":"text"}"#, "body"),
    (r#"{"t":"send","room":"r","cid":"c","body":[1]}"#, "body"),
    (
        r#"{"t":"send","room":"r","cid":"c","body":{"text":""}}"#,
        "body.text",
    ),
    (
        r#"{"t":"send","room":"r","cid":"c","body":{},"thread":"1"}"#,
        "thread",
    ),
    (
        r#"{"t":"send","room":"r","cid":"c","body":{},"thread":-1}"#,
        "thread",
    ),
    (r#"{"t":"read","room":"r"}"#, "n"),
    (r#"{"t":"read","room":"r","n":true}"#, "n"),
    (r#"{"t":"hist","room":"r","limit":0}"#, "limit"),
    (r#"{"t":"hist","room":"r","limit":101}"#, "limit"),
    (r#"{"t":"hist","room":"r","limit":"5"}"#, "limit"),
    (r#"{"t":"hist","room":"r","before":"x"}"#, "before"),
    (r#"{"t":"hist","room":"r","before":1,"after":2}"#, "after"),
    (r#"{"t":"hist","room":"r","before":1,"around":2}"#, "around"),
    (
        r#"{"t":"hist","room":"r","before":1,"after":2,"around":3}"#,
        "around",
    ),
    (r#"{"t":"hist","room":"r","epoch":1}"#, "epoch"),
    (r#"{"t":"who","room":"r","limit":101}"#, "limit"),
    (r#"{"t":"who","room":"r","cursor":1}"#, "cursor"),
    (
        r#"{"t":"sub","room":"r","since":["e",9007199254740992]}"#,
        "since",
    ),
    (r#"{"t":"read","room":"r","n":9007199254740992}"#, "n"),
    (r#"{"t":"hist","room":"r","limit":4294967297}"#, "limit"),
];

/// A line around a value.
type LineOf = fn(&str) -> serde_json::Value;

#[track_caller]
fn is_named(line: &str, field: &str) {
    let line = line.replacen('{', r#"{"id":3,"#, 1);
    assert_eq!(bad(&line), (Some(3), "bad_request", Some(field)), "{line}");
}

/// A field that is missing, of the wrong type or out of bounds is named; its value is not.
#[test]
fn wrong_fields_are_named() {
    for (line, field) in WRONG_FIELDS {
        is_named(line, field);
    }
}

/// A field that is one longer than its bound is named, and one at the bound is fine.
#[test]
fn fields_over_their_bound_are_named() {
    let rows: [(usize, &str, LineOf); 5] = [
        (128, "client", |long| json!({"t": "hello", "client": long})),
        (64, "room", |long| json!({"t": "unsub", "room": long})),
        (
            64,
            "since",
            |long| json!({"t": "sub", "room": "r", "since": [long, 1]}),
        ),
        (
            64,
            "cid",
            |long| json!({"t": "send", "room": "r", "cid": long, "body": {}}),
        ),
        (
            512,
            "cursor",
            |long| json!({"t": "who", "room": "r", "cursor": long}),
        ),
    ];
    for (bound, field, line) in rows {
        is_named(&line(&"x".repeat(bound + 1)).to_string(), field);
        let mut fits = line(&"x".repeat(bound));
        fits["id"] = 3.into();
        assert!(parse(fits.to_string().as_bytes()).is_ok(), "{field}");
    }
    let many = json!({"t": "sub", "room": "r", "want": vec!["typing"; 17]});
    is_named(&many.to_string(), "want");
}

/// An id that is missing or no integer is answered without one, whatever else is wrong.
#[test]
fn missing_id_is_refused_without_id() {
    for id in [
        "null",
        "\"1\"",
        "1.5",
        "1.0",
        "1e3",
        "-1",
        "true",
        "[1]",
        "9007199254740992",
    ] {
        let line = format!(r#"{{"t":"unsub","id":{id},"room":"r"}}"#);
        assert_eq!(bad(&line), (None, "bad_request", Some("id")), "{line}");
    }
    assert_eq!(
        bad(r#"{"t":"unsub","room":"r"}"#),
        (None, "bad_request", Some("id"))
    );
    assert_eq!(
        bad(r#"{"t":"unsub","room":""}"#),
        (None, "bad_request", Some("id"))
    );
}

/// Operations that are unknown, or reserved and not served yet, are refused with the id.
#[test]
fn unknown_operations_are_refused() {
    for kind in ["nope", "", "SEND", "ok", "edit", "del", "react", "pin"] {
        let line = format!(r#"{{"t":"{kind}","id":4}}"#);
        assert_eq!(bad(&line), (Some(4), "unknown_op", None), "{line}");
    }
    assert_eq!(bad(r#"{"t":"nope"}"#), (None, "unknown_op", None));
    for kind in ["", r#""t":null,"#, r#""t":5,"#, r#""t":["send"],"#] {
        let line = format!(r#"{{{kind}"id":4}}"#);
        assert_eq!(bad(&line), (Some(4), "bad_request", Some("t")), "{line}");
    }
}

/// What has no reply is refused without an id, even if it brought one.
#[test]
fn operations_without_reply_are_refused_without_id() {
    let big = format!(
        r#"{{"t":"signal","room":"r","body":{{"x":"{}"}}}}"#,
        "x".repeat(4096)
    );
    let rows = [
        (r#"{"t":"typing","id":5,"room":"r"}"#, "bad_request", "on"),
        (
            r#"{"t":"typing","id":5,"room":"r","on":1}"#,
            "bad_request",
            "on",
        ),
        (r#"{"t":"typing","id":5,"on":true}"#, "bad_request", "room"),
        (r#"{"t":"signal","id":5,"room":"r"}"#, "bad_request", "body"),
        (
            r#"{"t":"signal","id":5,"room":"r","body":[]}"#,
            "bad_request",
            "body",
        ),
        (&big, "too_large", "body"),
    ];
    for (line, code, field) in rows {
        assert_eq!(bad(line), (None, code, Some(field)), "{line}");
    }
}

/// Lines that are not JSON as the protocol wants it count as undecodable, wherever the fault lies.
#[test]
fn undecodable_lines_are_told_apart() {
    let deep = format!(
        r#"{{"t":"send","id":1,"room":"r","cid":"c","body":{}1{}}}"#,
        r#"{"a":"#.repeat(16),
        "}".repeat(16)
    );
    let keys: Vec<_> = (0..65).map(|key| format!("\"{key}\":0")).collect();
    let keys = format!(
        r#"{{"t":"send","id":1,"room":"r","cid":"c","body":{{{}}}}}"#,
        keys.join(",")
    );
    let rows: [&[u8]; 12] = [
        b"hello",
        b"[]",
        b"1",
        b"null",
        b"{",
        b"{\"t\":\"pong\"}}",
        b"{\"t\":\"pong\",\"t\":\"pong\"}",
        br#"{"t":"send","id":1,"room":"r","cid":"c","body":{"a":1,"a":2}}"#,
        br#"{"t":"send","id":1,"room":"r","cid":"c","body":{"a":1e400}}"#,
        br#"{"t":"send","id":1,"room":"r","cid":"c","body":{"a":"\ud800"}}"#,
        deep.as_bytes(),
        keys.as_bytes(),
    ];
    let expected = BadLine {
        id: None,
        code: ErrorCode::BadRequest,
        field: None,
        undecodable: true,
    };
    for line in rows {
        assert_eq!(parse(line), Err(expected), "{}", line.escape_ascii());
    }
}

/// Blank lines and a trailing newline are no lines.
#[test]
fn blank_lines_are_ignored() {
    let found: Vec<_> = lines(b"\n{\"a\":1}\r\n \t\n\n{}\n").collect();
    assert_eq!(found, [&b"{\"a\":1}\r"[..], b"{}"]);
    assert_eq!(lines(b"").count(), 0);
    assert_eq!(lines(b" \n\n").count(), 0);
}

/// All that a typical send yields is borrowed from its line.
#[test]
fn typical_send_is_borrowed_from_its_line() {
    let line = br#"{"t":"send","id":17,"room":"lobby","cid":"0197a1b2-7c3d","body":{"text":"hi"}}"#;
    let range = line.as_ptr_range();
    let Ok(Line {
        command: Command::Send {
            room, cid, body, ..
        },
        ..
    }) = parse(line)
    else {
        unreachable!("it is a send")
    };
    assert!(matches!(
        (&room, &cid),
        (Cow::Borrowed(_), Cow::Borrowed(_))
    ));
    assert!(range.contains(&room.as_ptr()) && range.contains(&cid.as_ptr()));
    assert!(range.contains(&body.as_ptr()));
}

proptest! {
    /// No bytes make the parser panic, and what it takes has a form that the hub relies on.
    #[test]
    fn any_line_is_a_command_or_an_error(
        kind in proptest::sample::select(vec![
            "hello", "auth", "sub", "unsub", "send", "read", "hist", "who", "typing", "signal",
            "pong", "nope",
        ]),
        fields in proptest::collection::btree_map(
            proptest::sample::select(vec![
                "id", "room", "cid", "body", "thread", "token", "client", "rooms", "since", "want",
                "n", "before", "after", "around", "limit", "epoch", "cursor", "on",
            ]),
            prop_oneof![
                Just(json!(null)), Just(json!(1)), Just(json!(-1)), Just(json!("a")),
                Just(json!("a b")), Just(json!(["e", 5])), Just(json!({"text": "x"})),
                Just(json!(true)), Just(json!({"r": ["e", 1]})), Just(json!(["typing"])),
            ],
            0..19,
        ),
    ) {
        let mut line = json!({"t": kind});
        for (field, value) in &fields {
            line[*field] = value.clone();
        }
        let line = line.to_string();
        match parse(line.as_bytes()) {
            Ok(Line { id, command }) => {
                let silent = matches!(
                    command, Command::Pong | Command::Typing { .. } | Command::Signal { .. });
                prop_assert_eq!(id, u64::from(!silent));
                prop_assert_ne!(kind, "nope");
            }
            Err(bad) => {
                prop_assert!(!bad.undecodable);
                prop_assert_eq!(bad.field.is_none(), bad.code == ErrorCode::UnknownOp);
                let good = json!({"text": "x"});
                prop_assert!(bad.field != Some("body") || fields.get("body") != Some(&good));
            }
        }
    }

    /// Random bytes, too.
    #[test]
    fn any_bytes_are_answered(line in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _ = parse(&line);
        let _ = body::judge(&line);
    }
}
