//! Delivery: in order, once, to those who may see it; big rooms in slices; repairs.

use chat_hub::HubConfig;
use chat_hub::effect::{Ask, Submission};
use serde_json::{Value, json};

use crate::world::{Client, EPOCH, SECOND_US, World, config, kinds, seqs};

/// Duplicates, overlaps and events out of order come to each subscriber once and in order.
#[test]
fn duplicates_and_overlaps_are_delivered_once() {
    let mut world = World::new();
    let ann = world.member("ann", &["a"]);
    world.post("a", "bob", 9);
    for (first, last) in [(1, 3), (1, 3), (2, 5), (4, 4), (5, 9), (1, 9)] {
        let delivered = world.stretch("a", first, last);
        world.deliver(&delivered);
    }
    assert_eq!(seqs(&world.take(ann), "a"), (1..=9).collect::<Vec<_>>());
    assert!(world.take_asked().is_empty());
}

/// A hole is asked for once, what came early is kept, and nothing overtakes.
#[test]
fn a_hole_is_repaired_before_anything_later_goes_out() {
    let mut world = World::new();
    let ann = world.member("ann", &["a"]);
    world.post("a", "bob", 12);
    for (first, last) in [(1, 2), (5, 6), (9, 10), (11, 12), (5, 6)] {
        let delivered = world.stretch("a", first, last);
        world.deliver(&delivered);
    }
    assert_eq!(seqs(&world.take(ann), "a"), [1, 2]);
    let asked = world.take_asked();
    let [Submission::Ask(Ask::Repair { log, after, upto })] = &asked[..] else {
        panic!("one repair: {asked:?}");
    };
    assert_eq!((log.as_str(), *after, *upto), ("a", 2, 4));
    for submission in asked {
        world.answer(submission);
    }
    assert_eq!(seqs(&world.take(ann), "a"), [3, 4, 5, 6]);
    world.serve();
    assert_eq!(seqs(&world.take(ann), "a"), [7, 8, 9, 10, 11, 12]);
    assert_eq!(world.hub.stats().repairs, 2);
}

/// A repair that gets lost is asked for again; without that the room would stand still for ever.
#[test]
fn a_lost_repair_is_asked_for_again() {
    let mut world = World::new();
    let ann = world.member("ann", &["a"]);
    world.post("a", "bob", 4);
    let late = world.stretch("a", 3, 4);
    world.deliver(&late);
    assert_eq!(world.take_asked().len(), 1);
    world.advance(SECOND_US / 2);
    assert!(world.take_asked().is_empty());
    world.advance(SECOND_US);
    let again = world.take_asked();
    assert_eq!(again.len(), 1);
    for submission in again {
        world.answer(submission);
    }
    assert_eq!(seqs(&world.take(ann), "a"), [1, 2, 3, 4]);
    world.advance(5 * SECOND_US);
    assert!(world.take_asked().is_empty());
}

/// More runs beyond a hole than are kept are not lost: the log is asked for the rest.
#[test]
fn runs_beyond_the_bound_come_back_by_repair() {
    let mut world = World::new();
    let ann = world.member("ann", &["a"]);
    world.post("a", "bob", 200);
    for seq in 2..=200 {
        let delivered = world.stretch("a", seq, seq);
        world.deliver(&delivered);
    }
    world.serve();
    world.advance(2 * SECOND_US);
    world.publish("a", 1);
    world.serve();
    assert_eq!(seqs(&world.take(ann), "a"), (1..=201).collect::<Vec<_>>());
}

/// Events reach the subscribers of their room and nobody else, not even by a shared index.
#[test]
fn nobody_sees_a_room_that_it_is_not_subscribed_to() {
    let mut world = World::new();
    let (ann, bob) = (world.member("ann", &["a"]), world.member("bob", &["b"]));
    world.publish("a", 1);
    world.publish("me:ann", 1);
    world.publish("nowhere", 1);
    assert_eq!(world.take(ann).len(), 2);
    assert!(world.take(bob).is_empty());
}

/// Who is kicked sees its own event last, on all its devices; the others go on.
#[test]
fn a_kicked_user_sees_its_own_event_last() {
    for action in ["kick", "ban", "leave"] {
        let mut world = World::new();
        let devices = [
            world.member("ann", &["a", "b"]),
            world.member("ann", &["a"]),
        ];
        let bob = world.member("bob", &["a"]);
        world.publish("a", 1);
        let mut both = world.post("a", "bob", 1);
        let kick = world.change("a", "ann", action);
        both.parts.extend(kick.parts);
        let rest = world.post("a", "bob", 2);
        both.parts.extend(rest.parts);
        world.deliver(&both);
        for client in devices {
            let lines = world.take(client);
            assert_eq!(seqs(&lines, "a"), [1, 2, 3]);
            assert_eq!(lines.last().unwrap()["action"], action);
        }
        assert_eq!(seqs(&world.take(bob), "a"), [1, 2, 3, 4, 5]);
        world.publish("b", 1);
        assert_eq!(seqs(&world.take(devices[0]), "b"), [1]);
        world.publish("a", 1);
        assert!(world.take(devices[0]).is_empty());
    }
}

