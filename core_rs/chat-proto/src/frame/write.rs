//! Frames from the server: final, unmasked, the shortest length.

use crate::close::CloseCode;
use crate::limits::CLOSE_REASON_BYTES_MAX;

/// Longest header of a server frame in bytes.
pub const FRAME_HEADER_MAX: usize = 10;

/// What a server frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// A text message.
    Text,
    /// A binary message.
    Binary,
    /// The end of the connection.
    Close,
    /// A ping.
    Ping,
    /// The answer to a ping.
    Pong,
}

/// The header of a frame with a payload of `len` bytes: a buffer and how much of it counts. `rsv1`
/// marks a compressed message.
pub fn header(opcode: Opcode, rsv1: bool, len: usize) -> ([u8; FRAME_HEADER_MAX], usize) {
    let opcode = match opcode {
        Opcode::Text => 0x1,
        Opcode::Binary => 0x2,
        Opcode::Close => 0x8,
        Opcode::Ping => 0x9,
        Opcode::Pong => 0xA,
    };
    let mut header = [0; FRAME_HEADER_MAX];
    header[0] = 0x80 | u8::from(rsv1) << 6 | opcode;
    let wide = (len as u64).to_be_bytes();
    let used = match len {
        0..=125 => {
            header[1] = len as u8;
            2
        }
        126..=0xffff => {
            header[1] = 126;
            header[2..4].copy_from_slice(&wide[6..]);
            4
        }
        _ => {
            header[1] = 127;
            header[2..].copy_from_slice(&wide);
            10
        }
    };
    (header, used)
}

/// Appends what [`header()`] returns.
pub fn write_header(out: &mut Vec<u8>, opcode: Opcode, rsv1: bool, len: usize) {
    let (header, used) = header(opcode, rsv1, len);
    out.extend_from_slice(&header[..used]);
}

/// Appends a close frame. The reason is cut to 123 bytes, between characters. The codes that never
/// stand on the wire, 1005 and 1006, make a close frame without a body.
pub fn write_close(out: &mut Vec<u8>, code: CloseCode, reason: &str) {
    if matches!(code, CloseCode::NO_STATUS | CloseCode::ABNORMAL) {
        write_header(out, Opcode::Close, false, 0);
        return;
    }
    let mut end = reason.len().min(CLOSE_REASON_BYTES_MAX);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let reason = &reason[..end];
    write_header(out, Opcode::Close, false, 2 + reason.len());
    out.extend_from_slice(&code.0.to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
}
