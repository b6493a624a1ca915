//! Presence, typing, signals, receipts and marks: who hears what, and how often.

use chat_hub::HubConfig;
use chat_hub::effect::PeerNews;
use serde_json::{Value, json};

use crate::world::{Client, SECOND_US, World, config, kinds};

const ALL: [&str; 3] = ["presence", "typing", "receipts"];

/// A member that is subscribed to `a` with these wishes.
fn watcher(world: &mut World, user: &str, want: &[&str]) -> Client {
    let client = world.login(user);
    world.op(client, json!({"t": "sub", "room": "a", "want": want}));
    world.serve();
    world.take(client);
    client
}

fn calm(world: &mut World, clients: &[Client]) {
    world.advance(3 * SECOND_US);
    for client in clients {
        world.take(*client);
    }
}

fn typing(world: &mut World, client: Client, on: bool) {
    world.op(client, json!({"t": "typing", "room": "a", "on": on}));
}

/// Presence names users once whatever their devices, at most once a second, to who wants it.
#[test]
fn presence_is_by_user_and_once_a_second() {
    let mut world = World::new();
    let ann = watcher(&mut world, "ann", &["presence"]);
    let mute = watcher(&mut world, "mute", &[]);
    calm(&mut world, &[ann, mute]);
    let first = watcher(&mut world, "bob", &[]);
    let second = watcher(&mut world, "bob", &[]);
    world.advance(100_000);
    let lines = world.take(ann);
    assert_eq!(
        lines,
        [json!({"t": "presence", "room": "a", "count": 3, "+": ["bob"], "-": []})]
    );
    world.op(first, json!({"t": "unsub", "room": "a"}));
    let eve = watcher(&mut world, "eve", &[]);
    world.op(eve, json!({"t": "unsub", "room": "a"}));
    world.hub.on_lost(world.sockets[second].index);
    world.advance(800_000);
    assert!(world.take(ann).is_empty());
    world.advance(200_000);
    let lines = world.take(ann);
    assert_eq!(
        lines,
        [json!({"t": "presence", "room": "a", "count": 2, "+": [], "-": ["bob"]})]
    );
    assert!(kinds(&world.take(mute)).is_empty());
}

/// Above 256 users online presence tells the count only.
#[test]
fn presence_of_a_big_room_is_a_count() {
    let mut world = World::new();
    let ann = watcher(&mut world, "ann", &["presence"]);
    calm(&mut world, &[ann]);
    for at in 0..300 {
        watcher(&mut world, &format!("u{at}"), &[]);
    }
    world.advance(2 * SECOND_US);
    let lines = world.take(ann);
    let last = lines.last().unwrap();
    assert_eq!((&last["count"], &last["+"]), (&json!(301), &json!([])));
}

/// Typing goes to the others who want it, at most every 2 s, and ends after 6 s of silence.
#[test]
fn typing_is_coalesced_and_ends_by_itself() {
    let mut world = World::new();
    let (ann, bob) = (
        watcher(&mut world, "ann", &ALL),
        watcher(&mut world, "bob", &ALL),
    );
    let mute = watcher(&mut world, "mute", &[]);
    calm(&mut world, &[ann, bob, mute]);
    for _ in 0..19 {
        typing(&mut world, bob, true);
        world.advance(100_000);
    }
    assert_eq!(
        world.take(ann),
        [json!({"t": "typing", "room": "a", "from": "bob", "on": true})]
    );
    typing(&mut world, bob, true);
    world.advance(100_000);
    typing(&mut world, bob, true);
    assert_eq!(world.take(ann).len(), 1);
    world.advance(6 * SECOND_US + 100_000);
    assert_eq!(world.take(ann)[0]["on"], false);
    assert!(world.take(bob).is_empty() && world.take(mute).is_empty());
    typing(&mut world, bob, true);
    typing(&mut world, bob, false);
    assert_eq!(
        world
            .take(ann)
            .iter()
            .map(|it| it["on"] == true)
            .collect::<Vec<_>>(),
        [true, false]
    );
    world.advance(7 * SECOND_US);
    assert!(world.take(ann).is_empty());
}

