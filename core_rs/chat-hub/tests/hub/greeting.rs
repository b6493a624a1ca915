//! `hello` and `welcome`: credentials, resume of many rooms, refusals.

use chat_hub::effect::{Auth, Submission};
use chat_proto::error::ErrorCode;
use chat_proto::handshake::Credential;
use serde_json::{Value, json};

use crate::world::{EPOCH, SECOND_US, World, config, kinds, refusal, seqs};

fn hello(rooms: &Value) -> Value {
    json!({"t": "hello", "token": "ann", "rooms": rooms})
}

/// Several clients resume rooms by one `hello`, each as its position deserves.
#[test]
fn a_hello_resumes_each_room_as_its_position_deserves() {
    let mut world = World::new();
    for room in ["ok", "same", "far", "other", "future", "private", "me:ann"] {
        world.post(room, "bob", 10);
    }
    world.post("far", "bob", 400);
    world
        .strangers
        .insert(("private".to_owned(), "ann".to_owned()));
    let client = world.connect();
    let rooms = json!({"ok": [EPOCH, 7], "same": [EPOCH, 10], "far": [EPOCH, 7],
        "other": ["e0", 7], "future": [EPOCH, 99], "private": [EPOCH, 1], "me": [EPOCH, 9]});
    world.op(client, hello(&rooms));
    world.serve();
    let lines = world.take(client);
    let welcome = &lines[0];
    assert_eq!(
        (&welcome["t"], &welcome["me"]),
        (&json!("welcome"), &json!([EPOCH, 10]))
    );
    let expected = json!({
        "ok": ["ok", EPOCH, 10, 10, 0, "member"],
        "same": ["ok", EPOCH, 10, 10, 0, "member"],
        "far": ["gap", EPOCH, 410, 410, 0, "member"],
        "other": ["epoch", EPOCH, 10, 10, 0, "member"],
        "future": ["epoch", EPOCH, 10, 10, 0, "member"],
        "private": ["denied", EPOCH, 0, 0, 0, null],
        "me": ["ok", EPOCH, 10, 10, 0, "member"],
    });
    assert_eq!(welcome["resume"], expected);
    assert_eq!(seqs(&lines, "ok"), [8, 9, 10]);
    assert_eq!(seqs(&lines, "me:ann"), [10]);
    assert_eq!(lines.iter().filter(|it| it["t"] == "epoch").count(), 2);
    let gaps: Vec<&Value> = lines.iter().filter(|it| it["t"] == "gap").collect();
    assert_eq!(
        gaps,
        [&json!({"t": "gap", "room": "far", "from": 8, "to": 410})]
    );
    world.publish("far", 1);
    world.publish("private", 1);
    world.publish("me:ann", 1);
    let lines = world.take(client);
    assert_eq!(
        (seqs(&lines, "far"), seqs(&lines, "me:ann")),
        (vec![411], vec![11])
    );
    assert!(seqs(&lines, "private").is_empty());
}

/// The private log takes none of the places that the limit of subscriptions gives.
#[test]
fn rooms_of_a_hello_over_the_limit_are_denied_and_me_is_not_counted() {
    let mut world = World::with(chat_hub::HubConfig {
        subscriptions_max: 3,
        ..config()
    });
    let client = world.connect();
    let rooms = json!({"a": [EPOCH, 0], "b": [EPOCH, 0], "c": [EPOCH, 0], "d": [EPOCH, 0],
        "me": [EPOCH, 0]});
    world.op(client, hello(&rooms));
    world.serve();
    let resume = world.take(client)[0]["resume"].clone();
    for (room, status) in [
        ("a", "ok"),
        ("b", "ok"),
        ("c", "ok"),
        ("d", "denied"),
        ("me", "ok"),
    ] {
        assert_eq!(resume[room][0], status, "{room}");
    }
    world.op(client, json!({"t": "sub", "room": "e"}));
    assert_eq!(world.take(client)[0]["code"], "limit_exceeded");
}

/// What is replayed to one `hello` stays within 1 MiB; what does not fit is a `gap`, never folded.
#[test]
fn a_hello_replays_at_most_a_mebibyte() {
    let mut world = World::new();
    world.text_bytes = 2_300;
    let mut rooms = serde_json::Map::new();
    for room in ["a", "b", "c", "d", "e"] {
        world.post(room, "bob", 100);
        rooms.insert(room.to_owned(), json!([EPOCH, 0]));
    }
    world.text_bytes = 10;
    world.post("small", "bob", 3);
    rooms.insert("small".to_owned(), json!([EPOCH, 0]));
    let client = world.connect();
    world.op(client, hello(&Value::Object(rooms)));
    world.serve();
    let lines = world.take(client);
    let resume = &lines[0]["resume"];
    let status = |room: &str| resume[room][0].as_str().unwrap().to_owned();
    assert_eq!(
        ["a", "b", "c", "d", "e"].map(status),
        ["ok", "ok", "ok", "ok", "gap"]
    );
    assert_eq!(
        resume["small"][0], "ok",
        "a room that fits is not punished for one that did not"
    );
    assert_eq!(seqs(&lines, "d").len(), 100);
    assert_eq!(kinds(&lines).iter().filter(|it| **it == "gap").count(), 1);
}

