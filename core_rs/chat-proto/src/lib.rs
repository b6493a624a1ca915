//! Sans-IO: this crate does no I/O, reads no clock, starts no thread, draws no randomness.
//!
//! It is the byte layout of Chat Rooms and nothing else: bytes to frames ([`frame`]), frames to
//! commands ([`command`]), replies and events to bytes ([`encode`]), and the codes both sides agree
//! on ([`close`], [`error`]). Who is in a room, what time it is and which socket the bytes came
//! from are questions for the crates above.
//!
//! | module | standard | in -> out |
//! | --- | --- | --- |
//! | [`handshake`] | RFC 6455 section 4.2 | request head -> 101 and credential, or refusal |
//! | [`frame`] | RFC 6455 section 5 | socket bytes -> messages and control frames, and back |
//! | [`deflate`] | RFC 7692 | payload <-> compressed payload; extension offer -> parameters |
//! | [`json`] | RFC 8259 | text -> spans of its members, judged in one pass |
//! | [`command`], [`body`] | `chat.v1` | line -> command, or the error that answers it |
//! | [`encode`] | `chat.v1` | reply or event -> line |
//! | [`limits`] | `chat.v1` | every bound of the protocol |

pub mod body;
pub mod close;
pub mod command;
pub mod deflate;
pub mod encode;
pub mod error;
pub mod frame;
pub mod handshake;
pub mod json;
pub mod limits;

pub use close::CloseCode;
pub use error::ErrorCode;