/// Turning typing on and off in a burst is no way round the two seconds.
#[test]
fn flapping_does_not_multiply_typing() {
    let mut world = World::new();
    let (ann, bob) = (
        watcher(&mut world, "ann", &ALL),
        watcher(&mut world, "bob", &ALL),
    );
    calm(&mut world, &[ann, bob]);
    for _ in 0..60 {
        typing(&mut world, bob, true);
        typing(&mut world, bob, false);
        world.advance(100_000);
    }
    let lines = world.take(ann);
    assert!((4..=8).contains(&lines.len()), "{}", lines.len());
    assert_eq!(lines.last().unwrap()["on"], false);
}

/// Who leaves stops typing; more than 64 users typing at a time are not told of.
#[test]
fn typing_is_bounded_and_ends_with_the_subscription() {
    let mut world = World::new();
    let ann = watcher(&mut world, "ann", &["typing"]);
    let bob = watcher(&mut world, "bob", &[]);
    typing(&mut world, bob, true);
    world.op(bob, json!({"t": "unsub", "room": "a"}));
    typing(&mut world, bob, true);
    assert_eq!(
        world
            .take(ann)
            .iter()
            .map(|it| it["on"] == true)
            .collect::<Vec<_>>(),
        [true, false]
    );
    calm(&mut world, &[ann, bob]);
    let crowd: Vec<Client> = (0..70)
        .map(|at| watcher(&mut world, &format!("u{at}"), &[]))
        .collect();
    for client in crowd {
        typing(&mut world, client, true);
    }
    assert_eq!(world.take(ann).len(), 64);
    typing(&mut world, ann, false);
    assert!(world.take(bob).is_empty() || kinds(&world.take(bob)) == ["ok"]);
}

fn bodies(lines: &[Value]) -> Vec<u64> {
    lines
        .iter()
        .filter_map(|it| it["body"]["k"].as_u64())
        .collect()
}

/// Signals reach every other subscriber in order, in as few frames as the bounds allow.
#[test]
fn signals_reach_all_but_their_sender() {
    let mut world = World::new();
    let clients = ["ann", "bob", "eve"].map(|user| watcher(&mut world, user, &[]));
    let signal = |world: &mut World, client: Client, k: u64| {
        world.op(
            client,
            json!({"t": "signal", "room": "a", "body": {"k": k}}),
        );
    };
    for k in 0..300 {
        signal(&mut world, clients[0], k);
    }
    signal(&mut world, clients[1], 300);
    assert_eq!(
        bodies(&world.take(clients[2])),
        (0..=300).collect::<Vec<_>>()
    );
    assert_eq!(
        bodies(&world.take(clients[1])),
        (0..300).collect::<Vec<_>>()
    );
    assert_eq!(bodies(&world.take(clients[0])), [300]);
    assert_eq!(world.hub.stats().signals, 301);
    let large = "x".repeat(4_000);
    for _ in 0..40 {
        world.op(
            clients[0],
            json!({"t": "signal", "room": "a", "body": {"text": large}}),
        );
    }
    assert_eq!(world.take(clients[1]).len(), 40);
    assert!(
        world.sockets[clients[1]]
            .frames
            .iter()
            .all(|bytes| *bytes < 80_000)
    );
    let stranger = world.login("stranger");
    signal(&mut world, stranger, 1);
    assert!(
        world.take(clients[0]).is_empty(),
        "signals need a subscription"
    );
}

/// Signals over the rate of the connection are shed without a word.
#[test]
fn signals_over_the_rate_are_shed() {
    let mut world = World::with(HubConfig {
        rate_limits: true,
        ..config()
    });
    let (ann, bob) = (
        watcher(&mut world, "ann", &[]),
        watcher(&mut world, "bob", &[]),
    );
    for k in 0..250 {
        world.op(ann, json!({"t": "signal", "room": "a", "body": {"k": k}}));
    }
    assert_eq!(world.take(bob).len(), 200);
    assert_eq!(world.hub.stats().shed, 50);
    assert!(world.take(ann).is_empty());
}

