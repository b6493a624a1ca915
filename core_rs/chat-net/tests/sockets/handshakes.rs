//! How bytes are cut makes no difference.

use std::io::Write;

use crate::client::{Client, REQUEST, TEXT, frame};
use crate::plane::{Plane, config};

fn opening() -> Vec<u8> {
    let mut bytes = REQUEST.as_bytes().to_vec();
    bytes.extend(frame(TEXT, br#"{"t":"hello","id":1,"token":"ann"}"#));
    // Behind the hello, before its answer: held, then executed in order.
    for (id, room) in [(2, "a"), (3, "b")] {
        let op = format!(r#"{{"t":"sub","id":{id},"room":"{room}"}}"#);
        bytes.extend(frame(TEXT, op.as_bytes()));
    }
    bytes
}

fn expect_answers(client: &mut Client) {
    assert!(client.head().starts_with("HTTP/1.1 101 "));
    client.until(r#""t":"welcome""#);
    client.until(r#""id":2,"#);
    client.until(r#""id":3,"#);
}

/// The request, `hello` and two ops in one packet.
#[test]
fn frames_behind_the_request_are_not_lost() {
    let plane = Plane::new(config(1));
    let mut client = Client::raw(plane.node().address());
    client.stream.write_all(&opening()).unwrap();
    expect_answers(&mut client);
}

/// The same, every byte by itself.
#[test]
fn everything_may_come_byte_by_byte() {
    let plane = Plane::new(config(3));
    let mut client = Client::raw(plane.node().address());
    for byte in opening() {
        client.stream.write_all(&[byte]).unwrap();
    }
    expect_answers(&mut client);
}

/// Another implementation of RFC 6455 agrees with what is spoken here.
#[test]
fn tungstenite_gets_in_and_is_answered() {
    use tungstenite::client::IntoClientRequest;
    let plane = Plane::new(config(1));
    let address = plane.node().address();
    let mut request = format!("ws://{address}/ws").into_client_request().unwrap();
    let offered = tungstenite::http::HeaderValue::from_static("chat.v1");
    request
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", offered);
    let stream = Client::raw(address).stream;
    let (mut socket, _) = tungstenite::client(request, stream).unwrap();
    let hello = r#"{"t":"hello","id":1,"token":"ann"}"#;
    socket.send(hello.into()).unwrap();
    assert!(
        socket
            .read()
            .unwrap()
            .to_text()
            .unwrap()
            .contains(r#""t":"welcome""#)
    );
    socket.close(None).unwrap();
    while socket.read().is_ok() {}
}
