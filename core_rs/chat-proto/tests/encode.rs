//! Lines from the server: the exact bytes of each, and that all of them are what a client may read.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use chat_proto::ErrorCode;
use chat_proto::encode::{self, ErrLine, LimitsView, ResumeRow, SubOk, Welcome};
use serde_json::{Value, json};

fn line(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    assert_eq!(chat_proto::json::check(&out), Ok(()));
    String::from_utf8(out).unwrap()
}

/// Replies of one line, byte by byte.
#[test]
fn ok_lines_are_exact() {
    let rows = [
        (line(|out| encode::ok_empty(out, 7)), r#"{"t":"ok","id":7}"#),
        (
            line(|out| encode::ok_send(out, 7, 42, 40, 1_700_000_000_000, false)),
            r#"{"t":"ok","id":7,"seq":42,"n":40,"ts":1700000000000}"#,
        ),
        (
            line(|out| encode::ok_send(out, 0, 0, 0, 0, true)),
            r#"{"t":"ok","id":0,"seq":0,"n":0,"ts":0,"dup":true}"#,
        ),
        (
            line(|out| encode::ok_auth(out, 1, 9)),
            r#"{"t":"ok","id":1,"expires_at":9}"#,
        ),
        (
            line(|out| encode::ok_raw(out, 1, br#""unread":3"#)),
            r#"{"t":"ok","id":1,"unread":3}"#,
        ),
        (
            line(|out| encode::ok_raw(out, 1, b"")),
            r#"{"t":"ok","id":1}"#,
        ),
    ];
    for (written, expected) in rows {
        assert_eq!(written, expected);
    }
}

/// The `ok` of a `sub` says `recovered` only where a resume was asked for.
#[test]
fn ok_sub_is_exact() {
    let mut sub = SubOk {
        epoch: "e1",
        seq: 5,
        n: 4,
        read: 3,
        online: 2,
        role: "owner",
        recovered: None,
    };
    let expected =
        r#"{"t":"ok","id":2,"epoch":"e1","seq":5,"n":4,"read":3,"online":2,"role":"owner"}"#;
    assert_eq!(line(|out| encode::ok_sub(out, 2, &sub)), expected);
    sub.recovered = Some(false);
    assert!(line(|out| encode::ok_sub(out, 2, &sub)).ends_with(r#","recovered":false}"#));
    sub.recovered = Some(true);
    assert!(line(|out| encode::ok_sub(out, 2, &sub)).ends_with(r#","recovered":true}"#));
}

/// Events of one line, byte by byte.
#[test]
fn event_lines_are_exact() {
    let rows = [
        (
            line(|out| encode::gap(out, "r", 3, 9)),
            r#"{"t":"gap","room":"r","from":3,"to":9}"#,
        ),
        (
            line(|out| encode::epoch(out, "r", "e2", 8)),
            r#"{"t":"epoch","room":"r","epoch":"e2","seq":8}"#,
        ),
        (line(encode::ping), r#"{"t":"ping"}"#),
        (
            line(|out| encode::auth_expiring(out, 60_000)),
            r#"{"t":"auth_expiring","in_ms":60000}"#,
        ),
        (
            line(|out| encode::notice_drain(out, 900)),
            r#"{"t":"notice","code":"drain","retry_after_ms":900}"#,
        ),
        (
            line(|out| encode::drain_reason(out, 900)),
            r#"{"retry_after_ms":900}"#,
        ),
        (
            line(|out| encode::mark(out, "r", 6)),
            r#"{"t":"mark","room":"r","n":6}"#,
        ),
        (
            line(|out| encode::receipt(out, "r", "u", 6)),
            r#"{"t":"receipt","room":"r","user":"u","n":6}"#,
        ),
        (
            line(|out| encode::typing(out, "r", "u", true)),
            r#"{"t":"typing","room":"r","from":"u","on":true}"#,
        ),
        (
            line(|out| encode::signal(out, "r", "u", br#"{ "a":1 }"#)),
            r#"{"t":"signal","room":"r","from":"u","body":{ "a":1 }}"#,
        ),
        (
            line(|out| encode::presence(out, "r", 3, &["a", "b"], &["c"])),
            r#"{"t":"presence","room":"r","count":3,"+":["a","b"],"-":["c"]}"#,
        ),
        (
            line(|out| encode::presence(out, "r", 300, &[], &[])),
            r#"{"t":"presence","room":"r","count":300,"+":[],"-":[]}"#,
        ),
    ];
    for (written, expected) in rows {
        assert_eq!(written, expected);
    }
    assert!(line(|out| encode::drain_reason(out, u64::MAX)).len() <= 123);
}

/// An `err` always says whether to retry, and falls back to the code's own sentence.
#[test]
fn err_lines_always_say_retry() {
    for &code in ErrorCode::ALL {
        let bare = ErrLine {
            id: None,
            code,
            field: None,
            msg: None,
            retry_after_ms: None,
            room: None,
        };
        let written: Value = serde_json::from_str(&line(|out| encode::err(out, &bare))).unwrap();
        let expected =
            json!({"t": "err", "code": code.name(), "msg": code.message(), "retry": code.retry()});
        assert_eq!(written, expected);
    }
    let full = ErrLine {
        id: Some(3),
        code: ErrorCode::RateLimited,
        field: Some("cid"),
        msg: Some("say \"when\""),
        retry_after_ms: Some(250),
        room: Some("r"),
    };
    assert_eq!(
        line(|out| encode::err(out, &full)),
        concat!(
            r#"{"t":"err","id":3,"code":"rate_limited","msg":"say \"when\"","field":"cid","#,
            r#""retry":true,"retry_after_ms":250,"room":"r"}"#
        )
    );
}

/// `welcome` has every field of the protocol page.
#[test]
fn welcome_has_every_field() {
    let limits = LimitsView {
        frame_in: 1,
        frame_out: 2,
        text: 3,
        body: 4,
        cid: 5,
        subs: 6,
        hist: 7,
        resume_events: 8,
        resume_bytes: 9,
    };
    let row = |room, status, role| ResumeRow {
        room,
        status,
        epoch: "e",
        seq: 1,
        n: 2,
        read: 3,
        role,
    };
    let resume = [row("a", "ok", Some("member")), row("b", "denied", None)];
    let welcome = Welcome {
        session: "s\u{1}",
        user: "u",
        server_time_ms: 10,
        ping_ms: 25_000,
        limits: &limits,
        me: ("e", 11),
        resume: &resume,
    };
    let written: Value = serde_json::from_str(&line(|out| encode::welcome(out, &welcome))).unwrap();
    let expected = json!({
        "t": "welcome", "session": "s\u{1}", "user": "u", "server_time": 10, "ping_ms": 25_000,
        "limits": {
            "frame_in": 1, "frame_out": 2, "text": 3, "body": 4, "cid": 5, "subs": 6, "hist": 7,
            "resume_events": 8, "resume_bytes": 9
        },
        "me": ["e", 11],
        "resume": {"a": ["ok", "e", 1, 2, 3, "member"], "b": ["denied", "e", 1, 2, 3, null]}
    });
    assert_eq!(written, expected);
    let alone = Welcome {
        resume: &[],
        ..welcome
    };
    assert!(line(|out| encode::welcome(out, &alone)).ends_with(r#","resume":{}}"#));
}

/// Numbers of every length are written in full.
#[test]
fn integers_of_every_length_are_written() {
    for power in 0..20 {
        for value in [10_u64.pow(power), 10_u64.pow(power) - 1] {
            let mut out = Vec::new();
            encode::write_uint(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }
    let mut out = Vec::new();
    encode::write_uint(&mut out, u64::MAX);
    assert_eq!(out, u64::MAX.to_string().as_bytes());
}
