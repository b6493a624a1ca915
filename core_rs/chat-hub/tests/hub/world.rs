//! A world round one hub: sockets that read or do not, a clock, and a control plane in memory.
//!
//! Nothing sleeps: time moves by [`World::advance`], bytes move by [`World::round`], and the
//! control plane answers when [`World::serve`] is called, so every order of events can be made.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IoSlice;

use chat_hub::effect::{
    Ack, Action, Ask, Attach, Auth, Change, Delivered, Handle, Missed, PeerNews, Refusal, Renewal,
    Resume, Since, Submission, Welcome,
};
use chat_hub::run::RunData;
use chat_hub::{Established, Hub, HubConfig};
use chat_proto::error::ErrorCode;
use chat_proto::handshake::Credential;
use serde_json::{Value, json};

use crate::socket::Socket;

pub const EPOCH: &str = "e1";
pub const SECOND_US: u64 = 1_000_000;
const START_US: u64 = 1_000 * SECOND_US;
const EXPIRES_MS: u64 = 900_000;

/// A good answer to `auth`, of the session that [`World::serve`] welcomes with.
pub fn renewal(handle: Handle, id: u64, expires_ms: u64) -> Renewal {
    Renewal {
        handle,
        id,
        session: "s".to_owned(),
        expires_ms,
        now_ms: 0,
    }
}

/// A connection of the world, in the order of [`World::connect`].
pub type Client = usize;

/// One room's events as the store has them; seq 1 stands first.
#[derive(Default)]
pub struct Log {
    pub lines: Vec<String>,
    messages: u64,
    changes: BTreeMap<u64, (Action, Vec<String>)>,
}

impl Log {
    pub fn head(&self) -> u64 {
        self.lines.len() as u64
    }
}

/// What the hub and the sockets round it are made of.
pub struct World {
    pub hub: Hub,
    pub now_us: u64,
    pub sockets: Vec<Socket>,
    pub logs: BTreeMap<String, Log>,
    pub strangers: BTreeSet<(String, String)>,
    /// Submissions that nobody has answered.
    pub asked: Vec<Submission>,
    pub news: Vec<PeerNews>,
    /// Bytes of text in each posted message.
    pub text_bytes: usize,
    pub token_ms: u64,
}

pub fn config() -> HubConfig {
    HubConfig {
        shard: 0,
        has_peers: false,
        epoch: EPOCH.to_owned(),
        ping_ms: 25_000,
        subscriptions_max: 100,
        rate_limits: false,
        recent_bytes_max: 64 << 20,
        outgoing_bytes_max: 0,
        drain_notice_ms: 200,
        echo: false,
        failpoint_mid_fanout: 0,
    }
}

impl World {
    pub fn new() -> Self {
        Self::with(config())
    }

    pub fn with(config: HubConfig) -> Self {
        Self {
            hub: Hub::new(config, START_US),
            now_us: START_US,
            sockets: Vec::new(),
            logs: BTreeMap::new(),
            strangers: BTreeSet::new(),
            asked: Vec::new(),
            news: Vec::new(),
            text_bytes: 5,
            token_ms: EXPIRES_MS,
        }
    }

    /// A socket whose handshake was good, with this credential and compression window.
    pub fn connect_with(&mut self, credential: Credential, window_bits: u8) -> Client {
        let index = self.hub.open();
        let address = "127.0.0.1".into();
        let entropy = 24_000_000;
        self.hub.established(
            index,
            Established {
                credential,
                window_bits,
                address,
                entropy,
            },
        );
        let handle = self.hub.handle(index);
        self.sockets.push(Socket::new(index, handle, window_bits));
        self.sockets.len() - 1
    }

    pub fn connect(&mut self) -> Client {
        self.connect_with(Credential::None, 0)
    }

    /// A connection that has greeted as `user`; nothing is left to read on it.
    pub fn login(&mut self, user: &str) -> Client {
        let client = self.connect();
        self.greet(client, user);
        client
    }

    pub fn greet(&mut self, client: Client, user: &str) {
        self.op(client, json!({"t": "hello", "token": user}));
        self.serve();
        let lines = self.take(client);
        assert_eq!(lines[0]["t"], "welcome", "{lines:?}");
    }

