//! `sub` and `unsub`: the three races of subscribing, resume, limits, replacing.

use chat_hub::HubConfig;
use chat_hub::effect::{Ask, Attach, Missed, Submission};
use chat_proto::error::ErrorCode;
use serde_json::{Value, json};

use crate::world::{Client, EPOCH, SECOND_US, World, config, kinds, refusal, seqs};

fn sub(room: &str, since: u64) -> Value {
    json!({"t": "sub", "room": room, "since": [EPOCH, since]})
}

/// The store's answer to the one `sub` that was asked, not yet told to the hub.
fn looked(world: &mut World) -> Attach {
    let mut asked = world.take_asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    world.look(asked.remove(0)).expect("a member")
}

fn ok_then_seqs(world: &mut World, client: Client) -> (Value, Vec<u64>) {
    let lines = world.take(client);
    assert_eq!(lines[0]["t"], "ok", "{lines:?}");
    (lines[0].clone(), seqs(&lines, "a"))
}

/// Events that are delivered before the answer are in the answer's seq, n and replay.
#[test]
fn events_before_the_answer_are_replayed_from_memory() {
    let mut world = World::new();
    world.post("a", "bob", 5);
    let client = world.login("ann");
    world.op(client, sub("a", 3));
    let attach = looked(&mut world);
    world.publish("a", 2);
    world.hub.attach(attach);
    let (ok, seen) = ok_then_seqs(&mut world, client);
    assert_eq!((&ok["seq"], &ok["n"]), (&json!(7), &json!(7)));
    assert_eq!((&ok["recovered"], &ok["online"]), (&json!(true), &json!(1)));
    assert_eq!(seen, [4, 5, 6, 7]);
    world.publish("a", 1);
    assert_eq!(seqs(&world.take(client), "a"), [8]);
}

/// An answer whose head has not been delivered yet waits for it, in a room that is live.
#[test]
fn an_answer_ahead_of_delivery_waits() {
    let mut world = World::new();
    world.member("bob", &["a"]);
    let client = world.login("ann");
    world.op(client, sub("a", 0));
    let late = world.post("a", "bob", 3);
    let attach = looked(&mut world);
    world.hub.attach(attach);
    assert!(world.take(client).is_empty());
    world.deliver(&late);
    let (ok, seen) = ok_then_seqs(&mut world, client);
    assert_eq!(
        (&ok["seq"], &ok["n"], seen),
        (&json!(3), &json!(3), vec![1, 2, 3])
    );
}

/// In a room that is opening, what memory holds must reach the head that the store tells.
#[test]
fn an_opening_room_with_a_hole_before_the_head_waits_too() {
    let mut world = World::new();
    world.post("a", "bob", 4);
    let client = world.login("ann");
    world.op(client, sub("a", 4));
    let asked = world.take_asked().remove(0);
    world.publish("a", 2);
    let late = world.post("a", "bob", 2);
    let Submission::Ask(Ask::Sub {
        handle,
        id,
        room,
        since,
        want,
        ..
    }) = asked
    else {
        panic!("not a sub");
    };
    // The store was asked while memory held nothing beyond `since`: it has nothing to add.
    let (head, role) = (8, "member".to_owned());
    let missed = Missed::Held;
    world.hub.attach(Attach {
        handle,
        id,
        room,
        head,
        n: 8,
        read: 0,
        role,
        since,
        want,
        missed,
    });
    assert!(world.take(client).is_empty());
    world.deliver(&late);
    let (ok, seen) = ok_then_seqs(&mut world, client);
    assert_eq!((&ok["seq"], seen), (&json!(8), vec![5, 6, 7, 8]));
}

