//! Random sequences of operations against a small model of what each client must be told.
//!
//! The model is one number a client and room: the seq up to which the client knows everything, or
//! nothing where it is not subscribed. Whatever happens, what it is sent must go on from there.

use std::collections::{BTreeMap, BTreeSet};

use chat_hub::HubConfig;
use chat_hub::effect::{Ack, Delivered, Send, Submission};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::{Client, EPOCH, SECOND_US, World, config};

const ROOMS: [&str; 2] = ["a", "b"];
const CLIENTS: usize = 5;
/// A frame may be added to a backlog that is below its bound.
const BACKLOG_BYTES: usize = 1024 * 1024 + 256 * 1024;

#[derive(Clone, Debug)]
enum Op {
    Sub {
        client: usize,
        room: usize,
        resume: bool,
    },
    Unsub {
        client: usize,
        room: usize,
    },
    Send {
        client: usize,
        room: usize,
    },
    Commit {
        room: usize,
        count: u64,
        large: bool,
    },
    Kick {
        client: usize,
        room: usize,
    },
    Deliver {
        at: usize,
        keep: bool,
    },
    Answer {
        at: usize,
    },
    Lose {
        at: usize,
    },
    Window {
        client: usize,
        bytes: usize,
    },
    Read {
        client: usize,
    },
    Reconnect {
        client: usize,
    },
    Time {
        ms: u64,
    },
    Crowd {
        at: usize,
    },
    Slice,
    Round,
}

fn ops() -> impl Strategy<Value = Op> {
    let (client, room) = (|| 0..CLIENTS, || 0..ROOMS.len());
    prop_oneof![
        4 => (client(), room(), any::<bool>())
            .prop_map(|(client, room, resume)| Op::Sub { client, room, resume }),
        1 => (client(), room()).prop_map(|(client, room)| Op::Unsub { client, room }),
        3 => (client(), room()).prop_map(|(client, room)| Op::Send { client, room }),
        4 => (room(), 1..20_u64, any::<bool>())
            .prop_map(|(room, count, large)| Op::Commit { room, count, large }),
        1 => (client(), room()).prop_map(|(client, room)| Op::Kick { client, room }),
        6 => (0..8_usize, prop::bool::weighted(0.1))
            .prop_map(|(at, keep)| Op::Deliver { at, keep }),
        6 => (0..8_usize).prop_map(|at| Op::Answer { at }),
        1 => (0..8_usize).prop_map(|at| Op::Lose { at }),
        1 => (client(), 0..300_000_usize).prop_map(|(client, bytes)| Op::Window { client, bytes }),
        2 => client().prop_map(|client| Op::Read { client }),
        1 => client().prop_map(|client| Op::Reconnect { client }),
        1 => (1..3_000_u64).prop_map(|ms| Op::Time { ms }),
        1 => (0..2_000_usize).prop_map(|at| Op::Crowd { at }),
        4 => Just(Op::Slice),
        3 => Just(Op::Round),
    ]
}

/// What a client of the model knows, read off what it was sent.
#[derive(Default)]
struct Known {
    user: String,
    /// Rooms in which it is subscribed: the seq it knows everything up to, and that of the `ok`.
    live: BTreeMap<String, (u64, u64)>,
    /// Ops that are not answered: id to (op, room, since).
    open: BTreeMap<u64, (&'static str, String, Option<u64>)>,
    /// The last `unsub` of each room that was answered.
    ended: BTreeMap<String, u64>,
    /// Rooms it was put out of at some time.
    kicked: BTreeSet<String>,
}

struct Model {
    world: World,
    clients: Vec<(Client, Known)>,
    /// Committed and not yet delivered.
    bus: Vec<Delivered>,
    connects: usize,
    /// Others in the first room, so many that its fan-outs are cut into slices.
    crowd: Vec<Client>,
}

impl Model {
    fn new(crowd: usize) -> Self {
        let mut model = Self {
            world: World::with(HubConfig {
                ping_ms: 3_600_000,
                ..config()
            }),
            clients: Vec::new(),
            bus: Vec::new(),
            connects: 0,
            crowd: Vec::new(),
        };
        for at in 0..crowd {
            let client = model.world.member(&format!("crowd{at}"), &[ROOMS[0]]);
            model.world.sockets[client].deaf = true;
            model.crowd.push(client);
        }
        for _ in 0..CLIENTS {
            let client = model.connect();
            model.clients.push(client);
        }
        model
    }

