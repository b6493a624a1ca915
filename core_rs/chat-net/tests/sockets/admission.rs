//! What is counted at the door is given back, whichever way a connection ends.

use std::io::Write;

use chat_net::NodeConfig;
use chat_net::admission::AdmissionConfig;

use crate::client::{Client, End, REQUEST, eventually};
use crate::plane::{Plane, config, config_behind_proxy};

fn tight(config: NodeConfig) -> NodeConfig {
    NodeConfig {
        admission: AdmissionConfig {
            connections_max: 4,
            per_address_max: 2,
            handshakes_per_address_max: 2,
            rate_limits: false,
        },
        ..config
    }
}

fn forwarded(address: &str) -> String {
    REQUEST.replace("Host:", &format!("X-Forwarded-For: {address}\r\nHost:"))
}

/// Refused, left half-way, reset, closed and full: none of it leaves a count behind.
#[test]
fn counts_return_to_nothing_however_connections_end() {
    for shards in [1, 3] {
        let plane = Plane::new(tight(config(shards)));
        let address = plane.node().address();
        let left = || plane.node().open_connections();
        for _ in 0..5 {
            let mut refused = Client::raw(address);
            refused
                .stream
                .write_all(b"GET /no HTTP/1.1\r\nHost: h\r\n\r\n")
                .unwrap();
            assert!(refused.head().starts_with("HTTP/1.1 404 "));
            let mut half = Client::raw(address);
            half.stream.write_all(b"GET /ws").unwrap();
            drop((refused, half));
            eventually("handshakes are forgotten", || left() == 0);
            let (mut ann, ben) = (Client::greet(address, "ann"), Client::greet(address, "ben"));
            let mut third = Client::open(address);
            assert_eq!(third.ended(), End::Code(4006));
            drop((ben, third));
            eventually("those of one address are forgotten", || left() == 1);
            ann.stream.write_all(&[0x81, 0x01, 0]).unwrap();
            assert_eq!(ann.ended(), End::Code(1002));
            drop(ann);
            eventually("all are forgotten", || left() == 0);
        }
    }
}

/// Over the bound of unfinished handshakes the answer is 429, and one that ends makes room.
#[test]
fn an_unfinished_handshake_counts_until_it_ends() {
    let plane = Plane::new(tight(config(1)));
    let address = plane.node().address();
    let waiting = [Client::raw(address), Client::raw(address)];
    assert!(Client::raw(address).head().starts_with("HTTP/1.1 429 "));
    drop(waiting);
    eventually("both are gone", || plane.node().open_connections() == 0);
    Client::greet(address, "ann");
}

/// Behind a proxy the client counts, not the proxy; unfinished handshakes of the proxy do not.
#[test]
fn clients_behind_a_proxy_are_counted_by_their_own_address() {
    let plane = Plane::new(tight(config_behind_proxy(1)));
    let address = plane.node().address();
    let open = |from: &str| {
        let mut client = Client::raw(address);
        client.stream.write_all(forwarded(from).as_bytes()).unwrap();
        assert!(client.head().starts_with("HTTP/1.1 101 "));
        client
    };
    let here = [open("9.9.9.9"), open("9.9.9.9")];
    assert_eq!(open("::ffff:9.9.9.9").ended(), End::Code(4006));
    drop(open("8.8.8.8"));
    drop(here);
    eventually("all are gone", || plane.node().open_connections() == 0);
    let _again = [open("9.9.9.9"), open("9.9.9.9")];
}

/// A full node says so at once, and has room again when somebody leaves.
#[test]
fn a_full_node_answers_503() {
    let mut full = tight(config(3));
    full.admission.per_address_max = 0;
    full.admission.handshakes_per_address_max = 100;
    let plane = Plane::new(full);
    let address = plane.node().address();
    let mut inside: Vec<Client> = (0..4).map(|_| Client::greet(address, "ann")).collect();
    assert!(Client::raw(address).head().starts_with("HTTP/1.1 503 "));
    inside.pop();
    eventually("one has left", || plane.node().open_connections() == 3);
    Client::greet(address, "ben");
}
