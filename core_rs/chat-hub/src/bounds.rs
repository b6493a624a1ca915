//! Every queue and table of the data plane: its bound, its unit, and what happens when it is full.

/// Bytes waiting for one connection above which ephemeral events are shed.
pub const BACKLOG_SHED_BYTES: usize = 256 * 1024;
/// Bytes waiting for one connection at which unsent durable events become `gap`, once; the second
/// time the connection is closed with 4108.
pub const BACKLOG_BYTES_MAX: usize = 1024 * 1024;
/// After a fold the backlog must be below [`BACKLOG_SHED_BYTES`] within this time, else 4108.
pub const BACKLOG_GRACE_US: u64 = 5_000_000;
/// Unanswered ops of one connection; at the bound its socket is not read.
pub const OPS_IN_FLIGHT_MAX: u16 = 64;
/// Subscribers served in one slice of a fan-out before other work is looked at.
pub const FANOUT_SLICE_MEMBERS: usize = 512;
/// Bytes a fan-out in slices gives a subscriber before it is written to again; one larger frame
/// goes alone. More at once would make quick readers look slow.
pub const FANOUT_PASS_BYTES: usize = 256 * 1024;
/// Recent bytes of one room kept for resume; the oldest run goes first.
pub const RECENT_ROOM_BYTES_MAX: usize = 320 * 1024;
/// Recent events of one room kept for resume; the oldest run goes first.
pub const RECENT_ROOM_EVENTS_MAX: usize = 384;
/// A room without subscribers is forgotten after this time.
pub const ROOM_IDLE_US: u64 = 60_000_000;
/// Runs of one room that arrived ahead of a gap; more are dropped, the repair brings them back.
pub const AHEAD_RUNS_MAX: usize = 64;
/// How often the backlogs of all connections are added up, which looks at each of them.
pub const WEIGH_EVERY_US: u64 = 1_000_000;
/// How often a `sub` may be asked again because what memory held went away meanwhile.
pub const SUB_TRIES_MAX: u8 = 3;
/// Pieces gathered for one write; the rest follows in the next.
pub const WRITE_PIECES_MAX: usize = 64;
/// A handshake must be whole within this time of the accept; then the socket is closed.
pub const HANDSHAKE_US: u64 = 5_000_000;
/// A `hello` must have succeeded within this time of the handshake; then 4001.
pub const HELLO_US: u64 = 10_000_000;
/// A message must be whole within this time of its first byte; then 1008.
pub const PARTIAL_MESSAGE_US: u64 = 10_000_000;
/// The answer to a close frame is awaited this long; then the socket is dropped.
pub const CLOSE_US: u64 = 5_000_000;
/// The window in which misbehaviour is counted.
pub const POLICE_WINDOW_US: u64 = 10_000_000;
/// Lines that cannot be decoded, per window; the one that reaches it closes with 4002.
pub const UNDECODABLE_MAX: u16 = 3;
/// `err` replies per window; the one that reaches it closes with 4007.
pub const ERRORS_MAX: u16 = 100;
/// `rate_limited` replies per window; one more closes with 4103.
pub const RATE_LIMITED_MAX: u16 = 100;
/// Control frames per window; one more closes with 4103.
pub const CONTROL_FRAMES_MAX: u16 = 100;
/// `typing` of one user in one room is passed on at most this often.
pub const TYPING_EVERY_US: u64 = 2_000_000;
/// `typing` is over when it was not repeated for this long.
pub const TYPING_OVER_US: u64 = 6_000_000;
/// Users typing in one room at a time; more are shed.
pub const TYPING_USERS_MAX: usize = 64;
/// `presence` of one room is sent at most this often.
pub const PRESENCE_EVERY_US: u64 = 1_000_000;
/// Above this many users online `presence` carries the count only.
pub const PRESENCE_NAMES_MAX: usize = 256;
/// Signals of one room gathered in one poll round, bytes; more go out in a further frame.
pub const SIGNAL_BATCH_BYTES_MAX: usize = 64 * 1024;
/// `auth_expiring` comes this long before the token expires.
pub const AUTH_EXPIRING_US: u64 = 60_000_000;
/// Answers that wait for an event which is committed but not yet delivered; more are refused.
pub const WAITING_ANSWERS_MAX: usize = 65_536;
/// An answer that has waited this long asks for a repair from the log.
pub const WAITING_REPAIR_US: u64 = 500_000;
/// An answer that has waited this long is refused with `unavailable`.
pub const WAITING_US: u64 = 5_000_000;
/// A repair of one room that has brought nothing is asked for again after this time.
pub const REPAIR_EVERY_US: u64 = 1_000_000;
/// Users put out of one room while answers of the store are under way; beyond, answers that are
/// older than the first one forgotten are asked for again.
pub const OUTS_MAX: usize = 1024;
/// Sessions that ended in the last 10 s; beyond, every `hello` under way is closed with 4109, so
/// that none slips in.
pub const ENDED_SESSIONS_MAX: usize = 4096;
/// Bytes of a `hello`'s replay kept free for the `welcome` itself, so that it is never folded.
pub const WELCOME_BYTES: usize = 32 * 1024;