/// One commit of many events takes effect at each change's own seq.
#[test]
fn a_change_in_the_middle_of_a_run_cuts_it() {
    let mut world = World::new();
    let ann = world.member("ann", &["a"]);
    world.post("a", "bob", 2);
    world.change("a", "ann", "ban");
    world.change("a", "eve", "join");
    world.post("a", "bob", 2);
    let whole = world.stretch("a", 1, 6);
    assert_eq!(whole.parts.len(), 2);
    world.deliver(&whole);
    assert_eq!(seqs(&world.take(ann), "a"), [1, 2, 3]);
    let overlap = world.stretch("a", 3, 6);
    world.deliver(&overlap);
    assert!(world.take(ann).is_empty());
}

fn crowd(world: &mut World, size: usize) -> Vec<Client> {
    (0..size)
        .map(|at| world.member(&format!("u{at}"), &["big"]))
        .collect()
}

/// In a big room, joins, leaves, kicks and losses between the slices change nothing for others.
#[test]
fn a_big_room_survives_joins_leaves_and_kicks_between_slices() {
    let mut world = World::new();
    let all = crowd(&mut world, 1_300);
    let first = world.post("big", "bob", 2);
    world.hub.deliver(&first, 7);
    world.hub.fan_out();
    let second = world.post("big", "bob", 1);
    world.hub.deliver(&second, 7);
    // One that was served, one that was not, and the last one: each leaves in its own way.
    let (served, waiting, last) = (all[3], all[900], all[1_299]);
    let index = |world: &World, client: Client| world.sockets[client].index;
    let (served_at, last_at) = (index(&world, served), index(&world, last));
    world.hub.on_lost(served_at);
    world.hub.on_lost(last_at);
    let unsub = json!({"t": "unsub", "room": "big", "id": 99}).to_string();
    let left = all[600];
    let left_at = index(&world, left);
    world.hub.on_text(left_at, unsub.as_bytes());
    let kick = world.change("big", "u900", "kick");
    world.hub.deliver(&kick, 7);
    let late = world.login("late");
    world.op(
        late,
        json!({"t": "sub", "room": "big", "since": [EPOCH, 1]}),
    );
    world.serve();
    world.publish("big", 1);
    assert_eq!(seqs(&world.take(waiting), "big"), [1, 2, 3, 4]);
    let lines = world.take(left);
    assert_eq!(
        kinds(&lines).last(),
        Some(&"ok"),
        "nothing after the ok of unsub"
    );
    assert_eq!(seqs(&world.take(late), "big"), [2, 3, 4, 5]);
    for &client in all
        .iter()
        .filter(|it| ![served, waiting, last, left].contains(it))
    {
        assert_eq!(
            seqs(&world.take(client), "big"),
            [1, 2, 3, 4, 5],
            "client {client}"
        );
    }
    world.op(late, json!({"t": "who", "room": "big", "limit": 1}));
    world.serve();
    assert_eq!(world.take(late)[0]["count"], 1_297);
    let mut commits = Vec::new();
    world.hub.take_fanned_us(&mut commits);
    assert_eq!(commits, [7, 7, 7, 0]);
}

/// A second `sub` in the middle of a fan-out brings no event twice and skips none.
#[test]
fn a_second_sub_between_slices_brings_nothing_twice() {
    let mut world = World::new();
    let all = crowd(&mut world, 1_030);
    for since in [json!(null), json!([EPOCH, 0])] {
        let slow = all[1_029];
        world.take(slow);
        let head = world.log("big").head();
        let run = world.post("big", "bob", 2);
        world.hub.deliver(&run, 0);
        world.hub.fan_out();
        let op = json!({"t": "sub", "room": "big", "since": since, "id": head + 500});
        let at = world.sockets[slow].index;
        world.hub.on_text(at, op.to_string().as_bytes());
        let mut asked = Vec::new();
        world.hub.take_submissions(&mut asked);
        for submission in asked {
            world.answer(submission);
        }
        world.publish("big", 1);
        let lines = world.take(slow);
        let at = lines.iter().position(|it| it["t"] == "ok").unwrap();
        assert_eq!(
            seqs(&lines[..at], "big"),
            [head + 1, head + 2],
            "the first sub's"
        );
        let from = if since.is_null() { head + 3 } else { 1 };
        assert_eq!(
            seqs(&lines[at..], "big"),
            (from..=head + 3).collect::<Vec<_>>()
        );
    }
}

