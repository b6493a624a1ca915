//! Slow readers: shed, folded to gaps, closed with 4108; nothing is lost silently.

use chat_hub::HubConfig;
use chat_proto::handshake::Credential;
use serde_json::{Value, json};

use crate::world::{Client, EPOCH, SECOND_US, World, config, kinds, seqs};

const KIB: usize = 1024;

/// What a client knows of a room: every seq that came or was announced as not sent.
fn known(lines: &[Value], room: &str) -> Vec<u64> {
    let mut all = Vec::new();
    for line in lines.iter().filter(|it| it["room"] == room) {
        match line["t"].as_str() {
            Some("msg" | "member") => all.extend(line["seq"].as_u64()),
            Some("gap") => {
                all.extend(line["from"].as_u64().unwrap()..=line["to"].as_u64().unwrap());
            }
            _ => {}
        }
    }
    all
}

fn stalled(world: &mut World, rooms: &[&str]) -> Client {
    let client = world.member("slow", rooms);
    world.sockets[client].window = 0;
    client
}

/// Above 256 KiB ephemeral events are shed, durable ones are not.
#[test]
fn ephemeral_events_are_shed_first() {
    let mut world = World::new();
    world.text_bytes = 4 * KIB;
    let slow = stalled(&mut world, &["a"]);
    let bob = world.member("bob", &["a"]);
    let signal = json!({"t": "signal", "room": "a", "body": {"k": 1}});
    world.publish("a", 60);
    world.op(bob, signal.clone());
    world.round();
    world.publish("a", 10);
    world.op(bob, signal);
    world.round();
    assert_eq!(world.hub.stats().shed, 1);
    world.sockets[slow].window = usize::MAX;
    let lines = world.take(slow);
    assert_eq!(lines.iter().filter(|it| it["t"] == "signal").count(), 1);
    assert_eq!(known(&lines, "a"), (1..=70).collect::<Vec<_>>());
    world.op(bob, json!({"t": "signal", "room": "a", "body": {}}));
    assert_eq!(kinds(&world.take(slow)), ["signal"]);
}

/// At 1 MiB unsent events become one `gap` a room; replies stay; a begun frame goes out whole.
#[test]
fn a_backlog_of_a_mebibyte_folds_to_one_gap_a_room() {
    for bits in [0, 15] {
        let mut world = World::new();
        let slow = world.connect_with(Credential::None, bits);
        world.greet(slow, "slow");
        for room in ["a", "b"] {
            world.op(slow, json!({"t": "sub", "room": room}));
        }
        world.serve();
        world.take(slow);
        world.text_bytes = if bits == 0 { 4 * KIB } else { 100 };
        world.sockets[slow].window = 100;
        let mut rounds = 0;
        while world.hub.stats().gaps == 0 {
            world.publish("a", 10);
            world.publish("b", 1);
            world.op(slow, json!({"t": "unsub", "room": "none"}));
            rounds += 1;
            world.round();
            assert!(rounds < 20_000);
        }
        assert_eq!(world.hub.stats().gaps, 2);
        world.sockets[slow].window = usize::MAX;
        let lines = world.take(slow);
        for (room, all) in [("a", rounds * 10), ("b", rounds)] {
            assert_eq!(known(&lines, room), (1..=all).collect::<Vec<_>>(), "{room}");
            let gaps = lines
                .iter()
                .filter(|it| it["t"] == "gap" && it["room"] == room);
            assert_eq!(gaps.count(), 1);
        }
        assert_eq!(
            seqs(&lines, "a"),
            (1..=10).collect::<Vec<_>>(),
            "the begun frame"
        );
        assert_eq!(
            kinds(&lines).iter().filter(|it| **it == "ok").count() as u64,
            rounds
        );
        assert_eq!(world.closed(slow), None);
        world.publish("a", 1);
        assert_eq!(seqs(&world.take(slow), "a"), [rounds * 10 + 1]);
    }
}

/// A `gap` stands where its events stood: not behind the `ok` of an `unsub`, nor over a resume.
#[test]
fn a_gap_keeps_its_place_among_the_replies() {
    let mut world = World::new();
    world.text_bytes = 4 * KIB;
    let slow = stalled(&mut world, &["a", "b"]);
    world.publish("a", 50);
    world.op(slow, json!({"t": "unsub", "room": "a"}));
    world.publish("b", 20);
    world.op(slow, json!({"t": "sub", "room": "b", "since": [EPOCH, 5]}));
    world.serve();
    world.publish("b", 10);
    while world.hub.stats().gaps == 0 {
        world.publish("b", 10);
    }
    let head = world.log("b").head();
    world.sockets[slow].window = usize::MAX;
    let lines = world.take(slow);
    let short: Vec<(&str, &Value, &Value)> = lines
        .iter()
        .map(|it| (it["t"].as_str().unwrap(), &it["from"], &it["to"]))
        .collect();
    let none = &Value::Null;
    assert_eq!(
        short,
        [
            ("gap", &json!(1), &json!(50)),
            ("ok", none, none),
            ("gap", &json!(1), &json!(20)),
            ("ok", none, none),
            ("gap", &json!(6), &json!(head)),
        ]
    );
}

