//! Close codes: those of RFC 6455 section 7.4.1 and those of `chat.v1`, as values in one table.
//!
//! 40xx: do not return unchanged. 41xx: return with backoff. 42xx: return at once.

/// A WebSocket close code. Any `u16` can be held; the constants are the ones this server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(pub u16);

macro_rules! close_codes {
    ($($(#[$doc:meta])* $constant:ident = $code:literal, $name:literal;)+) => {
        impl CloseCode {
            $($(#[$doc])* pub const $constant: Self = Self($code);)+

            /// Every code of the table, in ascending order.
            pub const ALL: &'static [Self] = &[$(Self::$constant),+];

            /// The label of this code in metrics and logs; `"other"` outside the table.
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($code => $name,)+
                    _ => "other",
                }
            }
        }
    };
}

close_codes! {
    /// The purpose of the connection has been fulfilled.
    NORMAL = 1000, "normal";
    /// The endpoint is going away (a page was left, a process ends).
    GOING_AWAY = 1001, "going_away";
    /// Framing that RFC 6455 forbids.
    PROTOCOL_ERROR = 1002, "protocol_error";
    /// Binary where only text is spoken.
    UNSUPPORTED_DATA = 1003, "unsupported_data";
    /// Never on the wire: a close frame without a code.
    NO_STATUS = 1005, "no_status";
    /// Never on the wire: the connection ended without a close frame.
    ABNORMAL = 1006, "abnormal";
    /// Invalid UTF-8, or a broken compressed stream.
    INVALID_PAYLOAD = 1007, "invalid_payload";
    /// A frame not whole in time, too many fragments, too many lines.
    POLICY_VIOLATION = 1008, "policy_violation";
    /// A message over the size limit.
    MESSAGE_TOO_BIG = 1009, "message_too_big";
    /// A client missed an extension it needs.
    MANDATORY_EXTENSION = 1010, "mandatory_extension";
    /// The server met a condition that it could not handle.
    INTERNAL_ERROR = 1011, "internal_error";
    /// An operation that this state does not allow, such as a second `hello`.
    NOT_ALLOWED = 4000, "not_allowed";
    /// Authentication failed or absent.
    AUTH_FAILED = 4001, "auth_failed";
    /// The third undecodable line within 10 s.
    UNDECODABLE = 4002, "undecodable";
    /// The session was revoked.
    SESSION_REVOKED = 4003, "session_revoked";
    /// The user is banned from the service.
    BANNED = 4004, "banned";
    /// A protocol version that this server does not speak.
    VERSION = 4005, "version";
    /// Too many connections of this user.
    CONNECTION_LIMIT = 4006, "connection_limit";
    /// A hundred `err` within 10 s.
    TOO_MANY_ERRORS = 4007, "too_many_errors";
    /// The server failed; try again with backoff.
    INTERNAL = 4100, "internal";
    /// The access token's time is over.
    TOKEN_EXPIRED = 4101, "token_expired";
    /// Nothing heard for `ping_ms` times 1.5.
    PING_TIMEOUT = 4102, "ping_timeout";
    /// Persistently over a rate, or more than 100 control frames within 10 s.
    RATE_LIMITED = 4103, "rate_limited";
    /// The peer reads too slowly.
    SLOW_CONSUMER = 4108, "slow_consumer";
    /// The node is overloaded.
    OVERLOADED = 4109, "overloaded";
    /// The node is leaving.
    DRAINING = 4110, "draining";
    /// Another node serves this user now; use the `url` that was sent.
    MOVED = 4200, "moved";
    /// State that the connection relied on is void; connect again and resume.
    STATE_INVALIDATED = 4201, "state_invalidated";
}

/// Whether a client may put `code` in a close frame (RFC 6455 section 7.4; the IANA registry has
/// since given out 1012 to 1014).
pub const fn is_legal_from_client(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table is in order and every code of it has a label of its own.
    #[test]
    fn every_code_has_its_own_name() {
        assert!(CloseCode::ALL.is_sorted());
        let mut names: Vec<_> = CloseCode::ALL.iter().map(|code| code.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CloseCode::ALL.len());
        assert!(!names.contains(&"other"));
        assert_eq!(CloseCode(4999).name(), "other");
    }

    /// The codes a client may send are exactly those of the protocol page.
    #[test]
    fn reserved_codes_are_illegal_from_a_client() {
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
            assert!(!is_legal_from_client(code), "{code}");
        }
        for code in [1000, 1003, 1007, 1011, 1014, 3000, 3999, 4000, 4999] {
            assert!(is_legal_from_client(code), "{code}");
        }
    }
}
