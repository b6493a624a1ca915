//! The only crate with kernel, clock and threads: shards, mailboxes, inbox, drain.
//!
//! One thread a shard owns its sockets and its hub; threads speak through bounded queues. There
//! are three kinds of lock, never held together: a mailbox, the inbox, the admission table.

#[cfg(test)]
extern crate self as chat_net;

pub mod address;
pub mod admission;
pub mod config;
pub mod inbox;
pub mod mailbox;
pub mod metrics;
pub mod node;

mod accepting;
#[cfg(test)]
mod faults;
mod listener;
mod poller;
mod shard;
mod socket;
mod traffic;
mod wake;

pub use config::NodeConfig;
pub use node::Node;
