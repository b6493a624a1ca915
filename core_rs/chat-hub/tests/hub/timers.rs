//! Every deadline: handshake, hello, silence, pings, tokens, half messages, closes.

use chat_hub::HubConfig;
use chat_proto::close::CloseCode;
use serde_json::json;

use crate::world::{Client, SECOND_US, World, config, kinds};

const TICK_US: u64 = 100_000;

fn closed_between(world: &mut World, client: Client, us: u64, code: u16) {
    world.advance(us - TICK_US);
    assert_eq!(world.closed(client), None, "too early");
    world.advance(2 * TICK_US);
    assert_eq!(world.closed(client), Some(code));
}

/// An unfinished handshake is dropped after 5 s without a word.
#[test]
fn a_handshake_has_five_seconds() {
    let mut world = World::new();
    let index = world.hub.open();
    let mut gone = Vec::new();
    for _ in 0..49 {
        world.now_us += TICK_US;
        world.hub.set_now(world.now_us);
        world.hub.tick();
    }
    world.hub.take_gone(&mut gone);
    assert_eq!((gone.len(), world.hub.connections()), (0, 1));
    world.now_us += 2 * TICK_US;
    world.hub.set_now(world.now_us);
    world.hub.tick();
    world.hub.take_gone(&mut gone);
    assert_eq!((gone, world.hub.connections()), (vec![index], 0));
    let refused = world.hub.open();
    world.hub.close(refused, CloseCode::OVERLOADED, "");
    let mut gone = Vec::new();
    world.hub.take_gone(&mut gone);
    assert_eq!(gone, [refused]);
    assert!(
        world.hub.stats().closes.is_empty(),
        "no close frame before the handshake"
    );
}

/// Without a good `hello` the connection ends after 10 s, also while one is judged.
#[test]
fn hello_has_ten_seconds() {
    let mut world = World::with(HubConfig {
        ping_ms: 1_000,
        ..config()
    });
    let client = world.connect();
    closed_between(&mut world, client, 10 * SECOND_US, 4001);
    let client = world.connect();
    world.op(client, json!({"t": "hello", "token": "ann"}));
    let asked = world.take_asked();
    closed_between(&mut world, client, 10 * SECOND_US, 4001);
    for submission in asked {
        world.answer(submission);
    }
    assert!(world.take(client).is_empty());
    let client = world.connect();
    world.op(client, json!({"t": "hello", "token": "ann"}));
    world.advance(9 * SECOND_US);
    world.serve();
    assert_eq!(kinds(&world.take(client)), ["welcome"]);
    world.advance(SECOND_US);
    assert_eq!(
        world.closed(client),
        None,
        "silence counts from the welcome"
    );
}