/// An answer that has waited asks for a repair, again and again, and in the end gives up.
#[test]
fn a_waiting_answer_asks_for_repair_and_gives_up_in_time() {
    let mut world = World::new();
    let bob = world.member("bob", &["a"]);
    let (ann, eve) = (world.login("ann"), world.login("eve"));
    world.op(ann, sub("a", 0));
    world.op(eve, sub("a", 0));
    world.post("a", "bob", 3);
    for submission in world.take_asked() {
        world.answer(submission);
    }
    world.advance(SECOND_US);
    let repairs = world.take_asked();
    let [Submission::Ask(Ask::Repair { log, after, upto })] = &repairs[..] else {
        panic!("one repair for all who wait: {repairs:?}");
    };
    assert_eq!((log.as_str(), *after, *upto), ("a", 0, 3));
    world.advance(2 * SECOND_US);
    assert!(
        !world.take_asked().is_empty(),
        "a repair that was lost is asked for again"
    );
    world.advance(10 * SECOND_US);
    for client in [ann, eve] {
        let line = world.take(client).remove(0);
        assert_eq!(
            (&line["code"], &line["retry"]),
            (&json!("unavailable"), &json!(true))
        );
        assert_eq!(world.closed(client), None);
    }
    let repair = world.take_asked().pop().expect("still behind");
    world.answer(repair);
    assert_eq!(seqs(&world.take(bob), "a"), [1, 2, 3]);
    assert!(world.take(ann).is_empty(), "refused is refused");
}

/// A repair that cures a waiting answer.
#[test]
fn a_waiting_answer_goes_when_the_repair_has_come() {
    let mut world = World::new();
    world.member("bob", &["a"]);
    let ann = world.login("ann");
    world.op(ann, sub("a", 1));
    world.post("a", "bob", 3);
    for submission in world.take_asked() {
        world.answer(submission);
    }
    world.advance(SECOND_US);
    world.serve();
    let (ok, seen) = ok_then_seqs(&mut world, ann);
    assert_eq!((&ok["seq"], seen), (&json!(3), vec![2, 3]));
}

/// A `hello` whose head never comes is refused, so that the client tries another way.
#[test]
fn a_waiting_welcome_gives_up_with_4109() {
    let mut world = World::new();
    world.member("bob", &["a"]);
    let client = world.connect();
    world.op(
        client,
        json!({"t": "hello", "token": "ann", "rooms": {"a": [EPOCH, 0]}}),
    );
    world.post("a", "bob", 3);
    let hello = world.take_asked().remove(0);
    world.answer(hello);
    world.advance(8 * SECOND_US);
    assert_eq!(world.take(client)[0]["code"], "unavailable");
    assert_eq!(world.closed(client), Some(4109));
}

/// A connection that goes while its answers wait takes them along.
#[test]
fn answers_that_wait_for_a_lost_connection_are_forgotten() {
    let mut world = World::new();
    world.member("bob", &["a"]);
    let ann = world.login("ann");
    let greeting = world.connect();
    world.op(ann, sub("a", 0));
    world.op(
        greeting,
        json!({"t": "hello", "token": "eve", "rooms": {"a": [EPOCH, 0]}}),
    );
    world.post("a", "bob", 3);
    for submission in world.take_asked() {
        world.answer(submission);
    }
    for client in [ann, greeting] {
        world.hub.on_lost(world.sockets[client].index);
    }
    world.advance(SECOND_US);
    assert!(
        world.take_asked().is_empty(),
        "nobody needs the repair any more"
    );
}

/// What memory held is gone when the answer comes: the store is asked again, a bounded number.
#[test]
fn a_sub_whose_memory_was_evicted_is_asked_again_a_bounded_number_of_times() {
    let mut world = World::with(HubConfig {
        recent_bytes_max: 2_000,
        ..config()
    });
    world.text_bytes = 300;
    world.member("bob", &["a"]);
    let ann = world.login("ann");
    let id = world.op(ann, sub("a", 0));
    for round in 0..4 {
        let attach = looked(&mut world);
        world.publish("a", 10);
        world.publish("b", 10);
        world.hub.attach(attach);
        if round < 3 {
            assert!(world.take(ann).is_empty());
        }
    }
    let line = world.take(ann).remove(0);
    assert_eq!(
        (&line["id"], &line["code"]),
        (&json!(id), &json!("overloaded"))
    );
    assert!(world.take_asked().is_empty());
    world.op(ann, sub("a", 39));
    world.serve();
    assert_eq!(ok_then_seqs(&mut world, ann).1, [40]);
}

