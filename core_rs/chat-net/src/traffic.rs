//! Bytes in and out of one socket: handshake, frames, writes.

use std::io::IoSlice;
use std::os::fd::AsFd;

use chat_hub::Established;
use chat_proto::deflate::Deflater;
use chat_proto::frame::{self, Decoder, Incoming, Opcode};
use chat_proto::handshake::{self, Accepted, Handshake};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, recv, sendmsg};

use crate::accepting::too_many;
use crate::address::client_of;
use crate::admission::Denied;
use crate::poller::{Interest, Poller};
use crate::shard::Shard;
use crate::socket::{Socket, Stage};

impl Shard {
    fn socket(&mut self, index: u32) -> Option<&mut Socket> {
        self.sockets.get_mut(index as usize)?.as_mut()
    }

    /// The socket is readable: one read, then what is in it.
    pub(crate) fn read(&mut self, index: u32) {
        let mut buffer = self.lend_buffer();
        self.read_into(index, &mut buffer);
        self.buffer = buffer;
    }

    fn read_into(&mut self, index: u32, buffer: &mut [u8]) {
        let Some(socket) = self.sockets.get(index as usize).and_then(Option::as_ref) else {
            return;
        };
        if socket.paused {
            // Not waited for, so only an end of both directions is told: a reset, as a rule. Bytes
            // that came before it could not be answered any more.
            return self.hub.on_lost(index);
        }
        match recv(&socket.fd, &mut *buffer, RecvFlags::empty()) {
            Ok((0, _)) => self.hub.on_lost(index),
            Ok((count, _)) => {
                self.hub.heard(index);
                self.take_in(index, &mut buffer[..count]);
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.hub.on_lost(index),
        }
    }

    fn take_in(&mut self, index: u32, bytes: &mut [u8]) {
        let Some(socket) = self.socket(index) else {
            return;
        };
        match &mut socket.stage {
            Stage::Deaf => {}
            Stage::Frames => self.take_frames(index, bytes),
            Stage::Head(head) if head.is_empty() => {
                if !self.shake(index, bytes) {
                    self.keep_head(index, bytes.to_vec());
                }
            }
            Stage::Head(head) => {
                let mut whole = std::mem::take(head);
                whole.extend_from_slice(bytes);
                if !self.shake(index, &mut whole) {
                    self.keep_head(index, whole);
                }
            }
        }
    }

    fn keep_head(&mut self, index: u32, head: Vec<u8>) {
        if let Some(socket) = self.socket(index) {
            socket.stage = Stage::Head(head);
        }
    }

    /// Whether the head was whole, so that its fate is settled.
    fn shake(&mut self, index: u32, bytes: &mut [u8]) -> bool {
        match handshake::handshake(bytes, &self.common.handshake) {
            Handshake::Incomplete => return false,
            Handshake::Reject(rejection) => self.turn_down(index, &rejection.response),
            Handshake::Accept(accepted) => {
                let rest = accepted.head_len;
                if self.establish(index, accepted) {
                    self.take_frames(index, &mut bytes[rest..]);
                }
            }
        }
        true
    }

    /// Answers and reads no more; the socket goes when the peer ends or the handshake's time does.
    fn turn_down(&mut self, index: u32, response: &[u8]) {
        let Some(socket) = self.socket(index) else {
            return;
        };
        socket.stage = Stage::Deaf;
        let sent = rustix::net::send(&socket.fd, response, SendFlags::NOSIGNAL);
        let ended = rustix::net::shutdown(&socket.fd, Shutdown::Write);
        if sent.is_err() || ended.is_err() {
            self.hub.on_lost(index);
        }
    }

    fn establish(&mut self, index: u32, accepted: Accepted) -> bool {
        let now_us = self.common.now_us();
        let Some(socket) = self
            .sockets
            .get_mut(index as usize)
            .and_then(Option::as_mut)
        else {
            return false;
        };
        if !socket.permit.is_unfinished() {
            let hops = accepted.forwarded_for.as_deref();
            let proxy = socket.permit.address();
            let client = client_of(proxy, hops, &self.common.trusted_proxies);
            if let Err(Denied::Busy(seconds)) = socket.permit.begin_for(client, now_us) {
                self.turn_down(index, &too_many(seconds));
                return false;
            }
        }
        let within = socket.permit.open();
        socket.stage = Stage::Frames;
        socket.window_bits = accepted.deflate.map_or(0, |it| it.server_max_window_bits);
        socket.decoder = Decoder::new(socket.window_bits != 0);
        let sent = rustix::net::send(&socket.fd, &accepted.response, SendFlags::NOSIGNAL);
        if sent != Ok(accepted.response.len()) {
            self.hub.on_lost(index);
            return false;
        }
        let mixed = (self.common.seed ^ self.hub.handle(index)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let how = Established {
            credential: accepted.credential,
            window_bits: socket.window_bits,
            address: socket.permit.address().to_string().into(),
            entropy: mixed >> 16,
        };
        self.hub.established(index, how);
        if !within {
            let code = chat_proto::close::CloseCode::CONNECTION_LIMIT;
            self.hub.close(index, code, "connections of this address");
        }
        true
    }

    fn take_frames(&mut self, index: u32, bytes: &mut [u8]) {
        let common = self.common.clone();
        let mut at = 0;
        while at < bytes.len() {
            let Some(socket) = self
                .sockets
                .get_mut(index as usize)
                .and_then(Option::as_mut)
            else {
                return;
            };
            let input = &mut bytes[at..];
            let step = match socket
                .decoder
                .read(input, &common.frames, &mut self.inflater)
            {
                Ok(step) => step,
                Err(violation) => {
                    socket.stage = Stage::Deaf;
                    self.hub
                        .on_violation(index, violation.code, violation.reason);
                    return;
                }
            };
            at += step.consumed;
            let Some(item) = step.item else { break };
            if matches!(item, Incoming::Text(_) | Incoming::Binary(_)) {
                // What begins behind a whole message has its own time to become whole.
                self.hub.set_partial(index, false);
            }
            let goes_on = match item {
                Incoming::Text(text) if self.echo => {
                    let frame = echoed(&mut self.deflaters, socket.window_bits, true, text);
                    self.hub.push_frame(index, frame);
                    true
                }
                Incoming::Text(text) => {
                    #[cfg(test)]
                    crate::faults::strike("text", text);
                    self.hub.on_text(index, text)
                }
                Incoming::Binary(payload) => {
                    let bits = socket.window_bits;
                    let frame = echoed(&mut self.deflaters, bits, false, payload);
                    self.hub.push_frame(index, frame);
                    true
                }
                Incoming::Ping(payload) => {
                    self.hub.on_ping(index, payload);
                    true
                }
                Incoming::Pong(_) => {
                    self.hub.on_pong(index);
                    true
                }
                Incoming::Close { code, .. } => {
                    self.hub.on_close(index, code);
                    socket.stage = Stage::Deaf;
                    return;
                }
            };
            if !goes_on {
                return self.pause(index, &bytes[at..]);
            }
        }
        if let Some(socket) = self.sockets.get(index as usize).and_then(Option::as_ref) {
            self.hub.set_partial(index, socket.decoder.mid_message());
        }
    }

    fn pause(&mut self, index: u32, rest: &[u8]) {
        if let Some(socket) = self.socket(index) {
            socket.paused = true;
            socket.stash = rest.to_vec();
        }
        self.set_interest(index);
    }

    /// The hub takes more of this connection: what was read already comes first.
    pub(crate) fn unpause(&mut self, index: u32) {
        let Some(socket) = self.socket(index) else {
            return;
        };
        if !std::mem::replace(&mut socket.paused, false) {
            return;
        }
        let mut stash = std::mem::take(&mut socket.stash);
        self.hub.heard(index);
        self.take_frames(index, &mut stash);
        self.set_interest(index);
    }

    fn set_interest(&mut self, index: u32) {
        let writing = self
            .socket(index)
            .is_some_and(|socket| socket.interest.write);
        self.want(index, writing);
    }

    fn want(&mut self, index: u32, write: bool) {
        let Some(socket) = self
            .sockets
            .get_mut(index as usize)
            .and_then(Option::as_mut)
        else {
            return;
        };
        let interest = Interest {
            read: !socket.paused,
            write,
        };
        if interest == socket.interest {
            return;
        }
        socket.interest = interest;
        let changed = self
            .poller
            .change(socket.fd.as_fd(), u64::from(index), interest);
        if changed.is_err() {
            self.hub.on_lost(index);
        }
    }

    /// Everything is written to a peer that is not listened to: it is told that no more comes, so
    /// that it ends without waiting for us (RFC 6455 section 7.1.1).
    fn finish(&mut self, index: u32) {
        if let Some(socket) = self.socket(index)
            && matches!(socket.stage, Stage::Deaf)
        {
            // Fails only where the peer has gone already, which is told by the next read.
            let _ = rustix::net::shutdown(&socket.fd, Shutdown::Write);
        }
    }

    /// Writes what waits: one call for everything that is there.
    pub(crate) fn write(&mut self, index: u32) {
        loop {
            let Some(socket) = self.sockets.get(index as usize).and_then(Option::as_ref) else {
                return;
            };
            let mut slices: Vec<IoSlice<'_>> = Vec::with_capacity(4);
            self.hub.gather(index, &mut slices);
            if slices.is_empty() {
                return self.want(index, false);
            }
            #[cfg(test)]
            crate::faults::strike("write", &slices[0]);
            let total: usize = slices.iter().map(|slice| slice.len()).sum();
            let sent = match &slices[..] {
                [one] => rustix::net::send(&socket.fd, one, SendFlags::NOSIGNAL),
                many => {
                    let mut nothing = SendAncillaryBuffer::default();
                    sendmsg(&socket.fd, many, &mut nothing, SendFlags::NOSIGNAL)
                }
            };
            match sent {
                Ok(count) => {
                    let left = self.hub.wrote(index, count);
                    if count < total {
                        return self.want(index, true);
                    }
                    if !left {
                        self.finish(index);
                        return self.want(index, false);
                    }
                }
                Err(Errno::AGAIN) => return self.want(index, true),
                Err(Errno::INTR) => {}
                Err(_) => return self.hub.on_lost(index),
            }
        }
    }
}

/// The frame that says the same again, compressed where that was agreed.
fn echoed(
    deflaters: &mut [Option<Deflater>; 7],
    window_bits: u8,
    is_text: bool,
    payload: &[u8],
) -> Vec<u8> {
    let opcode = if is_text {
        Opcode::Text
    } else {
        Opcode::Binary
    };
    let mut out = Vec::with_capacity(payload.len() + frame::FRAME_HEADER_MAX);
    if let Some(at) = window_bits.checked_sub(9) {
        let deflater = deflaters[at as usize].get_or_insert_with(|| Deflater::new(window_bits));
        let mut body = Vec::new();
        deflater.deflate(payload, &mut body);
        frame::write_header(&mut out, opcode, true, body.len());
        out.extend_from_slice(&body);
    } else {
        frame::write_header(&mut out, opcode, false, payload.len());
        out.extend_from_slice(payload);
    }
    out
}
