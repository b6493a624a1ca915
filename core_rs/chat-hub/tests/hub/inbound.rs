//! Lines in: order, ids, bounds of what is in flight, pressure of the inbox, misbehaviour.

use chat_hub::HubConfig;
use chat_hub::effect::{Ask, InboxFree, Submission};
use chat_proto::error::ErrorCode;
use serde_json::{Value, json};

use crate::world::{Client, SECOND_US, World, config, kinds, refusal};

fn send(room: &str) -> Value {
    json!({"t": "send", "room": room, "cid": "c", "body": {"text": "hi"}})
}

fn ids(submissions: &[Submission]) -> Vec<u64> {
    let id = |it: &Submission| match it {
        Submission::Send(send) => send.id,
        Submission::Ask(Ask::Hist { id, .. } | Ask::Sub { id, .. }) => *id,
        other => panic!("{other:?}"),
    };
    submissions.iter().map(id).collect()
}

/// At 64 unanswered ops the rest of a message is held and runs in order as answers come.
#[test]
fn the_sixty_fifth_op_waits() {
    let mut world = World::new();
    let client = world.login("ann");
    let lines: Vec<String> = (2..=129)
        .map(|id| {
            let mut op = send("a");
            op["id"] = json!(id);
            op.to_string()
        })
        .collect();
    assert!(!world.say(client, &lines[..128].join("\n")));
    let mut order = Vec::new();
    while world.sockets[client].paused || !world.asked.is_empty() {
        let asked = world.take_asked();
        assert!(asked.len() <= 64);
        order.extend(ids(&asked));
        for submission in asked.into_iter().take(64) {
            world.answer(submission);
        }
        world.round();
    }
    assert_eq!(order, (2..=129).collect::<Vec<_>>());
    let replies: Vec<u64> = world
        .take(client)
        .iter()
        .filter_map(|it| it["id"].as_u64())
        .collect();
    assert_eq!(replies, (2..=129).collect::<Vec<_>>());
}

/// What is said on a held connection all the same runs after what is held.
#[test]
fn lines_that_come_while_others_are_held_stay_behind_them() {
    let mut world = World::new();
    let client = world.login("ann");
    for _ in 0..64 {
        world.op(client, json!({"t": "hist", "room": "a"}));
    }
    let held = world.op(client, send("a"));
    let asked = world.take_asked();
    let late = world.op(client, send("b"));
    for submission in asked {
        world.answer(submission);
    }
    assert_eq!(ids(&world.take_asked()), [held, late]);
}

