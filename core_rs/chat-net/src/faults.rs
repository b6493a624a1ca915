//! Panics on demand, for tests of this crate: what stands in a message strikes where it says.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail loudly, in the parts it is made of too"
)]

#[path = "../tests/sockets/client.rs"]
#[allow(dead_code, reason = "shared with the tests that need more of it")]
mod client;
#[path = "../tests/sockets/plane.rs"]
mod plane;

use client::{Client, End, eventually};
use plane::{Plane, config};

/// Panics where `bytes` ask for it.
pub(crate) fn strike(place: &str, bytes: &[u8]) {
    let wanted = format!("strike-{place}");
    let struck = bytes
        .windows(wanted.len())
        .any(|it| it == wanted.as_bytes());
    assert!(!struck, "a fault of a test, in {place}");
}

fn others_live(plane: &Plane, witnesses: &mut [Client], panics: u64) {
    for (number, witness) in witnesses.iter_mut().enumerate() {
        witness.ask(
            "send",
            &format!(r#""room":"r","cid":"{number}","body":{{"text":"on"}}"#),
        );
    }
    eventually("the panic is counted", || {
        plane.node().stats().panics == panics
    });
}

/// While a message is read, while an answer is handed over, while bytes are written: each costs
/// its connection, with 4100 where that can still be said, and nobody else anything.
#[test]
fn a_panic_costs_one_connection_wherever_it_strikes() {
    for shards in [1, 3] {
        let plane = Plane::new(config(shards));
        let address = plane.node().address();
        let join = |name| Client::join(address, name, "r");
        let mut witnesses: Vec<Client> = ["ann", "ben", "cid"].map(join).into();
        for (nth, place) in ["text", "reply"].into_iter().enumerate() {
            let mut victim = Client::greet(address, "victim");
            victim.op("hist", &format!(r#""room":"strike-{place}""#));
            assert_eq!(victim.ended(), End::Code(4100));
            others_live(&plane, &mut witnesses, nth as u64 + 1);
        }
        let mut victim = Client::greet(address, "victim");
        victim.op("hist", r#""room":"strike-write""#);
        assert_eq!(victim.ended(), End::Cut);
        drop(victim);
        eventually("all of the dead are gone", || {
            plane.node().open_connections() == 3
        });
        // Once for the answer, once for the close frame behind it.
        others_live(&plane, &mut witnesses, 4);
    }
}
