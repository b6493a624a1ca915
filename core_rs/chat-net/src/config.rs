//! What a node's data plane is told once.

use std::net::SocketAddr;

use chat_hub::HubConfig;
use chat_proto::frame::FrameLimits;
use chat_proto::handshake::HandshakePolicy;

use crate::address::Network;
use crate::admission::AdmissionConfig;

/// The configuration of a node.
#[derive(Debug)]
pub struct NodeConfig {
    /// Where to listen; port 0 for any.
    pub address: SocketAddr,
    /// Whether siblings may listen on the same port.
    pub reuse_port: bool,
    /// I/O threads, 1..=64.
    pub shards: usize,
    /// What each hub is told; `shard` and `has_peers` are filled in.
    pub hub: HubConfig,
    /// What a handshake must look like.
    pub handshake: HandshakePolicy,
    /// What frames may look like.
    pub frames: FrameLimits,
    /// Who may connect.
    pub admission: AdmissionConfig,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// Randomness for the phase of pings and retries.
    pub seed: u64,
}