/// A JSON ping comes every period, and any frame counts as life.
#[test]
fn silence_ends_after_one_and_a_half_periods() {
    let mut world = World::new();
    let client = world.login("ann");
    for at in 0..8 {
        world.advance(20 * SECOND_US);
        if at % 2 == 0 {
            world.say(client, r#"{"t":"pong"}"#);
        } else {
            let index = world.sockets[client].index;
            world.hub.heard(index);
            world.hub.on_pong(index);
        }
    }
    let pings = world
        .take(client)
        .iter()
        .filter(|it| it["t"] == "ping")
        .count();
    assert!((6..=7).contains(&pings), "{pings} pings in 160 s");
    closed_between(&mut world, client, 37_500_000, 4102);
}

/// A connection whose socket is not read, because its ops wait, counts as alive.
#[test]
fn a_paused_connection_counts_as_alive() {
    let mut world = World::new();
    let client = world.login("ann");
    for _ in 0..65 {
        world.op(client, json!({"t": "hist", "room": "a"}));
    }
    assert!(world.sockets[client].paused);
    world.advance(60 * SECOND_US);
    assert_eq!(world.closed(client), None);
    world.serve();
    closed_between(&mut world, client, 37_500_000, 4102);
}

/// `auth_expiring` comes 60 s before the end, `auth` prolongs, the end closes with 4101.
#[test]
fn a_token_expires_with_a_warning() {
    let mut world = World::new();
    world.token_ms = 90_000;
    let client = world.login("ann");
    let alive = |world: &mut World, seconds: u64| {
        for _ in 0..seconds / 10 {
            world.advance(10 * SECOND_US);
            world.say(client, r#"{"t":"pong"}"#);
        }
        let lines = world.take(client);
        lines
            .into_iter()
            .filter(|it| it["t"] != "ping")
            .collect::<Vec<_>>()
    };
    assert!(alive(&mut world, 20).is_empty());
    let warning = alive(&mut world, 20);
    assert_eq!(warning.len(), 1);
    assert!(
        (59_000..=60_000).contains(&warning[0]["in_ms"].as_u64().unwrap()),
        "{warning:?}"
    );
    world.op(client, json!({"t": "auth", "token": "new"}));
    world.serve();
    assert_eq!(world.take(client)[0]["expires_at"], 900_000);
    assert!(alive(&mut world, 830).is_empty());
    assert_eq!(kinds(&alive(&mut world, 20)), ["auth_expiring"]);
    alive(&mut world, 50);
    world.advance(SECOND_US);
    assert_eq!(world.closed(client), Some(4101));
}

/// A message must be whole within 10 s of its first byte, however it dribbles in.
#[test]
fn half_a_message_has_ten_seconds() {
    let mut world = World::new();
    let client = world.login("ann");
    let index = world.sockets[client].index;
    world.hub.set_partial(index, true);
    for _ in 0..3 {
        world.advance(3 * SECOND_US);
        world.hub.heard(index);
        world.hub.set_partial(index, true);
    }
    closed_between(&mut world, client, SECOND_US, 1008);
}

/// Who always is in the middle of the next message, but finishes each, is not closed.
#[test]
fn a_stream_of_messages_is_no_half_message() {
    let mut world = World::new();
    let client = world.login("ann");
    let index = world.sockets[client].index;
    for _ in 0..20 {
        world.hub.set_partial(index, true);
        world.advance(SECOND_US);
        world.say(client, r#"{"t":"pong"}"#);
    }
    assert_eq!(world.closed(client), None);
    world.hub.set_partial(index, true);
    world.hub.set_partial(index, false);
    world.advance(11 * SECOND_US);
    assert_eq!(world.closed(client), None);
}

/// The answer to a close frame is awaited for 5 s.
#[test]
fn an_unanswered_close_is_dropped_after_five_seconds() {
    let mut world = World::new();
    let client = world.login("ann");
    let index = world.sockets[client].index;
    world
        .hub
        .on_violation(index, CloseCode::PROTOCOL_ERROR, "reserved");
    assert_eq!(world.closed(client), Some(1002));
    world.hub.close(index, CloseCode::INTERNAL, "");
    world.advance(5 * SECOND_US - TICK_US);
    assert!(!world.sockets[client].gone);
    world.advance(2 * TICK_US);
    assert!(world.sockets[client].gone);
    assert_eq!(
        world.hub.stats().closes.iter().collect::<Vec<_>>(),
        [(&1002, &1)]
    );
}

/// The peer's close is echoed and the socket goes when the echo is out.
#[test]
fn a_close_of_the_peer_is_echoed() {
    for (code, echoed, label) in [
        (Some(1001), 1001, 1001),
        (None, 1000, 1000),
        (Some(3999), 3999, 3000),
    ] {
        let mut world = World::new();
        let client = world.login("ann");
        world.hub.on_close(world.sockets[client].index, code);
        assert_eq!(world.closed(client), Some(echoed));
        assert!(world.sockets[client].gone);
        assert_eq!(world.hub.stats().closes[&label], 1);
    }
}

/// Two closes that cross: the peer still sees ours, then the socket goes.
#[test]
fn crossing_closes_lose_no_code() {
    let mut world = World::new();
    let client = world.login("ann");
    let index = world.sockets[client].index;
    world.hub.close(index, CloseCode::SESSION_REVOKED, "");
    world.hub.on_close(index, Some(1000));
    assert_eq!(world.closed(client), Some(4003));
    assert!(world.sockets[client].gone);
    let client = world.login("ann");
    let index = world.sockets[client].index;
    world.hub.close(index, CloseCode::SESSION_REVOKED, "");
    assert_eq!(world.closed(client), Some(4003));
    assert!(!world.sockets[client].gone);
    world.hub.on_close(index, Some(4003));
    world.round();
    assert!(world.sockets[client].gone);
}

/// The hub's clock never goes back, and asks to be woken at the next tick.
#[test]
fn time_only_moves_on() {
    let mut world = World::new();
    let wake_us = world.hub.next_wake_us();
    assert_eq!(wake_us, world.now_us + TICK_US);
    world.hub.set_now(5);
    assert_eq!(world.hub.next_wake_us(), wake_us);
}

/// A panic that was caught costs the one connection.
#[test]
fn a_panic_closes_one_connection() {
    let mut world = World::new();
    let (ann, bob) = (world.login("ann"), world.login("bob"));
    world.hub.on_panic(Some(world.sockets[ann].index));
    world.hub.on_panic(None);
    world.hub.on_panic(Some(4_000));
    assert_eq!((world.closed(ann), world.closed(bob)), (Some(4100), None));
    assert_eq!(world.hub.stats().panics, 3);
}