/// A small room is served while a big one is in the middle of its slices.
#[test]
fn a_small_room_does_not_wait_for_a_big_one() {
    let mut world = World::new();
    let all = crowd(&mut world, 1_100);
    let small = world.member("ann", &["small"]);
    world.publish("big", 1);
    world.publish("small", 1);
    world.hub.fan_out();
    let mut dirty = Vec::new();
    world.hub.take_dirty(&mut dirty);
    assert!(dirty.contains(&world.sockets[small].index));
    assert!(!dirty.contains(&world.sockets[all[1_000]].index));
    for index in dirty {
        world.socket_at(index).writable = true;
    }
    assert_eq!(seqs(&world.take(all[1_000]), "big"), [1]);
}

/// The sender's `ok` stands before its echo, and a pipeline is answered in order.
#[test]
fn ok_stands_before_the_echo() {
    let mut world = World::new();
    let ann = world.member("ann", &["a"]);
    for seq in 1..=5 {
        world.op(
            ann,
            json!({"t": "send", "room": "a", "cid": format!("c{seq}"),
            "body": {"text": "hi"}}),
        );
    }
    world.serve();
    let lines = world.take(ann);
    for seq in 1..=5_u64 {
        let of = |kind: &str| {
            let found = |it: &Value| it["t"] == kind && it["seq"] == seq;
            lines.iter().position(found).unwrap()
        };
        assert!(of("ok") < of("msg"), "{lines:?}");
    }
    assert_eq!(seqs(&lines, "a"), [1, 2, 3, 4, 5]);
}

/// Memory for resume stays within its bound, the oldest room gives its own up first.
#[test]
fn memory_for_resume_is_bounded() {
    let mut world = World::with(HubConfig {
        recent_bytes_max: 100_000,
        ..config()
    });
    world.text_bytes = 1_000;
    let rooms: Vec<String> = (0..20).map(|at| format!("r{at}")).collect();
    let names: Vec<&str> = rooms.iter().map(String::as_str).collect();
    let ann = world.member("ann", &names);
    for room in &names {
        world.publish(room, 20);
        assert!(world.hub.stats().recent_bytes <= 100_000);
    }
    world.publish(names[19], 1_000);
    assert!(world.hub.stats().recent_bytes <= 100_000);
    world.take(ann);
    world.op(ann, json!({"t": "sub", "room": "r0", "since": [EPOCH, 10]}));
    world.serve();
    assert_eq!(seqs(&world.take(ann), "r0").len(), 10, "from the store");
}

/// Connections that agreed on compression share one compressed frame, others get it plain.
#[test]
fn deflate_connections_share_one_compressed_frame() {
    let mut world = World::new();
    world.text_bytes = 4_000;
    let mut clients = Vec::new();
    for bits in [0, 9, 12, 15, 15] {
        let client = world.connect_with(chat_proto::handshake::Credential::None, bits);
        world.greet(client, "ann");
        world.op(client, json!({"t": "sub", "room": "a"}));
        world.serve();
        world.take(client);
        clients.push((bits, client));
    }
    let delivered = world.post("a", "bob", 3);
    for (_, client) in &clients {
        world.sockets[*client].deflated = 0;
    }
    world.deliver(&delivered);
    for (bits, client) in clients {
        assert_eq!(seqs(&world.take(client), "a"), [1, 2, 3]);
        assert_eq!(world.sockets[client].deflated, usize::from(bits != 0));
    }
    let frame = &delivered.parts[0].data.frame;
    assert!(frame.wire(15).len() < frame.wire(0).len() / 10);
    assert_eq!(
        frame.wire(10),
        frame.wire(0),
        "nobody asked for a window of 10"
    );
}

/// The armed failpoint stops the fan-out of its number half way.
#[test]
fn the_failpoint_stops_in_the_middle_of_a_fanout() {
    let mut world = World::with(HubConfig {
        failpoint_mid_fanout: 2,
        ..config()
    });
    let clients = [world.member("ann", &["a"]), world.member("bob", &["a"])];
    world.publish("a", 1);
    assert!(!world.hub.failpoint_reached());
    world.publish("a", 1);
    assert!(world.hub.failpoint_reached());
    let got = clients.map(|client| seqs(&world.take(client), "a").len());
    assert_eq!(got, [2, 1]);
}
