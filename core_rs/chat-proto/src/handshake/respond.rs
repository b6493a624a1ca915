//! The answers: 101, or a refusal that says why and closes.

use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use base64::{Engine, alphabet, engine::DecodePaddingMode};
use sha1::{Digest, Sha1};

use super::Rejection;
use crate::encode;
use crate::error::ErrorCode;
use crate::json::write_string;

/// RFC 6455 section 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Base64 whose unused last bits may be anything: some clients write random letters.
const KEY: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// On every answer that is not a 101: there is nothing to load, frame, sniff or keep.
const SECURITY_HEADERS: &str = "\
Cache-Control: no-store\r\n\
Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n\
Cross-Origin-Resource-Policy: same-origin\r\n\
Permissions-Policy: camera=(), geolocation=(), microphone=()\r\n\
Referrer-Policy: no-referrer\r\n\
Strict-Transport-Security: max-age=63072000; includeSubDomains\r\n\
X-Content-Type-Options: nosniff\r\n\
X-Frame-Options: DENY\r\n";

/// Whether `key` is 16 bytes of base64.
pub(super) fn is_key(key: &str) -> bool {
    KEY.decode(key).is_ok_and(|nonce| nonce.len() == 16)
}

/// The value of `Sec-WebSocket-Accept` for a key.
fn accept(key: &str) -> String {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    STANDARD.encode(digest)
}

/// The 101.
pub(super) fn switching(key: &str, subprotocol: Option<&str>, extension: Option<&str>) -> Vec<u8> {
    let mut response = String::with_capacity(256);
    response.push_str("HTTP/1.1 101 Switching Protocols\r\n");
    response.push_str("Upgrade: websocket\r\nConnection: Upgrade\r\n");
    field(&mut response, "Sec-WebSocket-Accept", &accept(key));
    if let Some(subprotocol) = subprotocol {
        field(&mut response, "Sec-WebSocket-Protocol", subprotocol);
    }
    if let Some(extension) = extension {
        field(&mut response, "Sec-WebSocket-Extensions", extension);
    }
    response.push_str("\r\n");
    response.into_bytes()
}

fn field(response: &mut String, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        response.push_str(part);
    }
}

/// Why a handshake is refused.
pub(super) struct Refusal {
    status: u16,
    code: ErrorCode,
    detail: &'static str,
    headers: &'static str,
}

impl Refusal {
    /// `detail` is for people and repeats nothing of the request.
    pub(super) const fn new(status: u16, code: ErrorCode, detail: &'static str) -> Self {
        Self {
            status,
            code,
            detail,
            headers: "",
        }
    }

    /// The same with header fields of its own, each ending with CR LF.
    pub(super) const fn with(self, headers: &'static str) -> Self {
        Self { headers, ..self }
    }

    /// The answer; one to HEAD has no body.
    pub(super) fn reject(&self, is_head: bool) -> Rejection {
        let body = self.problem();
        let mut response = Vec::with_capacity(640 + body.len());
        response.extend_from_slice(b"HTTP/1.1 ");
        encode::write_uint(&mut response, u64::from(self.status));
        response.push(b' ');
        let connection = if self.status == 426 {
            "Upgrade, close"
        } else {
            "close"
        };
        for part in [
            reason(self.status),
            "\r\nConnection: ",
            connection,
            "\r\nContent-Type: application/problem+json\r\n",
            SECURITY_HEADERS,
            self.headers,
            "Content-Length: ",
        ] {
            response.extend_from_slice(part.as_bytes());
        }
        encode::write_uint(&mut response, body.len() as u64);
        response.extend_from_slice(b"\r\n\r\n");
        if !is_head {
            response.extend_from_slice(&body);
        }
        Rejection {
            response,
            status: self.status,
        }
    }

    /// RFC 9457.
    fn problem(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(160);
        body.extend_from_slice(b"{\"type\":\"about:blank\",\"title\":");
        write_string(&mut body, reason(self.status));
        body.extend_from_slice(b",\"status\":");
        encode::write_uint(&mut body, u64::from(self.status));
        body.extend_from_slice(b",\"code\":");
        write_string(&mut body, self.code.name());
        body.extend_from_slice(b",\"detail\":");
        write_string(&mut body, self.detail);
        body.push(b'}');
        body
    }
}

const fn reason(status: u16) -> &'static str {
    match status {
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        414 => "URI Too Long",
        426 => "Upgrade Required",
        431 => "Request Header Fields Too Large",
        _ => "Bad Request",
    }
}