/// Memory that is gone, and a store that has nothing to add, come to a `gap`.
#[test]
fn what_neither_memory_nor_store_has_is_a_gap() {
    let mut world = World::new();
    world.post("a", "bob", 5);
    let ann = world.login("ann");
    world.op(ann, sub("a", 2));
    for _ in 0..2 {
        let mut attach = looked(&mut world);
        attach.missed = Missed::Held;
        world.hub.attach(attach);
    }
    let lines = world.take(ann);
    assert_eq!(kinds(&lines), ["ok", "gap"]);
    assert_eq!((&lines[1]["from"], &lines[1]["to"]), (&json!(3), &json!(5)));
}

/// A `since` at the head is recovered, whatever the store says was missed.
#[test]
fn a_since_at_the_head_is_recovered_with_nothing() {
    for missed in [Missed::Held, Missed::TooMany] {
        let mut world = World::new();
        world.post("a", "bob", 5);
        let ann = world.login("ann");
        world.op(ann, sub("a", 5));
        let mut attach = looked(&mut world);
        attach.missed = missed;
        world.hub.attach(attach);
        let lines = world.take(ann);
        assert_eq!(
            (kinds(&lines), &lines[0]["recovered"]),
            (vec!["ok"], &json!(true))
        );
    }
}

/// `gap` for too far behind, `epoch` for another log or a future position.
#[test]
fn a_position_that_cannot_be_resumed_is_told() {
    let mut world = World::new();
    world.post("a", "bob", 301);
    let ann = world.login("ann");
    world.op(ann, sub("a", 0));
    world.serve();
    let lines = world.take(ann);
    assert_eq!(
        (&lines[0]["recovered"], kinds(&lines)),
        (&json!(false), vec!["ok", "gap"])
    );
    assert_eq!(
        lines[1],
        json!({"t": "gap", "room": "a", "from": 1, "to": 301})
    );
    for since in [json!(["e0", 3]), json!([EPOCH, 302])] {
        world.op(ann, json!({"t": "sub", "room": "a", "since": since}));
        world.serve();
        let lines = world.take(ann);
        assert_eq!(
            (&lines[0]["recovered"], kinds(&lines)),
            (&json!(false), vec!["ok", "epoch"])
        );
        assert_eq!(
            lines[1],
            json!({"t": "epoch", "room": "a", "epoch": EPOCH, "seq": 301})
        );
    }
    world.op(ann, sub("a", 1));
    world.serve();
    assert_eq!(
        ok_then_seqs(&mut world, ann).1,
        (2..=301).collect::<Vec<_>>()
    );
}

/// Exactly 256 KiB of missed events are replayed, wherever in a shared frame the position stands.
#[test]
fn only_the_bytes_that_were_missed_count() {
    let mut world = World::new();
    world.text_bytes = 2_000;
    world.member("bob", &["a"]);
    world.publish("a", 140);
    let ann = world.login("ann");
    let line = world.log("a").lines[100].len() as u64 + 1;
    let fits = 256 * 1024 / line;
    world.op(ann, sub("a", 140 - fits));
    world.serve();
    let (ok, seen) = ok_then_seqs(&mut world, ann);
    assert_eq!((&ok["recovered"], seen.len() as u64), (&json!(true), fits));
}

/// A `member` event of the user that went by while the store was read makes the hub ask again.
#[test]
fn a_kick_that_went_by_makes_the_hub_ask_again() {
    let mut world = World::new();
    let ann = world.login("ann");
    let id = world.op(ann, json!({"t": "sub", "room": "a"}));
    let attach = looked(&mut world);
    let kick = world.change("a", "ann", "ban");
    world.deliver(&kick);
    world.hub.attach(attach);
    world.serve();
    let line = world.take(ann).remove(0);
    assert_eq!(
        (&line["id"], &line["code"]),
        (&json!(id), &json!("not_member"))
    );
    world.publish("a", 1);
    assert!(world.take(ann).is_empty());
}

