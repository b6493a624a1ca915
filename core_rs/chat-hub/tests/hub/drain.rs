//! A node that leaves: `notice` first, 4110 when all is answered, the same time in both.

use serde_json::{Value, json};

use crate::world::{SECOND_US, World, kinds, refusal};
use chat_proto::error::ErrorCode;

fn send() -> Value {
    json!({"t": "send", "room": "a", "cid": "c", "body": {"text": "hi"}})
}

fn retry_in(reason: &str) -> u64 {
    let reason: Value = serde_json::from_str(reason).expect("JSON");
    reason["retry_after_ms"].as_u64().expect("a time")
}

/// Everybody gets the notice, and 200 ms later a close with the same time to come back.
#[test]
fn notice_comes_first_and_names_the_time_of_the_close() {
    let mut world = World::new();
    let clients: Vec<usize> = (0..50).map(|at| world.login(&format!("u{at}"))).collect();
    let greeting = world.connect();
    world.hub.start_drain(20_000, 77);
    world.hub.start_drain(5, 1);
    let mut times = Vec::new();
    for &client in clients.iter().chain([&greeting]) {
        let lines = world.take(client);
        assert_eq!(
            (kinds(&lines), &lines[0]["code"]),
            (vec!["notice"], &json!("drain"))
        );
        times.push(lines[0]["retry_after_ms"].as_u64().unwrap());
    }
    world.advance(100_000);
    assert_eq!(world.closed(clients[0]), None);
    world.advance(100_000);
    for (client, time) in clients.iter().chain([&greeting]).zip(&times) {
        assert_eq!(world.closed(*client), Some(4110));
        let reason = world.sockets[*client].close.clone().unwrap().1;
        assert_eq!(retry_in(&reason), *time);
    }
    assert!(times.iter().all(|time| *time < 20_000));
    assert!(
        times.iter().max() > Some(&15_000) && times.iter().min() < Some(&5_000),
        "{times:?}"
    );
    assert!(!world.hub.is_drained());
    world.advance(6 * SECOND_US);
    assert!(world.hub.is_drained());
}

/// Sends that were accepted are answered before 4110, also those refused as `timeout`.
#[test]
fn nobody_is_closed_with_a_send_unanswered() {
    let mut world = World::new();
    let (acked, refused, held) = (world.login("ann"), world.login("bob"), world.login("eve"));
    world.op(acked, send());
    let id = world.op(refused, send());
    for _ in 0..70 {
        world.op(held, send());
    }
    let mut submissions = world.take_asked();
    world.hub.start_drain(10_000, 1);
    world.advance(3 * SECOND_US);
    for client in [acked, refused, held] {
        assert_eq!(world.closed(client), None);
    }
    let handle = world.sockets[refused].handle;
    world.hub.refuse(&refusal(handle, id, ErrorCode::Timeout));
    submissions.remove(1);
    for submission in submissions {
        world.answer(submission);
    }
    world.advance(100_000);
    assert_eq!(
        (world.closed(acked), world.closed(refused)),
        (Some(4110), Some(4110))
    );
    assert_eq!(world.closed(held), None);
    world.serve();
    world.advance(100_000);
    assert_eq!(world.closed(held), Some(4110));
    let lines = world.take(held);
    assert_eq!(lines.iter().filter(|it| it["t"] == "ok").count(), 70);
}

/// Whoever never pauses is refused from the time of the close on, so that the close can come; what
/// was accepted before is answered first, and refusals are no misbehaviour.
#[test]
fn a_client_that_never_pauses_is_refused_then_closed() {
    let mut world = World::new();
    let client = world.login("ann");
    world.op(client, send());
    let asked = world.take_asked();
    world.hub.start_drain(10_000, 1);
    world.op(client, send());
    let stored_late = world.take_asked();
    assert_eq!(stored_late.len(), 1);
    world.advance(200_000);
    world.take(client);
    for _ in 0..150 {
        world.op(client, send());
    }
    assert!(world.take_asked().is_empty());
    let told = world.take(client);
    assert_eq!(told.len(), 150);
    assert!(
        told.iter()
            .all(|it| it["code"] == "overloaded" && it["retry_after_ms"].is_u64())
    );
    world.advance(100_000);
    assert_eq!(world.closed(client), None);
    for submission in asked.into_iter().chain(stored_late) {
        world.answer(submission);
    }
    world.op(client, send());
    world.advance(100_000);
    assert_eq!(kinds(&world.take(client)), ["ok", "ok", "err"]);
    assert_eq!(world.closed(client), Some(4110));
}

/// Who finishes the handshake while the node leaves is told so too, and closed.
#[test]
fn a_newcomer_during_drain_gets_notice_and_close() {
    let mut world = World::new();
    world.hub.start_drain(10_000, 1);
    let client = world.connect();
    let lines = world.take(client);
    assert_eq!(kinds(&lines), ["notice"]);
    assert_eq!(world.closed(client), Some(4110));
    let reason = world.sockets[client].close.clone().unwrap().1;
    assert_eq!(json!(retry_in(&reason)), lines[0]["retry_after_ms"]);
}
