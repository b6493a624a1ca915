//! Pure: this crate does no I/O, starts no thread, reads no clock and draws no randomness.
//!
//! The hub of a shard: rooms, subscriptions, fan-out, backlog, resume, presence, limits, drain.
//! See ARCHITECTURE.md for the path of a message; every bound stands in [`bounds`].

pub mod bounds;
pub mod effect;
pub mod gcra;
pub mod hub;
pub mod run;
pub mod stats;

mod answers;
mod conn;
mod desk;
mod drain;
mod ephemeral;
mod fanout;
mod inbound;
mod membership;
mod out;
mod room;
mod timers;
mod welcome;
mod wheel;

pub use hub::{Established, Hub, HubConfig};