/// Five seconds after the fold the backlog must be below 256 KiB.
#[test]
fn who_does_not_catch_up_in_five_seconds_is_closed() {
    for (reads, code) in [(false, Some(4108)), (true, None)] {
        let mut world = World::new();
        world.text_bytes = 4 * KIB;
        let slow = stalled(&mut world, &["a"]);
        while world.hub.stats().gaps == 0 {
            world.publish("a", 10);
        }
        world.publish("a", 70);
        if reads {
            world.advance(4 * SECOND_US);
            world.sockets[slow].window = 100 * KIB;
        }
        world.advance(5 * SECOND_US + 200_000);
        world.sockets[slow].window = usize::MAX;
        assert_eq!(world.closed(slow), code);
        let lines = world.take(slow);
        if reads {
            let head = world.log("a").head();
            assert_eq!(known(&lines, "a"), (1..=head).collect::<Vec<_>>());
        }
        assert_eq!(world.hub.stats().slow_consumers, u64::from(!reads));
    }
}

/// The second time that a backlog reaches 1 MiB there is no second fold.
#[test]
fn the_second_mebibyte_closes_at_once() {
    let mut world = World::new();
    world.text_bytes = 4 * KIB;
    let slow = stalled(&mut world, &["a"]);
    for _ in 0..60 {
        world.publish("a", 10);
    }
    world.sockets[slow].window = usize::MAX;
    assert_eq!(world.closed(slow), Some(4108));
    assert_eq!(world.hub.stats().gaps, 1);
    assert!(
        known(&world.take(slow), "a").is_empty(),
        "what was not begun is dropped"
    );
    world.hub.on_lost(world.sockets[slow].index);
    world.round();
}

/// A reader that has caught up may be folded again later.
#[test]
fn a_reader_that_caught_up_may_be_folded_again() {
    let mut world = World::new();
    world.text_bytes = 4 * KIB;
    let slow = stalled(&mut world, &["a"]);
    for gaps in 1..=3 {
        while world.hub.stats().gaps < gaps {
            world.publish("a", 10);
        }
        world.sockets[slow].window = usize::MAX;
        world.advance(6 * SECOND_US);
        world.sockets[slow].window = 0;
    }
    let head = world.log("a").head();
    world.sockets[slow].window = usize::MAX;
    assert_eq!(
        known(&world.take(slow), "a"),
        (1..=head).collect::<Vec<_>>()
    );
    assert_eq!(world.closed(slow), None);
}

/// Replies are never folded: who asks without reading is closed, and its memory given back.
#[test]
fn replies_alone_close_who_does_not_read() {
    let mut world = World::new();
    let slow = stalled(&mut world, &["a"]);
    world.publish("a", 1);
    let page = format!(r#""events":["{}"]"#, "x".repeat(200 * KIB));
    for _ in 0..6 {
        let id = world.op(slow, json!({"t": "hist", "room": "a"}));
        let handle = world.sockets[slow].handle;
        world.take_asked();
        world.hub.reply(handle, id, page.as_bytes());
    }
    world.sockets[slow].window = usize::MAX;
    assert_eq!(world.closed(slow), Some(4108));
}

/// Large replies do not share a frame that would be larger than 256 KiB.
#[test]
fn a_frame_is_never_larger_than_the_protocol_says() {
    let mut world = World::new();
    let ann = world.member("ann", &["a"]);
    world.sockets[ann].frames.clear();
    for size in [60, 250, 3, 62, 250, 250] {
        let id = world.op(ann, json!({"t": "hist", "room": "a"}));
        let mut asked = Vec::new();
        world.hub.take_submissions(&mut asked);
        let page = format!(r#""events":["{}"]"#, "x".repeat(size * KIB));
        let handle = world.sockets[ann].handle;
        world.hub.reply(handle, id, page.as_bytes());
    }
    let ids: Vec<u64> = world
        .take(ann)
        .iter()
        .map(|it| it["id"].as_u64().unwrap())
        .collect();
    assert!(ids.is_sorted() && ids.len() == 6);
    let frames = &world.sockets[ann].frames;
    assert!(frames.iter().all(|bytes| *bytes <= 256 * KIB), "{frames:?}");
}

/// Over the bound of all backlogs together the largest goes, and no more than needed.
#[test]
fn the_largest_backlog_is_evicted() {
    let mut world = World::with(HubConfig {
        outgoing_bytes_max: 900 * KIB,
        ..config()
    });
    world.text_bytes = 4 * KIB;
    let (small, large) = (
        stalled(&mut world, &["a"]),
        stalled(&mut world, &["a", "b"]),
    );
    world.publish("a", 80);
    world.publish("b", 80);
    world.advance(100_000);
    for client in [small, large] {
        world.sockets[client].window = usize::MAX;
    }
    assert_eq!(
        (world.closed(small), world.closed(large)),
        (None, Some(4108))
    );
}

/// A close for another reason still brings the answers that were given before it.
#[test]
fn a_close_with_a_backlog_keeps_the_replies_and_announces_the_rest() {
    let mut world = World::new();
    world.text_bytes = 4 * KIB;
    let slow = stalled(&mut world, &["a"]);
    world.publish("a", 70);
    world.op(
        slow,
        json!({"t": "send", "room": "a", "cid": "c", "body": {"text": "hi"}}),
    );
    world.serve();
    world.hub.end_session("s-slow");
    world.sockets[slow].window = usize::MAX;
    assert_eq!(world.closed(slow), Some(4003));
    let lines = world.take(slow);
    assert_eq!(known(&lines, "a"), (1..=71).collect::<Vec<_>>());
    assert_eq!(lines.iter().filter(|it| it["t"] == "ok").count(), 1);
}