/// A read mark is told to the user's other devices, and as a receipt to who wants receipts.
#[test]
fn a_read_mark_goes_to_other_devices_and_as_receipt() {
    let mut world = World::new();
    let (here, there) = (
        watcher(&mut world, "ann", &[]),
        watcher(&mut world, "ann", &[]),
    );
    let (bob, mute) = (
        watcher(&mut world, "bob", &["receipts"]),
        watcher(&mut world, "eve", &[]),
    );
    world.op(here, json!({"t": "read", "room": "a", "n": 4}));
    world.serve();
    assert_eq!(kinds(&world.take(here)), ["ok"]);
    assert_eq!(
        world.take(there),
        [json!({"t": "mark", "room": "a", "n": 4})]
    );
    assert_eq!(
        world.take(bob),
        [json!({"t": "receipt", "room": "a", "user": "ann", "n": 4})]
    );
    assert!(world.take(mute).is_empty());
    world.hub.on_marked(0, "nobody", "nowhere", 1);
}

/// `who` pages through users by id with the count of all.
#[test]
fn who_pages_by_user() {
    let mut world = World::new();
    for user in ["dan", "bob", "ann", "cat", "bob"] {
        watcher(&mut world, user, &[]);
    }
    let ann = watcher(&mut world, "ann", &[]);
    for (cursor, page) in [
        (json!(null), ["ann", "bob"]),
        (json!("bob"), ["cat", "dan"]),
    ] {
        world.op(
            ann,
            json!({"t": "who", "room": "a", "limit": 2, "cursor": cursor}),
        );
        world.serve();
        let line = world.take(ann).remove(0);
        assert_eq!(
            (&line["count"], &line["members"]),
            (&json!(4), &json!(page))
        );
    }
}

/// Two shards tell each other presence and ephemeral lines, once.
#[test]
fn shards_tell_each_other() {
    let shard = |number| {
        World::with(HubConfig {
            shard: number,
            has_peers: true,
            ..config()
        })
    };
    let (mut here, mut there) = (shard(0), shard(1));
    let ann = watcher(&mut here, "ann", &ALL);
    let bob = watcher(&mut there, "bob", &ALL);
    let exchange = |from: &mut World, to: &mut World| {
        from.round();
        for news in std::mem::take(&mut from.news) {
            to.hub.on_news(&news);
        }
        to.round();
    };
    exchange(&mut here, &mut there);
    exchange(&mut there, &mut here);
    here.advance(2 * SECOND_US);
    there.advance(2 * SECOND_US);
    assert_eq!(here.take(ann).last().unwrap()["count"], 2);
    there.take(bob);
    typing(&mut here, ann, true);
    here.op(ann, json!({"t": "signal", "room": "a", "body": {"k": 7}}));
    exchange(&mut here, &mut there);
    let lines = there.take(bob);
    assert_eq!(
        (kinds(&lines), bodies(&lines)),
        (vec!["typing", "signal"], vec![7])
    );
    here.hub.on_lost(here.sockets[ann].index);
    exchange(&mut here, &mut there);
    there.advance(SECOND_US);
    let lines = there.take(bob);
    assert_eq!(kinds(&lines), ["typing", "presence"]);
    assert_eq!(lines[1]["-"], json!(["ann"]));
    assert!(
        there.news.is_empty(),
        "what was heard is not passed on: {:?}",
        there.news
    );
    let unknown = PeerNews::Line {
        room: "x".into(),
        want: 0,
        line: b"{}".as_slice().into(),
    };
    there.hub.on_news(&unknown);
    here.advance(70 * SECOND_US);
    assert_eq!(
        here.hub.stats().rooms,
        1,
        "a room with somebody online elsewhere is kept"
    );
}