/// No way to an answer leaks a place in flight: after thousands of ops 64 still fit.
#[test]
fn in_flight_never_leaks() {
    let mut world = World::new();
    let client = world.login("ann");
    let handle = world.sockets[client].handle;
    for round in 0..500_u64 {
        let id = world.op(client, send("a"));
        let sub = world.op(client, json!({"t": "sub", "room": "b"}));
        let auth = world.op(client, json!({"t": "auth", "token": "t"}));
        let mut asked = world.take_asked().into_iter();
        let Some(Submission::Send(stored)) = asked.next() else {
            panic!("a send first")
        };
        let rest: Vec<Submission> = asked.collect();
        if round % 5 == 4 {
            for it in rest {
                world.answer(it);
            }
        } else {
            world
                .hub
                .refuse(&refusal(handle, sub, ErrorCode::Unavailable));
            world
                .hub
                .refuse(&refusal(handle, auth, ErrorCode::Forbidden));
        }
        match round % 4 {
            0 => world.answer(Submission::Send(stored)),
            1 => world.hub.on_send_limited(&stored, 1),
            _ => world.hub.refuse(&refusal(handle, id, ErrorCode::Muted)),
        }
        world.op(client, json!({"t": "unsub", "room": "b"}));
        world.advance(SECOND_US);
        world.say(client, r#"{"t":"pong"}"#);
    }
    for _ in 0..64 {
        assert!(!world.sockets[client].paused);
        world.op(client, send("a"));
    }
    assert!(!world.sockets[client].paused);
    world.op(client, send("a"));
    assert!(world.sockets[client].paused);
}

/// A full inbox stops the lines that need it, and only those, until there is room.
#[test]
fn a_full_inbox_holds_what_needs_it() {
    let mut world = World::new();
    let client = world.login("ann");
    let none = InboxFree {
        sends: 0,
        asks: 1,
        auths: 0,
    };
    world.hub.set_inbox(none, 64);
    let asked = world.op(client, json!({"t": "hist", "room": "a"}));
    assert!(!world.sockets[client].paused);
    let held = world.op(client, send("a"));
    assert!(world.sockets[client].paused);
    assert_eq!(ids(&world.take_asked()), [asked]);
    let other = world.connect();
    world.op(other, json!({"t": "hello", "token": "bob"}));
    assert!(world.sockets[other].paused);
    world.hub.set_inbox(none, 64);
    assert!(world.take_asked().is_empty());
    world.hub.set_inbox(InboxFree::default(), 64);
    let asked = world.take_asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(ids(&asked[..1]), [held]);
    assert!(!world.sockets[client].paused);
}

/// Under pressure those with most in flight stop first, and nobody is forgotten.
#[test]
fn pressure_lowers_what_may_be_in_flight() {
    let mut world = World::new();
    let (busy, idle) = (world.login("ann"), world.login("bob"));
    for _ in 0..10 {
        world.op(busy, send("a"));
    }
    world.hub.set_inbox(InboxFree::default(), 4);
    world.op(busy, send("a"));
    world.op(idle, send("b"));
    assert!(world.sockets[busy].paused && !world.sockets[idle].paused);
    let asked = world.take_asked();
    assert_eq!(asked.len(), 11);
    for submission in asked {
        world.answer(submission);
    }
    world.round();
    assert!(!world.sockets[busy].paused);
    assert_eq!(world.take_asked().len(), 1);
    world.hub.set_inbox(InboxFree::default(), 0);
    world.op(idle, send("b"));
    assert!(!world.sockets[idle].paused, "one op is always possible");
}

/// Ids grow; an op whose id does not is not executed, bad lines count too.
#[test]
fn ids_grow() {
    let mut world = World::new();
    let client = world.login("ann");
    world.say(client, r#"{"t":"hist","id":10,"room":"a"}"#);
    for (text, id, field) in [
        (r#"{"t":"hist","id":10,"room":"a"}"#, json!(10), "id"),
        (r#"{"t":"hist","id":3,"room":"a"}"#, json!(3), "id"),
        (r#"{"t":"hist","room":"a"}"#, Value::Null, "id"),
        (r#"{"t":"hist","id":"11","room":"a"}"#, Value::Null, "id"),
        (r#"{"t":"hist","id":20,"room":7}"#, json!(20), "room"),
        (r#"{"t":"hist","id":20,"room":"a"}"#, json!(20), "id"),
        (r#"{"t":"fly","id":5}"#, json!(5), "id"),
    ] {
        world.say(client, text);
        let line = world.take(client).remove(0);
        let got = (&line["id"], &line["code"], &line["field"]);
        assert_eq!(got, (&id, &json!("bad_request"), &json!(field)), "{text}");
    }
    world.say(client, r#"{"t":"fly","id":21}"#);
    assert_eq!(world.take(client)[0]["code"], "unknown_op");
    assert_eq!(world.take_asked().len(), 1);
}

/// A bad line does not stop the next; the third undecodable one within 10 s closes with 4002.
#[test]
fn the_third_undecodable_line_closes() {
    let mut world = World::new();
    let client = world.login("ann");
    world.say(
        client,
        "{\n\n{\"t\":\"unsub\",\"id\":2,\"room\":\"a\"}\n[]\n",
    );
    assert_eq!(kinds(&world.take(client)), ["err", "ok", "err"]);
    world.advance(10 * SECOND_US + 100_000);
    world.say(client, "nonsense\nnonsense");
    assert_eq!(world.closed(client), None);
    world.say(client, "nonsense");
    assert_eq!(world.take(client).len(), 3);
    assert_eq!(world.closed(client), Some(4002));
    assert!(
        world.say(client, "nonsense"),
        "a closing connection is read for its close"
    );
}

/// The hundredth `err` within 10 s closes with 4007, more than 128 lines with 1008.
#[test]
fn a_hundred_errors_close() {
    let mut world = World::new();
    let client = world.login("ann");
    let bad = |count: usize| vec![r#"{"t":"fly"}"#; count].join("\n");
    world.say(client, &bad(99));
    assert_eq!(world.closed(client), None);
    world.say(client, &bad(1));
    assert_eq!(world.closed(client), Some(4007));
    assert_eq!(world.take(client).len(), 100);
    let client = world.login("ann");
    world.say(client, &vec![r#"{"t":"pong"}"#; 128].join("\n"));
    assert_eq!(world.closed(client), None);
    world.say(client, &vec![r#"{"t":"pong"}"#; 129].join("\n"));
    assert_eq!(world.closed(client), Some(1008));
}

/// Over the rate a send is refused with the time to wait; persistently, 4103.
#[test]
fn sends_over_the_rate_are_refused_then_closed() {
    let mut world = World::with(HubConfig {
        rate_limits: true,
        ..config()
    });
    let client = world.login("ann");
    for sent in 1..=301_u64 {
        world.op(client, send("a"));
        if sent % 50 == 0 {
            world.serve();
        }
    }
    let lines = world.take(client);
    let limited: Vec<&Value> = lines
        .iter()
        .filter(|it| it["code"] == "rate_limited")
        .collect();
    assert_eq!(limited.len(), 101);
    assert_eq!(
        (&limited[0]["retry_after_ms"], &limited[0]["room"]),
        (&json!(20), &json!("a"))
    );
    assert_eq!(limited[0]["retry"], true);
    assert_eq!(world.closed(client), Some(4103));
}

fn pings(world: &mut World, client: Client, count: usize) {
    for at in 0..count {
        let index = world.sockets[client].index;
        if at % 2 == 0 {
            world.hub.on_ping(index, b"p");
        } else {
            world.hub.on_pong(index);
        }
    }
}

/// A ping is answered with its payload; more than 100 control frames in 10 s close with 4103.
#[test]
fn too_many_control_frames_close() {
    let mut world = World::new();
    let client = world.login("ann");
    for _ in 0..3 {
        pings(&mut world, client, 100);
        assert_eq!(world.closed(client), None);
        world.advance(10 * SECOND_US + 100_000);
    }
    assert_eq!(world.sockets[client].pongs, vec![b"p".to_vec(); 150]);
    pings(&mut world, client, 101);
    assert_eq!(world.closed(client), Some(4103));
    pings(&mut world, client, 3);
}

/// Misbehaviour is counted in windows also when the clock's milliseconds pass 32 bits.
#[test]
fn windows_survive_the_wrap_of_a_millisecond_clock() {
    let mut world = World::new();
    let wrap_us = (1_u64 << 32) * 1_000;
    world.now_us = wrap_us - 5 * SECOND_US;
    world.hub.set_now(world.now_us);
    world.hub.tick();
    let client = world.login("ann");
    world.say(client, "bad\nbad");
    world.advance(11 * SECOND_US);
    world.say(client, "bad\nbad");
    assert_eq!(world.closed(client), None, "two in each window");
    world.say(client, "bad");
    assert_eq!(world.closed(client), Some(4002));
}

/// A connection that is closed while it is held is read again, for the peer's close.
#[test]
fn a_close_reads_a_held_socket_again() {
    let mut world = World::new();
    let client = world.login("ann");
    for _ in 0..65 {
        world.op(client, json!({"t": "hist", "room": "a"}));
    }
    assert!(world.sockets[client].paused);
    world.hub.end_session("s-ann");
    assert_eq!(world.closed(client), Some(4003));
    assert!(!world.sockets[client].paused);
    for submission in world.take_asked() {
        world.answer(submission);
    }
    assert!(world.take(client).is_empty());
}

/// The echo endpoint frames what it is given, needs no `hello`, and says nothing by itself.
#[test]
fn the_echo_endpoint_needs_no_hello() {
    let mut world = World::with(HubConfig {
        echo: true,
        ..config()
    });
    let client = world.connect();
    let index = world.sockets[client].index;
    world
        .hub
        .push_frame(index, vec![0x81, 4, b't', b'r', b'u', b'e']);
    assert_eq!(world.take(client), [json!(true)]);
    world.advance(30 * SECOND_US);
    assert_eq!((world.closed(client), world.take(client).len()), (None, 0));
    world.hub.on_close(index, Some(1000));
    world.hub.push_frame(index, vec![0x81, 0]);
    assert_eq!(world.closed(client), Some(1000));
}

/// A `send` is handed over as it was said, byte for byte, with its weight for the inbox.
#[test]
fn a_send_is_handed_over_as_it_was_said() {
    let mut world = World::new();
    let client = world.login("ann");
    let body = r#"{ "text" : "h\u00e9 €" }"#;
    let text = r#"{"t":"send","id":7,"room":"a","cid":"c-1","thread":3,"body":"#;
    world.say(client, &format!("{text}{body}}}"));
    let asked = world.take_asked();
    let [Submission::Send(send)] = &asked[..] else {
        panic!("{asked:?}");
    };
    assert_eq!((send.room(), send.cid(), send.body()), ("a", "c-1", body));
    assert_eq!((send.id, send.thread, &*send.user), (7, Some(3), "ann"));
    assert_eq!(
        (send.handle, send.received_us),
        (world.sockets[client].handle, world.now_us)
    );
    assert_eq!(send.bytes(), size_of_val(send) + 4 + body.len());
}
