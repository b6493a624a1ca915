//! The client's end of a connection: takes bytes as its window allows, decodes server frames.

use std::io::IoSlice;

use chat_hub::effect::Handle;
use chat_proto::deflate::Inflater;
use serde_json::Value;

/// One client.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is true or false by itself"
)]
pub struct Socket {
    pub index: u32,
    pub handle: Handle,
    pub last_id: u64,
    /// Bytes it still takes; `usize::MAX` for one that reads.
    pub window: usize,
    pub writable: bool,
    /// It takes bytes and looks at none of them.
    pub deaf: bool,
    pub paused: bool,
    pub gone: bool,
    pub lines: Vec<Value>,
    /// Payload bytes of every text frame.
    pub frames: Vec<usize>,
    pub deflated: usize,
    pub pongs: Vec<Vec<u8>>,
    pub close: Option<(u16, String)>,
    window_bits: u8,
    unread: Vec<u8>,
}

impl Socket {
    pub fn new(index: u32, handle: Handle, window_bits: u8) -> Self {
        Self {
            index,
            handle,
            last_id: 0,
            window: usize::MAX,
            writable: false,
            deaf: false,
            paused: false,
            gone: false,
            lines: Vec::new(),
            frames: Vec::new(),
            deflated: 0,
            pongs: Vec::new(),
            close: None,
            window_bits,
            unread: Vec::new(),
        }
    }

    /// Takes as much as its window allows; how many bytes.
    pub fn receive(&mut self, slices: &[IoSlice<'_>]) -> usize {
        if self.deaf {
            return slices.iter().map(|slice| slice.len()).sum();
        }
        let mut count = 0;
        for slice in slices {
            let part = slice.len().min(self.window);
            self.unread.extend_from_slice(&slice[..part]);
            count += part;
            if self.window != usize::MAX {
                self.window -= part;
            }
        }
        let mut unread = std::mem::take(&mut self.unread);
        let mut at = 0;
        while let Some(used) = self.frame(&unread[at..]) {
            at += used;
        }
        unread.drain(..at);
        self.unread = unread;
        count
    }

    /// Decodes one server frame (RFC 6455 section 5.2); its length, if it is whole.
    fn frame(&mut self, bytes: &[u8]) -> Option<usize> {
        let (first, second) = (*bytes.first()?, *bytes.get(1)?);
        let (len, head) = match second {
            126 => (
                usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)),
                4,
            ),
            127 => (
                u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize,
                10,
            ),
            short => (usize::from(short), 2),
        };
        let payload = bytes.get(head..head + len)?;
        assert!(self.close.is_none(), "bytes after the close frame");
        assert!(
            first & 0x80 != 0 && first & 0x30 == 0 && second & 0x80 == 0,
            "bad header"
        );
        let is_deflated = first & 0x40 != 0;
        match first & 0x0F {
            1 => self.text(payload, is_deflated),
            8 => {
                let code = u16::from_be_bytes([payload[0], payload[1]]);
                self.close = Some((code, String::from_utf8_lossy(&payload[2..]).into_owned()));
            }
            10 => self.pongs.push(payload.to_vec()),
            other => panic!("opcode {other}"),
        }
        Some(head + len)
    }

    fn text(&mut self, payload: &[u8], is_deflated: bool) {
        let mut inflater = Inflater::new();
        let plain = if is_deflated {
            assert!(self.window_bits != 0, "compressed without agreement");
            self.deflated += 1;
            inflater.inflate(payload, 1 << 20).expect("a good stream")
        } else {
            payload
        };
        self.frames.push(plain.len());
        let lines: Vec<&[u8]> = plain.split(|byte| *byte == b'\n').collect();
        assert!(lines.len() <= 128, "{} lines", lines.len());
        for line in lines {
            self.lines.push(serde_json::from_slice(line).expect("JSON"));
        }
    }
}
