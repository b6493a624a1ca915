"""Makes the core from named settings: the one place that knows its constructor."""

from dataclasses import dataclass

from chatrooms import _core


@dataclass(frozen=True, slots=True)
class CoreSettings:
    """What the data plane is told once; see chatrooms.config for meanings and bounds."""

    host: str
    port: int
    epoch: str
    shards: int
    origins: tuple[str, ...]
    trusted_proxies: tuple[str, ...]
    ping_ms: int
    deflate: bool
    rate_limits: bool
    subscriptions_max: int
    connections_max: int
    connections_per_address_max: int
    handshakes_per_address_max: int
    recent_bytes_max: int
    outgoing_bytes_max: int
    drain_notice_ms: int
    failpoint_mid_fanout: int


def open_core(settings: CoreSettings) -> _core.Core:
    """A core that listens to nothing yet: `start` binds, OSError when the port is taken."""
    return _core.Core(
        host=settings.host,
        port=settings.port,
        epoch=settings.epoch,
        shards=settings.shards,
        origins=settings.origins,
        trusted_proxies=settings.trusted_proxies,
        ping_ms=settings.ping_ms,
        deflate=settings.deflate,
        rate_limits=settings.rate_limits,
        subscriptions_max=settings.subscriptions_max,
        connections_max=settings.connections_max,
        connections_per_address_max=settings.connections_per_address_max,
        handshakes_per_address_max=settings.handshakes_per_address_max,
        recent_bytes_max=settings.recent_bytes_max,
        outgoing_bytes_max=settings.outgoing_bytes_max,
        drain_notice_ms=settings.drain_notice_ms,
        failpoint_mid_fanout=settings.failpoint_mid_fanout,
    )
