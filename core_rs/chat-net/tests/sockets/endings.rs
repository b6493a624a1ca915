//! How connections and nodes end.

use std::io::Write;

use crate::client::{Client, End, TEXT, eventually, frame};
use crate::plane::{Plane, config};

/// Whatever waits is written before the threads end: nobody sees 1006.
#[test]
fn a_stop_closes_what_is_open_and_a_second_one_changes_nothing() {
    for shards in [1, 3] {
        let plane = Plane::new(config(shards));
        let address = plane.node().address();
        let mut clients: Vec<Client> = (0..7).map(|_| Client::join(address, "ann", "r")).collect();
        let node = plane.node().clone();
        let stopping = std::thread::spawn(move || node.stop());
        for client in &mut clients {
            assert_eq!(client.ended(), End::Code(4110));
        }
        stopping.join().unwrap();
        plane.node().stop();
    }
}

/// The control plane may still have something to say when the threads are no more.
#[test]
fn nobody_waits_for_a_node_that_has_stopped() {
    let plane = Plane::new(config(1));
    plane.node().stop();
    for _ in 0..3_000 {
        plane.node().end_session("nobody");
    }
}

/// `notice`, then 4110 when everything accepted is answered; nobody is let in any more.
#[test]
fn a_drain_reaches_every_shard_and_waits_for_answers() {
    for shards in [1, 3] {
        let plane = Plane::new(config(shards));
        let address = plane.node().address();
        let mut clients: Vec<Client> = (0..6).map(|_| Client::greet(address, "ann")).collect();
        plane.take_sends(false);
        for client in &mut clients {
            client.op("send", r#""room":"r","cid":"1","body":{"text":"x"}"#);
        }
        eventually("all are accepted", || plane.node().stats().sends == 6);
        plane.node().drain(0);
        for client in &mut clients {
            client.until(r#""t":"notice""#);
        }
        plane.take_sends(true);
        for client in &mut clients {
            client.until(r#""id":2,"#);
            assert_eq!(client.ended(), End::Code(4110));
        }
        eventually("all are gone", || plane.node().open_connections() == 0);
        eventually("the port is closed", || {
            std::net::TcpStream::connect(address).is_err()
        });
    }
}

/// After a violation the peer is told the code and then the end, without having to end first.
#[test]
fn a_violation_is_followed_by_the_end_of_the_stream() {
    let plane = Plane::new(config(1));
    let mut client = Client::greet(plane.node().address(), "ann");
    client.stream.write_all(&[0xC1, 0x80, 0, 0, 0, 0]).unwrap();
    client.until_code(1002);
    assert_eq!(client.rest(), 0);
    assert_eq!(plane.node().open_connections(), 1, "ours ends first");
    drop(client);
    eventually("it is gone", || plane.node().open_connections() == 0);
}

/// A peer that ends its side is gone at once, with what it said last executed.
#[test]
fn a_half_closed_socket_is_dropped() {
    let plane = Plane::new(config(1));
    let mut witness = Client::join(plane.node().address(), "ben", "r");
    let mut client = Client::greet(plane.node().address(), "ann");
    let last = br#"{"t":"send","id":9,"room":"r","cid":"1","body":{"text":"last"}}"#;
    client.stream.write_all(&frame(TEXT, last)).unwrap();
    client.finish_writing();
    witness.until("last");
    eventually("it is gone", || plane.node().open_connections() == 1);
}

/// A node whose start fails leaves nothing behind: neither port nor threads.
#[test]
fn a_start_on_a_taken_port_fails_and_leaves_the_port_as_it_was() {
    let plane = Plane::new(config(1));
    let mut second = config(3);
    second.address = plane.node().address();
    let failed = chat_net::Node::start(second).unwrap_err();
    assert_eq!(failed.kind(), std::io::ErrorKind::AddrInUse);
    Client::greet(plane.node().address(), "ann");
}