/// A kick that is older than the answer is in the answer already: who came back is let in.
#[test]
fn a_kick_before_the_answer_s_head_does_not_count() {
    let mut world = World::new();
    let ann = world.login("ann");
    world.op(ann, json!({"t": "sub", "room": "a"}));
    let asked = world.take_asked().remove(0);
    let kick = world.change("a", "ann", "kick");
    world.deliver(&kick);
    world.strangers.clear();
    world.answer(asked);
    assert_eq!(kinds(&world.take(ann)), ["ok"]);
}

/// After `unsub` nothing of the room comes, also when a `sub` was still on its way.
#[test]
fn nothing_follows_an_unsub() {
    let mut world = World::new();
    let ann = world.member("ann", &["a"]);
    world.op(ann, json!({"t": "unsub", "room": "a"}));
    world.publish("a", 1);
    assert_eq!(kinds(&world.take(ann)), ["ok"]);
    let asked = world.op(ann, sub("a", 0));
    let attach = looked(&mut world);
    let ended = world.op(ann, json!({"t": "unsub", "room": "a"}));
    world.hub.attach(attach);
    let lines = world.take(ann);
    let ids: Vec<&Value> = lines.iter().map(|it| &it["id"]).collect();
    assert_eq!(
        (kinds(&lines), ids),
        (vec!["ok", "ok"], vec![&json!(ended), &json!(asked)])
    );
    world.publish("a", 1);
    assert!(world.take(ann).is_empty());
    world.op(ann, json!({"t": "unsub", "room": "nowhere"}));
    world.op(ann, json!({"t": "unsub", "room": "me"}));
    assert_eq!(kinds(&world.take(ann)), ["ok", "ok"]);
    world.publish("me:ann", 1);
    assert_eq!(
        seqs(&world.take(ann), "me:ann"),
        [1],
        "the private log is always subscribed"
    );
}

/// A second `sub` replaces wishes and position; events still come once.
#[test]
fn a_second_sub_replaces_the_first() {
    let mut world = World::new();
    let ann = world.member("ann", &["a"]);
    let bob = world.member("bob", &["a"]);
    world.publish("a", 4);
    world.take(ann);
    world.op(
        ann,
        json!({"t": "sub", "room": "a", "since": [EPOCH, 2], "want": ["typing"]}),
    );
    world.serve();
    let (ok, seen) = ok_then_seqs(&mut world, ann);
    assert_eq!((&ok["online"], seen), (&json!(2), vec![3, 4]));
    world.publish("a", 1);
    assert_eq!(seqs(&world.take(ann), "a"), [5]);
    world.op(bob, json!({"t": "typing", "room": "a", "on": true}));
    assert_eq!(kinds(&world.take(ann)), ["typing"]);
}

/// The hundredth and first subscription is refused, those on their way counted.
#[test]
fn subscriptions_are_limited_with_those_on_their_way() {
    let mut world = World::with(HubConfig {
        subscriptions_max: 2,
        ..config()
    });
    let ann = world.login("ann");
    for room in ["a", "b", "c"] {
        world.op(ann, json!({"t": "sub", "room": room}));
    }
    assert_eq!(world.take(ann)[0]["code"], "limit_exceeded");
    world.serve();
    assert_eq!(kinds(&world.take(ann)), ["ok", "ok"]);
    world.op(ann, json!({"t": "sub", "room": "a"}));
    world.serve();
    assert_eq!(
        kinds(&world.take(ann)),
        ["ok"],
        "a room that is subscribed takes no new place"
    );
    world.op(ann, json!({"t": "unsub", "room": "a"}));
    world.op(ann, json!({"t": "sub", "room": "c"}));
    world.serve();
    assert_eq!(kinds(&world.take(ann)), ["ok", "ok"]);
}