    /// A connection of `user` that is subscribed to `rooms` and has read all answers.
    pub fn member(&mut self, user: &str, rooms: &[&str]) -> Client {
        let client = self.login(user);
        for room in rooms {
            self.op(client, json!({"t": "sub", "room": room}));
        }
        self.serve();
        for line in self.take(client) {
            assert_eq!(line["t"], "ok", "{line}");
        }
        client
    }

    /// The client says an op under its next id, which is returned.
    pub fn op(&mut self, client: Client, mut op: Value) -> u64 {
        self.sockets[client].last_id += 1;
        let id = self.sockets[client].last_id;
        op["id"] = json!(id);
        self.say(client, &op.to_string());
        id
    }

    /// The client says these bytes as one text message. Whether its socket is still read.
    pub fn say(&mut self, client: Client, text: &str) -> bool {
        let index = self.sockets[client].index;
        self.hub.heard(index);
        let goes_on = self.hub.on_text(index, text.as_bytes());
        self.sockets[client].paused |= !goes_on;
        goes_on
    }

    /// What a shard does in a poll round, until nothing is left to do.
    pub fn round(&mut self) {
        loop {
            let mut resumable = Vec::new();
            self.hub.take_resumable(&mut resumable);
            for index in resumable {
                self.hub.go_on(index);
            }
            self.hub.say_signals();
            self.hub.fan_out();
            self.exchange();
            if !self.hub.has_work() {
                return;
            }
        }
    }

    fn exchange(&mut self) {
        self.hub.take_submissions(&mut self.asked);
        self.hub.take_news(&mut self.news);
        let mut indexes = Vec::new();
        self.hub.take_unpaused(&mut indexes);
        for index in indexes.drain(..) {
            self.socket_at(index).paused = false;
            self.hub.heard(index);
        }
        self.hub.take_dirty(&mut indexes);
        for index in indexes.drain(..) {
            self.socket_at(index).writable = true;
        }
        for client in 0..self.sockets.len() {
            self.write(client);
        }
        self.hub.take_gone(&mut indexes);
        for index in indexes {
            self.socket_at(index).gone = true;
        }
    }

    pub fn socket_at(&mut self, index: u32) -> &mut Socket {
        let found = self
            .sockets
            .iter_mut()
            .find(|it| it.index == index && !it.gone);
        found.expect("the hub names a connection that is gone")
    }

    /// Moves what waits for a client, as far as its socket takes bytes.
    pub fn write(&mut self, client: Client) {
        let Self { hub, sockets, .. } = self;
        let socket = &mut sockets[client];
        while socket.writable && !socket.gone && socket.window > 0 {
            let mut slices: Vec<IoSlice<'_>> = Vec::new();
            hub.gather(socket.index, &mut slices);
            if slices.is_empty() {
                socket.writable = false;
                return;
            }
            let count = socket.receive(&slices);
            drop(slices);
            socket.writable = hub.wrote(socket.index, count);
        }
    }

    /// Lets time pass in ticks, each with a poll round.
    pub fn advance(&mut self, us: u64) {
        let end_us = self.now_us + us;
        while self.now_us < end_us {
            self.now_us = end_us.min(self.now_us + 100_000);
            self.hub.set_now(self.now_us);
            self.hub.tick();
            self.round();
        }
    }

    /// The lines that a client has been sent since the last call.
    pub fn take(&mut self, client: Client) -> Vec<Value> {
        self.round();
        std::mem::take(&mut self.sockets[client].lines)
    }

    /// The code of the close frame that a client was sent, 0 if the socket just went.
    pub fn closed(&mut self, client: Client) -> Option<u16> {
        self.round();
        let socket = &self.sockets[client];
        socket
            .close
            .as_ref()
            .map(|(code, _)| *code)
            .or(socket.gone.then_some(0))
    }

