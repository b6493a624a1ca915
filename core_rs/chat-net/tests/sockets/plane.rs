//! A node on a free port of loopback, and a control plane that is one thread and one table.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use chat_hub::HubConfig;
use chat_hub::effect::{
    Ack, Action, Ask, Attach, Auth, Change, Delivered, Missed, Resume, Send, Welcome,
};
use chat_net::address::Network;
use chat_net::admission::AdmissionConfig;
use chat_net::{Node, NodeConfig};
use chat_proto::frame::FrameLimits;
use chat_proto::handshake::HandshakePolicy;

/// Bounds that no test meets unless it wants to.
pub fn config(shards: usize) -> NodeConfig {
    NodeConfig {
        address: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0),
        reuse_port: false,
        shards,
        hub: HubConfig {
            shard: 0,
            has_peers: false,
            epoch: "e1".to_owned(),
            ping_ms: 60_000,
            subscriptions_max: 100,
            rate_limits: false,
            recent_bytes_max: 1 << 26,
            outgoing_bytes_max: 0,
            drain_notice_ms: 0,
            echo: false,
            failpoint_mid_fanout: 0,
        },
        handshake: HandshakePolicy {
            path: "/ws".to_owned(),
            subprotocol: Some("chat.v1".to_owned()),
            origins: Vec::new(),
            deflate: false,
        },
        frames: FrameLimits {
            message_bytes_max: 65_536,
            fragments_max: 128,
            binary: false,
            require_utf8: true,
        },
        admission: AdmissionConfig {
            connections_max: 10_000,
            per_address_max: 0,
            handshakes_per_address_max: 1_024,
            rate_limits: false,
        },
        trusted_proxies: Vec::new(),
        seed: 7,
    }
}

/// The same behind a proxy on loopback.
#[allow(
    dead_code,
    reason = "not every binary that includes this file has a proxy"
)]
pub fn config_behind_proxy(shards: usize) -> NodeConfig {
    NodeConfig {
        trusted_proxies: Network::parse("127.0.0.1").into_iter().collect(),
        ..config(shards)
    }
}

struct Desk {
    node: Arc<Node>,
    heads: Mutex<HashMap<String, u64>>,
    takes_sends: AtomicBool,
    over: AtomicBool,
}

/// Answers what clients ask; ends with the test.
pub struct Plane {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

impl Plane {
    pub fn new(config: NodeConfig) -> Self {
        let desk = Arc::new(Desk {
            node: Arc::new(Node::start(config).unwrap()),
            heads: Mutex::default(),
            takes_sends: AtomicBool::new(true),
            over: AtomicBool::new(false),
        });
        let at_work = desk.clone();
        let thread = Some(std::thread::spawn(move || at_work.work()));
        Self { desk, thread }
    }

    pub fn node(&self) -> &Arc<Node> {
        &self.desk.node
    }

    /// Whether sends are taken from now on.
    #[allow(
        dead_code,
        reason = "not every binary that includes this file needs it"
    )]
    pub fn take_sends(&self, takes: bool) {
        self.desk.takes_sends.store(takes, SeqCst);
    }

    /// Puts `user` out of `room`.
    #[allow(
        dead_code,
        reason = "not every binary that includes this file needs it"
    )]
    pub fn kick(&self, room: &str, user: &str) {
        let mut heads = self.desk.heads.lock().unwrap();
        let head = heads.entry(room.to_owned()).or_default();
        *head += 1;
        let line = format!(r#"{{"t":"member","room":"{room}","seq":{head},"user":"{user}"}}"#);
        let change = Change {
            action: Action::Out,
            users: vec![user.to_owned()],
        };
        let run = Delivered::new(room, *head, &[line.as_bytes()], vec![(*head, change)]);
        self.desk.node.deliver(vec![run], Vec::new(), Vec::new());
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.desk.over.store(true, SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        self.desk.node.stop();
    }
}

impl Desk {
    fn work(&self) {
        while !self.over.load(SeqCst) {
            // The wake-up is a number for Python's loop; a look now and then does here.
            std::thread::park_timeout(Duration::from_millis(1));
            self.node.clear_wake();
            if self.takes_sends.load(SeqCst) {
                self.store(&self.node.take_sends(512, 1 << 20));
            }
            let asks = self.node.take_asks(512);
            for ask in asks {
                self.answer(ask);
            }
            let auths = self.node.take_auths(512);
            self.node
                .welcome(auths.into_iter().filter_map(welcome).collect());
        }
    }

    fn store(&self, sends: &[Send]) {
        let mut heads = self.heads.lock().unwrap();
        let (mut runs, mut acks) = (Vec::new(), Vec::new());
        for send in sends {
            let room = send.room();
            let seq = heads.entry(room.to_owned()).or_default();
            *seq += 1;
            let (user, cid, body) = (&*send.user, send.cid(), send.body());
            let head = format!(r#"{{"t":"msg","room":"{room}","seq":{seq},"from":"{user}","#);
            let line = format!(r#"{head}"cid":"{cid}","body":{body}}}"#);
            runs.push(Delivered::new(room, *seq, &[line.as_bytes()], Vec::new()));
            acks.push(Ack {
                handle: send.handle,
                id: send.id,
                received_us: send.received_us,
                seq: *seq,
                n: *seq,
                ts_ms: 1,
                dup: false,
            });
        }
        self.node.deliver(runs, acks, Vec::new());
    }

    fn answer(&self, ask: Ask) {
        match ask {
            Ask::Sub {
                handle,
                id,
                room,
                since,
                want,
                ..
            } => {
                let heads = self.heads.lock().unwrap();
                let head = heads.get(&room).copied().unwrap_or_default();
                self.node.attach(vec![Attach {
                    handle,
                    id,
                    room,
                    head,
                    n: head,
                    read: 0,
                    role: "member".to_owned(),
                    since,
                    want,
                    missed: Missed::Held,
                }]);
            }
            Ask::Who {
                handle, id, count, ..
            } => {
                let fields = format!(r#","count":{count}"#).into_boxed_str();
                self.node.reply(vec![(handle, id, fields)]);
            }
            Ask::Hist {
                handle, id, room, ..
            } => {
                // Rooms of that name are replies, word for word.
                let fields = format!(r#","room":"{room}""#).into_boxed_str();
                self.node.reply(vec![(handle, id, fields)]);
            }
            Ask::Read { .. } | Ask::Repair { .. } => {}
        }
    }
}

/// The token is the user, and the session.
fn welcome(auth: Auth) -> Option<Welcome> {
    let Auth::Hello {
        handle,
        id,
        credential,
        ..
    } = auth
    else {
        return None;
    };
    let me = Resume {
        room: "me".to_owned(),
        head: 0,
        n: 0,
        read: 0,
        role: Some("owner".to_owned()),
        since: None,
        missed: Missed::Held,
    };
    Some(Welcome {
        handle,
        id,
        user: credential.as_str().into(),
        session: credential.into(),
        expires_ms: 1_000_000_000,
        now_ms: 1,
        me,
        rooms: Vec::new(),
    })
}
