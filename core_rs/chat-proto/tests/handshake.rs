//! The opening handshake: the rows of the table of bad requests, and what a good one yields.

#[path = "common/http.rs"]
mod http;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chat_proto::handshake::{Credential, Handshake, HandshakePolicy, handshake};
use http::{
    KEY, ORIGIN, accepted, accepted_by, asking, policy, refused, request, status, with_lines,
};
use proptest::prelude::*;
use tungstenite::handshake::derive_accept_key;

/// RFC 6455 section 1.3: the key of the example and the answer to it.
#[test]
fn example_of_rfc_6455_is_accepted() {
    let request = request(&[("Origin", Some(ORIGIN))]);
    let bytes = [request.as_bytes(), b"\x81\x80\0\0\0\0"].concat();
    let Handshake::Accept(accepted) = handshake(&bytes, &policy()) else {
        unreachable!("it is accepted")
    };
    assert_eq!(accepted.head_len, request.len());
    assert_eq!(
        String::from_utf8(accepted.response).unwrap(),
        "HTTP/1.1 101 Switching Protocols\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
         Sec-WebSocket-Protocol: chat.v1\r\n\r\n"
    );
    assert_eq!(accepted.credential, Credential::None);
    assert_eq!((accepted.deflate, accepted.forwarded_for), (None, None));
}

/// What clients may write differently, all the same.
#[test]
fn harmless_variations_are_accepted() {
    for request in [
        request(&[("Upgrade", Some("WebSocket"))]),
        request(&[("Upgrade", Some("h2c, websocket"))]),
        request(&[("Connection", Some("upgrade"))]),
        request(&[("Connection", Some("Keep-Alive,  UPGRADE ,x"))]),
        request(&[("Content-Length", Some("0"))]),
        request(&[("Sec-WebSocket-Protocol", Some("other,chat.v1 ,, x"))]),
        request(&[("Sec-WebSocket-Key", Some("x3JJHMbDL1EzLkh9GBhXDx=="))]),
        request(&[("Cookie", Some("session=1; name=\u{e9}"))]),
        request(&[])
            .replace("Host", "hOST")
            .replace("Sec-WebSocket-Key", "sec-websocket-KEY"),
        asking("GET /ws? HTTP/1.1"),
        asking("GET /ws?v=1&lang=de HTTP/1.1"),
        asking("GET http://127.0.0.1:8001/ws HTTP/1.1"),
        with_lines("Sec-WebSocket-Protocol: another"),
        with_lines("Authorization: Basic dTpw"),
    ] {
        accepted(&request);
    }
}

/// Each request is incomplete until its last byte, and then accepted.
#[test]
fn request_is_incomplete_until_its_last_byte() {
    let request = request(&[("Origin", Some(ORIGIN))]);
    for cut in 0..request.len() {
        assert_eq!(
            handshake(&request.as_bytes()[..cut], &policy()),
            Handshake::Incomplete
        );
    }
    accepted(&request);
}

/// Only one path is served, and only by GET.
#[test]
fn other_paths_and_methods_are_refused() {
    for target in [
        "/", "/wss", "/ws/", "/WS", "/healthz", "//ws", "/%77s", "*", "/ws#x", "http://h",
    ] {
        assert_eq!(
            status(&asking(&format!("GET {target} HTTP/1.1"))),
            404,
            "{target}"
        );
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get"] {
        let (status, head, body) = refused(asking(&format!("{method} /ws HTTP/1.1")).as_bytes());
        assert_eq!(
            (status, body["code"].as_str()),
            (405, Some("method_not_allowed")),
            "{method}"
        );
        assert!(head.contains("\r\nAllow: GET\r\n"), "{head}");
    }
}

/// The answer to HEAD has the length of a body, but no body.
#[test]
fn head_is_answered_without_a_body() {
    for (target, expected) in [("/ws", 405), ("/", 404)] {
        let request = asking(&format!("HEAD {target} HTTP/1.1"));
        let Handshake::Reject(refusal) = handshake(request.as_bytes(), &policy()) else {
            unreachable!("it is refused")
        };
        assert_eq!(refusal.status, expected);
        assert!(refusal.response.ends_with(b"\r\n\r\n"));
    }
}

