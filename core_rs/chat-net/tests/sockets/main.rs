//! The data plane over real sockets of loopback, on one shard and on three.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail loudly, in the parts it is made of too"
)]

mod admission;
mod backpressure;
mod client;
mod endings;
mod handshakes;
mod plane;
mod shards;