/// The token may stand in the handshake or in `hello`; two that differ are refused with 4001.
#[test]
fn two_tokens_must_agree() {
    let bearer = |token: &str| Credential::Bearer(token.to_owned());
    let ticket = || Credential::Ticket("t1".to_owned());
    let cases = [
        (Credential::None, Some("ann"), Some((false, "ann"))),
        (Credential::None, None, None),
        (bearer("ann"), None, Some((false, "ann"))),
        (bearer("ann"), Some("ann"), Some((false, "ann"))),
        (bearer("ann"), Some("bob"), None),
        (ticket(), None, Some((true, "t1"))),
        (ticket(), Some("ann"), None),
    ];
    for (credential, token, expected) in cases {
        let mut world = World::new();
        let client = world.connect_with(credential, 0);
        world.op(client, json!({"t": "hello", "token": token}));
        let asked = world.take_asked();
        if let Some((is_ticket, text)) = expected {
            let [
                Submission::Auth(Auth::Hello {
                    ticket,
                    credential,
                    address,
                    ..
                }),
            ] = &asked[..]
            else {
                panic!("{asked:?}");
            };
            assert_eq!(
                (*ticket, credential.as_str(), &**address),
                (is_ticket, text, "127.0.0.1")
            );
        } else {
            assert!(asked.is_empty());
            assert_eq!(world.take(client)[0]["code"], "unauthorized");
            assert_eq!(world.closed(client), Some(4001));
        }
    }
}

/// A refused `hello` says why, then closes with the code that tells what to do.
#[test]
fn a_refused_hello_closes_with_the_code_of_its_reason() {
    let cases = [
        (ErrorCode::Unauthorized, 4001),
        (ErrorCode::TokenExpired, 4101),
        (ErrorCode::Internal, 4100),
        (ErrorCode::Timeout, 4109),
        (ErrorCode::Overloaded, 4109),
    ];
    for (code, close) in cases {
        let mut world = World::new();
        let client = world.connect();
        let id = world.op(client, hello(&json!({"a": [EPOCH, 1]})));
        world.take_asked();
        let handle = world.sockets[client].handle;
        world.hub.refuse(&refusal(handle, id, code));
        let lines = world.take(client);
        assert_eq!(
            (&lines[0]["id"], &lines[0]["code"]),
            (&json!(id), &json!(code.name()))
        );
        assert_eq!(world.closed(client), Some(close));
        assert_eq!(
            world.hub.stats().rooms,
            0,
            "rooms that nobody entered are forgotten at once"
        );
    }
}

