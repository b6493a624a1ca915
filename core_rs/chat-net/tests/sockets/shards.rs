//! What concerns a user or a room reaches all shards.

use crate::client::{Client, End, eventually};
use crate::plane::{Plane, config};

/// Six connections, two a shard where there are three.
fn crowd(plane: &Plane, room: &str) -> Vec<Client> {
    let address = plane.node().address();
    (0..6)
        .map(|nth| Client::join(address, &format!("u{}", nth / 2), room))
        .collect()
}

/// Every subscriber sees every message once, in one order.
#[test]
fn a_message_reaches_the_subscribers_of_every_shard() {
    for shards in [1, 3] {
        let plane = Plane::new(config(shards));
        let mut clients = crowd(&plane, "r");
        for nth in 0..30 {
            let fields = format!(r#""room":"r","cid":"{nth}","body":{{"text":"x"}}"#);
            clients[nth % 6].op("send", &fields);
        }
        for client in &mut clients {
            for seq in 1..=30 {
                let line = client.until(r#""t":"msg""#);
                assert!(line.contains(&format!(r#""seq":{seq},"#)), "{line}");
            }
        }
    }
}

/// `who` counts users, not connections; typing and signals are passed on; presence says who left.
#[test]
fn what_is_ephemeral_crosses_shards() {
    for shards in [1, 3] {
        let plane = Plane::new(config(shards));
        let mut clients = crowd(&plane, "r");
        for client in &mut clients[1..] {
            while !client.ask("who", r#""room":"r""#).contains(r#""count":3"#) {}
        }
        // Who comes and goes within a second is not told at all.
        clients[0].until(r#""u2""#);
        clients[0].op("typing", r#""room":"r","on":true"#);
        clients[1].op("signal", r#""room":"r","body":{"k":1}"#);
        for client in &mut clients[2..] {
            let heard = [
                client.until(r#""from":"u0""#),
                client.until(r#""from":"u0""#),
            ]
            .concat();
            assert!(
                heard.contains("typing") && heard.contains("signal"),
                "{heard}"
            );
        }
        clients.truncate(4);
        clients[0].until(r#""-":["u2"]"#);
    }
}

/// All devices of who is put out see that last; the others read on.
#[test]
fn a_kick_ends_subscriptions_on_every_shard() {
    for shards in [1, 3] {
        let plane = Plane::new(config(shards));
        let mut clients = crowd(&plane, "r");
        plane.kick("r", "u0");
        for client in &mut clients {
            client.until(r#""t":"member""#);
        }
        clients[4].ask(
            "send",
            r#""room":"r","cid":"1","body":{"text":"without u0"}"#,
        );
        for client in &mut clients[..2] {
            client.op("unsub", r#""room":"else""#);
            let next = client.until("t");
            assert!(next.contains(r#""t":"ok""#), "{next}");
        }
        for client in &mut clients[2..] {
            client.until("without u0");
        }
    }
}

/// 4003 to each connection of the session, on whichever shard; the others are not touched.
#[test]
fn a_revoked_session_ends_on_every_shard() {
    for shards in [1, 3] {
        let plane = Plane::new(config(shards));
        let mut clients = crowd(&plane, "r");
        plane.node().end_session("u1");
        for client in &mut clients[2..4] {
            assert_eq!(client.ended(), End::Code(4003));
        }
        clients[0].ask("send", r#""room":"r","cid":"1","body":{"text":"x"}"#);
        eventually("two are gone", || plane.node().open_connections() == 4);
    }
}
