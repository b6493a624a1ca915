//! The error codes that replies, REST problems and handshake refusals share.
//!
//! `tests/vectors/errors.json` at the top of the repository states the same table for the Python
//! side; a test here and one there hold both to it.

macro_rules! error_codes {
    ($(
        $(#[$doc:meta])*
        $variant:ident $name:literal $status:literal $retry:ident $message:literal;
    )+) => {
        /// Why an operation was refused. The code is part of the protocol; its sentence is not.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $($(#[$doc])* $variant,)+
        }

        impl ErrorCode {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The code as it stands on the wire, such as `not_member`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The code of that name, or `None`.
            pub fn parse(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }

            /// The HTTP status that goes with the code.
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$variant => $status,)+ }
            }

            /// Whether trying again unchanged can help. Clients obey this, not the code.
            pub const fn retry(self) -> bool {
                match self { $(Self::$variant => error_codes!(@ $retry),)+ }
            }

            /// A sentence for people, used where nobody has a better one.
            pub const fn message(self) -> &'static str {
                match self { $(Self::$variant => $message,)+ }
            }
        }
    };
    (@ retry) => { true };
    (@ final) => { false };
}

error_codes! {
    /// The form of the request is wrong.
    BadRequest "bad_request" 400 final "The request is malformed.";
    /// The form is right, a value is not.
    Invalid "invalid" 422 final "A value is not allowed.";
    /// No such operation.
    UnknownOp "unknown_op" 400 final "There is no such operation.";
    /// Larger than its limit.
    TooLarge "too_large" 413 final "It is larger than the limit.";
    /// No valid credential.
    Unauthorized "unauthorized" 401 final "A valid access token is needed.";
    /// The credential was valid once.
    TokenExpired "token_expired" 401 retry "The access token has expired.";
    /// A credential in the query string, where logs would keep it.
    TokenInUrl "token_in_url" 400 final "An access token must not stand in the URL.";
    /// Known, but not allowed.
    Forbidden "forbidden" 403 final "You may not do this.";
    /// Not a member of the room.
    NotMember "not_member" 403 final "You are not a member of this room.";
    /// Banned from the room.
    Banned "banned" 403 final "You are banned from this room.";
    /// Muted in the room.
    Muted "muted" 403 final "You are muted in this room.";
    /// Nobody may post in the room at present.
    Frozen "frozen" 403 final "This room is frozen.";
    /// No such thing, or not for you to know.
    NotFound "not_found" 404 final "There is no such thing.";
    /// The HTTP method is not served here.
    MethodNotAllowed "method_not_allowed" 405 final "This method is not allowed here.";
    /// No representation that the client accepts.
    NotAcceptable "not_acceptable" 406 final "No acceptable representation.";
    /// The `cid` was used before with other content.
    CidConflict "cid_conflict" 409 final "This cid was used before with other content.";
    /// In conflict with what is there.
    Conflict "conflict" 409 final "It conflicts with what is there.";
    /// A media type that is not read here.
    UnsupportedMediaType "unsupported_media_type" 415 final "This media type is not supported.";
    /// The epoch named is not that of the log.
    EpochMismatch "epoch_mismatch" 409 final "The room's log has another epoch.";
    /// A position outside the log.
    OutOfRange "out_of_range" 422 final "The position is out of range.";
    /// The room asks for a pause between messages.
    SlowMode "slow_mode" 429 retry "This room is in slow mode.";
    /// Over a rate.
    RateLimited "rate_limited" 429 retry "Too many requests.";
    /// Over a count.
    LimitExceeded "limit_exceeded" 429 final "A limit is reached.";
    /// The server failed; the outcome is unknown.
    Internal "internal" 500 retry "The server failed.";
    /// Something the server needs is away; the outcome is unknown.
    Unavailable "unavailable" 503 retry "The service is unavailable.";
    /// Refused for load; nothing was stored.
    Overloaded "overloaded" 503 retry "The server is overloaded.";
    /// No answer in time; the outcome is unknown.
    Timeout "timeout" 504 retry "It took too long.";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name parses back to its code, and only names do.
    #[test]
    fn every_name_parses_back_to_its_code() {
        for &code in ErrorCode::ALL {
            assert_eq!(ErrorCode::parse(code.name()), Some(code));
            assert!(!code.message().is_empty());
        }
        assert_eq!(ErrorCode::parse("Bad_Request"), None);
    }
}