/// A refused `sub` leaves no trace, and rooms are forgotten a minute after the last subscriber.
#[test]
fn rooms_are_forgotten_when_nobody_needs_them() {
    let mut world = World::new();
    let ann = world.login("ann");
    let id = world.op(ann, json!({"t": "sub", "room": "secret"}));
    world.take_asked();
    let handle = world.sockets[ann].handle;
    world.hub.refuse(&refusal(handle, id, ErrorCode::NotFound));
    assert_eq!(world.hub.stats().rooms, 1, "the private log alone");
    let bob = world.member("bob", &["a"]);
    world.publish("a", 3);
    world.op(bob, json!({"t": "unsub", "room": "a"}));
    world.take(bob);
    for _ in 0..2 {
        world.advance(25 * SECOND_US);
        for client in [ann, bob] {
            world.say(client, r#"{"t":"pong"}"#);
        }
    }
    assert_eq!(world.hub.stats().rooms, 3);
    assert!(world.hub.stats().recent_bytes > 0);
    world.advance(21 * SECOND_US);
    assert_eq!(
        (world.hub.stats().rooms, world.hub.stats().recent_bytes),
        (2, 0)
    );
    world.member("bob", &["a"]);
}

/// The private log is resumed by `sub` as any room, is not in anybody's roster, and has no echo.
#[test]
fn the_private_log_has_no_presence() {
    let mut world = World::new();
    let ann = world.login("ann");
    world.publish("me:ann", 3);
    world.take(ann);
    world.op(
        ann,
        json!({"t": "sub", "room": "me", "since": [EPOCH, 1], "want": ["presence"]}),
    );
    world.serve();
    let lines = world.take(ann);
    assert_eq!(
        (&lines[0]["online"], seqs(&lines, "me:ann")),
        (&json!(0), vec![2, 3])
    );
    world.login("ann");
    world.op(ann, json!({"t": "typing", "room": "me", "on": true}));
    world.op(ann, json!({"t": "signal", "room": "me", "body": {}}));
    world.advance(2 * SECOND_US);
    assert!(world.take(ann).is_empty());
}

/// When more users were put out than are remembered, older answers are asked for again.
#[test]
fn a_mass_kick_during_a_sub_lets_nobody_in() {
    let mut world = World::new();
    let ann = world.login("ann");
    world.op(ann, json!({"t": "sub", "room": "a"}));
    let attach = looked(&mut world);
    let kick = world.change("a", "ann", "kick");
    world.deliver(&kick);
    for at in 0..1_100 {
        let kick = world.change("a", &format!("u{at}"), "kick");
        world.deliver(&kick);
    }
    world.hub.attach(attach);
    let again = world.take_asked().remove(0);
    assert!(
        world.take(ann).is_empty(),
        "the one of ann is forgotten, and still she is asked for"
    );
    world.answer(again);
    assert_eq!(world.take(ann)[0]["code"], "not_member");
}

/// More answers than may wait are refused, so that the client tries again.
#[test]
fn answers_beyond_the_bound_of_waiting_are_refused() {
    let mut world = World::new();
    world.member("bob", &["a"]);
    let ann = world.login("ann");
    world.op(ann, sub("a", 0));
    world.post("a", "bob", 1);
    let attach = looked(&mut world);
    let copy = |id: u64| Attach {
        handle: attach.handle,
        id,
        room: "a".to_owned(),
        head: attach.head,
        n: 1,
        read: 0,
        role: String::new(),
        since: None,
        want: 0,
        missed: Missed::Held,
    };
    for _ in 0..chat_hub::bounds::WAITING_ANSWERS_MAX {
        world.hub.attach(copy(2));
    }
    assert!(world.take(ann).is_empty());
    world.hub.attach(copy(3));
    let line = world.take(ann).remove(0);
    assert_eq!(
        (&line["id"], &line["code"]),
        (&json!(3), &json!("unavailable"))
    );
}