/// What is no WebSocket upgrade of version 13 is told what is needed.
#[test]
fn what_is_no_upgrade_is_answered_426() {
    for request in [
        request(&[("Upgrade", None)]),
        request(&[("Upgrade", Some("h2c"))]),
        request(&[("Upgrade", Some("websocket2"))]),
        request(&[("Connection", None)]),
        request(&[("Connection", Some("keep-alive"))]),
        request(&[("Sec-WebSocket-Version", None)]),
        request(&[("Sec-WebSocket-Version", Some("12"))]),
        request(&[("Sec-WebSocket-Version", Some("13, 8"))]),
        request(&[("Sec-WebSocket-Version", Some("013"))]),
        with_lines("Sec-WebSocket-Version: 13"),
        asking("GET /ws HTTP/1.0"),
    ] {
        let (status, head, _) = refused(request.as_bytes());
        assert_eq!(status, 426, "{request}");
        assert!(head.contains("\r\nUpgrade: websocket\r\n"), "{head}");
        assert!(head.contains("\r\nSec-WebSocket-Version: 13\r\n"), "{head}");
        assert!(
            head.contains("\r\nConnection: Upgrade, close\r\n"),
            "{head}"
        );
    }
}

/// Rows of the table that are 400: keys, hosts, bodies, the subprotocol.
#[test]
fn malformed_fields_are_answered_400() {
    for request in [
        request(&[("Sec-WebSocket-Key", None)]),
        request(&[("Sec-WebSocket-Key", Some(""))]),
        request(&[("Sec-WebSocket-Key", Some("dGhlIHNhbXBsZSBub25jZQ"))]),
        request(&[("Sec-WebSocket-Key", Some("dGhlIHNhbXBsZSBub25jZWE="))]),
        request(&[("Sec-WebSocket-Key", Some("dGhlIHNhbXBsZSBub25j!Q=="))]),
        request(&[("Sec-WebSocket-Key", Some("dGhlIHNhbXBsZSBub25jZWFiYw=="))]),
        with_lines(&format!("Sec-WebSocket-Key: {KEY}")),
        request(&[("Host", None)]),
        with_lines("Host: other"),
        request(&[("Content-Length", Some("5"))]),
        request(&[("Content-Length", Some("0, 0"))]),
        request(&[("Transfer-Encoding", Some("chunked"))]),
        with_lines("Content-Length: 0\r\nTransfer-Encoding: chunked"),
        request(&[("Sec-WebSocket-Protocol", None)]),
        request(&[("Sec-WebSocket-Protocol", Some("chat.v2"))]),
        request(&[("Sec-WebSocket-Protocol", Some("Chat.v1"))]),
        request(&[("Sec-WebSocket-Protocol", Some("chat.v1 chat.v2"))]),
        request(&[("Sec-WebSocket-Protocol", Some("chat.v1, a(b"))]),
    ] {
        assert_eq!(status(&request), 400, "{request}");
    }
}

