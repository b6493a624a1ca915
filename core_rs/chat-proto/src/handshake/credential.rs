//! Where a client may show a credential, and what form it must have there.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::head::{NOT_UTF8, Request};
use super::respond::Refusal;
use super::{Credential, ErrorCode, bad};
use crate::limits::TICKET_BYTES_MAX;

/// Names under which tokens have been seen in query strings.
const TOKEN_PARAMETERS: [&str; 8] = [
    "token",
    "access_token",
    "refresh_token",
    "id_token",
    "jwt",
    "bearer",
    "auth",
    "authorization",
];

/// The credential among the subprotocols offered, in `Authorization` and in the query.
pub(super) fn find(request: &Request<'_, '_>, offered: &[&str]) -> Result<Credential, Refusal> {
    let ticket = ticket(request.query)?;
    let mut found = Credential::None;
    let shown = [
        subprotocol_token(offered)?.map(Credential::Bearer),
        authorization_token(request)?.map(Credential::Bearer),
        ticket.map(Credential::Ticket),
    ];
    for credential in shown.into_iter().flatten() {
        found = match found {
            Credential::None => credential,
            same if same == credential => same,
            _ => Credential::Conflict,
        };
    }
    Ok(found)
}

/// `bearer.<base64url of the token, no padding>`.
fn subprotocol_token(offered: &[&str]) -> Result<Option<String>, Refusal> {
    let mut entries = offered
        .iter()
        .filter_map(|entry| entry.strip_prefix("bearer."));
    let Some(encoded) = entries.next() else {
        return Ok(None);
    };
    if entries.next().is_some() {
        return Err(bad("Two tokens are offered as subprotocols."));
    }
    let token = URL_SAFE_NO_PAD
        .decode(encoded)
        .ok()
        .and_then(|token| String::from_utf8(token).ok());
    match token {
        Some(token) if is_token(&token) => Ok(Some(token)),
        _ => Err(bad("The token offered as a subprotocol is not base64url.")),
    }
}

/// `Authorization: Bearer`; other schemes are not ours.
fn authorization_token(request: &Request<'_, '_>) -> Result<Option<String>, Refusal> {
    let mut values = request.values("authorization");
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(bad("There are two Authorization fields."));
    }
    if value == NOT_UTF8 {
        return Err(bad("The Authorization field is malformed."));
    }
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Ok(None);
    }
    let token = token.trim_matches(' ');
    if is_token(token) {
        Ok(Some(token.into()))
    } else {
        Err(bad("The token is malformed."))
    }
}

/// The form of a token68 (RFC 9110 section 11.2), which a JWT has.
fn is_token(token: &str) -> bool {
    let letters = token.trim_end_matches('=');
    !letters.is_empty()
        && letters
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}

/// `?ticket=`, once. A token in the query is refused, whatever it is called.
fn ticket(query: Option<&str>) -> Result<Option<String>, Refusal> {
    let mut ticket = None;
    for pair in query.unwrap_or_default().split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = percent_decoded(name).to_ascii_lowercase();
        let value = percent_decoded(value);
        if TOKEN_PARAMETERS.contains(&name.as_str()) || looks_like_jwt(&value) {
            let detail = "A token in the URL ends in logs; send it in the hello.";
            return Err(Refusal::new(400, ErrorCode::TokenInUrl, detail));
        }
        if name != "ticket" {
            continue;
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let fits = (1..=TICKET_BYTES_MAX).contains(&value.len()) && value.bytes().all(plain);
        if !fits || ticket.replace(value.into_owned()).is_some() {
            return Err(bad("The ticket is malformed, or there are two."));
        }
    }
    Ok(ticket)
}

/// Three parts, the first the base64url of `{"`: a JWS in compact form.
fn looks_like_jwt(value: &str) -> bool {
    value.starts_with("eyJ") && value.bytes().filter(|&byte| byte == b'.').count() == 2
}

/// Undoes percent-encoding; what is no valid escape, or no UTF-8 after it, stays as it is.
fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = |index: usize| {
            bytes
                .get(index)
                .and_then(|&byte| char::from(byte).to_digit(16))
        };
        if let (b'%', Some(high), Some(low)) = (byte, hex(at + 1), hex(at + 2)) {
            decoded.push((high * 16 + low) as u8);
            at += 3;
        } else {
            decoded.push(byte);
            at += 1;
        }
    }
    String::from_utf8(decoded).map_or(Cow::Borrowed(text), Cow::Owned)
}