    /// Stores `count` messages of `from` without telling the hub; what a commit would deliver.
    pub fn post(&mut self, room: &str, from: &str, count: u64) -> Delivered {
        let first = self.log(room).head() + 1;
        for _ in 0..count {
            let text = "x".repeat(self.text_bytes);
            let log = self.log(room);
            log.messages += 1;
            let (seq, n) = (log.head() + 1, log.messages);
            let head =
                format!(r#"{{"t":"msg","room":"{room}","seq":{seq},"n":{n},"from":"{from}","#);
            let body = format!(r#""cid":"c{seq}","ts":1,"body":{{"text":"{text}"}}}}"#);
            log.lines.push(head + &body);
        }
        self.stretch(room, first, u64::MAX)
    }

    /// Stores a `member` event without telling the hub; what a commit would deliver.
    pub fn change(&mut self, room: &str, user: &str, action: &str) -> Delivered {
        let log = self.log(room);
        let seq = log.head() + 1;
        let kind = json!({"t": "member", "room": room, "seq": seq, "user": user, "action": action});
        log.lines.push(kind.to_string());
        let is_out = matches!(action, "leave" | "kick" | "ban");
        let kind = if is_out { Action::Out } else { Action::Other };
        log.changes.insert(seq, (kind, vec![user.to_owned()]));
        if is_out {
            self.strangers.insert((room.to_owned(), user.to_owned()));
        }
        self.stretch(room, seq, seq)
    }

    pub fn log(&mut self, room: &str) -> &mut Log {
        self.logs.entry(room.to_owned()).or_default()
    }

    /// What the store has of a log, `first ..= last`.
    pub fn stretch(&mut self, room: &str, first: u64, last: u64) -> Delivered {
        let log = self.logs.entry(room.to_owned()).or_default();
        let end = log.head().min(last) as usize;
        let lines = log.lines[first as usize - 1..end]
            .iter()
            .map(String::as_bytes);
        let lines: Vec<&[u8]> = lines.collect();
        let of = |(seq, (action, users)): (&u64, &(Action, Vec<String>))| {
            (
                *seq,
                Change {
                    action: *action,
                    users: users.clone(),
                },
            )
        };
        let changes = log.changes.range(first..=end as u64).map(of).collect();
        Delivered::new(room, first, &lines, changes)
    }

    pub fn deliver(&mut self, delivered: &Delivered) {
        self.hub.deliver(delivered, 0);
        self.hub.retry_waiting(false);
    }

    /// Posts and delivers at once.
    pub fn publish(&mut self, room: &str, count: u64) {
        let delivered = self.post(room, "somebody", count);
        self.deliver(&delivered);
    }

    /// The control plane answers everything, also what its answers lead to.
    pub fn serve(&mut self) {
        self.round();
        while !self.asked.is_empty() {
            for submission in std::mem::take(&mut self.asked) {
                self.answer(submission);
            }
            self.round();
        }
    }

    /// What the hub has asked since the last call, unanswered.
    pub fn take_asked(&mut self) -> Vec<Submission> {
        self.round();
        std::mem::take(&mut self.asked)
    }

    pub fn answer(&mut self, submission: Submission) {
        match submission {
            Submission::Send(send) => {
                let (handle, id, received_us) = (send.handle, send.id, send.received_us);
                let room = send.room().to_owned();
                let delivered = self.post(&room, &send.user, 1);
                let (seq, n) = (self.log(&room).head(), self.log(&room).messages);
                let dup = false;
                self.hub.ack(&Ack {
                    handle,
                    id,
                    received_us,
                    seq,
                    n,
                    ts_ms: 1,
                    dup,
                });
                self.deliver(&delivered);
            }
            Submission::Ask(Ask::Repair { log, after, upto }) => {
                let delivered = self.stretch(&log, after + 1, upto);
                self.deliver(&delivered);
            }
            Submission::Ask(Ask::Hist { handle, id, .. }) => {
                self.hub.reply(handle, id, br#""events":[]"#);
            }
            Submission::Ask(Ask::Read {
                handle,
                id,
                user,
                room,
                n,
            }) => {
                self.hub.reply(handle, id, br#""unread":0"#);
                self.hub.on_marked(handle, &user, &room, n);
            }
            Submission::Ask(Ask::Who {
                handle,
                id,
                count,
                page,
                ..
            }) => {
                let page: Vec<&str> = page.iter().map(|user| &**user).collect();
                let fields = format!(r#""count":{count},"members":{}"#, json!(page));
                self.hub.reply(handle, id, fields.as_bytes());
            }
            sub @ Submission::Ask(Ask::Sub { .. }) => match self.look(sub) {
                Ok(attach) => self.hub.attach(attach),
                Err(refusal) => self.hub.refuse(&refusal),
            },
            hello @ Submission::Auth(Auth::Hello { .. }) => {
                let welcome = self.judge(hello);
                self.hub.welcome(welcome);
            }
            Submission::Auth(Auth::Renew { handle, id, .. }) => {
                self.hub.authorize(renewal(handle, id, EXPIRES_MS));
            }
        }
    }

    /// The control plane's one read for a `sub`, not yet told to the hub.
    pub fn look(&mut self, sub: Submission) -> Result<Attach, Refusal> {
        let Submission::Ask(Ask::Sub {
            handle,
            id,
            user,
            room,
            since,
            want,
            held_from,
        }) = sub
        else {
            panic!("not a sub: {sub:?}");
        };
        if self.strangers.contains(&(room.clone(), user.to_string())) {
            return Err(refusal(handle, id, ErrorCode::NotMember));
        }
        let log = if room == "me" {
            format!("me:{user}")
        } else {
            room.clone()
        };
        let missed = self.missed(&log, since.as_ref(), held_from);
        let log = self.log(&log);
        let (head, n, role) = (log.head(), log.messages, "member".to_owned());
        Ok(Attach {
            handle,
            id,
            room,
            head,
            n,
            read: 0,
            role,
            since,
            want,
            missed,
        })
    }

    /// As the port of the gateway says: nothing where memory has it, or nothing was missed.
    fn missed(&mut self, log: &str, since: Option<&Since>, held_from: u64) -> Missed {
        let Some((epoch, seq)) = since else {
            return Missed::Held;
        };
        let head = self.log(log).head();
        let is_held = held_from != 0 && held_from <= seq + 1;
        if epoch != EPOCH || *seq >= head || is_held {
            return Missed::Held;
        }
        let lines = &self.log(log).lines[*seq as usize..];
        let bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
        if lines.len() > 300 || bytes > 256 * 1024 {
            return Missed::TooMany;
        }
        Missed::Here(RunData::frames(seq + 1, lines.iter().map(String::as_bytes)))
    }

    /// The control plane's read for a good `hello`, not yet told to the hub.
    pub fn judge(&mut self, hello: Submission) -> Welcome {
        let Submission::Auth(Auth::Hello {
            handle,
            id,
            credential,
            rooms,
            ..
        }) = hello
        else {
            panic!("not a hello: {hello:?}");
        };
        let user = credential;
        let mut asks: Vec<(String, Option<Since>, u64)> = vec![("me".to_owned(), None, 0)];
        for it in rooms {
            if it.room == "me" {
                asks[0].1 = Some(it.since);
            } else {
                asks.push((it.room, Some(it.since), it.held_from));
            }
        }
        let mut found: Vec<Resume> = Vec::new();
        for (room, since, held_from) in asks {
            let log = if room == "me" {
                format!("me:{user}")
            } else {
                room.clone()
            };
            let stranger = self.strangers.contains(&(room.clone(), user.clone()));
            let role = (!stranger).then(|| "member".to_owned());
            let missed = self.missed(&log, since.as_ref(), held_from);
            let log = self.log(&log);
            let (head, n) = (log.head(), log.messages);
            found.push(Resume {
                room,
                head,
                n,
                read: 0,
                role,
                since,
                missed,
            });
        }
        let rooms = found.split_off(1);
        let me = found.remove(0);
        let session = format!("s-{user}").into();
        let expires_ms = self.token_ms;
        Welcome {
            handle,
            id,
            user: user.into(),
            session,
            expires_ms,
            now_ms: 0,
            me,
            rooms,
        }
    }
}

pub fn refusal(handle: Handle, id: u64, code: ErrorCode) -> Refusal {
    Refusal {
        handle,
        id,
        room: None,
        code,
        message: None,
        field: None,
        retry_after_ms: None,
    }
}

/// The seqs of the room's durable events among `lines`.
pub fn seqs(lines: &[Value], room: &str) -> Vec<u64> {
    let durable = |it: &&Value| matches!(it["t"].as_str(), Some("msg" | "member"));
    let in_room = lines.iter().filter(durable).filter(|it| it["room"] == room);
    in_room.filter_map(|it| it["seq"].as_u64()).collect()
}

/// The kinds of `lines`, replies included.
pub fn kinds(lines: &[Value]) -> Vec<&str> {
    lines.iter().filter_map(|it| it["t"].as_str()).collect()
}