/// Heads that other parsers read differently are 400.
#[test]
fn ambiguous_heads_are_answered_400() {
    let good = request(&[]);
    let bytes = |text: &str| text.as_bytes().to_vec();
    let rows = [
        ("bare LF", bytes(&good.replacen("\r\nHost", "\nHost", 1))),
        (
            "bare LF at the end",
            bytes(&format!("{}\n", &good[..good.len() - 2])),
        ),
        ("obs-fold", bytes(&with_lines("X: a\r\n b"))),
        ("space before the colon", bytes(&with_lines("X : a"))),
        ("no colon", bytes(&with_lines("X"))),
        ("no name", bytes(&with_lines(": a"))),
        ("NUL", bytes(&with_lines("X: a\0b"))),
        ("escape", bytes(&with_lines("X: a\x1bb"))),
        ("DEL", bytes(&with_lines("X: a\x7fb"))),
        ("bare CR", bytes(&with_lines("X: a\rb"))),
        ("empty first line", bytes(&format!("\r\n{good}"))),
        ("HTTP/2", bytes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")),
        ("no version", bytes("GET /ws\r\n\r\n")),
        ("space in the target", bytes(&asking("GET /ws x HTTP/1.1"))),
    ];
    for (row, request) in rows {
        assert_eq!(refused(&request).0, 400, "{row}");
    }
}

/// What can never become a request is not waited for.
#[test]
fn hopeless_beginnings_are_refused_at_once() {
    assert_eq!(refused(b"\x16\x03\x01\x02\x00\x01").0, 400, "TLS");
    assert_eq!(refused(b"\n").0, 400);
    assert_eq!(refused(b"GET /ws HTTP/1.1\r\nX: \0").0, 400);
}

/// Bounds are judged before the head is complete.
#[test]
fn heads_over_a_bound_are_refused_before_they_end() {
    let line = |bytes: usize| "x".repeat(bytes);
    let start = "GET /ws HTTP/1.1\r\n";
    assert_eq!(status(&format!("GET /ws?{}", line(8 * 1024))), 414);
    assert_eq!(status(&format!("{start}X: {}", line(8 * 1024))), 431);
    assert_eq!(
        status(&format!(
            "{start}{}",
            format!("X: {}\r\n", line(5000)).repeat(4)
        )),
        431
    );
    assert_eq!(status(&format!("{start}{}", "X: y\r\n".repeat(65))), 431);
    assert_eq!(
        status(&format!(
            "{start}Sec-WebSocket-Protocol:{}",
            " ".repeat(16 * 1024)
        )),
        431
    );
    let fields = request(&[]).lines().count() - 2;
    accepted(&with_lines("X: y\r\n".repeat(64 - fields).trim_end()));
    assert_eq!(
        status(&with_lines("X: y\r\n".repeat(65 - fields).trim_end())),
        431
    );
    let room = 8 * 1024 - "X: \r\n".len();
    accepted(&with_lines(&format!("X: {}", line(room))));
    assert_eq!(status(&with_lines(&format!("X: {}", line(room + 10)))), 431);
}

/// Origins are compared as a whole; none is fine, because it is no browser.
#[test]
fn only_exact_origins_are_accepted() {
    accepted(&request(&[]));
    accepted(&request(&[("Cookie", Some("session=1"))]));
    for origin in [ORIGIN, "https://chat.example"] {
        accepted(&request(&[("Origin", Some(origin))]));
    }
    for origin in [
        "null",
        "*",
        "",
        "http://127.0.0.1",
        "https://127.0.0.1:8000",
        "http://127.0.0.1:80000",
        "http://127.0.0.1:8000/",
        "http://127.0.0.1:8000.evil.example",
        "http://evil.example",
        "https://chat.example.evil.example",
        "https://sub.chat.example",
        "https://CHAT.example",
        "http://127.0.0.1:8000, https://chat.example",
        "https://chat.example@evil.example",
    ] {
        let (status, head, body) = refused(request(&[("Origin", Some(origin))]).as_bytes());
        assert_eq!(
            (status, body["code"].as_str()),
            (403, Some("forbidden")),
            "{origin}"
        );
        assert!(head.contains("\r\nVary: Origin\r\n"));
        assert!(origin.is_empty() || !body.to_string().contains("evil"));
    }
    let two = with_lines(&format!("Origin: {ORIGIN}\r\nOrigin: {ORIGIN}"));
    assert_eq!(status(&two), 403);
    let mut bytes = request(&[("Origin", Some("http://x"))]).into_bytes();
    let at = bytes
        .windows(8)
        .position(|window| window == b"http://x")
        .unwrap();
    bytes[at + 7] = 0xff;
    assert_eq!(refused(&bytes).0, 403, "what is not UTF-8 is not absent");
}

/// `*` alone allows any origin; beside others, or with an empty list, it does not.
#[test]
fn star_allows_any_origin_only_alone() {
    let evil = request(&[("Origin", Some("http://evil.example"))]);
    accepted_by(
        &evil,
        &HandshakePolicy {
            origins: vec!["*".into()],
            ..policy()
        },
    );
    for origins in [vec![], vec!["*".into(), ORIGIN.into()]] {
        let policy = HandshakePolicy {
            origins,
            ..policy()
        };
        assert!(matches!(
            handshake(evil.as_bytes(), &policy),
            Handshake::Reject(_)
        ));
    }
}

/// `null`, which sandboxed pages of anybody send, is refused even where somebody has listed it.
#[test]
fn null_origin_is_refused_though_listed() {
    let policy = HandshakePolicy {
        origins: vec![ORIGIN.into(), "null".into()],
        ..policy()
    };
    let sandboxed = request(&[("Origin", Some("null"))]);
    assert!(matches!(
        handshake(sandboxed.as_bytes(), &policy),
        Handshake::Reject(_)
    ));
}

/// Without a subprotocol in the policy any is taken and none is answered.
#[test]
fn echo_endpoint_takes_any_subprotocol() {
    let policy = HandshakePolicy {
        subprotocol: None,
        ..policy()
    };
    for protocol in [None, Some("mqtt, x")] {
        let request = request(&[("Sec-WebSocket-Protocol", protocol)]);
        let response = accepted_by(&request, &policy).response;
        assert!(
            !String::from_utf8(response)
                .unwrap()
                .contains("Sec-WebSocket-Protocol")
        );
    }
}

/// permessage-deflate is answered where it is on and offered, malformed offers only where it is on.
#[test]
fn deflate_is_agreed_on_where_it_is_on() {
    let on = HandshakePolicy {
        deflate: true,
        ..policy()
    };
    let offer = "permessage-deflate; server_max_window_bits=11; client_max_window_bits";
    let request_with = |value| request(&[("Sec-WebSocket-Extensions", Some(value))]);
    let agreed = accepted_by(&request_with(offer), &on);
    assert_eq!(
        agreed.deflate.map(|params| params.server_max_window_bits),
        Some(11)
    );
    let expected = "\r\nSec-WebSocket-Extensions: permessage-deflate; \
        server_no_context_takeover; client_no_context_takeover; server_max_window_bits=11\r\n";
    assert!(
        String::from_utf8(agreed.response)
            .unwrap()
            .contains(expected)
    );
    let off = accepted(&request_with(offer));
    assert_eq!(off.deflate, None);
    assert!(
        !String::from_utf8(off.response)
            .unwrap()
            .contains("Extensions")
    );
    assert_eq!(
        accepted_by(&request_with("permessage-bzip2"), &on).deflate,
        None
    );
    assert_eq!(accepted_by(&request(&[]), &on).deflate, None);
    let malformed = request_with("permessage-deflate; a=\"");
    assert!(matches!(
        handshake(malformed.as_bytes(), &on),
        Handshake::Reject(_)
    ));
    accepted(&malformed);
}

/// What proxies have added is handed on in order; whom to believe is not judged here.
#[test]
fn forwarded_for_is_joined_in_order() {
    assert_eq!(accepted(&request(&[])).forwarded_for, None);
    let request = with_lines("X-Forwarded-For: 203.0.113.7, 10.0.0.1\r\nx-forwarded-for: 10.0.0.2");
    let joined = accepted(&request).forwarded_for;
    assert_eq!(joined.as_deref(), Some("203.0.113.7, 10.0.0.1, 10.0.0.2"));
}

proptest! {
    /// The accept key of any nonce is the one tungstenite derives.
    #[test]
    fn accept_key_agrees_with_the_oracle(nonce in any::<[u8; 16]>()) {
        let key = STANDARD.encode(nonce);
        let response = accepted(&request(&[("Sec-WebSocket-Key", Some(&key))])).response;
        let accept = derive_accept_key(key.as_bytes());
        let expected = format!("\r\nSec-WebSocket-Accept: {accept}\r\n");
        prop_assert!(String::from_utf8(response).unwrap().contains(&expected));
    }

    /// Bytes changed anywhere never panic, and what is refused early stays refused.
    #[test]
    fn changed_requests_are_answered_alike_as_they_grow(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        deflate in any::<bool>(),
    ) {
        let policy = HandshakePolicy { deflate, ..policy() };
        let offer = "permessage-deflate; client_max_window_bits";
        let mut bytes = request(&[
            ("Origin", Some(ORIGIN)),
            ("Sec-WebSocket-Extensions", Some(offer)),
            ("Authorization", Some("Bearer a.b.c")),
        ]).into_bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let whole = handshake(&bytes, &policy);
        for cut in 0..bytes.len() {
            let partial = handshake(&bytes[..cut], &policy);
            prop_assert!(partial == Handshake::Incomplete || partial == whole);
        }
    }
}