    fn connect(&mut self) -> (Client, Known) {
        self.connects += 1;
        let user = format!("u{}", self.connects);
        let asked = std::mem::take(&mut self.world.asked);
        let client = self.world.login(&user);
        self.world.asked = asked;
        (
            client,
            Known {
                user,
                ..Known::default()
            },
        )
    }

    fn is_closed(&mut self, at: usize) -> bool {
        let socket = &self.world.sockets[self.clients[at].0];
        socket.gone || socket.close.is_some() || self.world.hub.is_closing(socket.index)
    }

    fn step(&mut self, op: &Op) {
        match *op {
            Op::Sub {
                client,
                room,
                resume,
            } => self.sub(client, ROOMS[room], resume),
            Op::Unsub { client, room } => self.say(client, "unsub", ROOMS[room], None),
            Op::Send { client, room } => self.say(client, "send", ROOMS[room], None),
            Op::Commit { room, count, large } => {
                self.world.text_bytes = if large { 4_000 } else { 5 };
                let delivered = self.world.post(ROOMS[room], "somebody", count);
                self.bus.push(delivered);
            }
            Op::Kick { client, room } => {
                let known = &mut self.clients[client].1;
                known.kicked.insert(ROOMS[room].to_owned());
                let user = known.user.clone();
                let delivered = self.world.change(ROOMS[room], &user, "kick");
                self.world.strangers.clear();
                self.bus.push(delivered);
            }
            Op::Deliver { at, keep } if at < self.bus.len() => {
                let delivered = if keep {
                    self.bus[at].clone()
                } else {
                    self.bus.remove(at)
                };
                self.world.deliver(&delivered);
            }
            Op::Answer { at } => self.answer(at),
            Op::Lose { at } => {
                if at < self.bus.len() {
                    self.bus.remove(at);
                }
            }
            Op::Window { client, bytes } => self.window(client, bytes),
            Op::Read { client } => self.window(client, usize::MAX),
            Op::Reconnect { client } => self.reconnect(client),
            Op::Time { ms } => {
                for at in 0..CLIENTS {
                    if !self.is_closed(at) {
                        self.world.say(self.clients[at].0, r#"{"t":"pong"}"#);
                    }
                }
                self.world.advance(ms * 1_000);
            }
            Op::Crowd { at } => {
                if at < self.crowd.len() {
                    let client = self.crowd.swap_remove(at);
                    self.world.hub.on_lost(self.world.sockets[client].index);
                }
            }
            Op::Slice => self.world.hub.fan_out(),
            Op::Round => self.world.round(),
            Op::Deliver { .. } => {}
        }
        self.check();
    }

    fn window(&mut self, at: usize, bytes: usize) {
        self.world.sockets[self.clients[at].0].window = bytes;
    }

    fn sub(&mut self, at: usize, room: &'static str, resume: bool) {
        let known = self.clients[at].1.live.get(room);
        let since = known.filter(|_| resume).map(|(upto, _)| *upto);
        self.say(at, "sub", room, since);
    }

    fn say(&mut self, at: usize, kind: &'static str, room: &str, since: Option<u64>) {
        if self.is_closed(at) || self.world.sockets[self.clients[at].0].paused {
            return;
        }
        let mut op = json!({"t": kind, "room": room});
        if let Some(since) = since {
            op["since"] = json!([EPOCH, since]);
        }
        if kind == "send" {
            op["cid"] = json!("c");
            op["body"] = json!({"text": "hi"});
        }
        let (client, known) = &mut self.clients[at];
        let id = self.world.sockets[*client].last_id + 1;
        known.open.insert(id, (kind, room.to_owned(), since));
        self.world.op(*client, op);
    }

    fn answer(&mut self, at: usize) {
        let mut asked = std::mem::take(&mut self.world.asked);
        if at < asked.len() {
            match asked.remove(at) {
                Submission::Send(send) => self.commit(&send),
                other => self.world.answer(other),
            }
        }
        asked.append(&mut self.world.asked);
        self.world.asked = asked;
    }

    /// The ack is told at once, the event comes by the bus.
    fn commit(&mut self, send: &Send) {
        self.world.text_bytes = 5;
        let delivered = self.world.post(send.room(), &send.user, 1);
        let (handle, id, received_us) = (send.handle, send.id, send.received_us);
        let (seq, n, ts_ms, dup) = (self.world.log(send.room()).head(), 1, 1, false);
        self.world.hub.ack(&Ack {
            handle,
            id,
            received_us,
            seq,
            n,
            ts_ms,
            dup,
        });
        self.bus.push(delivered);
    }

    fn reconnect(&mut self, at: usize) {
        let index = self.world.sockets[self.clients[at].0].index;
        if !self.world.sockets[self.clients[at].0].gone {
            self.world.hub.on_lost(index);
            self.world.round();
        }
        self.clients[at] = self.connect();
    }

    /// Everything that was received goes on from what was known.
    fn check(&mut self) {
        for (client, known) in &mut self.clients {
            let lines = std::mem::take(&mut self.world.sockets[*client].lines);
            for line in &lines {
                known.hear(line);
            }
            let socket = &self.world.sockets[*client];
            assert!(
                socket.close.as_ref().is_none_or(|(code, _)| *code == 4108),
                "closed"
            );
        }
        let waiting = self.world.hub.stats().backlog_bytes;
        assert!(
            waiting <= ((CLIENTS + self.crowd.len()) * BACKLOG_BYTES) as u64,
            "{waiting} bytes"
        );
    }

    /// At the end the bus is still, all is answered and read: everybody knows everything.
    fn settle(&mut self) {
        for at in 0..CLIENTS {
            self.window(at, usize::MAX);
        }
        for _ in 0..4 {
            for delivered in std::mem::take(&mut self.bus) {
                self.world.deliver(&delivered);
            }
            for room in ROOMS {
                self.world.publish(room, 1);
            }
            self.world.serve();
            self.world.advance(2 * SECOND_US);
            self.world.serve();
        }
        self.check();
        for at in 0..CLIENTS {
            if self.is_closed(at) {
                continue;
            }
            let known = &self.clients[at].1;
            assert!(known.open.is_empty(), "unanswered: {:?}", known.open);
            for (room, (upto, _)) in &known.live {
                // The event that ended a subscription may stand in a gap.
                if !known.kicked.contains(room) {
                    assert_eq!(*upto, self.world.logs[room].head(), "client {at} in {room}");
                }
            }
        }
    }
}

impl Known {
    fn hear(&mut self, line: &Value) {
        let kind = line["t"].as_str().expect("a kind");
        match kind {
            "ok" | "err" => self.reply(line, kind == "ok"),
            "msg" | "member" => self.event(line),
            "gap" => {
                let room = line["room"].as_str().expect("a room");
                let (from, to) = (line["from"].as_u64().unwrap(), line["to"].as_u64().unwrap());
                let (upto, _) = self.live.get_mut(room).expect("a subscribed room");
                assert_eq!(from, *upto + 1, "{line}");
                assert!(to >= from, "{line}");
                *upto = to;
            }
            "ping" => {}
            other => panic!("{other}"),
        }
    }

