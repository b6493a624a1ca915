//! A client that is a plain socket, so that it can also do what no library would.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Longer than anything takes here, however busy the machine is.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub const REQUEST: &str = "GET /ws HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chat.v1\r\n\r\n";

pub const TEXT: u8 = 1;
pub const CLOSE: u8 = 8;

/// A masked frame, the mask being zero (RFC 6455 section 5.2).
pub fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0x80 | opcode];
    match payload.len() {
        len @ 0..126 => out.push(0x80 | len as u8),
        len => {
            out.push(0xFE);
            out.extend_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(payload);
    out
}

/// What the end of a connection was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Code(u16),
    Cut,
}

pub struct Client {
    pub stream: TcpStream,
    input: Vec<u8>,
    pub lines: VecDeque<String>,
    pub end: Option<End>,
    id: u64,
}

impl Client {
    /// Connected, nothing said.
    pub fn raw(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            input: Vec::new(),
            lines: VecDeque::new(),
            end: None,
            id: 1,
        }
    }

    /// Through the handshake.
    pub fn open(address: SocketAddr) -> Self {
        let mut client = Self::raw(address);
        client.stream.write_all(REQUEST.as_bytes()).unwrap();
        assert!(client.head().starts_with("HTTP/1.1 101 "));
        client
    }

    /// Welcomed as `user`.
    pub fn greet(address: SocketAddr, user: &str) -> Self {
        let mut client = Self::open(address);
        client.text(&format!(r#"{{"t":"hello","id":1,"token":"{user}"}}"#));
        client.until(r#""t":"welcome""#);
        client
    }

    /// Welcomed and subscribed, with every wish.
    pub fn join(address: SocketAddr, user: &str, room: &str) -> Self {
        let mut client = Self::greet(address, user);
        let wants = r#""want":["presence","typing","receipts"]"#;
        client.ask("sub", &format!(r#""room":"{room}",{wants}"#));
        client
    }

    /// The head of an HTTP answer; frames that follow are kept.
    pub fn head(&mut self) -> String {
        loop {
            let end = self.input.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                let head = self.input.drain(..end + 4).collect();
                return String::from_utf8(head).unwrap();
            }
            assert!(self.fill(), "the answer ended early");
        }
    }

    pub fn text(&mut self, message: &str) {
        self.stream
            .write_all(&frame(TEXT, message.as_bytes()))
            .unwrap();
    }

    /// One op; its id.
    pub fn op(&mut self, t: &str, fields: &str) -> u64 {
        self.id += 1;
        let id = self.id;
        self.text(&format!(r#"{{"t":"{t}","id":{id},{fields}}}"#));
        id
    }

    /// One op and its reply.
    pub fn ask(&mut self, t: &str, fields: &str) -> String {
        let id = self.op(t, fields);
        self.until(&format!(r#""id":{id},"#))
    }

    /// The first line that has not been taken and contains `what`; those before it are dropped.
    pub fn until(&mut self, what: &str) -> String {
        self.hear(what)
            .unwrap_or_else(|| panic!("{:?} before {what}", self.end))
    }

    /// The same, or `None` at the end.
    pub fn hear(&mut self, what: &str) -> Option<String> {
        loop {
            while let Some(line) = self.lines.pop_front() {
                if line.contains(what) {
                    return Some(line);
                }
            }
            if !self.read_frame() {
                return None;
            }
        }
    }

    /// Reads to the end, which is answered; what it was.
    pub fn ended(&mut self) -> End {
        while self.read_frame() {}
        self.end.unwrap()
    }

    /// Reads to the close frame, and does not answer it.
    pub fn until_code(&mut self, code: u16) {
        loop {
            if let Some((opcode, payload)) = self.next_frame() {
                if opcode == CLOSE {
                    return assert_eq!(payload[..2], code.to_be_bytes());
                }
            } else {
                assert!(self.fill(), "cut before {code}");
            }
        }
    }

    /// How many bytes still come before the end.
    pub fn rest(&mut self) -> usize {
        while self.fill() {}
        self.input.len()
    }

    fn read_frame(&mut self) -> bool {
        while self.end.is_none() {
            if let Some((opcode, payload)) = self.next_frame() {
                match opcode {
                    TEXT => {
                        let text = String::from_utf8(payload).unwrap();
                        self.lines.extend(text.split('\n').map(str::to_owned));
                    }
                    CLOSE => {
                        let code = u16::from_be_bytes([payload[0], payload[1]]);
                        self.end = Some(End::Code(code));
                        let _ = self.stream.write_all(&frame(CLOSE, &payload));
                    }
                    _ => continue,
                }
                return self.end.is_none();
            }
            if !self.fill() {
                self.end = Some(End::Cut);
            }
        }
        false
    }

    fn next_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let [first, short, ..] = self.input[..] else {
            return None;
        };
        let (len, at) = match short {
            127 => {
                let long = self.input.get(2..10)?.try_into().unwrap();
                (u64::from_be_bytes(long) as usize, 10)
            }
            126 => {
                let long = self.input.get(2..4)?.try_into().unwrap();
                (usize::from(u16::from_be_bytes(long)), 4)
            }
            len => (usize::from(len), 2),
        };
        if self.input.len() < at + len {
            return None;
        }
        let payload = self.input.drain(..at + len).skip(at).collect();
        Some((first & 0xF, payload))
    }

    /// Whether anything came before the end.
    fn fill(&mut self) -> bool {
        let mut buffer = [0; 16_384];
        match self.stream.read(&mut buffer) {
            Ok(count) => {
                self.input.extend_from_slice(&buffer[..count]);
                count > 0
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("{error}"),
        }
    }

    pub fn finish_writing(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }
}

/// Waits for what other threads bring about, within all patience.
pub fn eventually(what: &str, reached: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !reached() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
