//! The hub as a whole, in a simulated world: no sleep, no socket, every race made on purpose.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail loudly, also in its functions"
)]

mod drain;
mod ephemeral;
mod fanout;
mod greeting;
mod inbound;
mod model;
mod slow;
mod socket;
mod subscribing;
mod timers;
mod world;
