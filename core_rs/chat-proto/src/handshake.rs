//! The opening handshake (RFC 6455 section 4.2) on the head of an HTTP/1.1 request (RFC 9112).
//!
//! Bytes in; out comes the whole answer, a 101 or a refusal. The form of a credential is judged
//! here, its worth is not: browsers cannot see the answer of a refused handshake, so that is said
//! at `hello`.

mod credential;
mod head;
mod respond;

use crate::deflate::{self, DeflateParams};
use crate::error::ErrorCode;
use head::{Head, Request};
use respond::Refusal;

/// What a server demands of those who knock. One per server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandshakePolicy {
    /// The only path served, such as `/ws`.
    pub path: String,
    /// The subprotocol that must be offered, and that alone is answered. `None`: any or none.
    pub subprotocol: Option<String>,
    /// Origins allowed, each exactly scheme, host and port; `*` alone allows any.
    pub origins: Vec<String>,
    /// Whether to agree to permessage-deflate.
    pub deflate: bool,
}

/// What a client has shown to say who it is. Nothing here is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// Nothing.
    None,
    /// An access token, from the subprotocol or from `Authorization`.
    Bearer(String),
    /// A one-time ticket, from the query.
    Ticket(String),
    /// Several that differ.
    Conflict,
}

/// A handshake that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Bytes of the head; frames follow.
    pub head_len: usize,
    /// The whole answer.
    pub response: Vec<u8>,
    /// What the client has shown.
    pub credential: Credential,
    /// permessage-deflate, if it was agreed on.
    pub deflate: Option<DeflateParams>,
    /// All `X-Forwarded-For`, in order, joined by `", "`. Believe it of trusted proxies only.
    pub forwarded_for: Option<String>,
}

/// A handshake that failed. Send the answer and close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The whole answer, with a small `application/problem+json` body.
    pub response: Vec<u8>,
    /// Its status.
    pub status: u16,
}

/// The outcome of a look at the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// Nothing wrong so far: call again with more bytes.
    Incomplete,
    /// Go on with frames.
    Accept(Accepted),
    /// Go away.
    Reject(Rejection),
}

/// Judges the bytes received so far, from the first one on. Keeps nothing between calls: one pass
/// over at most 16 KiB looks for the end, and only a whole head is parsed.
pub fn handshake(bytes: &[u8], policy: &HandshakePolicy) -> Handshake {
    let head_len = match head::measure(bytes) {
        Ok(Head::Partial) => return Handshake::Incomplete,
        Ok(Head::Whole(head_len)) => head_len,
        Err(refusal) => return Handshake::Reject(refusal.reject(false)),
    };
    let mut is_head = false;
    let outcome = head::with_request(&bytes[..head_len], |request| {
        is_head = request.method == "HEAD";
        judge(request, policy)
    });
    match outcome {
        Ok(accepted) => Handshake::Accept(Accepted {
            head_len,
            ..accepted
        }),
        Err(refusal) => Handshake::Reject(refusal.reject(is_head)),
    }
}

/// Judges a request that is well-formed HTTP.
fn judge(request: &Request<'_, '_>, policy: &HandshakePolicy) -> Result<Accepted, Refusal> {
    if request.path != policy.path {
        return Err(Refusal::new(
            404,
            ErrorCode::NotFound,
            "There is nothing at this path.",
        ));
    }
    if request.method != "GET" {
        let refusal = Refusal::new(405, ErrorCode::MethodNotAllowed, "Only GET is served here.");
        return Err(refusal.with("Allow: GET\r\n"));
    }
    let key = judge_upgrade(request)?;
    judge_origin(request, policy)?;
    let offered = subprotocols(request)?;
    if let Some(wanted) = &policy.subprotocol
        && !offered.contains(&wanted.as_str())
    {
        return Err(bad("The subprotocol that is spoken here was not offered."));
    }
    let credential = credential::find(request, &offered)?;
    let deflate = if policy.deflate {
        deflate::negotiate(request.values("sec-websocket-extensions"))
            .map_err(|_| bad("Sec-WebSocket-Extensions is malformed."))?
    } else {
        None
    };
    let extension = deflate.as_ref().map(|(_, value)| value.as_str());
    Ok(Accepted {
        head_len: 0,
        response: respond::switching(key, policy.subprotocol.as_deref(), extension),
        credential,
        deflate: deflate.as_ref().map(|(params, _)| *params),
        forwarded_for: forwarded_for(request),
    })
}

fn bad(detail: &'static str) -> Refusal {
    Refusal::new(400, ErrorCode::BadRequest, detail)
}

/// Judges the fields of RFC 6455 section 4.2.1, points 2 to 6: the key.
fn judge_upgrade<'h>(request: &Request<'h, '_>) -> Result<&'h str, Refusal> {
    let upgrade = |detail| {
        Refusal::new(426, ErrorCode::BadRequest, detail)
            .with("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n")
    };
    if !request.is_http_1_1 {
        return Err(upgrade("WebSockets need HTTP/1.1."));
    }
    if request.values("host").count() != 1 {
        return Err(bad("One Host field is needed."));
    }
    let has_body = request.values("content-length").any(|value| value != "0");
    if has_body || request.values("transfer-encoding").next().is_some() {
        return Err(bad("A handshake has no body."));
    }
    if !request.lists("upgrade", "websocket") || !request.lists("connection", "upgrade") {
        return Err(upgrade("This is a WebSocket endpoint."));
    }
    if request.only("sec-websocket-version") != Some("13") {
        return Err(upgrade("WebSocket version 13 is spoken here."));
    }
    let key = request
        .only("sec-websocket-key")
        .filter(|key| respond::is_key(key));
    key.ok_or(bad("Sec-WebSocket-Key must be 16 bytes of base64, once."))
}

/// No Origin is not a browser, and no cookie is ever looked at here.
fn judge_origin(request: &Request<'_, '_>, policy: &HandshakePolicy) -> Result<(), Refusal> {
    if policy.origins == ["*"] || request.values("origin").next().is_none() {
        return Ok(());
    }
    let origin = request
        .only("origin")
        .filter(|&origin| origin != "null" && origin != "*");
    if origin.is_some_and(|origin| policy.origins.iter().any(|allowed| allowed == origin)) {
        return Ok(());
    }
    let refusal = Refusal::new(403, ErrorCode::Forbidden, "This origin is not allowed.");
    Err(refusal.with("Vary: Origin\r\n"))
}

/// The subprotocols offered, over all fields of that name.
fn subprotocols<'h>(request: &Request<'h, '_>) -> Result<Vec<&'h str>, Refusal> {
    let mut offered = Vec::new();
    for value in request.values("sec-websocket-protocol") {
        for element in value.split(',') {
            let element = element.trim_matches([' ', '\t']);
            if !deflate::token(element).1.is_empty() {
                return Err(bad("Sec-WebSocket-Protocol is malformed."));
            }
            if !element.is_empty() {
                offered.push(element);
            }
        }
    }
    Ok(offered)
}

fn forwarded_for(request: &Request<'_, '_>) -> Option<String> {
    let values: Vec<&str> = request.values("x-forwarded-for").collect();
    (!values.is_empty()).then(|| values.join(", "))
}
