//! When the control plane takes nothing, sockets are not read and memory stays bounded.

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use chat_hub::effect::Delivered;
use chat_net::inbox::{SENDS_BYTES_MAX, SENDS_MAX};

use crate::client::{Client, TEXT, eventually, frame};
use crate::plane::{Plane, config};

const CLIENTS: usize = 24;
const SENDS: usize = 400;
const BODY_BYTES: usize = 8 * 1024;

/// Writes all sends, by itself, because it is made to wait.
fn flood(mut stream: TcpStream, name: usize, written: &AtomicUsize) {
    // What the kernel keeps here would hide that nothing is read there.
    rustix::net::sockopt::set_socket_send_buffer_size(&stream, 64 * 1024).unwrap();
    let text = "x".repeat(4_000);
    let pad = "y".repeat(BODY_BYTES - 4_000);
    for nth in 0..SENDS {
        let id = nth + 10;
        let head = format!(r#"{{"t":"send","id":{id},"room":"r{name}","cid":"{nth}","#);
        let send = format!(r#"{head}"body":{{"text":"{text}","pad":"{pad}"}}}}"#);
        stream.write_all(&frame(TEXT, send.as_bytes())).unwrap();
        written.fetch_add(send.len(), SeqCst);
    }
}

/// Nothing is taken: writers stand still before all is read. Then it is taken: every send is
/// answered, in the order of each connection.
#[test]
fn sends_that_nobody_takes_hold_up_their_senders_and_go_on_in_order() {
    for shards in [1, 3] {
        let plane = Plane::new(config(shards));
        let address = plane.node().address();
        plane.take_sends(false);
        let mut clients: Vec<Client> = (0..CLIENTS)
            .map(|name| Client::greet(address, &format!("u{name}")))
            .collect();
        let written = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for (name, client) in clients.iter().enumerate() {
                let (stream, written) = (client.stream.try_clone().unwrap(), &written);
                scope.spawn(move || flood(stream, name, written));
            }
            let accepted = || plane.node().stats().sends as usize;
            settle(&accepted);
            // Sixty-four ops in flight a connection, and what the inbox holds.
            assert!(
                accepted() <= (CLIENTS * 64).min(SENDS_MAX),
                "{}",
                accepted()
            );
            let bytes_max = SENDS_BYTES_MAX + 4 * 1024 * 1024;
            assert!(accepted() * BODY_BYTES <= bytes_max, "{}", accepted());
            assert!(written.load(SeqCst) < CLIENTS * SENDS * BODY_BYTES);
            // Who is not taken from does not hold up what is taken.
            Client::greet(address, "late").ask("who", r#""room":"r0""#);
            plane.take_sends(true);
            for client in &mut clients {
                for nth in 0..SENDS {
                    client.until(&format!(r#""id":{},"seq":{},"#, nth + 10, nth + 1));
                }
            }
        });
    }
}

/// Until a number that other threads raise has stood still for a while.
fn settle(count: &dyn Fn() -> usize) {
    let (mut before, mut still) = (usize::MAX, 0);
    while still < 5 {
        std::thread::sleep(Duration::from_millis(150));
        still = if count() == before { still + 1 } else { 0 };
        before = count();
    }
}

/// A connection that is not read and whose peer is gone does not stay for ever.
#[test]
fn a_reset_is_noticed_on_a_socket_that_is_not_read() {
    let plane = Plane::new(config(1));
    let address = plane.node().address();
    plane.take_sends(false);
    let mut client = Client::greet(address, "ann");
    for nth in 0..80 {
        client.op(
            "send",
            &format!(r#""room":"r","cid":"{nth}","body":{{"text":"x"}}"#),
        );
    }
    eventually("as many as may are in flight", || {
        plane.node().stats().sends == 64
    });
    // Bytes of ours are unread there, so this is a reset.
    plane.node().refuse(Vec::new());
    client.stream.write_all(&[0x89, 0x80, 0, 0, 0, 0]).unwrap();
    rustix::net::sockopt::set_socket_linger(&client.stream, Some(Duration::ZERO)).unwrap();
    drop(client);
    eventually("it is gone", || plane.node().open_connections() == 0);
}

/// Events that come faster than they are written are no reason to call a quick reader slow.
#[test]
fn a_burst_of_events_reaches_a_reader_that_reads() {
    let plane = Plane::new(config(1));
    let address = plane.node().address();
    let mut reader = Client::join(address, "ann", "r");
    let mut writer = Client::greet(address, "ben");
    let text = "x".repeat(4_000);
    for nth in 0..64 {
        writer.op(
            "send",
            &format!(r#""room":"r","cid":"{nth}","body":{{"text":"{text}","pad":"{text}"}}"#),
        );
    }
    for seq in 1..=64 {
        let line = reader.until(r#""room":"r""#);
        assert!(
            line.contains(&format!(r#""seq":{seq},"#)),
            "{}",
            &line[..80]
        );
    }
    assert_eq!(plane.node().stats().gaps, 0);
}

/// The same in a room whose fan-out is cut into slices, for more than a backlog may hold.
#[test]
fn a_burst_of_events_reaches_the_readers_of_a_big_room() {
    let plane = Plane::new(config(1));
    let address = plane.node().address();
    let mut readers: Vec<Client> = (0..520)
        .map(|nth| Client::join(address, &format!("u{nth}"), "r"))
        .collect();
    let text = "x".repeat(4_000);
    let events = 300;
    let lines: Vec<String> = (1..=events)
        .map(|seq| format!(r#"{{"t":"msg","room":"r","seq":{seq},"body":{{"text":"{text}"}}}}"#))
        .collect();
    let lines: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
    let run = Delivered::new("r", 1, &lines, Vec::new());
    plane.node().deliver(vec![run], Vec::new(), Vec::new());
    for reader in &mut readers {
        reader.until(&format!(r#""seq":{events},"#));
    }
    assert_eq!(plane.node().stats().gaps, 0);
}