/// Before `hello` nothing else is executed, after it no second one.
#[test]
fn hello_is_first_and_only() {
    for op in [json!({"t": "sub", "room": "a"}), json!({"t": "nonsense"})] {
        let mut world = World::new();
        let client = world.connect();
        let id = world.op(client, op);
        let line = world.take(client).remove(0);
        assert_eq!(
            (&line["id"], &line["code"]),
            (&json!(id), &json!("unauthorized"))
        );
        assert_eq!(world.closed(client), Some(4001));
    }
    let mut world = World::new();
    let client = world.connect();
    world.say(client, r#"{"t":"pong"}"#);
    assert_eq!(world.closed(client), None);
    world.say(client, r#"{"t":"typing","room":"a","on":true}"#);
    assert_eq!(world.take(client)[0].get("id"), None);
    assert_eq!(world.closed(client), Some(4001));
    let client = world.login("ann");
    world.op(client, hello(&json!({})));
    assert_eq!(world.closed(client), Some(4000));
}

/// Lines behind a `hello` in the same message run when the welcome has come.
#[test]
fn what_follows_a_hello_waits_for_the_welcome() {
    let mut world = World::new();
    let client = world.connect();
    let text =
        "{\"t\":\"hello\",\"id\":1,\"token\":\"ann\"}\n{\"t\":\"sub\",\"id\":2,\"room\":\"a\"}";
    assert!(!world.say(client, text));
    assert_eq!(world.take_asked().len(), 1);
    let mut world = World::new();
    let client = world.connect();
    world.say(client, text);
    world.serve();
    assert!(!world.sockets[client].paused);
    assert_eq!(kinds(&world.take(client)), ["welcome", "ok"]);
}

/// An event of the private log that is delivered while a `hello` is judged is not lost.
#[test]
fn a_private_event_during_hello_is_delivered_after_welcome() {
    let mut world = World::new();
    world.post("me:ann", "bob", 2);
    let client = world.connect();
    world.op(client, hello(&json!({})));
    let asked = world.take_asked().remove(0);
    let welcome = world.judge(asked);
    world.publish("me:ann", 1);
    world.hub.welcome(welcome);
    let lines = world.take(client);
    assert_eq!(lines[0]["me"], json!([EPOCH, 3]));
    world.publish("me:ann", 1);
    assert_eq!(seqs(&world.take(client), "me:ann"), [4]);
    assert_eq!(world.take_asked().len(), 0);
}

/// A session that ends while its `hello` is judged does not become a live connection.
#[test]
fn a_session_revoked_during_hello_is_closed() {
    let mut world = World::new();
    let client = world.connect();
    world.op(client, hello(&json!({})));
    let asked = world.take_asked().remove(0);
    let welcome = world.judge(asked);
    world.hub.end_session("s-ann");
    world.hub.welcome(welcome);
    assert_eq!(world.closed(client), Some(4003));
    world.advance(11 * SECOND_US);
    let client = world.login("ann");
    assert_eq!(
        world.closed(client),
        None,
        "a later session of that name is another one"
    );
}

/// A token of a session that ended while it was judged does not prolong the connection.
#[test]
fn a_session_revoked_during_auth_is_closed() {
    let mut world = World::new();
    let client = world.login("ann");
    let id = world.op(client, json!({"t": "auth", "token": "new"}));
    let handle = world.sockets[client].handle;
    world.hub.end_session("s-next");
    let mut renewal = crate::world::renewal(handle, id, 900_000);
    renewal.session = "s-next".to_owned();
    world.hub.authorize(renewal);
    assert_eq!(world.closed(client), Some(4003));
}

/// More ended sessions than are remembered let no `hello` under way slip in.
#[test]
fn too_many_ended_sessions_close_every_hello_under_way() {
    let mut world = World::new();
    let live = world.login("bob");
    let client = world.connect();
    world.op(client, hello(&json!({})));
    let asked = world.take_asked().remove(0);
    for at in 0..5_000 {
        world.hub.end_session(&format!("other-{at}"));
    }
    world.answer(asked);
    assert_eq!(
        (world.closed(client), world.closed(live)),
        (Some(4109), None)
    );
}

/// Who is kicked while a `hello` is judged is denied the room.
#[test]
fn a_kick_during_hello_denies_the_room() {
    let mut world = World::new();
    world.post("a", "bob", 2);
    let client = world.connect();
    world.op(client, hello(&json!({"a": [EPOCH, 2]})));
    let asked = world.take_asked().remove(0);
    let welcome = world.judge(asked);
    let kick = world.change("a", "ann", "kick");
    world.deliver(&kick);
    world.hub.welcome(welcome);
    assert_eq!(world.take(client)[0]["resume"]["a"][0], "denied");
    world.publish("a", 1);
    assert_eq!(world.take(client).len(), 0);
}

/// A revoked session ends exactly its own connections.
#[test]
fn end_session_closes_only_that_session() {
    let mut world = World::new();
    let (ann, bob) = (world.login("ann"), world.login("bob"));
    let greeting = world.connect();
    world.hub.end_session("s-ann");
    world.hub.end_session("");
    assert_eq!(world.closed(ann), Some(4003));
    assert_eq!((world.closed(bob), world.closed(greeting)), (None, None));
}

/// A handle of a connection that is gone never reaches the one that took its index.
#[test]
fn an_answer_for_a_lost_connection_does_not_reach_its_successor() {
    let mut world = World::new();
    let first = world.login("ann");
    let id = world.op(first, json!({"t": "hist", "room": "a"}));
    let asked = world.take_asked();
    world.hub.on_lost(world.sockets[first].index);
    world.round();
    let second = world.login("bob");
    assert_eq!(world.sockets[first].index, world.sockets[second].index);
    let old = world.sockets[first].handle;
    assert_ne!(old, world.sockets[second].handle);
    for submission in asked {
        world.answer(submission);
    }
    world.hub.reply(old, id, b"");
    world.hub.refuse(&refusal(old, id, ErrorCode::Internal));
    world.hub.authorize(crate::world::renewal(old, id, 1));
    assert!(world.take(second).is_empty());
}