    fn event(&mut self, line: &Value) {
        let (room, seq) = (
            line["room"].as_str().unwrap(),
            line["seq"].as_u64().unwrap(),
        );
        let (upto, joined) = self.live.get_mut(room).expect("a subscribed room");
        assert_eq!(seq, *upto + 1, "{room}");
        *upto = seq;
        if line["user"] == self.user.as_str() && seq > *joined {
            self.live.remove(room);
        }
    }

    fn reply(&mut self, line: &Value, good: bool) {
        let id = line["id"].as_u64().expect("an id");
        let (op, room, since) = self.open.remove(&id).expect("one answer to each op");
        let seq = line["seq"].as_u64().unwrap_or(0);
        match op {
            // An `unsub` said behind it and answered before it counts.
            "sub" if good && self.ended.get(&room).is_none_or(|ended| *ended < id) => {
                self.live.insert(room, (since.unwrap_or(seq), seq));
            }
            "unsub" => {
                self.live.remove(&room);
                self.ended.insert(room, id);
            }
            "send" if good => {
                let known = self.live.get(&room).map_or(0, |(upto, _)| *upto);
                assert!(known < seq, "the echo came before the ok");
            }
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Order, exactly once or announced, to subscribers only, answered once, bounded: always.
    #[test]
    fn any_sequence_of_operations_keeps_the_promises(
        ops in prop::collection::vec(ops(), 1..160),
    ) {
        let mut model = Model::new(0);
        for op in ops {
            model.step(&op);
        }
        model.settle();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// The same in a room whose fan-outs are cut into slices.
    #[test]
    fn a_big_room_keeps_the_promises_too(ops in prop::collection::vec(ops(), 1..120)) {
        let mut model = Model::new(1_100);
        for op in ops {
            model.step(&op);
        }
        model.settle();
    }
}
