//! What the tests of the handshake share: writing requests, and looking at the answer.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use chat_proto::ErrorCode;
use chat_proto::handshake::{Accepted, Handshake, HandshakePolicy, Rejection, handshake};

pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const ORIGIN: &str = "http://127.0.0.1:8000";

pub fn policy() -> HandshakePolicy {
    HandshakePolicy {
        path: "/ws".into(),
        subprotocol: Some("chat.v1".into()),
        origins: vec![ORIGIN.into(), "https://chat.example".into()],
        deflate: false,
    }
}

/// A good request with these fields changed: `None` removes a field, a new name adds one.
pub fn request(changes: &[(&str, Option<&str>)]) -> String {
    let mut fields = vec![
        ("Host", "127.0.0.1:8001"),
        ("Upgrade", "websocket"),
        ("Connection", "keep-alive, Upgrade"),
        ("Sec-WebSocket-Key", KEY),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Protocol", "chat.v1"),
    ];
    for &(name, value) in changes {
        fields.retain(|(field, _)| *field != name);
        fields.extend(value.map(|value| (name, value)));
    }
    head("GET /ws HTTP/1.1", &fields)
}

pub fn head(first: &str, fields: &[(&str, &str)]) -> String {
    let mut head = format!("{first}\r\n");
    for (name, value) in fields {
        head.extend([name, ": ", value, "\r\n"]);
    }
    head + "\r\n"
}

/// A good request with another request line.
pub fn asking(first: &str) -> String {
    request(&[]).replacen("GET /ws HTTP/1.1", first, 1)
}

/// A good request with lines added as they are.
pub fn with_lines(lines: &str) -> String {
    let request = request(&[]);
    format!("{}{lines}\r\n\r\n", &request[..request.len() - 2])
}

#[track_caller]
pub fn accepted_by(request: &str, policy: &HandshakePolicy) -> Accepted {
    match handshake(request.as_bytes(), policy) {
        Handshake::Accept(accepted) => accepted,
        Handshake::Incomplete => unreachable!("incomplete: {request}"),
        Handshake::Reject(Rejection { response, .. }) => {
            unreachable!("{request}{}", String::from_utf8_lossy(&response))
        }
    }
}

#[track_caller]
pub fn accepted(request: &str) -> Accepted {
    accepted_by(request, &policy())
}

/// Status, header block and body of a refusal, whose form is checked on the way.
#[track_caller]
pub fn refused(request: &[u8]) -> (u16, String, serde_json::Value) {
    let Handshake::Reject(Rejection { response, status }) = handshake(request, &policy()) else {
        unreachable!("not refused: {}", request.escape_ascii())
    };
    let response = String::from_utf8(response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    for field in [
        "Connection: ",
        "Content-Type: application/problem+json",
        "Strict-Transport-Security: max-age=",
        "X-Content-Type-Options: nosniff",
        "Content-Security-Policy: default-src 'none'",
        "Cache-Control: no-store",
    ] {
        assert!(head.contains(field), "{field} in {head}");
    }
    assert!(head.contains("close"));
    assert!(
        !head
            .to_ascii_lowercase()
            .contains("access-control-allow-origin")
    );
    assert!(
        head.contains(&format!("Content-Length: {}", body.len())),
        "{head}"
    );
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["status"], status);
    let code = body["code"].as_str().and_then(ErrorCode::parse);
    assert!(code.is_some(), "{body}");
    (status, head.to_owned(), body)
}

#[track_caller]
pub fn status(request: &str) -> u16 {
    refused(request.as_bytes()).0
}
