//! From keyword arguments to the configuration of a node.

use std::net::{IpAddr, SocketAddr};

use chat_hub::HubConfig;
use chat_net::NodeConfig;
use chat_net::address::Network;
use chat_net::admission::AdmissionConfig;
use chat_proto::frame::FrameLimits;
use chat_proto::handshake::HandshakePolicy;
use pyo3::prelude::*;

use crate::errors::bad_value;

/// A day in milliseconds: no duration of the configuration is longer.
const TIME_MS_MAX: u64 = 86_400_000;

/// The arguments of `Core(...)`, named and documented in chatrooms/_core.pyi.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct Arguments {
    host: String,
    port: u16,
    epoch: String,
    shards: usize,
    origins: Vec<String>,
    trusted_proxies: Vec<String>,
    ping_ms: u64,
    deflate: bool,
    rate_limits: bool,
    subscriptions_max: usize,
    connections_max: usize,
    connections_per_address_max: usize,
    handshakes_per_address_max: usize,
    recent_bytes_max: usize,
    outgoing_bytes_max: usize,
    drain_notice_ms: u64,
    reuse_port: bool,
    echo: bool,
    message_bytes_max: usize,
    fragments_max: u32,
    failpoint_mid_fanout: u64,
}

impl Arguments {
    /// Checks and sorts the arguments.
    pub(crate) fn into_config(self, seed: u64) -> PyResult<NodeConfig> {
        let host: IpAddr = self
            .host
            .parse()
            .map_err(|_| bad_value(format!("host {:?}: not an IP address", self.host)))?;
        if !(1..=64).contains(&self.shards) {
            return Err(bad_value("shards: 1 to 64"));
        }
        if !(1_000..=TIME_MS_MAX).contains(&self.ping_ms) {
            return Err(bad_value("ping_ms: 1000 to a day"));
        }
        if self.drain_notice_ms > TIME_MS_MAX {
            return Err(bad_value("drain_notice_ms: at most a day"));
        }
        let network = |text: &String| {
            Network::parse(text)
                .ok_or_else(|| bad_value(format!("trusted proxy {text:?}: not a network")))
        };
        let trusted_proxies: PyResult<Vec<Network>> =
            self.trusted_proxies.iter().map(network).collect();
        Ok(NodeConfig {
            address: SocketAddr::new(host, self.port),
            reuse_port: self.reuse_port,
            shards: self.shards,
            hub: HubConfig {
                shard: 0,
                has_peers: false,
                epoch: self.epoch,
                ping_ms: self.ping_ms,
                subscriptions_max: self.subscriptions_max,
                rate_limits: self.rate_limits,
                recent_bytes_max: self.recent_bytes_max,
                outgoing_bytes_max: self.outgoing_bytes_max,
                drain_notice_ms: self.drain_notice_ms,
                echo: self.echo,
                failpoint_mid_fanout: self.failpoint_mid_fanout,
            },
            handshake: HandshakePolicy {
                path: if self.echo { "/" } else { "/ws" }.to_owned(),
                subprotocol: (!self.echo).then(|| "chat.v1".to_owned()),
                origins: self.origins,
                deflate: self.deflate,
            },
            frames: FrameLimits {
                message_bytes_max: self.message_bytes_max,
                fragments_max: self.fragments_max,
                binary: self.echo,
                require_utf8: true,
            },
            admission: AdmissionConfig {
                connections_max: self.connections_max,
                per_address_max: self.connections_per_address_max,
                handshakes_per_address_max: self.handshakes_per_address_max,
                rate_limits: self.rate_limits,
            },
            trusted_proxies: trusted_proxies?,
            seed,
        })
    }
}
