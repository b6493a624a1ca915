//! Every bound of `chat.v1` that can be judged from bytes alone, units last.
//!
//! Bounds that need a clock or a count over time (rates, backlog, connections) belong to the hub.

/// Largest client message in bytes: all fragments together, after inflating.
pub const MESSAGE_BYTES_MAX: usize = 65_536;
/// Most fragments of one message, empty ones counted.
pub const FRAGMENTS_MAX: u32 = 128;
/// Most lines (JSON objects) of one message, both ways.
pub const LINES_MAX: usize = 128;
/// Largest frame the server writes, payload bytes.
pub const FRAME_OUT_BYTES_MAX: usize = 256 * 1024;
/// Largest run of one room's events that shares a frame, payload bytes.
pub const RUN_BYTES_MAX: usize = 64 * 1024;

/// Largest payload of a control frame in bytes (RFC 6455 section 5.5).
pub const CONTROL_BYTES_MAX: usize = 125;
/// Largest reason of a close frame in bytes: a control payload less the two of the code.
pub const CLOSE_REASON_BYTES_MAX: usize = 123;

/// Deepest nesting of a line; its outer object counts as 1.
pub const DEPTH_MAX: usize = 16;
/// Most keys of one JSON object, `hello.rooms` aside.
pub const KEYS_MAX: usize = 64;
/// Most rooms of a `hello`. More than [`KEYS_MAX`], so that whoever holds all the subscriptions of
/// a connection can resume them at once; the hub denies those over its own limit.
pub const HELLO_ROOMS_MAX: usize = 256;
/// First integer that a `seq`, an `n` or an `id` may not reach: 2^53 (exact in an IEEE double).
pub const INTEGER_LIMIT: u64 = 1 << 53;

/// Longest `text` of a message body in Unicode code points.
pub const TEXT_CODEPOINTS_MAX: usize = 4_096;
/// Largest message body in bytes, as received.
pub const BODY_BYTES_MAX: usize = 16 * 1024;
/// Largest body of a signal in bytes, as received.
pub const SIGNAL_BYTES_MAX: usize = 4 * 1024;
/// Longest `cid` in characters, each U+0021 to U+007E.
pub const CID_CHARS_MAX: usize = 64;
/// Longest room id in characters, each `[A-Za-z0-9_-]`.
pub const ROOM_CHARS_MAX: usize = 64;
/// Longest `epoch` a client may send back, in bytes.
pub const EPOCH_BYTES_MAX: usize = 64;
/// Longest `client` (the name of the program) of a `hello`, in bytes.
pub const CLIENT_BYTES_MAX: usize = 128;
/// Longest `cursor` of a `who`, in bytes.
pub const CURSOR_BYTES_MAX: usize = 512;
/// Longest `?ticket=` in bytes, decoded.
pub const TICKET_BYTES_MAX: usize = 512;

/// Subscriptions of one connection by default; the hub's setting.
pub const SUBSCRIPTIONS_MAX: usize = 100;
/// Most events of one `hist` page.
pub const HIST_EVENTS_MAX: u32 = 100;
/// Events of a `hist` page when the client names no limit.
pub const HIST_EVENTS_DEFAULT: u32 = 50;
/// Most members of one `who` page.
pub const WHO_MEMBERS_MAX: u32 = 100;
/// Members of a `who` page when the client names no limit.
pub const WHO_MEMBERS_DEFAULT: u32 = 50;
/// Furthest behind a room may be resumed, in events.
pub const RESUME_EVENTS_MAX: u64 = 300;
/// Furthest behind a room may be resumed, in bytes of events.
pub const RESUME_BYTES_MAX: usize = 256 * 1024;
/// Most bytes replayed to one `hello` over all its rooms.
pub const HELLO_RESUME_BYTES_MAX: usize = 1024 * 1024;
/// Most names of a `presence` event; above that many online it carries counts only.
pub const PRESENCE_NAMES_MAX: usize = 256;

/// Most header fields of a handshake request.
pub const HEADERS_MAX: usize = 64;
/// Largest head of a handshake request (request line and header fields) in bytes.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Longest line of a handshake request in bytes.
pub const HEAD_LINE_BYTES_MAX: usize = 8 * 1024;
